/* hot_keys.c - the keys that are read most often. */
#include "hot_keys.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Four times as many as are shown: what is shown is right though many keys are read about as often. */
enum { COUNTED = 4 * CACHE_HOT_KEYS, TRIES = 100000 };

struct counted {
    uint64_t hash;
    cache_hot_key hot;                 /* `reads` 0: free */
};

struct cache_hot_keys {
    atomic_flag busy;
    struct counted keys[COUNTED];
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

/* Returns the entry of a key, or the one that it is to replace. */
static struct counted *place_of(struct cache_hot_keys *hot, uint64_t hash)
{
    struct counted *least = &hot->keys[0];
    for (size_t i = 0; i < COUNTED; i++) {
        struct counted *entry = &hot->keys[i];
        if (entry->hash == hash && entry->hot.reads > 0)
            return entry;
        if (entry->hot.reads < least->hot.reads)
            least = entry;
    }
    return least;
}

/* A long key is shown by its head, without half of a character at its end. */
static void set_name(cache_hot_key *hot, const char *key)
{
    size_t size = strlen(key);
    if (size >= sizeof hot->key)
        for (size = sizeof hot->key - 1; size > 0 && ((unsigned char)key[size] & 0xc0) == 0x80;)
            size--;
    memcpy(hot->key, key, size);
    hot->key[size] = '\0';
}

void cache_hot_keys_add(struct cache_hot_keys *hot, const char *key, uint64_t reads)
{
    if (atomic_flag_test_and_set_explicit(&hot->busy, memory_order_acquire))
        return;
    const uint64_t hash = XXH3_64bits(key, strlen(key));
    struct counted *entry = place_of(hot, hash);
    if (entry->hash != hash || entry->hot.reads == 0) {
        entry->hash = hash;
        entry->hot.error = entry->hot.reads;
        set_name(&entry->hot, key);
    }
    entry->hot.reads += reads;
    atomic_flag_clear_explicit(&hot->busy, memory_order_release);
}

static int by_reads(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    return (x->hot.reads < y->hot.reads) - (x->hot.reads > y->hot.reads);
}

size_t cache_hot_keys_read(struct cache_hot_keys *hot, cache_hot_key out[CACHE_HOT_KEYS])
{
    size_t n = 0;
    /* A thread counts for less than a microsecond. One that a fork left behind in the parent never ends. */
    for (int i = 0; i < TRIES && atomic_flag_test_and_set_explicit(&hot->busy, memory_order_acquire); i++)
        sched_yield();
    qsort(hot->keys, COUNTED, sizeof hot->keys[0], by_reads);
    for (; n < CACHE_HOT_KEYS && hot->keys[n].hot.reads > 0; n++)
        out[n] = hot->keys[n].hot;
    atomic_flag_clear_explicit(&hot->busy, memory_order_release);
    return n;
}

void cache_hot_keys_free(struct cache_hot_keys *hot, const cache_env *env)
{
    cache_env_free(env, hot);
}
