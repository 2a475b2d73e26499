/* memory_stores.c - libcache, and what people write in C themselves: a uthash table with a mutex, whose hit moves the
 * item to the end of its list (LRU), and GLib's hash table with a mutex, which never evicts. */
#include "memory_stores.h"

#include <libcache/cache.h>

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* ---- libcache ---------------------------------------------------------------------------------------------------- */

static cache_t *cache;

static void our_open(size_t value_size)
{
    (void)value_size;
    if (cache_open("memory://", &cache) != CACHE_OK)
        exit(1);
}

static bool our_get(const char *key, char *value, size_t size)
{
    return cache_get_copy(cache, key, value, size, NULL) == CACHE_OK;
}

/* The view that cache_get gives is read to its end, too. */
static bool our_view(const char *key, char *value, size_t size)
{
    cache_value view;
    const bool there = cache_get(cache, key, &view) == CACHE_OK;
    if (there)
        memcpy(value, view.data, view.size < size ? view.size : size);
    cache_value_release(&view);
    return there;
}

static void our_set(const char *key, const char *value, size_t size)
{
    (void)cache_set(cache, key, value, size, 3600);
}

static bool our_has(const char *key)
{
    return cache_has(cache, key) == CACHE_OK;
}

/* Counters stand under keys of their own, one for each. */
static void our_inc(const char *key)
{
    (void)cache_inc(cache, key, 1, NULL);
}

static bool our_get_many(const char *const keys[], size_t n, char *value, size_t size)
{
    cache_value views[BENCH_MANY];
    bool all = cache_get_many(cache, keys, n, views) == CACHE_OK;
    for (size_t i = 0; i < n; i++) {
        all = all && views[i].data != NULL;
        if (views[i].data != NULL)
            memcpy(value, views[i].data, views[i].size < size ? views[i].size : size);
        cache_value_release(&views[i]);
    }
    return all;
}

const struct bench_store bench_libcache = { "libcache", our_open, our_get, our_set,
                                            our_view, our_has, our_inc, our_get_many };

/* ---- uthash ------------------------------------------------------------------------------------------------------ */

struct entry {
    UT_hash_handle hh;
    char *value, key[];
};

static struct entry *lru;
static pthread_mutex_t lru_lock = PTHREAD_MUTEX_INITIALIZER;

static void lru_open(size_t value_size)
{
    (void)value_size;
}

static struct entry *lru_find(const char *key)
{
    struct entry *entry = NULL;
    HASH_FIND_STR(lru, key, entry);
    return entry;
}

static bool lru_get(const char *key, char *value, size_t size)
{
    pthread_mutex_lock(&lru_lock);
    struct entry *entry = lru_find(key);
    if (entry != NULL) {
        HASH_DEL(lru, entry);
        HASH_ADD_KEYPTR(hh, lru, entry->key, strlen(entry->key), entry);
        memcpy(value, entry->value, size);
    }
    pthread_mutex_unlock(&lru_lock);
    return entry != NULL;
}

static void lru_set(const char *key, const char *value, size_t size)
{
    const size_t key_size = strlen(key) + 1;
    struct entry *fresh = malloc(sizeof *fresh + key_size + size);
    memcpy(fresh->key, key, key_size);
    fresh->value = fresh->key + key_size;
    memcpy(fresh->value, value, size);
    pthread_mutex_lock(&lru_lock);
    struct entry *entry = lru_find(key);
    if (entry != NULL)
        HASH_DEL(lru, entry);
    HASH_ADD_KEYPTR(hh, lru, fresh->key, key_size - 1, fresh);
    pthread_mutex_unlock(&lru_lock);
    free(entry);
}

static bool lru_has(const char *key)
{
    pthread_mutex_lock(&lru_lock);
    const bool there = lru_find(key) != NULL;
    pthread_mutex_unlock(&lru_lock);
    return there;
}

const struct bench_store bench_uthash = { "uthash LRU", lru_open, lru_get, lru_set, NULL, lru_has, NULL, NULL };

/* ---- GLib -------------------------------------------------------------------------------------------------------- */

static GHashTable *glib;
static pthread_mutex_t glib_lock = PTHREAD_MUTEX_INITIALIZER;

static void glib_open(size_t value_size)
{
    (void)value_size;
    glib = g_hash_table_new_full(g_str_hash, g_str_equal, free, free);
}

static bool glib_get(const char *key, char *value, size_t size)
{
    pthread_mutex_lock(&glib_lock);
    const char *found = g_hash_table_lookup(glib, key);
    if (found != NULL)
        memcpy(value, found, size);
    pthread_mutex_unlock(&glib_lock);
    return found != NULL;
}

static void glib_set(const char *key, const char *value, size_t size)
{
    char *fresh_key = strdup(key), *fresh = malloc(size);
    memcpy(fresh, value, size);
    pthread_mutex_lock(&glib_lock);
    g_hash_table_replace(glib, fresh_key, fresh);
    pthread_mutex_unlock(&glib_lock);
}

static bool glib_has(const char *key)
{
    pthread_mutex_lock(&glib_lock);
    const bool there = g_hash_table_contains(glib, key);
    pthread_mutex_unlock(&glib_lock);
    return there;
}

const struct bench_store bench_glib = { "GLib", glib_open, glib_get, glib_set, NULL, glib_has, NULL, NULL };
