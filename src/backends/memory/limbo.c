/* limbo.c - frees items and tables that no thread reads any more. */
#include "limbo.h"

#include "epoch.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { SMALLEST = 64, ASK_AT = 256, LOOK_EACH = 16, FREE_AT_ONCE = 64, IS_TABLE = 1 };
enum { BEHIND = 2, FAR_BEHIND_BYTES = 512 << 10, PAUSE_NS = 1000000 };

void cache_mem_limbo_init(struct limbo *limbo, const cache_allocator *allocator, size_t most_bytes)
{
    limbo->allocator = allocator;      /* the rest is zeroed */
    limbo->most_bytes = most_bytes;
}

static void free_entry(const struct limbo *limbo, uintptr_t entry)
{
    if (entry & IS_TABLE)
        limbo->allocator->free(limbo->allocator->ctx, (void *)(entry - IS_TABLE));
    else
        cache_mem_item_drop((struct item *)entry);
}

static bool grow(struct limbo *limbo)
{
    const size_t capacity = limbo->capacity > 0 ? 2 * limbo->capacity : SMALLEST;
    uintptr_t *entries = limbo->allocator->alloc(limbo->allocator->ctx, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    for (size_t i = limbo->head; i != limbo->tail; i++)
        entries[i & (capacity - 1)] = limbo->entries[i & (limbo->capacity - 1)];
    if (limbo->entries != NULL)
        limbo->allocator->free(limbo->allocator->ctx, limbo->entries);
    limbo->entries = entries;
    limbo->capacity = capacity;
    return true;
}

/* If there is no memory to remember the entry, waits for the readers, which takes some hundred nanoseconds. */
static void push(struct limbo *limbo, uintptr_t entry, size_t bytes)
{
    lock_take(&limbo->lock);
    const bool room = limbo->tail - limbo->head < limbo->capacity || grow(limbo);
    if (room) {
        limbo->entries[limbo->tail++ & (limbo->capacity - 1)] = entry;
        limbo->bytes += bytes;
        if (limbo->tail % LOOK_EACH == 0 || limbo->bytes >= limbo->most_bytes)
            atomic_store_explicit(&limbo->due, true, memory_order_relaxed);
    }
    lock_give(&limbo->lock);
    if (!room) {
        cache_mem_epoch_wait(cache_mem_epoch_advance());
        free_entry(limbo, entry);
    }
}

void cache_mem_limbo_item(struct limbo *limbo, struct item *item)
{
    push(limbo, (uintptr_t)item, item_cost(item));
}

void cache_mem_limbo_table(struct limbo *limbo, table_word table)
{
    if (table_n(table) > 0)
        push(limbo, (uintptr_t)cache_mem_index_block(table) | IS_TABLE, cache_mem_index_cost(table));
}

/* Called with limbo's lock held, which is released during the system call. Begins an epoch for all entries. */
static void ask(struct limbo *limbo)
{
    const size_t tail = limbo->tail;
    limbo->asking = true;
    limbo->bytes = 0;
    lock_give(&limbo->lock);
    const uint64_t epoch = cache_mem_epoch_advance();
    lock_take(&limbo->lock);
    limbo->asking = false;
    limbo->epoch = epoch;
    if (epoch != UINT64_MAX)
        limbo->asked = tail;
}

/* Cancellation is disabled, since a cancelled thread would not release what its callers hold. */
static void pause_a_little(void)
{
    const int error = errno;
    int cancel_state = 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    (void)nanosleep(&(const struct timespec){ 0, PAUSE_NS }, NULL);
    (void)pthread_setcancelstate(cancel_state, NULL);
    errno = error;
}

void cache_mem_limbo_reclaim(struct limbo *limbo)
{
    uintptr_t taken[FREE_AT_ONCE];
    size_t n = 0;
    lock_take(&limbo->lock);
    if (!limbo->asking && limbo->asked == limbo->safe
        && (limbo->tail - limbo->asked >= ASK_AT || limbo->bytes >= limbo->most_bytes))
        ask(limbo);
    if (limbo->asked != limbo->safe && !limbo->asking && cache_mem_epoch_passed(limbo->epoch))
        limbo->safe = limbo->asked;
    /* This is twice as many as are added between two calls, so that they never pile up; and more if there are many. */
    const size_t safe = limbo->safe - limbo->head, most = 2 * LOOK_EACH + safe / 32;
    for (; n < safe && n < most && n < FREE_AT_ONCE; n++)
        taken[n] = limbo->entries[limbo->head++ & (limbo->capacity - 1)];
    atomic_store_explicit(&limbo->due, n == FREE_AT_ONCE || limbo->bytes >= limbo->most_bytes, memory_order_relaxed);
    const bool behind = limbo->asked != limbo->safe && limbo->bytes >= BEHIND * limbo->most_bytes;
    const bool far_behind = behind && limbo->bytes >= FAR_BEHIND_BYTES;
    lock_give(&limbo->lock);
    for (size_t i = 0; i < n; i++)
        free_entry(limbo, taken[i]);
    /* A reader that lost its processor delays the freeing. If writers went on at full speed, they would fill the memory
     * with replaced items. Yielding is not enough if the scheduler prefers the writers. */
    if (far_behind)
        pause_a_little();
    else if (behind)
        sched_yield();
}

void cache_mem_limbo_release(struct limbo *limbo)
{
    for (; limbo->head != limbo->tail; limbo->head++)
        free_entry(limbo, limbo->entries[limbo->head & (limbo->capacity - 1)]);
    if (limbo->entries != NULL)
        limbo->allocator->free(limbo->allocator->ctx, limbo->entries);
}
