/* tag.c - tags. Each tag has one version key, and each value contains the versions under which it was computed.
 *
 * Invalidation writes a new version, so it costs one write, however many values there are. A version is never used
 * twice: if a version key is evicted, the values under it become misses, and never come back.
 *
 * A store of one process (CACHE_BACKEND_NO_PREFIX) needs no version keys. There the hash of a tag chooses one of some
 * thousand counters as its version. A hit then reads one word that seldom changes. Two tags that share a counter are
 * invalidated together. */
#include "tag.h"

#include "unique.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(TAG_VERSION_SIZE == UNIQUE_SIZE, "a tag's version is a unique id");

static const char kind[] = CACHE_INTERNAL_MARK "tag/";
enum { KIND_SIZE = sizeof kind - 1 };

static cache_bytes name_of(const cache_t *cache, cache_bytes tag_key)
{
    const size_t skip = cache->prefix_size + KIND_SIZE;
    return (cache_bytes){ tag_key.data + skip, tag_key.size - skip };
}

/* ---- versions that are counters ---------------------------------------------------------------------------------- */

static bool counts(const cache_t *cache)
{
    return cache->store->tag_versions != NULL;
}

uint64_t cache_tag_seed(const cache_t *cache)
{
    return XXH3_64bits(cache->prefix, cache->prefix_size);
}

static atomic_uint_fast64_t *counter_of(const cache_t *cache, cache_bytes name)
{
    const uint64_t hash = XXH3_64bits_withSeed(name.data, name.size, cache->tag_seed);
    return &cache->store->tag_versions[hash % CACHE_TAG_COUNTERS];
}

/* Writes the counter in the form that an envelope has for versions: eight bytes, and the rest 0. */
static void counted_version(const cache_t *cache, cache_bytes name, char version[TAG_VERSION_SIZE])
{
    const uint64_t count = atomic_load_explicit(counter_of(cache, name), memory_order_acquire);
    memset(version, 0, TAG_VERSION_SIZE);
    memcpy(version, &count, sizeof count);
}

static bool counted_hold(const cache_t *cache, cache_bytes stored)
{
    cache_bytes rest = stored, name;
    const char *version = NULL;
    while (cache_envelope_next_tag(&rest, &name, &version)) {
        char now[TAG_VERSION_SIZE];
        counted_version(cache, name, now);
        if (memcmp(now, version, TAG_VERSION_SIZE) != 0)
            return false;
    }
    return true;
}

/* ---- a fetch's tags -------------------------------------------------------------------------------------------- */

/* Reserves one block for n + 1 keys and values and `text` bytes: `room` if they fit, else on the heap. */
static cache_status make_room(const cache_t *cache, size_t n, size_t text, union cache_tags_room *room,
                              struct cache_tags *out, char **at)
{
    const size_t head = (n + 1) * (sizeof *out->keys + sizeof *out->values);
    const bool fits = room != NULL && head + text <= sizeof room->bytes;
    char *block = fits ? room->bytes : cache_env_alloc(&cache->store->env, head + text);
    if (block == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "fetch: out of memory for %zu tags", n);
    out->block = fits ? NULL : block;
    memset(block, 0, head);
    out->n = n;
    out->keys = (cache_bytes *)(void *)block;
    out->values = (cache_value *)(void *)(block + (n + 1) * sizeof *out->keys);
    *at = block + head;
    return CACHE_OK;
}

static cache_bytes put_key(const cache_t *cache, cache_bytes name, char **at)
{
    const cache_bytes key = { *at, cache->prefix_size + KIND_SIZE + name.size };
    const size_t first = cache->store->env.prefix_size;    /* in the order of cache_key_make_internal */
    memcpy(*at, cache->prefix, first);
    memcpy(*at + first, kind, KIND_SIZE);
    memcpy(*at + first + KIND_SIZE, cache->prefix + first, cache->prefix_size - first);
    memcpy(*at + cache->prefix_size + KIND_SIZE, name.data, name.size);
    (*at)[key.size] = '\0';
    *at += key.size + 1;
    return key;
}

static size_t key_room(const cache_t *cache, size_t name_size)
{
    return cache->prefix_size + KIND_SIZE + name_size + 1;
}

cache_status cache_tags_init(const cache_t *cache, cache_bytes key, const char *const names[], size_t n,
                             union cache_tags_room *room, struct cache_tags *out)
{
    *out = (struct cache_tags){ .n = 0 };
    if (n == 0)
        return CACHE_OK;
    if (names == NULL)
        return cache_fail(CACHE_ERR_INVALID, "fetch: tags is NULL");
    if (n > CACHE_MAX_TAGS)
        return cache_fail(CACHE_ERR_TOO_LARGE, "fetch: %zu tags: at most %d are possible", n, CACHE_MAX_TAGS);
    size_t text = key.size + 1 + (counts(cache) ? n * TAG_VERSION_SIZE : 0);
    for (size_t i = 0; i < n; i++) {
        const size_t size = names[i] != NULL ? strnlen(names[i], CACHE_MAX_KEY + 1) : 0;
        if (size == 0)
            return cache_fail(CACHE_ERR_INVALID, "fetch: tag %zu is empty", i);
        if (size > CACHE_MAX_KEY)
            return cache_fail(CACHE_ERR_TOO_LARGE, "fetch: tag %zu has more than %d bytes", i, CACHE_MAX_KEY);
        text += key_room(cache, size);
    }
    char *at = NULL;
    const cache_status status = make_room(cache, n, text, room, out, &at);
    if (status != CACHE_OK)
        return status;
    memcpy(at, key.data, key.size + 1);
    out->keys[0] = (cache_bytes){ at, key.size };
    at += key.size + 1;
    for (size_t i = 0; i < n; i++)
        out->keys[i + 1] = put_key(cache, (cache_bytes){ names[i], strlen(names[i]) }, &at);
    out->versions = counts(cache) ? at : NULL;
    return CACHE_OK;
}

static void drop_values(struct cache_tags *tags)
{
    for (size_t i = 0; tags->values != NULL && i <= tags->n; i++)
        cache_value_release(&tags->values[i]);
}

void cache_tags_release(const cache_t *cache, struct cache_tags *tags)
{
    drop_values(tags);
    cache_env_free(&cache->store->env, tags->block);
    *tags = (struct cache_tags){ .n = 0 };
}

size_t cache_tags_n_asked(const cache_t *cache, const struct cache_tags *tags)
{
    return counts(cache) ? 0 : tags->n;
}

static void take_counters(const cache_t *cache, struct cache_tags *tags)
{
    for (size_t i = 1; i <= tags->n; i++) {
        char *version = tags->versions + (i - 1) * TAG_VERSION_SIZE;
        counted_version(cache, name_of(cache, tags->keys[i]), version);
        tags->values[i] = (cache_value){ version, TAG_VERSION_SIZE, NULL };
    }
}

void cache_tags_take(const cache_t *cache, struct cache_tags *tags, const cache_value read[])
{
    drop_values(tags);
    if (counts(cache))
        take_counters(cache, tags);
    else
        for (size_t i = 1; i <= tags->n; i++)
            tags->values[i] = read[i - 1];
}

cache_status cache_tags_read(const cache_t *cache, struct cache_tags *tags, cache_value *value)
{
    drop_values(tags);
    if (counts(cache)) {
        take_counters(cache, tags);
        return cache_store_get(cache, tags->keys[0], value);
    }
    const cache_status status = cache_store_get_many(cache, tags->keys, tags->n + 1, tags->values);
    *value = tags->values[0];
    tags->values[0] = (cache_value){ NULL, 0, NULL };
    if (value->data != NULL)
        return CACHE_OK;
    return status == CACHE_OK ? CACHE_MISS : status;
}

/* ---- versions ---------------------------------------------------------------------------------------------------- *
 *
 * A record is the id of a version. In a store with compare_and_set, the time at which it ends follows: 16 digits, 0 for
 * never. That time is later than the values need, so that it seldom has to be extended. In other stores a record lives
 * for ever: extending it by a plain set could bring back a version that was invalidated meanwhile. */

enum { END_SIZE = 16, RECORD_SIZE = TAG_VERSION_SIZE + END_SIZE };

/* A record that no value needs is kept for this time. */
#define LEFT_MS (INT64_C(3600) * 1000)

bool cache_tag_is_version(const cache_value *record)
{
    return record->data != NULL && (record->size == TAG_VERSION_SIZE || record->size == RECORD_SIZE);
}

/* Returns how long a record lives if its values are kept for `kept_ms`; 0: for ever. */
static int64_t life_of(const cache_t *cache, int64_t kept_ms)
{
    const bool for_ever = cache->store->ops.compare_and_set == NULL || kept_ms == 0 || kept_ms > CACHE_TTL_MAX_MS / 4;
    return for_ever ? 0 : 2 * kept_ms + LEFT_MS;
}

static void put_end(char record[RECORD_SIZE], int64_t end_ms)
{
    for (size_t i = RECORD_SIZE; i-- > TAG_VERSION_SIZE; end_ms /= 16)
        record[i] = "0123456789abcdef"[end_ms % 16];
}

static int64_t take_end(const cache_value *record)
{
    const char *at = record->data;
    uint64_t end = 0;
    for (size_t i = TAG_VERSION_SIZE; i < RECORD_SIZE; i++)
        end = end * 16 + (uint64_t)(unsigned char)(at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10) % 16;
    return (int64_t)(end & INT64_MAX);
}

static cache_bytes make_record(const cache_t *cache, char record[RECORD_SIZE], int64_t life_ms)
{
    const bool ends = cache->store->ops.compare_and_set != NULL;
    cache_unique_make(record);
    put_end(record, life_ms != 0 ? cache_store_now_ms(cache) + life_ms : 0);
    return (cache_bytes){ record, ends ? RECORD_SIZE : TAG_VERSION_SIZE };
}

/* Creates a version. If another caller was faster, its version is used. */
static cache_status ensure_one(const cache_t *cache, cache_bytes key, int64_t kept_ms, cache_value *version)
{
    char record[RECORD_SIZE];
    const int64_t life_ms = life_of(cache, kept_ms);
    const cache_bytes made = make_record(cache, record, life_ms);
    const unsigned flags = version->data == NULL ? CACHE_SET_IF_ABSENT : 0;    /* other data is replaced */
    cache_value_release(version);
    const cache_status status = cache_internal_set(cache, key, made, life_ms, flags);
    return status < 0 ? status : cache_internal_get(cache, key, version);
}

cache_status cache_tags_ensure(const cache_t *cache, struct cache_tags *tags, int64_t kept_ms)
{
    cache_status status = CACHE_OK;
    if (counts(cache) && tags->n > 0 && tags->values[1].data == NULL)
        take_counters(cache, tags);
    for (size_t i = 1; status == CACHE_OK && i <= tags->n; i++) {
        if (!cache_tag_is_version(&tags->values[i]))
            status = ensure_one(cache, tags->keys[i], kept_ms, &tags->values[i]);
        if (status == CACHE_OK && !cache_tag_is_version(&tags->values[i]))
            status = CACHE_MISS;
    }
    return status;
}

void cache_tags_extend(const cache_t *cache, const struct cache_tags *tags, int64_t kept_ms)
{
    for (size_t i = 1; i <= tags->n; i++) {
        const cache_value *now = &tags->values[i];
        const int64_t end_ms = now->data != NULL && now->size == RECORD_SIZE ? take_end(now) : 0;
        const int64_t life_ms = life_of(cache, kept_ms), now_ms = cache_store_now_ms(cache);
        if (end_ms == 0 || (kept_ms != 0 && end_ms - now_ms >= kept_ms))
            continue;
        char record[RECORD_SIZE];
        memcpy(record, now->data, TAG_VERSION_SIZE);
        put_end(record, life_ms != 0 ? now_ms + life_ms : 0);
        (void)cache_internal_compare_and_set(cache, tags->keys[i], (cache_bytes){ now->data, RECORD_SIZE },
                                             (cache_bytes){ record, RECORD_SIZE }, life_ms);
    }
}

cache_status cache_tags_write(const cache_t *cache, const struct cache_tags *tags, cache_writer *out)
{
    for (size_t i = 1; i <= tags->n; i++)
        (void)cache_envelope_put_tag(out, name_of(cache, tags->keys[i]), tags->values[i].data);
    return cache_writer_status(out);
}

/* ---- does a stored value still hold? --------------------------------------------------------------------------- */

static const cache_value *version_of(const cache_t *cache, const struct cache_tags *tags, cache_bytes name)
{
    for (size_t i = 1; i <= tags->n; i++) {
        const cache_bytes known = name_of(cache, tags->keys[i]);
        if (known.size == name.size && memcmp(known.data, name.data, name.size) == 0)
            return &tags->values[i];
    }
    return NULL;
}

bool cache_tags_match(const cache_t *cache, const struct cache_tags *tags, cache_bytes stored)
{
    if (counts(cache))
        return counted_hold(cache, stored);
    cache_bytes rest = stored, name;
    const char *version = NULL;
    while (cache_envelope_next_tag(&rest, &name, &version)) {
        const cache_value *now = version_of(cache, tags, name);
        if (now == NULL)    /* the value has a tag that this caller does not have */
            return cache_tags_hold(cache, stored);
        if (!cache_tag_is_version(now) || memcmp(now->data, version, TAG_VERSION_SIZE) != 0)
            return false;
    }
    return true;
}

bool cache_tags_hold(const cache_t *cache, cache_bytes stored)
{
    if (stored.size == 0)
        return true;
    if (counts(cache))
        return counted_hold(cache, stored);
    size_t n = 0, text = 1;
    cache_bytes rest = stored, name;
    const char *version = NULL;
    for (; cache_envelope_next_tag(&rest, &name, &version); n++)
        text += key_room(cache, name.size);
    if (n == 0)
        return true;
    struct cache_tags tags = { .n = 0 };
    union cache_tags_room room;
    char *at = NULL;
    if (make_room(cache, n, text, &room, &tags, &at) != CACHE_OK)
        return false;
    rest = stored;
    for (size_t i = 1; cache_envelope_next_tag(&rest, &name, &version); i++)
        tags.keys[i] = put_key(cache, name, &at);
    (void)cache_store_get_many(cache, tags.keys + 1, n, tags.values + 1);
    const bool holds = cache_tags_match(cache, &tags, stored);
    cache_tags_release(cache, &tags);
    return holds;
}

/* ---- invalidation ---------------------------------------------------------------------------------------------- */

void cache_tag_key(const cache_t *cache, const char *tag, struct cache_full_key *out)
{
    cache_key_make_internal(cache, kind, tag, out);
}

cache_status cache_tag_renew(const cache_t *cache, cache_bytes tag_key)
{
    if (counts(cache)) {
        atomic_fetch_add(counter_of(cache, name_of(cache, tag_key)), 1);
        return CACHE_OK;
    }
    /* No value is stored under it yet. The first one that is extends its life. */
    char record[RECORD_SIZE];
    const int64_t life_ms = life_of(cache, 1);
    return cache_internal_set(cache, tag_key, make_record(cache, record, life_ms), life_ms, 0);
}
