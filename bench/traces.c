/* traces.c - made sequences of requests, and a plain LRU to stand beside. */
#include "traces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUESTS = 2000000, POPULAR = 100000, ROOM = 10000 };

static uint64_t next_random(void)
{
    static uint64_t random = 88172645463325252u;
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return random;
}

static double fraction(void)
{
    return (double)(next_random() >> 11) / 9007199254740992.0;
}

static void *or_end(void *block)
{
    if (block == NULL) {
        fputs("miss_ratio: out of memory\n", stderr);
        exit(1);
    }
    return block;
}

/* ---- Zipf -------------------------------------------------------------------------------------------------------- */

static double *sums;                   /* of the first so many objects' shares */
static uint32_t n_sums;

void trace_zipf_begin(uint32_t objects, double exponent)
{
    double total = 0;
    free(sums);
    sums = or_end(malloc(objects * sizeof *sums));
    n_sums = objects;
    for (uint32_t i = 0; i < objects; i++)
        sums[i] = total += 1 / pow(i + 1, exponent);
}

uint32_t trace_zipf(void)
{
    const double wanted = fraction() * sums[n_sums - 1];
    uint32_t low = 0, high = n_sums - 1;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (sums[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- made traces ------------------------------------------------------------------------------------------------- */

/* Each of these gives the object of request `i`; `*fresh` is an id that was never used. */
static uint32_t steady(size_t i, uint32_t *fresh)
{
    (void)i;
    (void)fresh;
    return trace_zipf();
}

/* A report reads 20,000 objects once, every 100,000 requests. */
static uint32_t scans(size_t i, uint32_t *fresh)
{
    return i % 100000 < 20000 ? (*fresh)++ : trace_zipf();
}

/* Every second request is of a job that goes round and round over more than fits. */
static uint32_t loops(size_t i, uint32_t *fresh)
{
    (void)fresh;
    return i % 2 == 0 ? POPULAR + (uint32_t)(i / 2 % (ROOM + ROOM / 5)) : trace_zipf();
}

/* What is popular moves on: one object after the other. */
static uint32_t drift(size_t i, uint32_t *fresh)
{
    (void)fresh;
    return trace_zipf() + (uint32_t)(i / 50);
}

/* Seven of ten requests are for what nobody asks for again. */
static uint32_t one_hits(size_t i, uint32_t *fresh)
{
    (void)i;
    return fraction() < 0.7 ? (*fresh)++ : trace_zipf();
}

/* Objects are asked for three times within a short while, and then never again. */
static uint32_t bursts(size_t i, uint32_t *fresh)
{
    (void)fresh;
    return i % 3 == 0 ? trace_zipf() : POPULAR + (uint32_t)(i / 600 * 200 + next_random() % 130);
}

int trace_make(int which, struct trace *out)
{
    static const struct { const char *name; uint32_t (*object)(size_t i, uint32_t *fresh); } kinds[] = {
        { "steady", steady }, { "scans", scans }, { "loops", loops }, { "drift", drift }, { "one-hits", one_hits },
        { "bursts", bursts },
    };
    if (which >= (int)(sizeof kinds / sizeof kinds[0]))
        return 0;
    uint32_t fresh = 10 * POPULAR, most = 0;
    trace_zipf_begin(POPULAR, 0.9);
    *out = (struct trace){ kinds[which].name, or_end(malloc(REQUESTS * sizeof *out->ids)), REQUESTS, 0, ROOM };
    for (size_t i = 0; i < REQUESTS; i++) {
        out->ids[i] = kinds[which].object(i, &fresh);
        if (out->ids[i] > most)
            most = out->ids[i];
    }
    out->objects = most + 1;
    return 1;
}

void trace_release(struct trace *trace)
{
    free(trace->ids);
}

/* ---- LRU --------------------------------------------------------------------------------------------------------- */

/* A ring of objects, the most recent behind `objects`, which stands for its begin and end. */
struct links {
    uint32_t next, prev;
    int held;
};

static void unlink_object(struct links *ring, uint32_t id)
{
    ring[ring[id].prev].next = ring[id].next;
    ring[ring[id].next].prev = ring[id].prev;
}

double trace_lru(const struct trace *trace)
{
    struct links *ring = or_end(calloc(trace->objects + (size_t)1, sizeof *ring));
    const uint32_t head = trace->objects;
    size_t held = 0, misses = 0;
    ring[head] = (struct links){ head, head, 0 };
    for (size_t i = 0; i < trace->n; i++) {
        const uint32_t id = trace->ids[i];
        if (ring[id].held) {
            unlink_object(ring, id);
        } else {
            misses++;
            if (held == trace->room) {
                const uint32_t oldest = ring[head].prev;
                unlink_object(ring, oldest);
                ring[oldest].held = 0;
            } else
                held++;
        }
        ring[id] = (struct links){ ring[head].next, head, 1 };
        ring[ring[id].next].prev = id;
        ring[head].next = id;
    }
    free(ring);
    return (double)misses / (double)trace->n;
}
