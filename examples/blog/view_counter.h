/* view_counter.h - counting page views without making the reader wait for a disk: a queue and one writer. */
#ifndef VIEW_COUNTER_H
#define VIEW_COUNTER_H

#include "db.h"

struct view_counter *view_counter_start(struct db *db);    /* NULL: no memory or no thread */
void view_counter_add(struct view_counter *counter, int64_t post);
void view_counter_stop(struct view_counter *counter);      /* writes what is left */

#endif
