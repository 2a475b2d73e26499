/* tag.h - tags. Each tag has one version key, and each value contains the versions under which it was computed. */
#ifndef TAG_H
#define TAG_H

#include "cache_internal.h"
#include "envelope.h"

/* Space on the stack. It is enough for the few short tags of most fetches, so that a hit allocates nothing. */
union cache_tags_room {
    void *align;
    char bytes[512];
};

/* The keys of a fetch and of its tags, with the last read value of each. Index 0 is the fetch's own key. */
struct cache_tags {
    size_t n;                          /* of the tags, without the fetch's own key */
    cache_bytes *keys;                 /* n + 1, with prefix; NULL if there are no tags */
    cache_value *values;
    char *versions;                    /* for versions that are counters; NULL: the store has the versions */
    void *block;                       /* to be freed; NULL: the keys are in the caller's room */
};

/* Makes the keys. They are in `room` if that is not NULL and they fit, and `room` must then stay until they are
 * released. Returns CACHE_ERR_TOO_LARGE if there are too many tags or one is too long; CACHE_ERR_INVALID if `names` is
 * NULL or a tag is empty; or CACHE_ERR_NOMEM. */
cache_status cache_tags_init(const cache_t *cache, cache_bytes key, const char *const names[], size_t n,
                             union cache_tags_room *room, struct cache_tags *out);
void cache_tags_release(const cache_t *cache, struct cache_tags *tags);

/* Reads the value and all versions in one round trip. Returns the status of the value. */
cache_status cache_tags_read(const cache_t *cache, struct cache_tags *tags, cache_value *value);

/* Returns how many keys of `tags`, from index 1 on, must be read from the store: all, or none if versions are
 * counters. */
size_t cache_tags_n_asked(const cache_t *cache, const struct cache_tags *tags);

/* Takes over the values that were read under those keys, or reads the counters. */
void cache_tags_take(const cache_t *cache, struct cache_tags *tags, const cache_value read[]);

/* Returns a seed that keeps this handle's tags apart from those of handles with other prefixes. */
uint64_t cache_tag_seed(const cache_t *cache);

/* Returns true if `record` is a version: an id of TAG_VERSION_SIZE digits, and perhaps the time at which it ends. */
bool cache_tag_is_version(const cache_value *record);

/* Makes a version for each tag that has none, for values that are kept for `kept_ms` (0: for ever). After a failure
 * versions are missing, and nothing may be stored under the tags. */
cache_status cache_tags_ensure(const cache_t *cache, struct cache_tags *tags, int64_t kept_ms);

/* Makes sure that the versions live as long as a value that is kept for `kept_ms` from now on. */
void cache_tags_extend(const cache_t *cache, const struct cache_tags *tags, int64_t kept_ms);

/* Appends the tags and the versions that were read, in the form of an envelope. */
cache_status cache_tags_write(const cache_t *cache, const struct cache_tags *tags, cache_writer *out);

/* Return true if every tag of an envelope still has the version in it. cache_tags_match compares with the versions that
 * were read, and cache_tags_hold reads them from the store. */
bool cache_tags_match(const cache_t *cache, const struct cache_tags *tags, cache_bytes stored);
bool cache_tags_hold(const cache_t *cache, cache_bytes stored);

/* Makes the key under which the version of a tag is stored. */
void cache_tag_key(const cache_t *cache, const char *tag, struct cache_full_key *out);

/* Gives the tag a new version, which invalidates every value that is stored under it. */
cache_status cache_tag_renew(const cache_t *cache, cache_bytes tag_key);

#endif
