/* request.c - a request, and the replies that hiredis' reader parses for it. */
#include "store.h"

#include <string.h>

enum { MAX_ELEMENTS = 1 << 20 };       /* of an array: far more than any of our commands returns */

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

static _Atomic(void *(*)(const redisReadTask *, array_size)) make_array;    /* hiredis' own */

/* hiredis' own function allocates all elements that a server announces, before the first has come, and frees them one
 * by one. A server that announces nonsense would cost the caller gigabytes, and seconds beyond the timeout. */
static void *make_small_array(const redisReadTask *task, array_size n)
{
    return n <= MAX_ELEMENTS ? atomic_load(&make_array)(task, n) : NULL;
}

cache_status cache_redis_prepare(struct redis_store *store)
{
    redisReader *reader = redisReaderCreate();
    if (reader == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    store->objects = *reader->fn;
    atomic_store(&make_array, store->objects.createArray);
    store->objects.createArray = make_small_array;
    redisReaderFree(reader);
    return CACHE_OK;
}

enum cache_reply cache_redis_next_reply(struct cache_exchange *exchange, redisReader *reader, redisReply **out)
{
    void *reply = NULL;
    *out = NULL;
    if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
        const char *where = exchange->where;
        exchange->status = reader->err == REDIS_ERR_OOM
            ? cache_fail(CACHE_ERR_NOMEM, "%s: out of memory for a reply", where)
            : cache_fail(CACHE_ERR_PROTOCOL, "%s: %s%s", where, reader->errstr,
                         strstr(reader->errstr, "\\x15") != NULL ? " (this is a TLS port: write rediss://)" : "");
        return CACHE_REPLY_BROKEN;
    }
    *out = reply;
    return reply != NULL ? CACHE_REPLY_DONE : CACHE_REPLY_MORE;
}

static bool has_type(const struct redis_request *request, const redisReply *reply)
{
    static const char letters[] = { [REDIS_REPLY_STRING] = 's', [REDIS_REPLY_NIL] = 'n', [REDIS_REPLY_STATUS] = 'o',
                                    [REDIS_REPLY_INTEGER] = 'i', [REDIS_REPLY_ARRAY] = 'a' };
    if (reply->type == REDIS_REPLY_ERROR)
        return true;
    return reply->type >= 0 && (size_t)reply->type < sizeof letters && letters[reply->type] != '\0' &&
           strchr(request->types, letters[reply->type]) != NULL &&
           (request->values == NULL || reply->elements == request->values->n);
}

static void keep(struct redis_request *request, redisReply *reply)
{
    if (!request->fold) {
        request->replies[request->n_taken++] = reply;
        return;
    }
    const bool used = request->use != NULL && request->use(request, request->n_taken, reply);
    request->n_taken++;
    if (reply->type == REDIS_REPLY_INTEGER)
        request->sum += reply->integer;
    if (!used && reply->type == REDIS_REPLY_ERROR && request->error == NULL)
        request->error = reply;
    else
        freeReplyObject(reply);
}

/* Returns true if this is Redis' answer to a request that it cannot parse, such as a value above proto-max-bulk-len.
 * Redis closes the connection after it. */
static bool is_the_last(const redisReply *reply)
{
    static const char begins[] = "ERR Protocol error";
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, begins, sizeof begins - 1) == 0;
}

enum cache_reply cache_redis_take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                  size_t *used)
{
    struct redis_link *link = state;
    struct redis_request *request = exchange->ctx;
    redisReader *reader = link->reader;
    *used = size;
    if (size > 0 && redisReaderFeed(reader, bytes, size) != REDIS_OK) {
        exchange->status = cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", exchange->where);
        return CACHE_REPLY_BROKEN;
    }
    while (request->n_taken < request->n_replies) {
        redisReply *reply = NULL;
        if (request->values != NULL)
            cache_redis_values_begin(request->values, reader, request->n_taken);
        const enum cache_reply outcome = cache_redis_next_reply(exchange, reader, &reply);
        if (request->values != NULL)
            cache_redis_values_end(request->values, reader);
        if (outcome != CACHE_REPLY_DONE)
            return outcome;
        if (!has_type(request, reply)) {
            exchange->status = cache_redis_unexpected(exchange->where, reply);
            freeReplyObject(reply);
            return CACHE_REPLY_BROKEN;
        }
        const bool last = is_the_last(reply);
        keep(request, reply);
        if (last)
            return CACHE_REPLY_LAST;
    }
    return CACHE_REPLY_DONE;
}

/* ---- a request --------------------------------------------------------------------------------------------------- */

struct cache_exchange cache_redis_exchange(struct redis_request *request)
{
    return (struct cache_exchange){ .parts = request->parts, .n_parts = request->n_parts,
                                    .repeatable = request->repeatable, .overwrites = request->overwrites,
                                    .alone = request->alone, .take = cache_redis_take, .restart = cache_redis_restart,
                                    .ctx = request };
}

const redisReply *cache_redis_first_error(const struct redis_request *request)
{
    if (request->fold)
        return request->error;
    for (size_t i = 0; i < request->n_taken; i++)
        if (request->replies[i]->type == REDIS_REPLY_ERROR)
            return request->replies[i];
    return NULL;
}

void cache_redis_release(struct redis_request *request)
{
    for (size_t i = 0; i < request->n_taken && !request->fold; i++)
        freeReplyObject(request->replies[i]);
    if (request->error != NULL)
        freeReplyObject(request->error);
    request->error = NULL;
    request->n_taken = 0;
    request->sum = 0;
}

void cache_redis_restart(struct cache_exchange *exchange)
{
    struct redis_request *request = exchange->ctx;
    cache_redis_release(request);
    if (request->values != NULL)
        cache_redis_values_forget(request->values);
    if (request->restart != NULL)
        request->restart(request);
}
