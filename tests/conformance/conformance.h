/* conformance.h - what the suite's parts share: the store under test, and the ways to reach it. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "test.h"

/* The store under test, and how far the design lets it differ. */
struct target {
    const char *url;
    bool shared;               /* other processes see what it holds */
    bool ticks;                /* time goes by the second: a life begins and ends with one, up to a second early */
    const char *limit;         /* of a value, in bytes and as its message says; NULL: none that can be reached */
    const char *limit_options; /* with which it is that */
    bool forks;                /* a child may use the parent's handle */
    int redis_port, memcached_port;    /* of a server that a text client may ask; 0: none */
};

extern struct target target;

/* A handle on the target with these options, or the test fails. */
cache_t *target_open(const char *options);

/* Setup and teardown: *state is a handle on an empty store, with a prefix of this process. */
int open_empty(void **state);
int close_and_clear(void **state);

/* Run `body` in `n` processes at once, each on a handle of its own, and fail unless all return true. */
void in_processes(int n, bool (*body)(cache_t *cache, int process), const char *options);

/* Run `body` in `n` threads at once on one handle. */
void in_threads(int n, void (*body)(cache_t *cache, int thread), cache_t *cache);

/* Ask until `done`, for at most `seconds`. False: it never was. */
bool wait_until(bool (*done)(cache_t *cache, const char *key), cache_t *cache, const char *key, double seconds);
bool is_missing(cache_t *cache, const char *key);

double now_seconds(void);

/* The suite's parts: each runs its group and returns how many tests failed. */
int run_values(void);
int run_keys(void);
int run_expiry(void);
int run_counters(void);
int run_many(void);
int run_clear(void);
int run_concurrency(void);
int run_interchange(void);
int run_list(void);
int run_compare(void);
int run_null(void);            /* in place of all others, for the store that holds nothing */

#define conformance_test(name) cmocka_unit_test_setup_teardown(name, open_empty, close_and_clear)

#endif
