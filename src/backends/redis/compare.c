/* compare.c - replaces a value only if it is still the value that was read (compare-and-set).
 *
 * Redis has no command for this before version 8.4, and a transaction with WATCH needs a connection of its own, so this
 * is a script of a few lines. If scripts are refused (by an ACL), the value is read, compared and written in two steps.
 * Another process may write between them, and the log says so once. */
#include "store.h"

#include "hooks.h"

#include <string.h>

static const char script[] =
    "if redis.call('EXISTS',KEYS[1])==0 then return 0 end "
    "if #ARGV[1]>0 and redis.call('GETRANGE',KEYS[1],0,#ARGV[1]-1)~=ARGV[1] then return 0 end "
    "if #ARGV==1 then redis.call('DEL',KEYS[1]) "
    "elseif ARGV[3]=='0' then redis.call('SET',KEYS[1],ARGV[2]) "
    "else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end "
    "return 1";

static cache_status in_two_steps(struct redis_store *store, cache_bytes key, cache_bytes expected, cache_bytes value,
                                 int64_t ttl_ms, uint64_t deadline)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    cache_writer there;
    cache_writer_init(&there, cache_env_allocator(store->env));
    if (!atomic_flag_test_and_set(&told))
        cache_env_log(store->env, CACHE_LOG_WARN,
                      "%s: the server refuses EVAL: if two processes change one key at once, one may undo the other",
                      store->where);
    cache_status status = cache_redis_get_by(store, key, deadline, &there);
    if (status == CACHE_MISS || (status == CACHE_OK && (there.size < expected.size ||
                                                        memcmp(there.data, expected.data, expected.size) != 0)))
        status = CACHE_NOT_STORED;
    cache_writer_release(&there);
    if (status == CACHE_OK && value.data != NULL)
        return cache_redis_set_by(store, key, value, ttl_ms, 0, deadline);
    size_t removed = 0;
    if (status == CACHE_OK)
        status = cache_redis_remove_by(store, &key, 1, deadline, &removed);
    return status == CACHE_MISS || (status == CACHE_OK && removed == 0) ? CACHE_NOT_STORED : status;
}

cache_status cache_redis_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                         int64_t ttl_ms)
{
    struct redis_store *store = self;
    const uint64_t deadline = cache_redis_deadline(store);
    char number[NUMBER_MAX_SIZE + 1];
    const cache_bytes words[] = { REDIS_WORD("EVAL"), { script, sizeof script - 1 }, REDIS_WORD("1"), key, expected,
                                  value, cache_redis_number_word(ttl_ms, number) };
    struct redis_request request = { .takes_errors = true, .types = "i" };
    cache_status status = cache_redis_command(store, key, words, value.data != NULL ? 7 : 5, deadline, &request);
    bool refused = false;
    if (status == CACHE_OK && request.replies[0]->type == REDIS_REPLY_ERROR) {
        refused = cache_redis_is_refusal(request.replies[0]);
        status = cache_redis_error(store->where, request.replies[0]->str);
    } else if (status == CACHE_OK && request.replies[0]->integer == 0)
        status = CACHE_NOT_STORED;
    cache_redis_release(&request);
    return refused ? in_two_steps(store, key, expected, value, ttl_ms, deadline) : status;
}
