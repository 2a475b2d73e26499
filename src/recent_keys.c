/* recent_keys.c - a bounded table of keys that is read without a lock. */
#include "recent_keys.h"

/* A slot holds the upper half of the last key's hash and, in units, when its note ends; 0: none. */
enum { SLOTS = 1024, UNIT_MS = 16 };

struct cache_recent_keys {
    atomic_uint_fast64_t slots[SLOTS];
};

static uint32_t now_units(const cache_env *env)
{
    return (uint32_t)(cache_env_monotonic_ms(env) / UNIT_MS);
}

/* Returns NULL for lack of memory. */
static struct cache_recent_keys *table_of(cache_recent_keys_ref *table, const cache_env *env)
{
    struct cache_recent_keys *there = atomic_load_explicit(table, memory_order_acquire);
    if (there != NULL)
        return there;
    struct cache_recent_keys *made = cache_env_alloc(env, sizeof *made);
    if (made == NULL)
        return NULL;
    for (size_t i = 0; i < SLOTS; i++)
        atomic_init(&made->slots[i], 0);
    if (atomic_compare_exchange_strong(table, &there, made))
        return made;
    cache_env_free(env, made);
    return there;
}

void cache_recent_keys_add(cache_recent_keys_ref *table, const cache_env *env, uint64_t hash, int64_t span_ms)
{
    struct cache_recent_keys *keys = table_of(table, env);
    const uint32_t units = (uint32_t)((span_ms + UNIT_MS - 1) / UNIT_MS);
    if (keys != NULL)
        atomic_store_explicit(&keys->slots[hash % SLOTS], (hash >> 32) << 32 | (uint32_t)(now_units(env) + units),
                              memory_order_relaxed);
}

bool cache_recent_keys_has(cache_recent_keys_ref *table, const cache_env *env, uint64_t hash)
{
    struct cache_recent_keys *keys = atomic_load_explicit(table, memory_order_acquire);
    if (keys == NULL)
        return false;
    const uint64_t slot = atomic_load_explicit(&keys->slots[hash % SLOTS], memory_order_relaxed);
    if (slot == 0 || slot >> 32 != hash >> 32)
        return false;
    const uint32_t left = (uint32_t)slot - now_units(env);
    return left > 0 && left <= UINT32_MAX / 2;    /* the units wrap around; what is over looks far ahead */
}

void cache_recent_keys_remove(cache_recent_keys_ref *table, const cache_env *env, uint64_t hash)
{
    if (!cache_recent_keys_has(table, env, hash))
        return;
    struct cache_recent_keys *keys = atomic_load_explicit(table, memory_order_acquire);
    atomic_store_explicit(&keys->slots[hash % SLOTS], 0, memory_order_relaxed);
}

void cache_recent_keys_free(cache_recent_keys_ref *table, const cache_env *env)
{
    cache_env_free(env, atomic_load(table));
}
