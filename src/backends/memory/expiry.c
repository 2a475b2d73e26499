/* expiry.c - the tree of deadlines after a table's buckets.
 *
 * Its levels follow each other in memory. The leaves, of which each bucket has one, come first. */
#include "expiry.h"

static uint32_t parents(uint32_t n)
{
    return (n + EXPIRY_FAN - 1) / EXPIRY_FAN;
}

static size_t nodes(uint32_t n)
{
    size_t sum = n;
    while (n > 1) {
        n = parents(n);
        sum += n;
    }
    return sum;
}

size_t cache_mem_expiry_size(uint32_t n)
{
    return nodes(n) * sizeof(int64_t);
}

void cache_mem_expiry_init(table_word table)
{
    const size_t n = nodes(table_n(table));
    for (size_t i = 0; i < n; i++)
        expiry_leaves(table)[i] = EXPIRY_NEVER;
}

void cache_mem_expiry_lower(table_word table, uint32_t bucket, int64_t deadline_ms)
{
    if (deadline_ms == 0)
        return;
    int64_t *level = expiry_leaves(table);
    for (uint32_t n = table_n(table), i = bucket; level[i] > deadline_ms; n = parents(n), i /= EXPIRY_FAN) {
        level[i] = deadline_ms;
        if (n == 1)
            return;
        level += n;
    }
}

int64_t cache_mem_expiry_next(table_word table)
{
    const uint32_t n = table_n(table);
    return n == 0 ? EXPIRY_NEVER : expiry_leaves(table)[nodes(n) - 1];
}

static uint32_t earliest(const int64_t *level, uint32_t n, uint32_t parent)
{
    uint32_t least = parent * EXPIRY_FAN;
    for (uint32_t i = least + 1; i < n && i < (parent + 1) * EXPIRY_FAN; i++)
        if (level[i] < level[least])
            least = i;
    return least;
}

uint32_t cache_mem_expiry_bucket(table_word table)
{
    enum { LEVELS = 12 };              /* each level is a factor of 8, so this is enough for 32 bits of buckets */
    const int64_t *level[LEVELS];
    uint32_t size[LEVELS], at = 0;
    int depth = 0;
    level[0] = expiry_leaves(table);
    size[0] = table_n(table);
    for (; size[depth] > 1; depth++) {
        level[depth + 1] = level[depth] + size[depth];
        size[depth + 1] = parents(size[depth]);
    }
    while (depth > 0) {
        depth--;
        at = earliest(level[depth], size[depth], at);
    }
    return at;
}

void cache_mem_expiry_renew(table_word table, uint32_t bucket)
{
    int64_t least = EXPIRY_NEVER;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        const struct item *item = table_item(table, bucket, i);
        const int64_t deadline = item != NULL ? item_deadline(item) : 0;
        if (deadline != 0 && deadline < least)
            least = deadline;
    }
    int64_t *level = expiry_leaves(table);
    for (uint32_t n = table_n(table), i = bucket; level[i] != least; i /= EXPIRY_FAN) {
        level[i] = least;
        if (n == 1)
            return;
        least = level[earliest(level, n, i / EXPIRY_FAN)];
        level += n;
        n = parents(n);
    }
}
