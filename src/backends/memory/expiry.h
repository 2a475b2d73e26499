/* expiry.h - which items of a table expire next: for each bucket the earliest deadline, and a tree of minima above.
 *
 * A deadline in the tree may be too early, never too late: an item that was removed, or got more time, leaves its
 * old one behind until somebody looks into the bucket. So a set with a time that is no earlier than others in its
 * bucket writes nothing here, and the tree costs 9 bytes a bucket. Eight nodes are a cache line and have one parent.
 * Everything here needs the shard's lock. */
#ifndef MEMORY_EXPIRY_H
#define MEMORY_EXPIRY_H

#include "index.h"

#define EXPIRY_NEVER INT64_MAX

enum { EXPIRY_FAN = 8 };

/* Bytes of the tree over `n` buckets. */
size_t cache_mem_expiry_size(uint32_t n);

/* Make the tree of a table empty. */
void cache_mem_expiry_init(table_word table);

/* An item with this deadline (0: for ever) was put into `bucket`, or got it. */
void cache_mem_expiry_lower(table_word table, uint32_t bucket, int64_t deadline_ms);

/* Returns a time before which nothing in the table expires. */
int64_t cache_mem_expiry_next(table_word table);

/* Returns the bucket of that time. The table has one. */
uint32_t cache_mem_expiry_bucket(table_word table);

/* Look into `bucket` and note what its earliest deadline really is. */
void cache_mem_expiry_renew(table_word table, uint32_t bucket);

#endif
