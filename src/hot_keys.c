/* hot_keys.c - the keys that are read most often. */
#include "hot_keys.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Four times as many as are shown: what is shown is right though many keys are read about as often. */
enum { COUNTED = 4 * CACHE_HOT_KEYS, TRIES = 100000 };

/* A read looks through all hashes, so they lie side by side, and so do the counts. */
struct cache_hot_keys {
    atomic_flag busy;
    uint64_t hashes[COUNTED];
    uint64_t reads[COUNTED];           /* 0: free */
    cache_hot_key shown[COUNTED];      /* its `reads` is set when it is shown */
};

struct cache_hot_keys *cache_hot_keys_new(const cache_env *env)
{
    struct cache_hot_keys *hot = cache_env_alloc(env, sizeof *hot);
    if (hot == NULL)
        return NULL;
    memset(hot, 0, sizeof *hot);
    atomic_flag_clear(&hot->busy);
    return hot;
}

/* Returns the place of a key, or COUNTED. */
static size_t find(const struct cache_hot_keys *hot, uint64_t hash)
{
    for (size_t i = 0; i < COUNTED; i++)
        if (hot->hashes[i] == hash && hot->reads[i] > 0)
            return i;
    return COUNTED;
}

static size_t least_read(const struct cache_hot_keys *hot)
{
    size_t least = 0;
    for (size_t i = 1; i < COUNTED; i++)
        if (hot->reads[i] < hot->reads[least])
            least = i;
    return least;
}

/* A long key is shown by its head, without half of a character at its end. */
static void set_name(cache_hot_key *shown, const char *key, size_t size)
{
    if (size >= sizeof shown->key)
        for (size = sizeof shown->key - 1; size > 0 && ((unsigned char)key[size] & 0xc0) == 0x80;)
            size--;
    memcpy(shown->key, key, size);
    shown->key[size] = '\0';
}

void cache_hot_keys_add(struct cache_hot_keys *hot, const char *key, uint64_t reads)
{
    if (atomic_flag_test_and_set_explicit(&hot->busy, memory_order_acquire))
        return;
    const size_t size = strlen(key);
    const uint64_t hash = XXH3_64bits(key, size);
    size_t place = find(hot, hash);
    if (place == COUNTED) {
        place = least_read(hot);
        hot->hashes[place] = hash;
        hot->shown[place].error = hot->reads[place];
        set_name(&hot->shown[place], key, size);
    }
    hot->reads[place] += reads;
    atomic_flag_clear_explicit(&hot->busy, memory_order_release);
}

size_t cache_hot_keys_read(struct cache_hot_keys *hot, cache_hot_key out[CACHE_HOT_KEYS])
{
    bool taken[COUNTED] = { false };
    size_t n = 0;
    /* A thread counts for less than a microsecond. One that a fork left behind in the parent never ends. */
    for (int i = 0; i < TRIES && atomic_flag_test_and_set_explicit(&hot->busy, memory_order_acquire); i++)
        sched_yield();
    for (; n < CACHE_HOT_KEYS; n++) {
        size_t most = COUNTED;
        for (size_t i = 0; i < COUNTED; i++)
            if (!taken[i] && hot->reads[i] > 0 && (most == COUNTED || hot->reads[i] > hot->reads[most]))
                most = i;
        if (most == COUNTED)
            break;
        taken[most] = true;
        out[n] = hot->shown[most];
        out[n].reads = hot->reads[most];
    }
    atomic_flag_clear_explicit(&hot->busy, memory_order_release);
    return n;
}

void cache_hot_keys_free(struct cache_hot_keys *hot, const cache_env *env)
{
    cache_env_free(env, hot);
}
