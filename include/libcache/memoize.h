/* libcache/memoize.h - wrap an expensive function with a macro; cache a part of a page in place.
 *
 *     static cache_status load_product(int id, struct product *out);          (an ordinary function)
 *     CACHE_MEMOIZE(get_product, load_product, 60, struct product, (int, id))
 *
 *     get_product(cache, 42, &p);            runs load_product at most once a minute per id
 *     get_product_forget(cache, 42);         after an update
 *
 * The macros are doorways: what they define is static and typed, and calls the functions at the end of this file. */
#ifndef LIBCACHE_MEMOIZE_H
#define LIBCACHE_MEMOIZE_H

#include <libcache/cache.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the macros call ---------------------------------------------------------------------------------------- */

/* The key of one call: the function's name, the result's type and size, then each argument with a tag of its type, and
 * texts with their length: 0, "", false and NULL differ, and so do functions of one name with other results. */
typedef struct cache_memo_key {
    size_t size;
    bool too_long;                     /* over CACHE_MAX_KEY: such a call is computed each time */
    char text[CACHE_MAX_KEY + 1];
    char tag[128];                     /* what forget_all invalidates */
} cache_memo_key;

void cache_memo_begin(cache_memo_key *key, const char *name, const char *type, size_t size);
void cache_memo_bool(cache_memo_key *key, bool argument);
void cache_memo_int(cache_memo_key *key, long long argument);
void cache_memo_uint(cache_memo_key *key, unsigned long long argument);
void cache_memo_double(cache_memo_key *key, double argument);
void cache_memo_text(cache_memo_key *key, const char *argument);
void cache_memo_end(cache_memo_key *key);

/* Fetch a result of `size` bytes into `out`, or a text into a copy that the caller frees; both by cache_fetch. With a NULL
 * cache the function is computed, and nothing stored. */
cache_status cache_memo_fetch(cache_t *cache, const cache_memo_key *key, const char *type,
                              const cache_fetch_options *options, cache_compute_fn *compute, void *ctx, void *out,
                              size_t size);
cache_status cache_memo_fetch_text(cache_t *cache, const cache_memo_key *key, const cache_fetch_options *options,
                                   cache_compute_fn *compute, void *ctx, char **out);
cache_status cache_memo_fetch_value(cache_t *cache, const cache_memo_key *key, const char *type,
                                    const cache_fetch_options *options, cache_compute_fn *compute, void *ctx,
                                    cache_value *out);
cache_status cache_memo_put_text(cache_writer *out, char *text);    /* appends and frees it; NULL is CACHE_MISS */
cache_status cache_memo_forget(cache_t *cache, const cache_memo_key *key);
cache_status cache_memo_forget_all(cache_t *cache, const cache_memo_key *key);
cache_status cache_memo_copy_key(const cache_memo_key *key, char *buf, size_t cap);
void cache_memo_zero(void *result, size_t size);                     /* padding too: it is stored */

/* ---- fragments --------------------------------------------------------------------------------------------------- */

typedef struct cache_fragment {
    cache_t *cache;
    cache_writer *out;
    double ttl;
    size_t begin;                      /* how much had been written before the body */
    bool running, storable, outer_failed;
    char key[CACHE_MAX_KEY + 1];
} cache_fragment;

/* Write the key of a fragment, so that code can cache_delete it. `parts` are its name and its vary parts, of which any may be
 * NULL. CACHE_ERR_TOO_LARGE: it has more than `cap` bytes with its NUL. CACHE_ERR_INVALID: no name. */
cache_status cache_fragment_key(char *buf, size_t cap, const char *const parts[], size_t n);
cache_status cache_fragment_forget(cache_t *cache, const char *const parts[], size_t n);

cache_fragment cache_fragment_begin(cache_t *cache, cache_writer *out, double ttl, const char *const parts[], size_t n);
void cache_fragment_end(cache_fragment *fragment);

/* For a body that failed: what it wrote is taken back, and neither it nor a fragment around it is stored. */
void cache_fragment_fail(cache_writer *out);

#ifdef __cplusplus
}
#else

/* CACHE_FRAGMENT(cache, out, ttl, name, vary…) { …body… }
 *
 * Appends to the writer `out` what the body appends: from the cache when it is there, else by running the body. `name` and
 * the vary parts are strings. Fragments may be nested. A body that fails calls cache_fragment_fail(out) or leaves the
 * writer failed; leaving the body by break, return or goto stores nothing and keeps what was written. */
#define CACHE_FRAGMENT(cache, out, ttl, ...)                                                                           \
    for (cache_fragment CACHE_PP_CAT(cache_fragment_, __LINE__) =                                                      \
             cache_fragment_begin(cache, out, ttl, (const char *const[]){ __VA_ARGS__ },                               \
                                  sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *));                \
         CACHE_PP_CAT(cache_fragment_, __LINE__).running;                                                              \
         cache_fragment_end(&CACHE_PP_CAT(cache_fragment_, __LINE__)))

/* ---- memoize ----------------------------------------------------------------------------------------------------- *
 *
 * CACHE_MEMOIZE(name, compute, ttl, result_type, (type, arg), …) defines, for `cache_status compute(args…, result_type *)`:
 *
 *     cache_status name(cache_t *, args…, result_type *out);      what cache_fetch returns; `*out` is set with CACHE_OK
 *     cache_status name_forget(cache_t *, args…);                 CACHE_MISS: it was not there
 *     cache_status name_forget_all(cache_t *);
 *     cache_status name_refresh(cache_t *, args…, result_type *out);      computes anew, and stores
 *     cache_status name_key(char *buf, size_t cap, args…);        the key; CACHE_ERR_TOO_LARGE
 *
 * Up to 8 arguments: numbers, bool, char * (by content). CACHE_IGNORE(type, arg) stands for one that is passed on and is
 * no part of the key, of any type. The result is a number or a struct without pointers. All may stay unused.
 * CACHE_MEMOIZE_WITH takes a `const cache_fetch_options *` in the place of the ttl: its tags must be NULL. */
#define CACHE_MEMOIZE(name, compute, ttl, ...)                                                                         \
    CACHE_MEMO_TTL_(name, ttl)                                                                                         \
    CACHE_MEMO_PLAIN_(name, compute, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)
#define CACHE_MEMOIZE_WITH(name, compute, options, ...)                                                                \
    CACHE_MEMO_OPTIONS_(name, options)                                                                                 \
    CACHE_MEMO_PLAIN_(name, compute, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)

/* CACHE_MEMOIZE_STRING(name, compute, ttl, (type, arg), …): compute(args…, char **out) gives a text from malloc, which the
 * library frees, or NULL: there is none. name(cache, args…, char **out) gives a copy, to be freed by the caller. */
#define CACHE_MEMOIZE_STRING(name, compute, ...)                                                                       \
    CACHE_MEMO_TTL_(name, CACHE_PP_FIRST(__VA_ARGS__, ~))                                                              \
    CACHE_MEMO_STRING_(name, compute, __VA_ARGS__)
#define CACHE_MEMOIZE_STRING_WITH(name, compute, ...)                                                                  \
    CACHE_MEMO_OPTIONS_(name, CACHE_PP_FIRST(__VA_ARGS__, ~))                                                          \
    CACHE_MEMO_STRING_(name, compute, __VA_ARGS__)

/* CACHE_MEMOIZE_CODEC(name, compute, ttl, type, encode, decode, (type, arg), …), for results that hold pointers:
 *
 *     cache_status encode(const type *, cache_writer *);
 *     cache_status decode(const void *data, size_t size, type *out);      not CACHE_OK: nothing is kept in `*out`
 *
 * `*out` is what compute made, or what decode did: the caller releases both in the same way. */
#define CACHE_MEMOIZE_CODEC(name, compute, ttl, type, encode, ...)                                                     \
    CACHE_MEMO_TTL_(name, ttl)                                                                                         \
    CACHE_MEMO_CODEC_(name, compute, type, encode, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)
#define CACHE_MEMOIZE_CODEC_WITH(name, compute, options, type, encode, ...)                                            \
    CACHE_MEMO_OPTIONS_(name, options)                                                                                 \
    CACHE_MEMO_CODEC_(name, compute, type, encode, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)

#define CACHE_IGNORE(type, arg) (type, arg, CACHE_MEMO_IGNORED_)

/* ---- the macros' insides ------------------------------------------------------------------------------------------ */

#define CACHE_PP_CAT_(a, b)                   a##b
#define CACHE_PP_CAT(a, b)                    CACHE_PP_CAT_(a, b)
#define CACHE_PP_FIRST(first, ...)            first
#define CACHE_PP_SECOND_(first, second, ...)  second
#define CACHE_PP_SECOND(...)                  CACHE_PP_SECOND_(__VA_ARGS__)
#define CACHE_PP_TENTH_(a, b, c, d, e, f, g, h, i, n, ...) n
#define CACHE_PP_COUNT(...)                   CACHE_PP_TENTH_(__VA_ARGS__, 9, 8, 7, 6, 5, 4, 3, 2, 1, ~)

/* Each of the arguments but the first, a tuple, behind `m`. */
#define CACHE_PP_TAIL(m, ...)                 CACHE_PP_CAT(CACHE_PP_TAIL_, CACHE_PP_COUNT(__VA_ARGS__))(m, __VA_ARGS__)
#define CACHE_PP_TAIL_1(m, x)
#define CACHE_PP_TAIL_2(m, x, a)              m a
#define CACHE_PP_TAIL_3(m, x, a, b)           m a m b
#define CACHE_PP_TAIL_4(m, x, a, b, c)        m a m b m c
#define CACHE_PP_TAIL_5(m, x, a, b, c, d)     m a m b m c m d
#define CACHE_PP_TAIL_6(m, x, a, b, c, d, e)  m a m b m c m d m e
#define CACHE_PP_TAIL_7(m, x, a, b, c, d, e, f)        m a m b m c m d m e m f
#define CACHE_PP_TAIL_8(m, x, a, b, c, d, e, f, g)     m a m b m c m d m e m f m g
#define CACHE_PP_TAIL_9(m, x, a, b, c, d, e, f, g, h)  m a m b m c m d m e m f m g m h

/* One argument, (type, arg) or (type, arg, CACHE_MEMO_IGNORED_), as … */
#define CACHE_MEMO_PARAMETER_(type, ...)      , type CACHE_PP_FIRST(__VA_ARGS__, ~)
#define CACHE_MEMO_TYPE_(type, ...)           type,
#define CACHE_MEMO_FIELD_(type, ...)          type CACHE_PP_FIRST(__VA_ARGS__, ~);
#define CACHE_MEMO_NAME_(type, ...)           , CACHE_PP_FIRST(__VA_ARGS__, ~)
#define CACHE_MEMO_PASS_(type, ...)           memo_call_->CACHE_PP_FIRST(__VA_ARGS__, ~),
#define CACHE_MEMO_STORE_(type, ...)          memo_call_.CACHE_PP_FIRST(__VA_ARGS__, ~) = CACHE_PP_FIRST(__VA_ARGS__, ~);
#define CACHE_MEMO_ADD_(type, ...)                                                                                     \
    CACHE_PP_SECOND(__VA_ARGS__, CACHE_MEMO_KEYED_, ~)(CACHE_PP_FIRST(__VA_ARGS__, ~))
#define CACHE_MEMO_IGNORED_(arg)              (void)(arg);
#define CACHE_MEMO_KEYED_(arg)                                                                                         \
    _Static_assert(_Generic((arg), CACHE_MEMO_KINDS_(1, 1, 1, 1, 1), default: 0),                                      \
                   "libcache: an argument of a memoized function must be a number, a bool or a string: "               \
                   "write CACHE_IGNORE(type, " #arg ") for one that is no part of the key");                           \
    _Generic((arg), CACHE_MEMO_KINDS_(cache_memo_bool, cache_memo_int, cache_memo_uint, cache_memo_double,             \
                                      cache_memo_text))(memo_key_, arg);
#define CACHE_MEMO_KINDS_(a_bool, an_int, a_uint, a_double, a_text)                                                    \
    bool: a_bool, char: an_int, signed char: an_int, short: an_int, int: an_int, long: an_int, long long: an_int,      \
    unsigned char: a_uint, unsigned short: a_uint, unsigned int: a_uint, unsigned long: a_uint,                        \
    unsigned long long: a_uint, float: a_double, double: a_double, char *: a_text, const char *: a_text

#define CACHE_MEMO_TTL_(function, seconds)                                                                             \
    static inline void function##_options_(cache_fetch_options *memo_options_)                                         \
    {                                                                                                                  \
        const cache_fetch_options init = CACHE_FETCH_OPTIONS_INIT;                                                     \
        *memo_options_ = init;                                                                                         \
        memo_options_->ttl = (seconds);                                                                                \
        memo_options_->name = #function;                                                                               \
    }
#define CACHE_MEMO_OPTIONS_(function, given)                                                                           \
    static inline void function##_options_(cache_fetch_options *memo_options_)                                         \
    {                                                                                                                  \
        *memo_options_ = *(given);                                                                                     \
        if (memo_options_->name == NULL)                                                                               \
            memo_options_->name = #function;                                                                           \
    }

/* The arguments kept for the computation, the key, and what needs no result. `...` is something, then the arguments. */
#define CACHE_MEMO_COMMON_(name, compute, result, type_size, ...)                                                      \
    struct name##_call_ {                                                                                              \
        CACHE_PP_TAIL(CACHE_MEMO_FIELD_, __VA_ARGS__)                                                                  \
        bool memo_computed_;                                                                                           \
        result *memo_result_;                                                                                          \
    };                                                                                                                 \
    static inline void name##_make_key_(cache_memo_key *memo_key_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__))   \
    {                                                                                                                  \
        _Static_assert(_Generic(&(compute), cache_status (*)(CACHE_PP_TAIL(CACHE_MEMO_TYPE_, __VA_ARGS__) result *): 1, \
                                default: 0),                                                                           \
                       "libcache: " #compute " must be: cache_status " #compute "(arguments..., " #result " *out)");   \
        cache_memo_begin(memo_key_, #name, #result, type_size);                                                        \
        CACHE_PP_TAIL(CACHE_MEMO_ADD_, __VA_ARGS__)                                                                    \
        cache_memo_end(memo_key_);                                                                                     \
    }                                                                                                                  \
    static inline cache_status name##_forget(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__))   \
    {                                                                                                                  \
        cache_memo_key memo_key_;                                                                                      \
        name##_make_key_(&memo_key_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__));                                     \
        return cache_memo_forget(memo_cache_, &memo_key_);                                                             \
    }                                                                                                                  \
    static inline cache_status name##_forget_all(cache_t *memo_cache_)                                                 \
    {                                                                                                                  \
        cache_memo_key memo_key_;                                                                                      \
        cache_memo_begin(&memo_key_, #name, #result, type_size);                                                       \
        return cache_memo_forget_all(memo_cache_, &memo_key_);                                                         \
    }                                                                                                                  \
    static inline cache_status name##_key(char *memo_buf_, size_t memo_cap_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__)) \
    {                                                                                                                  \
        cache_memo_key memo_key_;                                                                                      \
        name##_make_key_(&memo_key_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__));                                     \
        return cache_memo_copy_key(&memo_key_, memo_buf_, memo_cap_);                                                  \
    }

/* name and name_refresh, which differ by `force` alone: `get` makes one of them. */
#define CACHE_MEMO_CALLS_(name, result, ...)                                                                           \
    static inline cache_status name(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__), result *memo_out_) \
    {                                                                                                                  \
        return name##_get_(memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__), memo_out_, false);                \
    }                                                                                                                  \
    static inline cache_status name##_refresh(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),  \
                                              result *memo_out_)                                                       \
    {                                                                                                                  \
        return name##_get_(memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__), memo_out_, true);                 \
    }

/* It names all that the user may leave unused: compilers then see a use of each. */
#define CACHE_MEMO_BEGIN_GET_(name, result, ...)                                                                       \
    static inline cache_status name(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__), result *memo_out_); \
    static inline cache_status name##_refresh(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),  \
                                              result *memo_out_);                                                      \
    static inline cache_status name##_get_(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),     \
                                           result *memo_out_, bool memo_force_)                                        \
    {                                                                                                                  \
        struct name##_call_ memo_call_;                                                                                \
        cache_fetch_options memo_options_;                                                                             \
        cache_memo_key memo_key_;                                                                                      \
        CACHE_PP_TAIL(CACHE_MEMO_STORE_, __VA_ARGS__)                                                                  \
        (void)name, (void)name##_refresh, (void)name##_forget, (void)name##_forget_all, (void)name##_key;              \
        memo_call_.memo_computed_ = false;                                                                             \
        memo_call_.memo_result_ = memo_out_;                                                                           \
        name##_options_(&memo_options_);                                                                               \
        memo_options_.force = memo_options_.force || memo_force_;                                                      \
        name##_make_key_(&memo_key_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__));

#define CACHE_MEMO_PLAIN_(name, compute, result, ...)                                                                  \
    CACHE_MEMO_COMMON_(name, compute, result, sizeof(result), __VA_ARGS__)                                             \
    static inline cache_status name##_compute_(void *memo_ctx_, cache_writer *memo_out_)                               \
    {                                                                                                                  \
        const struct name##_call_ *memo_call_ = (const struct name##_call_ *)memo_ctx_;                                \
        result memo_made_;                                                                                             \
        cache_memo_zero(&memo_made_, sizeof memo_made_);                                                               \
        (void)memo_call_;                                                                                              \
        const cache_status memo_status_ = compute(CACHE_PP_TAIL(CACHE_MEMO_PASS_, __VA_ARGS__) &memo_made_);           \
        return memo_status_ == CACHE_OK ? cache_writer_append(memo_out_, &memo_made_, sizeof memo_made_) : memo_status_; \
    }                                                                                                                  \
    CACHE_MEMO_BEGIN_GET_(name, result, __VA_ARGS__)                                                                   \
        return cache_memo_fetch(memo_cache_, &memo_key_, #result, &memo_options_, name##_compute_, &memo_call_, memo_out_, sizeof(result)); \
    }                                                                                                                  \
    CACHE_MEMO_CALLS_(name, result, __VA_ARGS__)

#define CACHE_MEMO_STRING_(name, compute, ...)                                                                         \
    CACHE_MEMO_COMMON_(name, compute, char *, 0, __VA_ARGS__)                                                          \
    static inline cache_status name##_compute_(void *memo_ctx_, cache_writer *memo_out_)                               \
    {                                                                                                                  \
        const struct name##_call_ *memo_call_ = (const struct name##_call_ *)memo_ctx_;                                \
        char *memo_made_ = NULL;                                                                                       \
        (void)memo_call_;                                                                                              \
        const cache_status memo_status_ = compute(CACHE_PP_TAIL(CACHE_MEMO_PASS_, __VA_ARGS__) &memo_made_);           \
        return memo_status_ == CACHE_OK ? cache_memo_put_text(memo_out_, memo_made_) : memo_status_;                   \
    }                                                                                                                  \
    CACHE_MEMO_BEGIN_GET_(name, char *, __VA_ARGS__)                                                                   \
        return cache_memo_fetch_text(memo_cache_, &memo_key_, &memo_options_, name##_compute_, &memo_call_, memo_out_); \
    }                                                                                                                  \
    CACHE_MEMO_CALLS_(name, char *, __VA_ARGS__)

/* A result that this very call computed is handed out as it is: it was encoded for the others. */
#define CACHE_MEMO_CODEC_(name, compute, result, encode, decode, ...)                                                  \
    CACHE_MEMO_COMMON_(name, compute, result, sizeof(result), __VA_ARGS__)                                             \
    static inline cache_status name##_compute_(void *memo_ctx_, cache_writer *memo_out_)                               \
    {                                                                                                                  \
        struct name##_call_ *memo_call_ = (struct name##_call_ *)memo_ctx_;                                            \
        const cache_status memo_status_ = compute(CACHE_PP_TAIL(CACHE_MEMO_PASS_, __VA_ARGS__) memo_call_->memo_result_); \
        memo_call_->memo_computed_ = memo_status_ == CACHE_OK;                                                         \
        return memo_status_ == CACHE_OK ? encode(memo_call_->memo_result_, memo_out_) : memo_status_;                  \
    }                                                                                                                  \
    CACHE_MEMO_BEGIN_GET_(name, result, __VA_ARGS__)                                                                   \
        cache_value memo_value_;                                                                                       \
        cache_status memo_status_ =                                                                                    \
            cache_memo_fetch_value(memo_cache_, &memo_key_, #result, &memo_options_, name##_compute_, &memo_call_, &memo_value_); \
        if (memo_call_.memo_computed_)                                                                                 \
            memo_status_ = CACHE_OK;                                                                                   \
        else if (memo_status_ == CACHE_OK)                                                                             \
            memo_status_ = decode(memo_value_.data, memo_value_.size, memo_out_);                                      \
        cache_value_release(&memo_value_);                                                                             \
        return memo_status_;                                                                                           \
    }                                                                                                                  \
    CACHE_MEMO_CALLS_(name, result, __VA_ARGS__)

#endif

#endif
