/* counter.c - the memory store's inc: a decimal number, changed where it stands. */
#include "../../number.h"
#include "memory.h"

#include <string.h>

/* Write the sum into the item, if nobody reads it and there is room: an inc then allocates nothing. */
static cache_status count_in_place(struct item *item, int64_t delta, int64_t *result, bool *done)
{
    int64_t number = 0, sum = 0;
    char text[NUMBER_MAX_SIZE + 1];
    if (!cache_number_parse(item_value(item), item->size, &number))
        return cache_fail(CACHE_ERR_TYPE, "memory: inc: the value is not a number");
    if (!cache_number_add(number, delta, &sum))
        return cache_fail(CACHE_ERR_RANGE, "memory: inc: the counter would leave int64");
    *result = sum;
    const size_t size = cache_number_format(sum, text);
    *done = atomic_load_explicit(&item->references, memory_order_acquire) == 1
         && item_overwrite(item, (cache_bytes){ text, size });
    return CACHE_OK;
}

static cache_status inc_in_place(struct place place, cache_bytes key, int64_t delta, int64_t *result, bool *done)
{
    rwlock_write_lock(&place.shard->lock);
    struct item *item = shard_find(place.shard, key, place.hash);
    const cache_status status = item != NULL ? count_in_place(item, delta, result, done) : CACHE_OK;
    rwlock_write_unlock(&place.shard->lock);
    return status;
}

/* A counter has room for every number from the start. */
static struct item *new_counter(struct memory *memory, cache_bytes key)
{
    return item_new(cache_env_allocator(memory->env), key, (cache_bytes){ "", 0 }, NUMBER_MAX_SIZE);
}

/* Replace what is there, if anything, by a new item, which gets the sum and the old one's time. */
static cache_status inc_by_replacing(struct memory *memory, struct place place, cache_bytes key, int64_t delta,
                                     int64_t ttl_ms, int64_t *result)
{
    if (item_cost_of(key.size, NUMBER_MAX_SIZE) > memory->max_bytes)
        return cache_fail(CACHE_ERR_TOO_LARGE, "memory: a counter is larger than max_bytes, %zu", memory->max_bytes);
    struct item *fresh = new_counter(memory, key);
    if (fresh == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for a counter");
    const int64_t now_ms = cache_env_monotonic_ms(memory->env);
    struct leaving leaving = { NULL, NULL };
    char text[NUMBER_MAX_SIZE + 1];
    bool done = false;
    cache_status status = CACHE_OK;
    rwlock_write_lock(&place.shard->lock);
    struct item *old = shard_find(place.shard, key, place.hash);
    *result = delta;
    if (old != NULL)
        status = count_in_place(old, delta, result, &done);
    if (status == CACHE_OK && !done) {
        (void)item_overwrite(fresh, (cache_bytes){ text, cache_number_format(*result, text) });
        fresh->deadline_ms = old != NULL ? old->deadline_ms : memory_deadline(now_ms, ttl_ms);
        status = memory_put(memory, place, fresh, shard_find_any(place.shard, key, place.hash), now_ms, &leaving);
    }
    rwlock_write_unlock(&place.shard->lock);
    if (status != CACHE_OK || done)
        item_release(fresh);
    memory_settle(memory, place.shard, now_ms, &leaving);
    return status;
}

cache_status memory_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    bool done = false;
    int64_t number = 0;
    cache_status status = inc_in_place(place, key, delta, &number, &done);
    if (status == CACHE_OK && !done)
        status = inc_by_replacing(memory, place, key, delta, ttl_ms, &number);
    if (status == CACHE_OK)
        *result = number;
    memory_tick(memory);
    return status;
}
