/* counter.c - counters that go below zero, on a server whose numbers do not.
 *
 * memcached's incr adds modulo 2^64, so adding the two's complement of a step subtracts it: one atomic command, which
 * keeps the item's time. Such an item has a flag, by which it is read as signed. Before the step the item is looked at,
 * because memcached counts on "1 2" and " 5" too, and never tells an overflow. A number that was stored as a text
 * becomes a counter by compare-and-swap where incr cannot take it along; its time begins anew then, since memcached
 * does not tell it. */
#include "store.h"

#include "number.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_ATTEMPTS = 1000 };

struct count {
    const struct mc_key *wire;
    cache_bytes key;
    uint64_t deadline;
    int64_t delta, result;
    time_t expiration;
    /* what the look found */
    int64_t before;
    uint64_t cas;
    bool is_number, ours;
};

static size_t digits(int64_t number)
{
    char text[NUMBER_MAX_SIZE + 1];
    return cache_number_format(number, text);
}

static memcached_return_t look(struct mc_handle *handle, void *ctx)
{
    struct count *count = ctx;
    (void)memcached_behavior_set(handle->memc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
    const memcached_return_t rc = cache_mc_read(handle, count->wire);
    (void)memcached_behavior_set(handle->memc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 0);
    if (rc != MEMCACHED_SUCCESS)
        return rc;
    char number[MC_NUMBER_SIZE];
    cache_bytes text = { "", 0 };
    count->cas = memcached_result_cas(&handle->result);
    count->is_number = cache_mc_decode(&handle->result, count->wire, count->key, number, &text) == CACHE_OK
        && cache_number_parse(text.data, text.size, &count->before);
    count->ours = memcached_result_flags(&handle->result) == MC_FLAG_COUNTER;
    return cache_mc_read_end(handle);
}

static memcached_return_t step(struct mc_handle *handle, void *ctx)
{
    struct count *count = ctx;
    uint64_t now = 0;
    const memcached_return_t rc = memcached_increment_by_key(handle->memc, count->wire->text, count->wire->size,
                                                             count->wire->text, count->wire->size,
                                                             (uint64_t)count->delta, &now);
    count->result = (int64_t)now;
    return rc == MEMCACHED_CLIENT_ERROR ? MEMCACHED_NOTFOUND : rc;    /* it became a text meanwhile: look again */
}

static memcached_return_t create(struct mc_handle *handle, void *ctx)
{
    const struct count *count = ctx;
    char text[MC_NUMBER_SIZE];
    const int size = snprintf(text, sizeof text, "%" PRIu64, (uint64_t)count->delta);
    return memcached_add(handle->memc, count->wire->text, count->wire->size, text, (size_t)size, count->expiration,
                         MC_FLAG_COUNTER);
}

static memcached_return_t convert(struct mc_handle *handle, void *ctx)
{
    const struct count *count = ctx;
    char text[MC_NUMBER_SIZE];
    const int size = snprintf(text, sizeof text, "%" PRIu64, (uint64_t)count->result);
    const memcached_return_t rc = memcached_cas(handle->memc, count->wire->text, count->wire->size, text, (size_t)size,
                                                count->expiration, MC_FLAG_COUNTER, count->cas);
    return rc;
}

/* incr takes a plain text along, unless the result is negative or shorter: shorter is padded with spaces, which are no
 * part of a text. */
static bool incr_will_do(const struct count *count)
{
    if (count->ours)
        return true;
    return !count->wire->hashed && count->before >= 0 && count->result >= 0
        && digits(count->result) >= digits(count->before);
}

/* Others stepped between the look and ours, and together we left int64. */
static cache_status take_back(struct mc_server *server, struct count *count)
{
    count->delta = (int64_t)(0 - (uint64_t)count->delta);
    return cache_mc_call(server, count->deadline, step, count, false);
}

/* CACHE_MISS: something came between, look again. */
static cache_status attempt(struct mc_server *server, struct count *count)
{
    cache_status status = cache_mc_call(server, count->deadline, look, count, true);
    if (status == CACHE_MISS) {
        status = cache_mc_call(server, count->deadline, create, count, false);
        count->result = count->delta;
        return status == CACHE_NOT_STORED ? CACHE_MISS : status;
    }
    if (status != CACHE_OK)
        return status;
    if (!count->is_number)
        return cache_fail(CACHE_ERR_TYPE, "%s: inc: the value is not a number", server->where);
    if (!cache_number_add(count->before, count->delta, &count->result))
        return cache_fail(CACHE_ERR_RANGE, "%s: inc: the counter would leave int64", server->where);
    if (!incr_will_do(count)) {
        status = cache_mc_call(server, count->deadline, convert, count, false);
        return status == CACHE_NOT_STORED ? CACHE_MISS : status;
    }
    status = cache_mc_call(server, count->deadline, step, count, false);
    if (status != CACHE_OK)
        return status;
    int64_t unused = 0;
    const int64_t before = (int64_t)((uint64_t)count->result - (uint64_t)count->delta);
    if (cache_number_add(before, count->delta, &unused))
        return CACHE_OK;
    status = take_back(server, count);
    return status < 0 ? status
                      : cache_fail(CACHE_ERR_RANGE, "%s: inc: the counter would leave int64", server->where);
}

cache_status cache_mc_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct mc_store *store = self;
    struct mc_place place;
    cache_mc_check_fork(store);
    const uint64_t deadline = cache_mc_deadline(store);
    cache_status status = cache_mc_place(store, key, deadline, &place);
    if (status != CACHE_OK)
        return status;
    struct count count = { .wire = &place.wire, .key = key, .deadline = deadline, .delta = delta,
                           .expiration = cache_mc_expiration(ttl_ms) };
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        status = attempt(place.server, &count);
        if (status == CACHE_OK)
            *result = count.result;
        if (status != CACHE_MISS)
            return status;
    }
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: inc: others changed the counter %d times in a row",
                      place.server->where, MAX_ATTEMPTS);
}
