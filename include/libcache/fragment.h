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

/* One fragment between begin and end. All but the first two fields is the library's. */
typedef struct cache_fragment {
    bool running;                      /* the body is to run */
    bool whole;                        /* set by the caller when the body ran to its end */
    bool outer_failed;
    unsigned n_no_store;
    size_t begin;                      /* how much had been written before the body */
    cache_writer *out;
    struct cache_rendering *rendering; /* NULL: what the body writes is not stored */
    void *reserved[4];
} cache_fragment;

/* Write the key of a fragment, so that code can cache_delete it. `parts` are its name and its vary parts, of which any
 * may be NULL. CACHE_ERR_TOO_LARGE: it has more than `cap` bytes with its NUL. CACHE_ERR_INVALID: no name. */
cache_status cache_fragment_key(const char *const parts[], size_t n, char *buf, size_t cap);
cache_status cache_fragment_forget(cache_t *cache, const char *const parts[], size_t n);

cache_fragment cache_fragment_begin(cache_t *cache, cache_writer *out, const cache_fetch_options *options,
                                    const char *const parts[], size_t n);
void cache_fragment_end(cache_fragment *fragment);

/* For a body that failed: what it wrote is taken back, and neither it nor a fragment around it is stored. `break` may
 * follow. */
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
 * Appends to the writer `out` what the body appends: from the cache when it is there, else by running the body. `name`
 * and up to 15 vary parts are strings. Fragments may be nested. A body that fails calls cache_fragment_fail(out) or
 * leaves the writer failed; one that is left by break, return or goto stores nothing, and what it wrote stays.
 *
 * One thread at a time runs the body of a key; the others wait for its text (30 seconds at most), and run the body
 * themselves, storing nothing, if there is none: it failed, or was left. After a return or goto out of the body they
 * wait until the writer is freed. An invalidation beats a body that began before it in this process, that of a tag in
 * every process: the text is shown, and not stored. */
#define CACHE_FRAGMENT(cache, out, ttl, ...)                                                                           \
    CACHE_FRAGMENT_WITH(cache, out, CACHE_FRAGMENT_OPTIONS_(ttl, NULL, 0), __VA_ARGS__)

/* The same, stored under tags, which stand in brackets: CACHE_FRAGMENT_TAGGED(cache, out, 60, ("posts", tag), "list").
 * A fragment around it keeps its text when they are invalidated, unless it is stored under them too. */
#define CACHE_FRAGMENT_TAGGED(cache, out, ttl, tags, ...)                                                              \
    CACHE_FRAGMENT_WITH(cache, out,                                                                                    \
                        CACHE_FRAGMENT_OPTIONS_(ttl, ((const char *const[]){ CACHE_PP_BARE tags }),                    \
                                                sizeof((const char *const[]){ CACHE_PP_BARE tags }) / sizeof(char *)), \
                        __VA_ARGS__)

/* The same, with all options of cache_fetch. With `lock` an invalidation beats a body that runs in another process too;
 * a process that finds another at it shows a stale text, or renders its own and does not store it. With `stale` one
 * thread runs the body while the others show the old text; with `stale_if_error` a body that fails shows it. Statistics
 * count under the options' name, or the fragment's. */
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
                        "libcache: the name and vary parts of a fragment must be strings, and " #part " is none");     \
         int unused;                                                                                                   \
     }) > 0 ? (const char *)(part) : NULL)
#define CACHE_FRAGMENT_OPTIONS_(seconds, given, n)                                                                     \
    (&(const cache_fetch_options){                                                                                     \
        .size = sizeof(cache_fetch_options), .ttl = (seconds), .tags = (given), .n_tags = (n) })

#endif

#endif
