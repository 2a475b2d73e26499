/* turn.h - one thread waits until another one says what is next for it. */
#ifndef WIRE_TURN_H
#define WIRE_TURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cache_turn {
    atomic_uint value;                 /* 0 until cache_turn_say */
#ifndef __linux__
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
};

void cache_turn_init(struct cache_turn *turn);
void cache_turn_destroy(struct cache_turn *turn);

/* Waits for cache_turn_say and returns its value; or 0 if `until` (of cache_now_ns) comes first. */
unsigned cache_turn_wait(struct cache_turn *turn, uint64_t until);

/* Wakes the waiting thread with `value`. Call this once. The turn may be freed as soon as that thread wakes. */
void cache_turn_say(struct cache_turn *turn, unsigned value);

#endif
