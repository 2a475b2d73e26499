/* expiry.h - finds the items of a table that expire next. It stores the earliest deadline of each bucket, and a tree of
 * minima above them.
 *
 * A deadline in the tree may be too early, but never too late. If an item is removed or gets more time, its old
 * deadline stays until the bucket is examined. So a set writes nothing here unless its deadline is the earliest in its
 * bucket. The tree costs 9 bytes per bucket. Eight nodes are a cache line and have one parent. All functions need the
 * shard's lock. */
#ifndef MEMORY_EXPIRY_H
#define MEMORY_EXPIRY_H

#include "index.h"

#define EXPIRY_NEVER INT64_MAX

enum { EXPIRY_FAN = 8 };

/* Returns the size of the tree over `n` buckets. */
size_t cache_mem_expiry_size(uint32_t n);

/* Returns where the tree begins: the earliest deadlines of the buckets. Only the contents need the lock. */
static inline int64_t *expiry_leaves(table_word table)
{
    return (int64_t *)(void *)(table_buckets(table) + table_n(table));
}

/* Empties the tree of a table. */
void cache_mem_expiry_init(table_word table);

/* Notes that an item in `bucket` has this deadline now (0: for ever). */
void cache_mem_expiry_lower(table_word table, uint32_t bucket, int64_t deadline_ms);

/* Returns a time before which nothing in the table expires. */
int64_t cache_mem_expiry_next(table_word table);

/* Returns the bucket of that time. There must be one. */
uint32_t cache_mem_expiry_bucket(table_word table);

/* Examines `bucket` and notes its true earliest deadline. */
void cache_mem_expiry_renew(table_word table, uint32_t bucket);

#endif
