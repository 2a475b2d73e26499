/* page_tags.h - collects the tags of a page: those of its path, of the view, and of the request. */
#ifndef PAGE_TAGS_H
#define PAGE_TAGS_H

#include "writer.h"

#define CACHE_MAX_VIEW_TAGS 64

struct cache_tag_list {
    size_t n;
    cache_status failure;              /* the first */
    cache_writer names;                /* the names, each with its NUL */
    char text[256];                    /* the first names, so that most lists allocate nothing */
};

void cache_tag_list_init(cache_tag_list *tags, const cache_allocator *allocator);
void cache_tag_list_release(cache_tag_list *tags);

/* Fill the list for this request. Returns CACHE_OK, the failure of the list, or the return value of make_tags. */
cache_status cache_view_list_tags(const cache_view *view, const cache_request *request, cache_tag_list *tags);

/* Set `names` to point at the names, which still belong to the list. */
void cache_tag_list_names(const cache_tag_list *tags, const char *names[CACHE_MAX_VIEW_TAGS]);

#endif
