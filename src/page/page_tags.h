/* page_tags.h - the tags of one page: its path's, the view's, the request's. */
#ifndef PAGE_TAGS_H
#define PAGE_TAGS_H

#include "writer.h"

#define CACHE_MAX_VIEW_TAGS 64

struct cache_tag_list {
    size_t n;
    cache_status failure;              /* the first */
    cache_writer names;                /* each with its NUL */
    char text[256];                    /* the first of them, so that most lists allocate nothing */
};

void cache_tag_list_init(cache_tag_list *tags, const cache_allocator *allocator);
void cache_tag_list_release(cache_tag_list *tags);

/* Fill the list for this request. The list's failure, or what make_tags returned. */
cache_status cache_view_list_tags(const cache_view *view, const cache_request *request, cache_tag_list *tags);

/* Point at the names; they stay the list's. */
void cache_tag_list_names(const cache_tag_list *tags, const char *names[CACHE_MAX_VIEW_TAGS]);

#endif
