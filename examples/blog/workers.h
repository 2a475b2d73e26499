/* workers.h - a few threads for work that should hold up no thread that serves, and a queue of bounded length. */
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>
#include <stddef.h>

struct workers;

/* NULL: no memory or no threads. */
struct workers *workers_start(size_t threads, size_t max_queued);

/* Run task(arg) soon, exactly once. Returns false if the queue is full; it will not be run then. Any thread. A
 * cache_spawn_fn, with the workers as its context. */
bool workers_add(void *workers, void (*task)(void *arg), void *arg);

void workers_stop(struct workers *workers);    /* runs what is queued first; NULL: does nothing */

#endif
