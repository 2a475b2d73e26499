/* lab.h - the admin's laboratory: what happens to two hundred readers when a page is cold, old, forgotten, or the store
 * is away. Each experiment is bounded, and one runs at a time. */
#ifndef LAB_H
#define LAB_H

#include "visit.h"

struct lab;
struct lab *lab_new(struct blog *blog);    /* NULL: no memory */
void lab_free(struct lab *lab);            /* waits for the experiment that runs; NULL: does nothing */

cache_handler_fn lab_page, lab_run, lab_result;

#endif
