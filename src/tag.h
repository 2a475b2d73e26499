/* tag.h - tags: one version key a tag, and values that say which versions they were computed under. */
#ifndef TAG_H
#define TAG_H

#include "cache_internal.h"
#include "envelope.h"

/* Room on the stack for the few short tags that most fetches have: a hit then allocates nothing. */
union cache_tags_room {
    void *align;
    char bytes[512];
};

/* A fetch's key and its tags', with what was last read under each. Index 0 is the value's own key. */
struct cache_tags {
    size_t n;                          /* of the tags, without the value's key */
    cache_bytes *keys;                 /* n + 1, whole; NULL if there are no tags */
    cache_value *values;
    char *versions;                    /* where counted versions are written; NULL: the store has them */
    void *block;                       /* to be freed; NULL: they stand in the caller's room */
};

/* Make the keys, in `room` if that is not NULL and they fit; it stays until they are released. CACHE_ERR_TOO_LARGE: too
 * many, or one too long. CACHE_ERR_INVALID: `names` is NULL, or one is empty. CACHE_ERR_NOMEM. */
cache_status cache_tags_init(const cache_t *cache, cache_bytes key, const char *const names[], size_t n,
                             union cache_tags_room *room, struct cache_tags *out);
void cache_tags_release(const cache_t *cache, struct cache_tags *tags);

/* Read the value and all versions in one round trip. CACHE_OK and CACHE_MISS are about the value. */
cache_status cache_tags_read(const cache_t *cache, struct cache_tags *tags, cache_value *value);

/* How many keys of `tags`, from 1 on, the store is to be asked for: all, or none where versions are counters. */
size_t cache_tags_n_asked(const cache_t *cache, const struct cache_tags *tags);

/* Take over what was read under those keys, or the counters' present values. */
void cache_tags_take(const cache_t *cache, struct cache_tags *tags, const cache_value read[]);

/* Returns what keeps this handle's tags apart from those of handles with other prefixes. */
uint64_t cache_tag_seed(const cache_t *cache);

/* Returns true for the record of a version: its id, TAG_VERSION_SIZE digits, and maybe its end. */
bool cache_tag_is_version(const cache_value *record);

/* Make a version for each tag that has none, for values that are kept `kept_ms` (0: for ever). Any failure: versions
 * are missing, nothing can be stored under them. */
cache_status cache_tags_ensure(const cache_t *cache, struct cache_tags *tags, int64_t kept_ms);

/* Make the versions live as long as a value that is kept `kept_ms` from now on. */
void cache_tags_extend(const cache_t *cache, const struct cache_tags *tags, int64_t kept_ms);

/* Append the tags and the versions that were read, as an envelope holds them. */
cache_status cache_tags_write(const cache_t *cache, const struct cache_tags *tags, cache_writer *out);

/* Returns true if every tag of an envelope still has the version that stands there: by what was read, or by asking
 * the store. */
bool cache_tags_match(const cache_t *cache, const struct cache_tags *tags, cache_bytes stored);
bool cache_tags_hold(const cache_t *cache, cache_bytes stored);

/* Makes the key under which the version of a tag is stored. */
void cache_tag_key(const cache_t *cache, const char *tag, struct cache_full_key *out);

/* Gives the tag a new version, which invalidates every value that is stored under it. */
cache_status cache_tag_renew(const cache_t *cache, cache_bytes tag_key);

#endif
