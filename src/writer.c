/* writer.c - the growing buffer in which values are built, and the refcounted values that it becomes.
 *
 * The bytes are in a refcounted block from the start, so that a finished value is returned without a copy. */
#include "writer.h"

#include "hooks.h"
#include "invariant.h"
#include "time_to_live.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct block {
    cache_owner owner;
    const cache_allocator *allocator;
    atomic_uint references;
    _Alignas(max_align_t) char data[];    /* values are aligned like blocks of malloc */
};

static void block_retain(cache_owner *owner)
{
    struct block *block = (struct block *)(void *)owner;
    const unsigned before = atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
}

static void block_release(cache_owner *owner)
{
    struct block *block = (struct block *)(void *)owner;
    const unsigned before = atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1)
        block->allocator->free(block->allocator->ctx, block);
}

static const cache_owner_ops block_ops = { block_retain, block_release };

/* ---- values -------------------------------------------------------------------------------------------------- */

void cache_value_release(cache_value *value)
{
    if (value == NULL)
        return;
    cache_owner *owner = value->owner;
    *value = (cache_value){ NULL, 0, NULL };
    if (owner != NULL)
        owner->ops->release(owner);
}

cache_value cache_value_retain(const cache_value *value)
{
    cache_owner *owner = value->owner;
    if (owner != NULL)
        owner->ops->retain(owner);
    return *value;
}

/* ---- the writer's life --------------------------------------------------------------------------------------- */

void cache_writer_run_cleanup_hooks(cache_writer *writer, const struct cache_writer_cleanup_hook *hook)
{
    while (writer->cleanup_hooks != NULL && writer->cleanup_hooks != hook) {
        struct cache_writer_cleanup_hook *innermost = writer->cleanup_hooks;
        writer->cleanup_hooks = innermost->outer;
        innermost->run(innermost);
    }
}

void cache_writer_release(cache_writer *writer)
{
    cache_writer_run_cleanup_hooks(writer, NULL);
    if (writer->owner != NULL)
        writer->owner->ops->release(writer->owner);
    cache_writer_init(writer, writer->allocator);
}

cache_writer *cache_writer_new(void)
{
    const cache_allocator *allocator = &cache_allocator_default;
    cache_writer *writer = allocator->alloc(allocator->ctx, sizeof *writer);
    if (writer != NULL)
        cache_writer_init(writer, allocator);
    return writer;
}

void cache_writer_free(cache_writer *writer)
{
    if (writer == NULL)
        return;
    const cache_allocator *allocator = writer->allocator;
    cache_writer_release(writer);
    allocator->free(allocator->ctx, writer);
}

/* ---- growing ------------------------------------------------------------------------------------------------- */

static cache_status fail(cache_writer *writer, cache_status status, const char *text)
{
    writer->status = status;
    return cache_fail(status, "writer: %s", text);
}

/* Make room for `more` more bytes, and in a block for the NUL too. */
static cache_status make_room(cache_writer *writer, size_t more)
{
    ASSERT(writer->size <= writer->capacity || writer->memory == WRITER_PINNED);
    if (writer->status != CACHE_OK)
        return writer->status;
    writer->begun = true;
    if (writer->memory == WRITER_PINNED)
        return fail(writer, CACHE_ERR_INVALID, "nothing can follow a pinned value");
    if (more <= writer->capacity - writer->size)
        return CACHE_OK;
    if (more > SIZE_MAX / 4 - writer->size)
        return fail(writer, CACHE_ERR_NOMEM, "out of memory");

    /* The first append gets exactly what it needs, since most values come in one piece. Later ones double the
     * capacity. */
    size_t capacity = writer->size + more;
    if (writer->size > 0 && capacity < 2 * writer->capacity)
        capacity = 2 * writer->capacity;
    const cache_allocator *allocator = writer->allocator;
    const size_t bytes = sizeof(struct block) + capacity + 1;
    struct block *old = writer->memory == WRITER_BLOCK ? (struct block *)(void *)writer->owner : NULL;
    struct block *block = old != NULL ? allocator->resize(allocator->ctx, old, bytes)
                                      : allocator->alloc(allocator->ctx, bytes);
    if (block == NULL)
        return fail(writer, CACHE_ERR_NOMEM, "out of memory");
    if (old == NULL) {
        block->owner.ops = &block_ops;
        block->allocator = allocator;
        atomic_init(&block->references, 1);
        if (writer->size > 0)
            memcpy(block->data, writer->data, writer->size);
    }
    writer->owner = &block->owner;
    writer->data = block->data;
    writer->capacity = capacity;
    writer->memory = WRITER_BLOCK;
    return CACHE_OK;
}

cache_status cache_writer_append(cache_writer *writer, const void *data, size_t size)
{
    if (writer == NULL)
        return cache_fail(CACHE_ERR_INVALID, "writer is NULL");
    if (data == NULL && size > 0)
        return fail(writer, CACHE_ERR_INVALID, "data is NULL");
    if (make_room(writer, size) != CACHE_OK)
        return writer->status;
    if (size > 0)
        memcpy(writer->data + writer->size, data, size);
    writer->size += size;
    return CACHE_OK;
}

void *cache_writer_reserve(cache_writer *writer, size_t size)
{
    /* Reserve at least one byte, so that reserving nothing does not look like a failure. */
    if (make_room(writer, size > 0 ? size : 1) != CACHE_OK)
        return NULL;
    void *room = writer->data + writer->size;
    writer->size += size;
    return room;
}

void cache_writer_undo(cache_writer *writer, size_t size)
{
    writer->size -= size < writer->size ? size : writer->size;
}

cache_status cache_writer_puts(cache_writer *writer, const char *text)
{
    if (writer != NULL && text == NULL)
        return fail(writer, CACHE_ERR_INVALID, "text is NULL");
    return cache_writer_append(writer, text, text != NULL ? strlen(text) : 0);
}

cache_status cache_writer_vprintf(cache_writer *writer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int size = vsnprintf(NULL, 0, format, args);
    cache_status status = CACHE_ERR_INVALID;
    if (size < 0)
        status = fail(writer, CACHE_ERR_INVALID, "the format cannot be printed");
    else if ((status = make_room(writer, (size_t)size + 1)) == CACHE_OK) {
        (void)vsnprintf(writer->data + writer->size, (size_t)size + 1, format, again);
        writer->size += (size_t)size;
    }
    va_end(again);
    return status;
}

cache_status cache_writer_printf(cache_writer *writer, const char *format, ...)
{
    if (writer == NULL || format == NULL)
        return cache_fail(CACHE_ERR_INVALID, "writer is NULL");
    va_list args;
    va_start(args, format);
    const cache_status status = cache_writer_vprintf(writer, format, args);
    va_end(args);
    return status;
}

cache_status cache_writer_pin(cache_writer *writer, const void *data, size_t size, cache_owner *owner)
{
    if (writer->status != CACHE_OK || writer->size > 0) {
        owner->ops->release(owner);
        return writer->status != CACHE_OK
                   ? writer->status
                   : fail(writer, CACHE_ERR_INVALID, "only an empty writer takes a pinned value");
    }
    if (writer->owner != NULL)
        writer->owner->ops->release(writer->owner);
    cache_writer_pin_first(writer, data, size, owner);
    return CACHE_OK;
}

/* ---- what was written ---------------------------------------------------------------------------------------- */

const char *cache_writer_data(const cache_writer *writer, size_t *size)
{
    if (size != NULL)
        *size = writer != NULL ? writer->size : 0;
    if (writer == NULL || writer->data == NULL)
        return "";
    if (writer->memory == WRITER_BLOCK)
        writer->data[writer->size] = '\0';
    return writer->data;
}

cache_status cache_writer_status(const cache_writer *writer)
{
    return writer != NULL ? writer->status : CACHE_ERR_INVALID;
}

cache_status cache_writer_take(cache_writer *writer, cache_value *out)
{
    *out = (cache_value){ NULL, 0, NULL };
    if (writer->status == CACHE_OK && writer->memory == WRITER_BUFFER && writer->size > 0)
        (void)make_room(writer, writer->capacity - writer->size + 1);
    if (writer->status != CACHE_OK)
        return writer->status;
    *out = (cache_value){ cache_writer_data(writer, NULL), writer->size, writer->owner };
    writer->owner = NULL;
    cache_writer_release(writer);
    return CACHE_OK;
}

/* ---- what a computation says of its result ------------------------------------------------------------------- */

cache_status cache_writer_set_ttl(cache_writer *writer, double ttl)
{
    if (writer == NULL)
        return cache_fail(CACHE_ERR_INVALID, "writer is NULL");
    if (ttl == CACHE_TTL_DEFAULT) {
        writer->has_ttl = false;
        return CACHE_OK;
    }
    const cache_status status = cache_ttl_ms(ttl, 0, &writer->ttl_ms);
    writer->has_ttl = status == CACHE_OK;
    return status;
}

cache_status cache_writer_set_stale(cache_writer *writer, double stale, double stale_if_error)
{
    if (writer == NULL)
        return cache_fail(CACHE_ERR_INVALID, "writer is NULL");
    cache_status status = cache_seconds_ms(stale, "stale", &writer->stale_ms);
    if (status == CACHE_OK)
        status = cache_seconds_ms(stale_if_error, "stale_if_error", &writer->stale_if_error_ms);
    writer->has_stale = status == CACHE_OK;
    return status;
}

void cache_writer_no_store(cache_writer *writer)
{
    if (writer != NULL) {
        writer->no_store = true;
        writer->n_no_store++;
    }
}
