/* disturb.h - what each kind of store is and what is done to it, as tables of functions. */
#ifndef DISTURB_H
#define DISTURB_H

#include "soak.h"

enum { SOAK_URL = 256, SOAK_MOST_DISTURBANCES = 8 };

/* Do one thing to the store, and undo it. Returns what it was. */
typedef const char *soak_disturbance(cache_t *cache);

struct soak_store {
    const char *name;
    void (*start)(char url[SOAK_URL]);
    void (*stop)(void);
    struct {
        soak_disturbance *run;
        bool is_noticed;               /* calls may fail meanwhile, and a change that was confirmed may be lost */
    } what[SOAK_MOST_DISTURBANCES];    /* ends with NULL */
};

/* Each table ends with a store without a name. */
extern const struct soak_store soak_local[], soak_servers[], soak_clusters[];

/* Of any store (disturb.c): a child of the process uses the cache and ends; the wall clock is set back by a minute. */
const char *soak_fork(cache_t *cache);
const char *soak_set_clock_back(cache_t *cache);

/* What the process takes for the time (clock.c): the machine sleeps for some seconds; the wall clock is set forward. */
void soak_clock_sleep(long seconds);
void soak_clock_set_forward(long seconds);

void soak_pause_ms(long ms);

#endif
