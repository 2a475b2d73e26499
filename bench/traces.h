/* traces.h - sequences of requests that are made, not recorded: what caches meet beside steady popularity. */
#ifndef TRACES_H
#define TRACES_H

#include <stddef.h>
#include <stdint.h>

struct trace {
    const char *name;
    uint32_t *ids;                     /* the object of each request */
    size_t n;
    uint32_t objects;                  /* ids are below */
    size_t room;                       /* objects that the cache holds */
};

/* Objects of a Zipf distribution: the first is the most popular. */
void trace_zipf_begin(uint32_t objects, double exponent);
uint32_t trace_zipf(void);

/* Makes one of the traces into `*out`, or returns 0 after the last. Ends the program if there is no memory. */
int trace_make(int which, struct trace *out);
void trace_release(struct trace *trace);

/* The share of requests that a least-recently-used cache of `trace->room` objects misses. */
double trace_lru(const struct trace *trace);

#endif
