/* page_key.h - from a request to the key of its page. */
#ifndef PAGE_KEY_H
#define PAGE_KEY_H

#include "api.h"

/* Returns true if one path has several pages: their keys begin like the path's, and they are stored under the path's
 * tag. */
bool cache_view_has_variants(const cache_view *view);

/* Append the key of the request's page, at most CACHE_MAX_KEY bytes:
 *
 *     view//products                          a plain view: "view/" and the path
 *     view//products<TAB>?a=1&b=2             query_string: by name, repeats in their order
 *     view//me<TAB>accept-language=de<TAB>cookie theme=dark<TAB>user 7
 *     view//<TAB>host example.com<TAB>scheme https      vary_host
 *     view//find<TAB>POST 99aa06d3…            post_by_body: the 64 digits of the body's hash
 *     view//a%0Ab<TAB>~<TAB>?a=1              a path with control characters
 *     view//very/lo...<TAB>#99aa06d3…         longer than a key may be: 200 bytes of it, and the hash of all
 *
 * The variants' values are escaped so that no two requests that differ in what counts have one key. CACHE_ERR_INVALID:
 * the request has no path, or make_key wrote no key; CACHE_ERR_NOMEM; what make_key returned. */
cache_status cache_view_key(const cache_view *view, const cache_request *request, cache_writer *key);

/* The key of a plain view's page, and the tag of all pages of a path. */
cache_status cache_view_plain_key(const char *path, cache_writer *key);
cache_status cache_view_path_tag(const char *path, cache_writer *tag);

#endif
