/* named_counters.c - counts separately for each view and memoized function, by its name.
 *
 * A name is added once, and read at every fetch. The table uses open addressing: a slot is filled by one
 * compare-and-swap, and never changes again. It has twice as many slots as names, so a search always ends at an empty
 * slot. */
#include "named_counters.h"

#include "utf8.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SLOTS = 2048 };
_Static_assert(SLOTS > CACHE_MAX_NAMES && (SLOTS & (SLOTS - 1)) == 0, "a search needs an empty slot to end at");

struct entry {
    struct entry *next;                /* the entry that was added before */
    struct cache_live_counters *counters;
    uint64_t hash;
    char name[];
};

struct cache_named_counters {
    const cache_env *env;
    struct cache_live_counters *other;
    atomic_uint n;
    _Atomic(struct entry *) last;      /* the head of the list of all entries, so that reading need not visit every
                                        * slot */
    _Atomic(struct entry *) slots[SLOTS];
};

struct cache_named_counters *cache_named_counters_new(const cache_env *env)
{
    struct cache_named_counters *names = cache_env_alloc(env, sizeof *names);
    if (names == NULL)
        return NULL;
    names->env = env;
    names->other = cache_counters_new(env);
    atomic_init(&names->n, 0);
    atomic_init(&names->last, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        atomic_init(&names->slots[i], NULL);
    if (names->other == NULL) {
        cache_env_free(env, names);
        return NULL;
    }
    return names;
}

static void entry_free(const cache_env *env, struct entry *entry)
{
    if (entry != NULL)
        cache_counters_free(env, entry->counters);
    cache_env_free(env, entry);
}

void cache_named_counters_free(const cache_env *env, struct cache_named_counters *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        entry_free(env, atomic_load(&names->slots[i]));
    cache_counters_free(env, names->other);
    cache_env_free(env, names);
}

/* ---- finding and adding ---------------------------------------------------------------------------------------- */

static struct entry *entry_new(const cache_env *env, const char *name, size_t size, uint64_t hash)
{
    struct entry *entry = cache_env_alloc(env, sizeof *entry + size + 1);
    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    memcpy(entry->name, name, size + 1);
    entry->counters = cache_counters_new(env);
    if (entry->counters == NULL) {
        cache_env_free(env, entry);
        return NULL;
    }
    return entry;
}

/* Returns the slot that holds `name`, or the empty slot where it belongs. */
static _Atomic(struct entry *) *slot_of(struct cache_named_counters *names, const char *name, uint64_t hash,
                                        struct entry **there)
{
    for (size_t i = (size_t)hash;; i++) {
        _Atomic(struct entry *) *slot = &names->slots[i & (SLOTS - 1)];
        *there = atomic_load_explicit(slot, memory_order_acquire);
        if (*there == NULL || ((*there)->hash == hash && strcmp((*there)->name, name) == 0))
            return slot;
    }
}

/* Add an entry. If two threads add the same name, they meet at one empty slot, and the slower one uses the entry of the
 * other. */
static struct cache_live_counters *insert(struct cache_named_counters *names, struct entry *entry)
{
    struct entry *there = NULL;
    for (;;) {
        _Atomic(struct entry *) *slot = slot_of(names, entry->name, entry->hash, &there);
        if (there != NULL)
            return there->counters;
        if (!atomic_compare_exchange_strong(slot, &there, entry))
            continue;
        entry->next = atomic_load(&names->last);
        while (!atomic_compare_exchange_weak(&names->last, &entry->next, entry))
            continue;
        return entry->counters;
    }
}

static struct cache_live_counters *add_new(struct cache_named_counters *names, const char *name, size_t size,
                                           uint64_t hash)
{
    if (size > CACHE_MAX_NAME || strcmp(name, CACHE_NAME_OTHER) == 0 || !text_is_utf8(name) ||
        atomic_load(&names->n) >= CACHE_MAX_NAMES)
        return names->other;
    if (atomic_fetch_add(&names->n, 1) >= CACHE_MAX_NAMES) {
        atomic_fetch_sub(&names->n, 1);
        return names->other;
    }
    struct entry *entry = entry_new(names->env, name, size, hash);
    struct cache_live_counters *counters = entry != NULL ? insert(names, entry) : names->other;
    if (entry == NULL || counters != entry->counters) {
        atomic_fetch_sub(&names->n, 1);
        entry_free(names->env, entry);
    }
    return counters;
}

struct cache_live_counters *cache_named_counters_find(struct cache_named_counters *names, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return NULL;
    struct entry *there = NULL;
    const size_t size = strlen(name);
    const uint64_t hash = XXH3_64bits(name, size);
    (void)slot_of(names, name, hash, &there);
    return there != NULL ? there->counters : add_new(names, name, size, hash);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

struct row {
    const char *name;
    struct cache_live_counters *counters;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

/* List the names in order. They are sorted before the counters are read, because a row has 16 bytes and the counters a
 * thousand. */
static size_t list(struct cache_named_counters *names, struct row rows[CACHE_MAX_NAMES + 1])
{
    size_t n = 0;
    rows[n++] = (struct row){ CACHE_NAME_OTHER, names->other };
    const struct entry *entry = atomic_load_explicit(&names->last, memory_order_acquire);
    for (; entry != NULL && n <= CACHE_MAX_NAMES; entry = entry->next)
        rows[n++] = (struct row){ entry->name, entry->counters };
    qsort(rows, n, sizeof rows[0], by_name);
    return n;
}

/* Returns true if anything was counted. */
static bool is_used(const cache_counters *counters)
{
    return counters->hits + counters->misses + counters->computations + counters->errors > 0;
}

cache_status cache_named_counters_read(struct cache_named_counters *names, struct cache_named **out, size_t *n)
{
    struct row rows[CACHE_MAX_NAMES + 1];
    const size_t most = list(names, rows);
    *n = 0;
    *out = cache_env_alloc(names->env, most * sizeof **out);
    if (*out == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "stats: out of memory for %zu names", most);
    for (size_t i = 0; i < most; i++) {
        struct cache_named *at = *out + *n;
        at->name = rows[i].name;
        cache_counters_read(rows[i].counters, &at->counters);
        *n += rows[i].counters != names->other || is_used(&at->counters);
    }
    return CACHE_OK;
}
