/* turn.h - one thread waits until another one says what is next for it. */
#ifndef WIRE_TURN_H
#define WIRE_TURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cache_turn {
    atomic_uint value;                 /* 0 until it was said */
#ifndef __linux__
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
};

void cache_turn_init(struct cache_turn *turn);
void cache_turn_destroy(struct cache_turn *turn);

/* Wait until something is said, or `until` (of cache_now_ns) has come: 0. */
unsigned cache_turn_wait(struct cache_turn *turn, uint64_t until);

/* Say it: once. The turn may be gone as soon as it is heard, and is not touched again. */
void cache_turn_say(struct cache_turn *turn, unsigned value);

#endif
