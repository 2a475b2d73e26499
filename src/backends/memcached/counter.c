/* counter.c - counters that can be negative, on a server whose numbers cannot.
 *
 * memcached's incr adds modulo 2^64. So adding the two's complement of a step subtracts it, in one atomic command that
 * keeps the item's time to live. A flag marks such an item as signed. The item is read before the step, because
 * memcached also counts on "1 2" and " 5", and does not report an overflow. If incr cannot be used on a number that was
 * stored as text, it becomes a counter by compare-and-swap. Its time to live then starts again, since memcached does
 * not report the old one. */
#include "store.h"

enum { MAX_ATTEMPTS = 1000 };

struct count {
    const struct mc_place *place;
    cache_bytes key;
    uint64_t deadline;
    int64_t delta, result;
    int64_t expiration;
    /* what was read before the step */
    int64_t before;
    uint64_t cas;
    bool is_number, is_counter;
};

static size_t digits(int64_t number)
{
    char text[NUMBER_MAX_SIZE + 1];
    return cache_number_format(number, text);
}

static cache_status take_value(void *ctx, const struct mc_reply *reply)
{
    struct count *count = ctx;
    char number[NUMBER_MAX_SIZE + 1];
    cache_bytes text = { "", 0 };
    count->cas = reply->number;
    count->is_number = cache_mc_decode(reply, &count->place->wire, count->key, number, &text) == CACHE_OK
        && cache_number_parse(text.data, text.size, &count->before);
    count->is_counter = reply->flags == MC_FLAG_COUNTER;
    return CACHE_OK;
}

static cache_status read_item(struct count *count)
{
    struct mc_call call = { .verb = MC_GETS, .place = count->place, .deadline = count->deadline, .take = take_value,
                            .ctx = count };
    return cache_mc_call(&call);
}

static cache_status step(struct count *count, int64_t delta)
{
    struct mc_call call = { .verb = MC_INCR, .place = count->place, .deadline = count->deadline,
                            .number = (uint64_t)delta };
    const cache_status status = cache_mc_call(&call);
    count->result = (int64_t)call.number;
    return status;
}

/* Store `number` as one of our counters, by add or by cas. */
static cache_status store(struct count *count, enum mc_verb verb, int64_t number)
{
    char text[MC_MAX_DIGITS];
    struct mc_item item = { .value = { text, cache_mc_write_number(text, (uint64_t)number) },
                            .flags = MC_FLAG_COUNTER, .expiration = count->expiration, .cas = count->cas };
    struct mc_call call = { .verb = verb, .place = count->place, .deadline = count->deadline, .item = &item };
    const cache_status status = cache_mc_call(&call);
    count->result = number;
    return status == CACHE_NOT_STORED ? CACHE_MISS : status;    /* another client was faster: read again */
}

/* Returns true if incr can be used. On plain text it can, unless the result is negative or has fewer digits: memcached
 * pads a shorter number with spaces, which do not belong in a text. */
static bool incr_will_do(const struct count *count, int64_t result)
{
    if (count->is_counter)
        return true;
    return !count->place->wire.hashed && count->before >= 0 && result >= 0 && digits(result) >= digits(count->before);
}

static cache_status out_of_range(const struct count *count)
{
    return cache_fail(CACHE_ERR_RANGE, "%s: inc: the result does not fit in int64", count->place->server->where);
}

/* Read and step once. CACHE_MISS: another client changed the item in between, so read again. */
static cache_status attempt(struct count *count)
{
    int64_t result = 0, unused = 0;
    cache_status status = read_item(count);
    if (status == CACHE_MISS)
        return store(count, MC_ADD, count->delta);
    if (status != CACHE_OK)
        return status;
    if (!count->is_number)
        return cache_fail(CACHE_ERR_TYPE, "%s: inc: the value is not a number", count->place->server->where);
    if (!cache_number_add(count->before, count->delta, &result))
        return out_of_range(count);
    if (!incr_will_do(count, result))
        return store(count, MC_CAS, result);
    status = step(count, count->delta);
    const int64_t before = (int64_t)((uint64_t)count->result - (uint64_t)count->delta);
    if (status != CACHE_OK || cache_number_add(before, count->delta, &unused))
        return status;
    /* Other clients stepped after we read, and the sum is outside int64, so our step is taken back. */
    status = step(count, (int64_t)(0 - (uint64_t)count->delta));
    return status < 0 ? status : out_of_range(count);
}

cache_status cache_mc_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct mc_place place;
    struct count count = { .place = &place, .key = key, .delta = delta, .expiration = cache_mc_expiration(ttl_ms) };
    cache_status status = cache_mc_begin(self, key, &count.deadline, &place);
    if (status != CACHE_OK)
        return status;
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        status = attempt(&count);
        if (status == CACHE_OK)
            *result = count.result;
        if (status != CACHE_MISS)
            return status;
    }
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: inc: other clients changed the counter %d times in a row",
                      place.server->where, MAX_ATTEMPTS);
}
