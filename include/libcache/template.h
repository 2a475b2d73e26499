/* libcache/template.h - pages from templates whose expensive parts are cached where they stand.
 *
 *     {{ user.name }}                                        the value of a name, as text: & < > " ' are escaped
 *     {{ user.picture|safe }}                                the value is HTML, and stands as it is
 *     {% cache 60, 'recent_activities', user.id %}           what stands up to the endcache, kept for 60 seconds
 *     {% endcache %}
 *     {% cache 'del', 'recent_activities', user.id %}        deletes that part from the cache
 *     {# a comment #}
 *
 * A cached part is a fragment (fragment.h) of that name and those vary parts: cache_fragment_forget deletes it too, and
 * one thread at a time renders it. The ttl is a number of seconds, a name whose value is one, or none: the handle's
 * default. The fragment's name stands in quotes; a vary part is a text in quotes, a number, or a name. There are no
 * loops or conditions: what a page repeats is written in C, behind a name. */
#ifndef LIBCACHE_TEMPLATE_H
#define LIBCACHE_TEMPLATE_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cache_template cache_template;

/* Append the value of `name` ("user.id") to `out`: text, or HTML where the template says |safe. It is asked when the
 * value is needed: never for what stands in a part that the cache has. CACHE_MISS: there is no such name, which is an
 * error of the template; any other status ends the rendering. */
typedef cache_status cache_resolve_fn(void *ctx, const char *name, cache_writer *out);

/* Read a template, once for all pages. CACHE_ERR_INVALID: the message names the line and what is wrong there; `*out` is
 * NULL. `text` may go after the call. */
cache_status cache_template_compile(const char *text, cache_template **out);

/* No rendering may be under way. NULL is fine. */
void cache_template_free(cache_template *compiled);

/* Append the page to `out`; from any thread, many at once. A NULL `cache`: every part is rendered; so it is if the
 * store fails. On anything but CACHE_OK `out` holds what it did before, and no part that the failure stands in is
 * stored; the message names the line and the name. CACHE_ERR_INVALID: a name is missing, a ttl no number, or a vary
 * part has a NUL. */
cache_status cache_template_render(const cache_template *compiled, cache_t *cache, cache_resolve_fn *resolve, void *ctx,
                                   cache_writer *out);

#ifdef __cplusplus
}
#endif

#endif
