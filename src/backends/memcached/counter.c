/* counter.c - counters that go below zero, on a server whose numbers do not.
 *
 * memcached's incr adds modulo 2^64, so adding the two's complement of a step subtracts it: one atomic command, which
 * keeps the item's time. Such an item has a flag, by which it is read as signed. Before the step the item is looked at,
 * because memcached counts on "1 2" and " 5" too, and never tells an overflow. A number that was stored as a text
 * becomes a counter by compare-and-swap where incr cannot take it along; its time begins anew then, since memcached
 * does not tell it. */
#include "store.h"

enum { MAX_ATTEMPTS = 1000 };

struct count {
    const struct mc_place *place;
    cache_bytes key;
    uint64_t deadline;
    int64_t delta, result;
    int64_t expiration;
    /* what the look found */
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

static cache_status look(struct count *count)
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
    return status == CACHE_NOT_STORED ? CACHE_MISS : status;    /* another was quicker: look again */
}

/* incr takes a plain text along, unless the result is negative or shorter: shorter is padded with spaces, which are no
 * part of a text. */
static bool incr_will_do(const struct count *count, int64_t result)
{
    if (count->is_counter)
        return true;
    return !count->place->wire.hashed && count->before >= 0 && result >= 0 && digits(result) >= digits(count->before);
}

static cache_status out_of_range(const struct count *count)
{
    return cache_fail(CACHE_ERR_RANGE, "%s: inc: the counter would leave int64", count->place->server->where);
}

/* CACHE_MISS: something came between, look again. */
static cache_status attempt(struct count *count)
{
    int64_t result = 0, unused = 0;
    cache_status status = look(count);
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
    /* Others stepped between the look and ours, and together we left int64: the step is taken back. */
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
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: inc: others changed the counter %d times in a row",
                      place.server->where, MAX_ATTEMPTS);
}
