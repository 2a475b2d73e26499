/* libcache/template.h - renders pages from templates whose expensive parts are cached in place.
 *
 *     {{ user.name }}                                        the value of a name as text: & < > " ' are escaped
 *     {{ user.picture|safe }}                                the value is HTML and is not escaped
 *     {% cache 60, 'recent_activities', user.id %}           caches everything up to endcache for 60 seconds
 *     {% endcache %}
 *     {% cache 'del', 'recent_activities', user.id %}        deletes that part from the cache
 *     {# a comment #}
 *
 * A cached part is a fragment (fragment.h) with that name and these vary parts: cache_fragment_forget deletes it too,
 * and one thread at a time renders it. The ttl is a number of seconds (0: for ever), a name whose value is such a
 * number, or `none` for the handle's default. The fragment's name is in quotes. A vary part is a text in quotes, a
 * number, or a name. There are no loops or conditions: C code writes repeated parts, as the value of a name. */
#ifndef LIBCACHE_TEMPLATE_H
#define LIBCACHE_TEMPLATE_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A compiled template. Any number of threads may render it at once. */
typedef struct cache_template cache_template;

/* Appends the value of `name`, such as "user.id", to `out`: text, or HTML if the template says |safe. It is called only
 * when the value is needed, and so not for a part that comes from the cache. Returns CACHE_OK, or CACHE_MISS if there
 * is no such name, which is an error in the template. Any other status ends the rendering. */
typedef cache_status cache_resolve_fn(void *ctx, const char *name, cache_writer *out);

/* Compiles a template, once for all pages. Returns CACHE_ERR_INVALID and sets `*out` to NULL if the template is wrong;
 * the message names the line and the mistake. `text` need not stay valid after the call. */
cache_status cache_template_compile(const char *text, cache_template **out);

/* Frees a template. No rendering of it may be running. NULL is allowed. */
void cache_template_free(cache_template *compiled);

/* Appends the page to `out`. Many threads may render one template at once. With a NULL `cache`, or if the store fails,
 * every part is rendered. On anything but CACHE_OK `out` is unchanged, no part that contains the failure is stored, and
 * the message names the line and the name. Returns CACHE_ERR_INVALID if a name does not exist, a ttl is not a number,
 * or a vary part contains a NUL. */
cache_status cache_template_render(const cache_template *compiled, cache_t *cache, cache_resolve_fn *resolve, void *ctx,
                                   cache_writer *out);

#ifdef __cplusplus
}
#endif

#endif
