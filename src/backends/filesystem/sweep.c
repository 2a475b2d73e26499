/* sweep.c - removes expired files while others are written.
 *
 * Each write earns credit to examine a few entries. The credit is spent on leaves that are due: those in which
 * something has expired, those that a wrong clock wrote, and all of them once after a restart of the machine. If no
 * leaf is due, a sweep only reads the table. */
#include "store.h"

#include "hooks.h"

#include <unistd.h>

enum { CREDIT_A_WRITE = 4, CREDIT_TO_LOOK = 16, CREDIT_MOST = 1 << 20, SPENT_AT_ONCE = 128 };

static bool is_due(const struct fs_store *store, const struct fs_usage *usage, int64_t now)
{
    return (usage->earliest_ms != 0 && usage->earliest_ms <= now) || cache_fs_is_future(usage->changed_ms, now)
        || usage->boot != store->boot;
}

bool cache_fs_expire_one(struct fs_store *store, const struct fs_usage table[FS_LEAVES], unsigned *from, uint64_t most)
{
    const int64_t now = cache_env_wall_ms(store->env);
    for (unsigned end = *from + FS_LEAVES; *from != end;) {
        const unsigned number = (*from)++ % FS_LEAVES;
        struct fs_leaf leaf;
        if (!is_due(store, &table[number], now) || table[number].items > most
            || cache_fs_leaf_try(store, number, &leaf) != CACHE_OK)
            continue;
        const cache_status status = cache_fs_leaf_scan(&leaf, NULL, NULL);
        cache_fs_leaf_unlock(&leaf);
        return status == CACHE_OK;
    }
    return false;
}

/* Scan one leaf after the other while there is credit, but not so many at once that a write becomes slow. A leaf with
 * more entries than the credit waits until there were enough writes. */
void cache_fs_sweep(struct fs_store *store)
{
    const int credit = atomic_fetch_add_explicit(&store->credit, CREDIT_A_WRITE, memory_order_relaxed) + CREDIT_A_WRITE;
    if (credit % CREDIT_TO_LOOK >= CREDIT_A_WRITE)
        return;
    struct fs_usage table[FS_LEAVES];
    cache_fs_usage_all(store, table);
    const int begun_with = atomic_exchange_explicit(&store->credit, 0, memory_order_relaxed);
    int left = begun_with;
    unsigned from = atomic_load_explicit(&store->sweep_cursor, memory_order_relaxed);
    const unsigned end = from + FS_LEAVES;
    while (left > 0 && begun_with - left < SPENT_AT_ONCE && from < end
           && cache_fs_expire_one(store, table, &from, (uint64_t)left)) {
        const struct fs_usage *looked_at = &table[(from - 1) % FS_LEAVES];
        left -= looked_at->items > 0 ? (int)looked_at->items : 1;
    }
    atomic_store_explicit(&store->sweep_cursor, from % FS_LEAVES, memory_order_relaxed);
    if (left > 0)
        atomic_fetch_add_explicit(&store->credit, left < CREDIT_MOST ? left : CREDIT_MOST, memory_order_relaxed);
}

/* ---- one entry --------------------------------------------------------------------------------------------------- */

void cache_fs_discard(struct fs_store *store, const struct fs_name *name)
{
    struct fs_leaf leaf;
    struct fs_entry entry;
    int fd = -1;
    if (store->read_only != 0 || cache_fs_leaf_try(store, name->leaf, &leaf) != CACHE_OK)
        return;    /* readers do not wait: a later read or the sweep tries again */
    if (cache_fs_leaf_find(&leaf, cache_fs_base(name), &fd) == CACHE_OK) {
        enum fs_state state = cache_fs_entry_load(fd, store->env, cache_fs_any_key, &entry);
        if (state == FS_LIVE)
            state = cache_fs_entry_verify(fd, &entry);
        close(fd);
        if ((state == FS_TORN || state == FS_EXPIRED) && cache_fs_leaf_remove(&leaf, cache_fs_base(name)) == CACHE_OK
            && state == FS_EXPIRED)
            atomic_fetch_add_explicit(&store->expirations, 1, memory_order_relaxed);
    }
    cache_fs_leaf_unlock(&leaf);
}
