/* value.c - what an item holds: a value as it is, one with its key before it, or a counter. */
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_BYTES = 2, MAX_DIGITS = 20, KEEP_BYTES = 64 * 1024 };

/* "18446744073709551611   " as -5: memcached pads with spaces what became shorter. */
static bool parse_counter(const char *text, size_t size, int64_t *out)
{
    uint64_t number = 0;
    while (size > 0 && text[size - 1] == ' ')
        size--;
    if (size == 0 || size > MAX_DIGITS)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *out = (int64_t)number;
    return true;
}

static cache_status unwrap(cache_bytes item, cache_bytes key, cache_bytes *out)
{
    const unsigned char *bytes = (const unsigned char *)item.data;
    const size_t length = item.size >= LENGTH_BYTES ? (size_t)bytes[0] << 8 | bytes[1] : 0;
    if (length != key.size || item.size < LENGTH_BYTES + length
        || memcmp(item.data + LENGTH_BYTES, key.data, length) != 0)
        return CACHE_MISS;
    *out = (cache_bytes){ item.data + LENGTH_BYTES + length, item.size - LENGTH_BYTES - length };
    return CACHE_OK;
}

cache_status cache_mc_decode(const memcached_result_st *item, const struct mc_key *wire, cache_bytes key,
                             char number[MC_NUMBER_SIZE], cache_bytes *out)
{
    const cache_bytes raw = { memcached_result_value(item), memcached_result_length(item) };
    const uint32_t flags = memcached_result_flags(item);
    int64_t counter = 0;
    if (flags == MC_FLAG_COUNTER && parse_counter(raw.data, raw.size, &counter)) {
        const int size = snprintf(number, MC_NUMBER_SIZE, "%" PRId64, counter);
        *out = (cache_bytes){ number, (size_t)size };
        return CACHE_OK;
    }
    if (wire->hashed != (flags == MC_FLAG_WRAPPED))
        return CACHE_MISS;
    if (wire->hashed)
        return unwrap(raw, key, out);
    *out = (cache_bytes){ raw.size > 0 ? raw.data : "", raw.size };
    return CACHE_OK;
}

cache_status cache_mc_encode(const struct mc_store *store, const struct mc_key *wire, cache_bytes key,
                             cache_bytes value, cache_bytes *out, uint32_t *flags, void **block)
{
    *block = NULL;
    *flags = 0;
    *out = value;
    if (!wire->hashed)
        return CACHE_OK;
    char *bytes = cache_env_alloc(store->env, LENGTH_BYTES + key.size + value.size);
    if (bytes == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    bytes[0] = (char)(key.size >> 8);
    bytes[1] = (char)(key.size & 0xff);
    memcpy(bytes + LENGTH_BYTES, key.data, key.size);
    memcpy(bytes + LENGTH_BYTES + key.size, value.data, value.size);
    *block = bytes;
    *flags = MC_FLAG_WRAPPED;
    *out = (cache_bytes){ bytes, LENGTH_BYTES + key.size + value.size };
    return CACHE_OK;
}

/* ---- reading one ----------------------------------------------------------------------------------------------- */

memcached_return_t cache_mc_read(struct mc_handle *handle, const struct mc_key *wire)
{
    const char *text = wire->text;
    memcached_return_t rc = memcached_mget(handle->memc, &text, &wire->size, 1);
    if (rc != MEMCACHED_SUCCESS)
        return rc;
    if (memcached_fetch_result(handle->memc, &handle->result, &rc) == NULL) {
        /* It calls some failures a missing key; the error that it remembers tells them apart. */
        const memcached_return_t failure = memcached_last_error(handle->memc);
        return failure != MEMCACHED_SUCCESS ? failure : rc;
    }
    if (memcached_result_key_length(&handle->result) != wire->size
        || memcmp(memcached_result_key_value(&handle->result), text, wire->size) != 0)
        return MEMCACHED_PROTOCOL_ERROR;
    return MEMCACHED_SUCCESS;
}

memcached_return_t cache_mc_read_end(struct mc_handle *handle)
{
    memcached_return_t rc = MEMCACHED_SUCCESS;
    if (memcached_fetch_result(handle->memc, &handle->result, &rc) != NULL)
        return MEMCACHED_PROTOCOL_ERROR;
    if (handle->result.value.current_size > KEEP_BYTES) {
        memcached_result_free(&handle->result);    /* one large value must not cost its size for ever */
        memcached_result_create(handle->memc, &handle->result);
    }
    const memcached_return_t failure = memcached_last_error(handle->memc);
    return failure;
}
