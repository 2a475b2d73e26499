/* one_key.c - a command for one key, and the two that other operations are made of: get and set. */
#include "store.h"

#include "number.h"

enum {
    ROOM = 1024,                       /* for a command, before memory is allocated */
    LARGE_WORD = 4096                  /* a word of this size is sent from the caller's memory, without a copy */
};

/* Write a command. At most one word is large; it is sent as a part of its own. */
static cache_status write_words(const cache_bytes words[], size_t n, cache_writer *out, struct redis_request *request)
{
    const cache_bytes *large = NULL;
    size_t before = 0;
    cache_status status = cache_redis_begin_command(out, n);
    for (size_t i = 0; i < n; i++)
        if (words[i].size < LARGE_WORD || large != NULL)
            status = cache_redis_put_word(out, words[i].data, words[i].size);
        else {
            large = &words[i];
            (void)cache_redis_put_head(out, large->size);
            before = out->size;
            status = cache_writer_append(out, "\r\n", 2);
        }
    request->parts[0] = (struct iovec){ out->data, large != NULL ? before : out->size };
    request->n_parts = 1;
    if (large != NULL) {
        request->parts[1] = (struct iovec){ (char *)(uintptr_t)large->data, large->size };
        request->parts[2] = (struct iovec){ out->data + before, out->size - before };
        request->n_parts = 3;
    }
    return status;
}

cache_status cache_redis_command(struct redis_store *store, cache_bytes key, const cache_bytes words[], size_t n,
                                 uint64_t deadline, struct redis_request *request)
{
    char room[ROOM];
    cache_writer out;
    cache_writer_init_buffer(&out, cache_env_allocator(store->env), room, sizeof room);
    request->n_replies = 1;
    cache_status status = write_words(words, n, &out, request);
    if (status == CACHE_OK)
        status = cache_redis_call(store, key, request, deadline);
    cache_writer_release(&out);
    return status;
}

cache_bytes cache_redis_number_word(int64_t number, char *room)
{
    return (cache_bytes){ room, cache_number_format(number, room) };
}

cache_status cache_redis_get_by(struct redis_store *store, cache_bytes key, uint64_t deadline, cache_writer *out)
{
    const cache_bytes words[] = { REDIS_WORD("GET"), key };
    struct redis_request request = { .repeatable = true, .types = "sn" };
    cache_status status = cache_redis_command(store, words[1], words, 2, deadline, &request);
    if (status == CACHE_OK) {
        const redisReply *reply = request.replies[0];
        status = reply->type == REDIS_REPLY_NIL ? CACHE_MISS : cache_writer_append(out, reply->str, reply->len);
    }
    cache_redis_release(&request);
    return status;
}

cache_status cache_redis_set_by(struct redis_store *store, cache_bytes key, cache_bytes value, int64_t ttl_ms,
                                unsigned flags, uint64_t deadline)
{
    const bool if_absent = (flags & CACHE_SET_IF_ABSENT) != 0;
    char number[NUMBER_MAX_SIZE + 1];
    cache_bytes words[6] = { REDIS_WORD("SET"), key, value };
    size_t n = 3;
    struct redis_request request = { .repeatable = !if_absent, .overwrites = true, .types = if_absent ? "on" : "o" };
    if (ttl_ms > 0) {
        words[n++] = REDIS_WORD("PX");
        words[n++] = cache_redis_number_word(ttl_ms, number);
    }
    if (if_absent)
        words[n++] = REDIS_WORD("NX");
    cache_status status = cache_redis_command(store, words[1], words, n, deadline, &request);
    if (status == CACHE_OK && request.replies[0]->type == REDIS_REPLY_NIL)
        status = CACHE_NOT_STORED;    /* the reply of SET … NX if the key exists */
    cache_redis_release(&request);
    return status;
}
