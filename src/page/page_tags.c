/* page_tags.c - collects the tags of a page: those of its path, of the view, and of the request. */
#include "page_tags.h"

#include "page_key.h"

#include <stdarg.h>
#include <string.h>

void cache_tag_list_init(cache_tag_list *tags, const cache_allocator *allocator)
{
    tags->n = 0;
    tags->failure = CACHE_OK;
    cache_writer_init_buffer(&tags->names, allocator, tags->text, sizeof tags->text);
}

void cache_tag_list_release(cache_tag_list *tags)
{
    cache_writer_release(&tags->names);
}

/* Finish the name that was written after the first `before` bytes, or drop it. */
static cache_status end_name(cache_tag_list *tags, size_t before)
{
    cache_status status = cache_writer_append(&tags->names, "", 1);
    if (status == CACHE_OK) {
        const size_t size = tags->names.size - before - 1;
        if (size == 0 || size > CACHE_MAX_KEY || memchr(tags->names.data + before, '\0', size) != NULL)
            status = cache_fail(CACHE_ERR_INVALID, "view: a tag is empty, too long, or has a NUL in it");
        else if (tags->n >= CACHE_MAX_VIEW_TAGS)
            status = cache_fail(CACHE_ERR_INVALID, "view: a page has more than %d tags", CACHE_MAX_VIEW_TAGS);
    }
    if (status == CACHE_OK)
        tags->n++;
    else
        tags->failure = status;
    return status;
}

static cache_status add_name(cache_tag_list *tags, const char *name)
{
    const size_t before = tags->names.size;
    if (tags->failure != CACHE_OK)
        return tags->failure;
    (void)cache_writer_puts(&tags->names, name);
    return end_name(tags, before);
}

cache_status cache_tag_list_add(cache_tag_list *tags, const char *format, ...)
{
    if (tags == NULL || format == NULL)
        return cache_fail(CACHE_ERR_INVALID, "view: the list of tags, or a tag, is NULL");
    if (tags->failure != CACHE_OK)
        return tags->failure;
    const size_t before = tags->names.size;
    va_list args;
    va_start(args, format);
    (void)cache_writer_vprintf(&tags->names, format, args);
    va_end(args);
    return end_name(tags, before);
}

static cache_status add_path(cache_tag_list *tags, const char *path)
{
    char text[256];
    cache_writer tag;
    cache_writer_init_buffer(&tag, tags->names.allocator, text, sizeof text - 1);
    cache_status status = cache_view_path_tag(path, &tag);
    if (status == CACHE_OK)
        status = cache_writer_append(&tag, "", 1);     /* a text in a caller's buffer has no NUL yet */
    if (status == CACHE_OK)
        status = add_name(tags, tag.data);
    cache_writer_release(&tag);
    return status;
}

cache_status cache_view_list_tags(const cache_view *view, const cache_request *request, cache_tag_list *tags)
{
    if (cache_view_has_variants(view))
        (void)add_path(tags, request->path);
    for (const char *const *tag = view->tags; tag != NULL && *tag != NULL; tag++)
        (void)add_name(tags, *tag);
    const cache_status status = view->make_tags != NULL ? view->make_tags(view->ctx, request, tags) : CACHE_OK;
    if (tags->failure == CACHE_ERR_NOMEM)
        return CACHE_ERR_NOMEM;
    /* make_tags may return the failure of cache_tag_list_add. Then it is the failure of the list, not of make_tags. */
    return tags->failure != CACHE_OK && status == tags->failure ? CACHE_OK : status;
}

void cache_tag_list_names(const cache_tag_list *tags, const char *names[CACHE_MAX_VIEW_TAGS])
{
    const char *at = tags->names.data;
    for (size_t i = 0; i < tags->n; i++) {
        names[i] = at;
        at += strlen(at) + 1;
    }
}
