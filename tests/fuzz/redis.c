/* redis.c - reads replies of Redis, as a connection takes them. The first byte is the size of the pieces in which they
 * come, the second chooses the request. */
#include "fuzz.h"

/* The parser's state is the connection's own; this file stands in for that one. */
#include "backends/redis/connection.c"

#include "results.h"

enum { N_KEYS = 3, N_REPLIES = 2 };

static bool take_all(struct redis_request *request, struct redis_link *link, const char *bytes, size_t size,
                     size_t piece)
{
    struct cache_exchange exchange = { .take = cache_redis_take, .ctx = request, .where = "redis fuzz" };
    for (size_t at = 0; at < size;) {
        const size_t n = size - at < piece ? size - at : piece;
        char *come = fuzz_copy(bytes + at, n);
        size_t used = 0;
        const enum cache_reply outcome = cache_redis_take(&exchange, link, come, n, &used);
        free(come);
        FUZZ_CHECK(used == n);
        FUZZ_CHECK(outcome != CACHE_REPLY_BROKEN || exchange.status != CACHE_OK);
        FUZZ_CHECK(outcome != CACHE_REPLY_DONE || request->n_taken == request->n_replies);
        if (outcome != CACHE_REPLY_MORE)
            return outcome == CACHE_REPLY_DONE;
        at += n;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = { "sn", "o", "i", "a", "snoia" };
    struct fuzz_input input = { data, size };
    const size_t piece = 1 + fuzz_byte(&input);
    const unsigned kind = fuzz_byte(&input);
    const bool many = (kind & 8) != 0;
    const cache_env env = fuzz_env();
    struct redis_store store = { .env = &env };
    FUZZ_CHECK(cache_redis_prepare(&store) == CACHE_OK);
    struct redis_link link = { .env = &env, .reader = redisReaderCreate() };
    FUZZ_CHECK(link.reader != NULL);
    link.reader->fn = &store.objects;
    cache_value found[N_REPLIES * N_KEYS] = { { 0 } };
    cache_results results = { env.allocator, found, N_REPLIES * N_KEYS };
    struct redis_values values = { .out = &results, .keys = N_REPLIES * N_KEYS, .keys_a_reply = N_KEYS };
    struct redis_request request = { .n_replies = N_REPLIES, .types = many ? "a" : types[kind % 5],
                                     .values = many ? &values : NULL, .fold = (kind & 16) != 0 };
    if (take_all(&request, &link, (const char *)input.data, input.size, piece) && many && !request.fold)
        FUZZ_CHECK(values.status == CACHE_OK);
    for (size_t i = 0; i < N_REPLIES * N_KEYS; i++)
        if (found[i].data != NULL)
            free(fuzz_copy(found[i].data, found[i].size));
    if (many)
        cache_redis_values_forget(&values);
    cache_redis_release(&request);
    redisReaderFree(link.reader);
    return 0;
}
