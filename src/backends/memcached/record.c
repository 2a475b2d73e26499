/* record.c - the record of generations of a host: numbers separated by spaces. */
#include "record.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

#define LATEST (INT64_MAX / 2)         /* far in the future; a larger number is not a generation */

uint64_t cache_mc_part_hash(cache_bytes further_prefix)
{
    return XXH3_64bits(further_prefix.data, further_prefix.size);
}

/* Take the next number of the text, at most `max`, and the space after it. Returns false if there is none. */
static bool take_number(cache_bytes *text, uint64_t max, uint64_t *out)
{
    const char *space = text->size > 0 ? memchr(text->data, ' ', text->size) : NULL;
    const size_t size = space != NULL ? (size_t)(space - text->data) : text->size;
    const size_t taken = space != NULL ? size + 1 : size;
    if (!cache_mc_read_number(text->data, size, max, out) || (space != NULL && taken == text->size))
        return false;
    *text = (cache_bytes){ text->data + taken, text->size - taken };
    return true;
}

bool cache_mc_record_read(cache_bytes text, struct mc_record *out)
{
    uint64_t id = 0, hash = 0;
    out->n = 0;
    if (!take_number(&text, LATEST, &id) || id == 0)
        return false;
    out->id = (int64_t)id;
    for (; text.size > 0; out->n++) {
        if (out->n == MC_MAX_PARTS || !take_number(&text, UINT64_MAX, &hash) || !take_number(&text, LATEST, &id))
            return false;
        if (out->n > 0 && hash <= out->parts[out->n - 1].hash)
            return false;
        out->parts[out->n] = (struct mc_part){ hash, (int64_t)id };
    }
    return true;
}

size_t cache_mc_record_write(const struct mc_record *record, char out[MC_MAX_RECORD])
{
    size_t size = cache_mc_write_number(out, (uint64_t)record->id);
    for (size_t i = 0; i < record->n; i++) {
        out[size++] = ' ';
        size += cache_mc_write_number(out + size, record->parts[i].hash);
        out[size++] = ' ';
        size += cache_mc_write_number(out + size, (uint64_t)record->parts[i].id);
    }
    return size;
}

/* Returns the index of the first part whose hash is at least `hash`. */
static size_t place_of(const struct mc_record *record, uint64_t hash)
{
    size_t first = 0, end = record->n;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        if (record->parts[middle].hash < hash)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

bool cache_mc_record_put(struct mc_record *record, uint64_t part, int64_t id)
{
    const size_t at = place_of(record, part);
    if (at == record->n || record->parts[at].hash != part) {
        if (record->n == MC_MAX_PARTS)
            return false;
        memmove(&record->parts[at + 1], &record->parts[at], (record->n - at) * sizeof record->parts[0]);
        record->n++;
    }
    record->parts[at] = (struct mc_part){ part, id };
    return true;
}

int64_t cache_mc_record_latest(const struct mc_record *record)
{
    int64_t latest = record->id;
    for (size_t i = 0; i < record->n; i++)
        if (record->parts[i].id > latest)
            latest = record->parts[i].id;
    return latest;
}

/* Each ':' in the key may end a further prefix. */
int64_t cache_mc_record_find(const struct mc_record *record, cache_bytes key)
{
    const size_t longest = key.size < CACHE_MAX_STORED_PREFIX ? key.size : CACHE_MAX_STORED_PREFIX;
    int64_t id = record->id;
    for (size_t i = 0; record->n > 0 && i < longest; i++) {
        if (key.data[i] != ':')
            continue;
        const uint64_t hash = cache_mc_part_hash((cache_bytes){ key.data, i + 1 });
        const size_t at = place_of(record, hash);
        if (at < record->n && record->parts[at].hash == hash && record->parts[at].id > id)
            id = record->parts[at].id;
    }
    return id;
}
