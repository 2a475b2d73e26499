/* record.h - reads and writes the record of generations of a host, as functions on bytes.
 *
 * "1732645123456789" is the generation of all keys. "1732645123456789 HASH ID HASH ID" means that parts of the keys
 * were cleared later, and began the generations ID. HASH is a hash of the further prefix of a part. The generation of a
 * key is the latest of the one for all keys and those of all parts that contain the key. */
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
    struct mc_part parts[MC_MAX_PARTS];    /* sorted by hash */
};

/* Hash a further prefix, which ends with ':'. If two prefixes have the same hash, they are cleared together, which is
 * harmless. */
uint64_t cache_mc_part_hash(cache_bytes further_prefix);

/* Returns false if the text is not a record; `*out` is then not a record either. */
bool cache_mc_record_read(cache_bytes text, struct mc_record *out);

/* Write the record, and return its size. */
size_t cache_mc_record_write(const struct mc_record *record, char out[MC_MAX_RECORD]);

/* Note that the part begins the generation `id`. Returns false if there is no room for another part. */
bool cache_mc_record_put(struct mc_record *record, uint64_t part, int64_t id);

/* Returns the latest generation in the record. */
int64_t cache_mc_record_latest(const struct mc_record *record);

/* Returns the generation of `key`, which is passed without the store's prefix. */
int64_t cache_mc_record_find(const struct mc_record *record, cache_bytes key);

#endif
