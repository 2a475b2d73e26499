/* libcache/fragment.h - cache a part of a page in place.
 *
 *     CACHE_FRAGMENT(cache, out, 60, "sidebar", language) {
 *         write_sidebar(out, language);       runs at most once a minute for each language
 *     }
 *
 * The macros are C: a C++ program uses cache_fragment_begin and cache_fragment_end. */
#ifndef LIBCACHE_FRAGMENT_H
#define LIBCACHE_FRAGMENT_H

#include <libcache/cache.h>
#include <libcache/preprocess.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A fragment between begin and end. Callers use only the first two fields. */
typedef struct cache_fragment {
    bool running;                      /* true: run the body */
    bool whole;                        /* set by the caller when the body ran to its end */
    bool outer_failed;
    unsigned n_no_store;
    size_t begin;                      /* how much had been written before the body */
    cache_writer *out;
    struct cache_rendering *rendering; /* NULL: what the body writes is not stored */
    void *reserved[4];
} cache_fragment;

/* Writes the key of a fragment to `buf`, for use with cache_delete. `parts` are the name and the vary parts; any vary
 * part may be NULL. Returns CACHE_ERR_TOO_LARGE if the key and its NUL exceed `cap` bytes, and CACHE_ERR_INVALID if
 * there is no name. */
cache_status cache_fragment_key(const char *const parts[], size_t n, char *buf, size_t cap);

/* Deletes a fragment, as cache_delete does. */
cache_status cache_fragment_forget(cache_t *cache, const char *const parts[], size_t n);

/* CACHE_FRAGMENT calls these before and after the body. */
cache_fragment cache_fragment_begin(cache_t *cache, cache_writer *out, const cache_fetch_options *options,
                                    const char *const parts[], size_t n);
void cache_fragment_end(cache_fragment *fragment);

/* For a body that fails: its output is removed, and neither this fragment nor one around it is stored. The body may
 * `break` afterwards. */
void cache_fragment_fail(cache_writer *out);

#ifdef __cplusplus
}

#define CACHE_FRAGMENT_NOT_IN_CPP_                                                                                     \
    static_assert(false, "libcache: CACHE_FRAGMENT is C; in C++ use cache_fragment_begin and cache_fragment_end");     \
    if (true)
#define CACHE_FRAGMENT(...)        CACHE_FRAGMENT_NOT_IN_CPP_
#define CACHE_FRAGMENT_TAGGED(...) CACHE_FRAGMENT_NOT_IN_CPP_
#define CACHE_FRAGMENT_WITH(...)   CACHE_FRAGMENT_NOT_IN_CPP_

#else

/* CACHE_FRAGMENT(cache, out, ttl, name, vary…) { …body… }
 *
 * Appends the output of the body to the writer `out`: from the cache if possible, else by running the body. `name` and
 * up to 15 vary parts are strings. Fragments may be nested. A body that fails calls cache_fragment_fail(out) or leaves
 * the writer failed. If the body is left by break, return or goto, nothing is stored, and its output stays.
 *
 * Only one thread at a time runs the body of a key. The others wait for its text, for 30 seconds at most. If there is
 * none by then, or if the body fails or is left, they run the body themselves and store nothing. So does a thread that
 * would wait for itself, because fragments contain each other. After a return or goto they wait until the writer is
 * freed. If the fragment is invalidated while its body runs in this process, the text is
 * shown but not stored. For the invalidation of a tag this holds in every process. */
#define CACHE_FRAGMENT(cache, out, ttl, ...)                                                                           \
    CACHE_FRAGMENT_WITH(cache, out, CACHE_FRAGMENT_OPTIONS_(ttl, NULL, 0), __VA_ARGS__)

/* The same, stored under the tags in brackets: CACHE_FRAGMENT_TAGGED(cache, out, 60, ("posts", tag), "list"). A
 * fragment around it keeps its text when these tags are invalidated, unless it has them too. */
#define CACHE_FRAGMENT_TAGGED(cache, out, ttl, tags, ...)                                                              \
    CACHE_FRAGMENT_WITH(cache, out,                                                                                    \
                        CACHE_FRAGMENT_OPTIONS_(ttl, ((const char *const[]){ CACHE_PP_BARE tags }),                    \
                                                sizeof((const char *const[]){ CACHE_PP_BARE tags }) / sizeof(char *)), \
                        __VA_ARGS__)

/* The same, with all options of cache_fetch. With `lock`, an invalidation also prevents a body in another process from
 * being stored; while one process renders, another shows a stale text, or renders its own text without storing it. With
 * `stale`, one thread runs the body while the others show the old text. With `stale_if_error`, a body that fails shows
 * it. Statistics count under the options' name, or else under the fragment's. */
#define CACHE_FRAGMENT_WITH(cache, out, options, ...)                                                                  \
    for (cache_fragment CACHE_PP_CAT(cache_fragment_, __LINE__) =                                                      \
             cache_fragment_begin(cache, out, options, CACHE_FRAGMENT_PARTS_(__VA_ARGS__),                             \
                                  sizeof(CACHE_FRAGMENT_PARTS_(__VA_ARGS__)) / sizeof(const char *));                  \
         CACHE_PP_CAT(cache_fragment_, __LINE__).running;                                                              \
         cache_fragment_end(&CACHE_PP_CAT(cache_fragment_, __LINE__)))                                                 \
        for (; !CACHE_PP_CAT(cache_fragment_, __LINE__).whole; CACHE_PP_CAT(cache_fragment_, __LINE__).whole = true)
#define CACHE_FRAGMENT_PARTS_(...)            (const char *const[]){ CACHE_PP_EACH(CACHE_FRAGMENT_PART_, __VA_ARGS__) }
#define CACHE_FRAGMENT_PART_(part)                                                                                     \
    (sizeof(struct {                                                                                                   \
         _Static_assert(_Generic((part), char *: 1, const char *: 1, void *: 1, default: 0),                           \
                        "libcache: the name and vary parts of a fragment must be strings, but " #part " is not");      \
         int unused;                                                                                                   \
     }) > 0 ? (const char *)(part) : NULL)
#define CACHE_FRAGMENT_OPTIONS_(seconds, given, n)                                                                     \
    (&(const cache_fetch_options){                                                                                     \
        .size = sizeof(cache_fetch_options), .ttl = (seconds), .tags = (given), .n_tags = (n) })

#endif

#endif
