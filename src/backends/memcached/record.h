/* record.h - what a host's record of generations says, as functions of bytes alone.
 *
 * "1732645123456789" is the generation of all keys. "1732645123456789 HASH ID HASH ID" says that parts of them, each
 * named by a hash of its further prefix, were cleared since, and began the generations ID. A key's generation is the
 * latest of that of all keys and those of the parts that it is in. */
#ifndef RECORD_H
#define RECORD_H

#include "protocol.h"

enum {
    MC_MAX_PARTS = 512,
    MC_MAX_RECORD = (2 * MC_MAX_PARTS + 1) * (MC_MAX_DIGITS + 1)
};

struct mc_part {
    uint64_t hash;
    int64_t id;
};

struct mc_record {
    int64_t id;
    size_t n;
    struct mc_part parts[MC_MAX_PARTS];    /* ordered by hash */
};

/* A further prefix ends with ':'. Two that have one hash are cleared together, and no harm is done. */
uint64_t cache_mc_part_hash(cache_bytes further_prefix);

/* Returns false, and no record in `*out`, if the text is none. */
bool cache_mc_record_read(cache_bytes text, struct mc_record *out);

/* Write the record, and return its size. */
size_t cache_mc_record_write(const struct mc_record *record, char out[MC_MAX_RECORD]);

/* The part begins the generation `id`. Returns false if there is no room for one more. */
bool cache_mc_record_put(struct mc_record *record, uint64_t part, int64_t id);

/* The latest generation of all. */
int64_t cache_mc_record_latest(const struct mc_record *record);

/* The generation of `key`, which is without the store's prefix. */
int64_t cache_mc_record_find(const struct mc_record *record, cache_bytes key);

#endif
