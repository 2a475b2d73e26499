/* many.c - many keys in one round trip, and all keys of a prefix. */
#include "store.h"

#include "writer.h"

#include <string.h>

enum {
    KEYS_A_COMMAND = 500,              /* the server serves nobody else during one command */
    BYTES_A_REQUEST = 1 << 20,         /* of values: what is kept in memory to be sent at once */
    SCAN_COUNT = 500,
    CURSOR_SIZE = 24
};

/* ---- commands of a list of keys ---------------------------------------------------------------------------------- */

/* Append the command `name` with `n` keys, 1 to KEYS_A_COMMAND. */
static cache_status append_keys(const struct redis_store *store, cache_writer *out, const char *name,
                                const cache_bytes keys[], size_t n)
{
    const char *argv[KEYS_A_COMMAND + 1] = { name };
    size_t sizes[KEYS_A_COMMAND + 1] = { strlen(name) };
    for (size_t i = 0; i < n; i++) {
        argv[i + 1] = keys[i].data;
        sizes[i + 1] = keys[i].size;
    }
    char *command = NULL;
    const int size = redisFormatCommandArgv(&command, (int)n + 1, argv, sizes);
    if (size < 0)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory for %zu keys", store->where, n);
    const cache_status status = cache_writer_append(out, command, (size_t)size);
    redisFreeCommand(command);
    return status;
}

/* Send as many commands `name` as all the keys need, in one round trip. */
static cache_status call_with_keys(struct redis_store *store, const char *name, const cache_bytes keys[], size_t n,
                                   redis_reply_fn *reply, void *ctx, struct redis_values *values)
{
    cache_writer out;
    cache_writer_init(&out, cache_env_allocator(store->env));
    cache_status status = CACHE_OK;
    size_t n_commands = 0;
    for (size_t i = 0; i < n && status == CACHE_OK; i += KEYS_A_COMMAND, n_commands++)
        status = append_keys(store, &out, name, keys + i, n - i < KEYS_A_COMMAND ? n - i : KEYS_A_COMMAND);
    if (status == CACHE_OK) {
        const struct redis_request request = { .data = out.data, .size = out.size, .n_replies = n_commands,
                                               .repeatable = true, .reply = reply, .ctx = ctx, .values = values };
        status = cache_redis_call(store, &request);
    }
    cache_writer_release(&out);
    return status;
}

/* ---- get --------------------------------------------------------------------------------------------------------- */

struct read {
    struct redis_store *store;
    struct redis_values values;
};

/* The values went to the caller while they came; what is no string is nil here, which is a miss. */
static cache_status check_array(void *ctx, size_t index, const redisReply *reply)
{
    const struct read *read = ctx;
    (void)index;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != read->values.n)
        return cache_redis_unexpected(read->store, reply);
    return CACHE_OK;
}

cache_status cache_redis_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    struct read read = { self, { .out = out, .keys = n, .keys_a_reply = KEYS_A_COMMAND } };
    const cache_status status = call_with_keys(self, "MGET", keys, n, check_array, &read, &read.values);
    return status != CACHE_OK ? status : read.values.status;
}

/* ---- remove ------------------------------------------------------------------------------------------------------ */

static cache_status use_count(void *ctx, size_t index, const redisReply *reply)
{
    size_t *removed = ctx;
    (void)index;
    if (reply->type != REDIS_REPLY_INTEGER)
        return cache_fail(CACHE_ERR_PROTOCOL, "redis: a reply of an unexpected type (%d)", reply->type);
    *removed += (size_t)reply->integer;
    return CACHE_OK;
}

cache_status cache_redis_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    return call_with_keys(self, "UNLINK", keys, n, use_count, removed, NULL);
}

/* ---- set --------------------------------------------------------------------------------------------------------- */

static cache_status use_nothing(void *ctx, size_t index, const redisReply *reply)
{
    (void)ctx, (void)index, (void)reply;
    return CACHE_OK;
}

static cache_status append_set(const struct redis_store *store, cache_writer *out, cache_bytes key, cache_bytes value,
                               int64_t ttl_ms)
{
    char *command = NULL;
    const int size = ttl_ms > 0 ? redisFormatCommand(&command, "SET %b %b PX %lld", key.data, key.size, value.data,
                                                     value.size, (long long)ttl_ms)
                                : redisFormatCommand(&command, "SET %b %b", key.data, key.size, value.data, value.size);
    if (size < 0)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    const cache_status status = cache_writer_append(out, command, (size_t)size);
    redisFreeCommand(command);
    return status;
}

cache_status cache_redis_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                  int64_t ttl_ms)
{
    struct redis_store *store = self;
    cache_status first = CACHE_OK;
    for (size_t i = 0; i < n;) {
        cache_writer out;
        cache_writer_init(&out, cache_env_allocator(store->env));
        cache_status status = CACHE_OK;
        size_t n_commands = 0;
        for (; i < n && status == CACHE_OK && out.size < BYTES_A_REQUEST; i++, n_commands++)
            status = append_set(store, &out, keys[i], values[i], ttl_ms);
        if (status == CACHE_OK) {
            const struct redis_request request = { .data = out.data, .size = out.size, .n_replies = n_commands,
                                                   .repeatable = true, .reply = use_nothing };
            status = cache_redis_call(store, &request);
        }
        cache_writer_release(&out);
        if (first == CACHE_OK)
            first = status;
    }
    return first;
}

/* ---- clear -------------------------------------------------------------------------------------------------------- *
 * SCAN walks the database in steps between which others are served. Each step sends what the last one found to UNLINK
 * together with the next SCAN. It finds every key that was there all the while, and removes the prefix's alone. */

struct walk {
    struct redis_store *store;
    cache_bytes prefix;
    cache_writer found;                /* UNLINK of the keys of this step */
    size_t n_found;                    /* commands in it */
    char cursor[CURSOR_SIZE];
    size_t scan;                       /* the index of SCAN's reply */
};

static cache_status use_keys(struct walk *walk, const redisReply *keys)
{
    cache_bytes ours[KEYS_A_COMMAND];
    size_t n = 0;
    cache_status status = CACHE_OK;
    for (size_t i = 0; i < keys->elements && status == CACHE_OK; i++) {
        const redisReply *key = keys->element[i];
        if (key->type != REDIS_REPLY_STRING || key->len < walk->prefix.size
            || memcmp(key->str, walk->prefix.data, walk->prefix.size) != 0)
            continue;
        ours[n++] = (cache_bytes){ key->str, key->len };
        if (n == KEYS_A_COMMAND) {
            status = append_keys(walk->store, &walk->found, "UNLINK", ours, n);
            walk->n_found++;
            n = 0;
        }
    }
    if (n > 0 && status == CACHE_OK) {
        status = append_keys(walk->store, &walk->found, "UNLINK", ours, n);
        walk->n_found++;
    }
    return status;
}

static cache_status use_step(void *ctx, size_t index, const redisReply *reply)
{
    struct walk *walk = ctx;
    if (index != walk->scan)
        return CACHE_OK;    /* UNLINK's count */
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[0]->len >= sizeof walk->cursor || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return cache_redis_unexpected(walk->store, reply);
    memcpy(walk->cursor, reply->element[0]->str, reply->element[0]->len + 1);
    return use_keys(walk, reply->element[1]);
}

/* "a*b" as the pattern "a\*b*". */
static size_t pattern_of(cache_bytes prefix, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < prefix.size; i++) {
        if (strchr("*?[]\\^-", prefix.data[i]) != NULL)
            out[size++] = '\\';
        out[size++] = prefix.data[i];
    }
    out[size++] = '*';
    return size;
}

static cache_status step(struct walk *walk, const char *pattern, size_t pattern_size, bool scan)
{
    cache_writer request_bytes = walk->found;
    const size_t n_found = walk->n_found;
    cache_writer_init(&walk->found, cache_env_allocator(walk->store->env));
    walk->n_found = 0;
    walk->scan = n_found;
    cache_status status = CACHE_OK;
    if (scan) {
        char *command = NULL;
        const int size = redisFormatCommand(&command, "SCAN %s MATCH %b COUNT %d", walk->cursor, pattern, pattern_size,
                                            SCAN_COUNT);
        status = size >= 0 ? cache_writer_append(&request_bytes, command, (size_t)size)
                           : cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", walk->store->where);
        redisFreeCommand(command);
    }
    if (status == CACHE_OK) {
        const struct redis_request request = { .data = request_bytes.data, .size = request_bytes.size,
                                               .n_replies = n_found + scan, .repeatable = true, .reply = use_step,
                                               .ctx = walk };
        status = cache_redis_call(walk->store, &request);
    }
    cache_writer_release(&request_bytes);
    return status;
}

cache_status cache_redis_clear(void *self, cache_bytes prefix)
{
    struct redis_store *store = self;
    if (prefix.size == 0)
        return cache_fail(CACHE_ERR_UNSUPPORTED, "%s: clear of an empty prefix would remove other programs' keys",
                          store->where);
    char pattern[2 * CACHE_MAX_PREFIX + 2];
    struct walk walk = { .store = store, .prefix = prefix, .cursor = "0" };
    cache_writer_init(&walk.found, cache_env_allocator(store->env));
    const size_t size = pattern_of(prefix, pattern);
    cache_status status;
    do
        status = step(&walk, pattern, size, true);
    while (status == CACHE_OK && strcmp(walk.cursor, "0") != 0);
    if (status == CACHE_OK && walk.n_found > 0)
        status = step(&walk, pattern, size, false);
    cache_writer_release(&walk.found);
    return status;
}
