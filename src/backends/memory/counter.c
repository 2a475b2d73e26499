/* counter.c - the memory store's inc. It changes a number in place, under the shard's lock, while others read it. */
#include "memory.h"

#include "../../number.h"

/* Adds to the existing item. Sets `*done` if it is a counter, which then has the sum. Else `*number` is the value for a
 * new counter. */
static cache_status count(struct item *item, int64_t delta, int64_t *number, bool *done)
{
    int64_t was = 0;
    *done = false;
    if (item_is_counter(item))
        was = item_number(item);
    else if (!cache_number_parse(item_value(item), item->size, &was))
        return cache_fail(CACHE_ERR_TYPE, "memory: inc: the value is not a number");
    if (!cache_number_add(was, delta, number))
        return cache_fail(CACHE_ERR_RANGE, "memory: inc: the result does not fit in int64");
    if (item_is_counter(item)) {
        item_set_number(item, *number);
        *done = true;
    }
    return CACHE_OK;
}

static cache_status count_in_place(struct memory *memory, const struct place *place, int64_t delta, int64_t *number,
                                   bool *done)
{
    struct shard *shard = &memory->shards[place->shard];
    *done = false;
    lock_take(&shard->lock);
    struct item *item = memory_find(memory, place);
    const cache_status status = item != NULL ? count(item, delta, number, done) : CACHE_OK;
    lock_give(&shard->lock);
    return status;
}

/* Stores a counter for a missing key, or in place of a number as text, whose time to live stays. */
static cache_status count_anew(struct memory *memory, const struct place *place, int64_t delta, int64_t ttl_ms,
                               int64_t *number)
{
    struct shard *shard = &memory->shards[place->shard];
    struct item *fresh = cache_mem_counter_new(memory->pool, place->hash, place->key, delta);
    if (fresh == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memory: out of memory for a counter");
    const int64_t now_ms = cache_env_monotonic_ms(memory->env);
    cache_status status = CACHE_OK;
    bool done = false;
    *number = delta;
    lock_take(&shard->lock);
    struct item *old = memory_find(memory, place);
    if (old != NULL)
        status = count(old, delta, number, &done);
    if (status == CACHE_OK && !done) {
        item_set_number(fresh, *number);
        item_set_deadline(fresh, old != NULL ? item_deadline(old) : memory_deadline(now_ms, ttl_ms));
        status = cache_mem_put(memory, place->shard, fresh, memory_find_any(memory, place));
    }
    lock_give(&shard->lock);
    const bool stored = status == CACHE_OK && !done;
    if (!stored)
        cache_mem_item_free(fresh);
    cache_mem_finish_write(memory, stored ? fresh : NULL, now_ms);
    return status;
}

cache_status cache_mem_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct memory *memory = self;
    const struct place place = memory_place(memory, key);
    int64_t number = 0;
    bool done = false;
    cache_status status = count_in_place(memory, &place, delta, &number, &done);
    if (status == CACHE_OK && !done)
        status = count_anew(memory, &place, delta, ttl_ms, &number);
    else
        memory_tick(memory);
    if (status == CACHE_OK)
        *result = number;
    return status;
}
