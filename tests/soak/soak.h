/* soak.h - the parts of the soak test: what disturbs the store, the threads that use it and judge what they get, and
 * the process' gauges. */
#ifndef SOAK_H
#define SOAK_H

#include "test.h"

#include <sys/types.h>

/* ---- disturbances (disturb.c) ------------------------------------------------------------------------------------ */

/* Start what the store needs. Returns the URL. "memory", "file", "redis", "redis+front", "redis+cluster",
 * "redis+cluster+front", "memcached". */
const char *soak_store_start(const char *name);
void soak_store_stop(void);

/* Do the next harm to the store of `cache`, and undo it. Returns what it was. */
const char *soak_disturb(cache_t *cache);

/* ---- traffic (traffic.c) ----------------------------------------------------------------------------------------- */

/* Of one call, in the URL. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)    /* all is slower by far */
enum { SOAK_TIMEOUT_MS = 1500 };
#else
enum { SOAK_TIMEOUT_MS = 500 };
#endif

struct soak_report {
    unsigned long calls;
    unsigned long failures;            /* calls that said so */
    unsigned long torn;                /* values that no thread wrote */
    unsigned long foreign;             /* values of another key, or that nobody has sent yet */
    /* Where the machine was not late itself: */
    unsigned long stale;               /* values from before a change that was confirmed */
    unsigned long calm_failures;       /* failures while nothing disturbed the store */
    unsigned long too_long;            /* calls that outlasted their timeout by more than 100 ms */
    double longest_ms;                 /* of a call; a fetch is three calls at most */
    char first_wrong[256];             /* what the first wrong one was */
    char first_failure[128];           /* the first failure in a calm time */
    char first_long[128];              /* and the first call that was too long */
};

void soak_traffic_start(cache_t *cache, unsigned n_threads);
void soak_traffic_stop(void);

/* Around each disturbance that calls may notice. A time is calm from `SOAK_GRACE_MS` after one until the next begins:
 * then no call may fail, and a confirmed change must be seen by all who ask later. */
enum { SOAK_GRACE_MS = 1500, SOAK_SPARE_MS = 100 };
void soak_traffic_disturbed(bool yes);

/* What has been counted so far; the last three only once the traffic and the watch for lag were stopped. */
struct soak_report soak_traffic_report(void);

/* Fork in the middle of the traffic. The child uses the cache for a while, judges what it gets, and ends. The parent
 * adds to the report how it ended, with the status of waitpid and the time of the fork. */
pid_t soak_traffic_fork(void);
void soak_traffic_note_child(int status, double begun_ms);

/* ---- gauges (gauges.c) ------------------------------------------------------------------------------------------- */

/* By the monotonic clock. */
double soak_now_ms(void);

struct soak_gauges {
    long memory_kb;                    /* resident */
    int descriptors, threads;
};

struct soak_gauges soak_gauges_read(void);

/* How long this thread has been ready to run, and had no processor, since its beginning. 0: the kernel does not say. */
double soak_waited_ms(void);

/* How late the machine woke up a thread that slept for 10 ms, at worst: no call can be quicker than that. */
void soak_lag_start(void);
double soak_lag_stop(void);            /* in ms */

/* After that: how late it was between two times of CLOCK_MONOTONIC, in sum, not counting less than 20 ms at once. */
double soak_lag_between(double from_ms, double to_ms);

/* And the longest that it was late at once. */
double soak_longest_lag_between(double from_ms, double to_ms);

#endif
