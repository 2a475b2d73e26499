/* writer.h - the fields of cache_writer, for the core and the layers. */
#ifndef WRITER_H
#define WRITER_H

#include "api.h"

#include <string.h>

#include <stdarg.h>

enum writer_memory {
    WRITER_BUFFER,     /* the caller's buffer, or none yet; bytes that do not fit move to a block */
    WRITER_BLOCK,      /* a refcounted block of our own, which becomes the value without a copy */
    WRITER_PINNED      /* bytes of another owner, which are read-only */
};

/* Something that is not finished in a writer, such as a fragment. It ends with the writer at the latest. */
struct cache_writer_cleanup_hook {
    struct cache_writer_cleanup_hook *outer;  /* the hook that was the innermost when this one began */
    void (*run)(struct cache_writer_cleanup_hook *hook);
};

struct cache_writer {
    const cache_allocator *allocator;
    char *data;
    size_t size, capacity;
    cache_owner *owner;            /* the owner of the block or of the pinned bytes; NULL for a buffer */
    enum writer_memory memory;
    cache_status status;           /* the first failure */
    int64_t ttl_ms;                /* the time to live that the computation set, if has_ttl */
    int64_t stale_ms, stale_if_error_ms;    /* the spans that the computation set, if has_stale */
    bool has_ttl, has_stale, no_store;
    bool begun;                    /* something was appended, even if it was empty */
    unsigned n_no_store;             /* how often no_store was called or a fragment failed */
    bool fragment_failed;          /* the running body has reported a failure */
    struct cache_writer_cleanup_hook *cleanup_hooks;    /* the innermost hook */
};

/* Make a writer without memory, or one that fills `buffer` first. */
static inline void cache_writer_init_buffer(cache_writer *writer, const cache_allocator *allocator, void *buffer,
                                            size_t capacity)
{
    *writer = (cache_writer){ .allocator = allocator, .data = buffer, .capacity = capacity, .memory = WRITER_BUFFER };
}

static inline void cache_writer_init(cache_writer *writer, const cache_allocator *allocator)
{
    cache_writer_init_buffer(writer, allocator, NULL, 0);
}

cache_status cache_writer_vprintf(cache_writer *writer, const char *format, va_list args);

/* Run cleanup hooks from the innermost one on, until `hook` is the innermost or there is none. */
void cache_writer_run_cleanup_hooks(cache_writer *writer, const struct cache_writer_cleanup_hook *hook);

/* Release the memory and reset the writer, including the settings of the computation. */
void cache_writer_release(cache_writer *writer);

/* Move the written bytes into `*out`, which then owns them; the writer is empty again. Returns the writer's own status;
 * or CACHE_ERR_NOMEM if the bytes are in a buffer and cannot be moved out of it. After a failure `*out` is zeroed. */
cache_status cache_writer_take(cache_writer *writer, cache_value *out);

/* Append if the caller's buffer has room, which costs no more than the copy. Returns false if it has not. */
static inline bool cache_writer_append_in_place(cache_writer *writer, const void *data, size_t size)
{
    if (writer->memory != WRITER_BUFFER || writer->data == NULL || size > writer->capacity - writer->size)
        return false;
    memcpy(writer->data + writer->size, data, size);
    writer->size += size;
    return true;
}

/* Like cache_writer_pin, for a writer that is still empty. */
static inline void cache_writer_pin_first(cache_writer *writer, const char *data, size_t size, cache_owner *owner)
{
    writer->memory = WRITER_PINNED;
    writer->owner = owner;
    writer->data = (char *)(uintptr_t)data;    /* never written through, since make_room refuses pinned bytes */
    writer->size = writer->capacity = size;
}

/* Returns true if nothing was written yet, and nothing has failed. */
static inline bool cache_writer_is_fresh(const cache_writer *writer)
{
    return writer->size == 0 && writer->owner == NULL && writer->status == CACHE_OK;
}

/* Returns another reference to the same bytes. */
cache_value cache_value_retain(const cache_value *value);

#endif
