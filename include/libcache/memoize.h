/* libcache/memoize.h - wrap an expensive function with a macro.
 *
 *     static cache_status load_product(int id, struct product *out);          (an ordinary function)
 *     CACHE_MEMOIZE(get_product, load_product, 60, struct product, (int, id))
 *
 *     get_product(cache, 42, &p);            runs load_product at most once a minute per id
 *     get_product_forget(cache, 42);         after an update
 *
 * The macros define small static typed functions, which call the functions declared below. They are C only: C++
 * programs use libcache::handle::fetch of cache.hpp. */
#ifndef LIBCACHE_MEMOIZE_H
#define LIBCACHE_MEMOIZE_H

#include <libcache/cache.h>
#include <libcache/preprocess.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the macros call ---------------------------------------------------------------------------------------- */

/* The key of one call. It contains the function's name, the result's type and size, and each argument with a letter for
 * its type; a text argument also with its length. So 0, "", false and NULL give different keys; so do int and long, and
 * same-named functions with different result types. A key longer than CACHE_MAX_KEY is replaced by its readable
 * beginning and a hash. The whole key is then stored with the result and compared, so two calls never share a
 * result. */
typedef struct cache_memo_key {
    uint64_t room[640];                /* used by the library; large enough for later versions */
} cache_memo_key;

/* Make the key of one call: begin, each argument by its type, the tags, end. */
void cache_memo_begin(cache_memo_key *key, const char *function, const char *name, const char *type, size_t size);
void cache_memo_bool(cache_memo_key *key, char letter, bool argument);
void cache_memo_int(cache_memo_key *key, char letter, long long argument);
void cache_memo_uint(cache_memo_key *key, char letter, unsigned long long argument);
void cache_memo_double(cache_memo_key *key, char letter, double argument);
void cache_memo_text(cache_memo_key *key, char letter, const char *argument);
void cache_memo_tag(cache_memo_key *key, const char *format, ...);
void cache_memo_end(cache_memo_key *key);

/* Call cache_fetch, and copy the result of `size` bytes to `out`, or a text to a new copy that the caller frees. Each
 * of these functions, and of the three that follow them, releases the key: it cannot be used again. */
cache_status cache_memo_fetch(cache_t *cache, cache_memo_key *key, const char *type, const cache_fetch_options *options,
                              cache_compute_fn *compute, void *ctx, void *out, size_t size);
cache_status cache_memo_fetch_text(cache_t *cache, cache_memo_key *key, const cache_fetch_options *options,
                                   cache_compute_fn *compute, void *ctx, char **out);
cache_status cache_memo_fetch_value(cache_t *cache, cache_memo_key *key, const char *type,
                                    const cache_fetch_options *options, cache_compute_fn *compute, void *ctx,
                                    cache_value *out);
cache_status cache_memo_forget(cache_t *cache, cache_memo_key *key);
cache_status cache_memo_forget_all(cache_t *cache, cache_memo_key *key);
cache_status cache_memo_copy_key(cache_memo_key *key, char *buf, size_t cap);

cache_status cache_memo_put_text(cache_writer *out, char *text);    /* appends and frees it; NULL is CACHE_MISS */
void cache_memo_zero(void *result, size_t size);                     /* including padding, since it is stored */

/* Copy and free a call for another thread: its arguments, with copies of the texts. */
void *cache_memo_copy_call(const void *call, size_t size);
bool cache_memo_copy_text(void *text);                               /* a char * or const char *; false: no memory */
void cache_memo_free_text(void *text);
void cache_memo_free_call(void *call);

#ifdef __cplusplus
}

#define CACHE_MEMO_NOT_IN_CPP_                                                                                         \
    static_assert(false, "libcache: CACHE_MEMOIZE is C; in C++ use libcache::handle::fetch of <libcache/cache.hpp>");
#define CACHE_MEMOIZE(...)             CACHE_MEMO_NOT_IN_CPP_
#define CACHE_MEMOIZE_WITH(...)        CACHE_MEMO_NOT_IN_CPP_
#define CACHE_MEMOIZE_STRING(...)      CACHE_MEMO_NOT_IN_CPP_
#define CACHE_MEMOIZE_STRING_WITH(...) CACHE_MEMO_NOT_IN_CPP_
#define CACHE_MEMOIZE_CODEC(...)       CACHE_MEMO_NOT_IN_CPP_
#define CACHE_MEMOIZE_CODEC_WITH(...)  CACHE_MEMO_NOT_IN_CPP_
#define CACHE_IGNORE(type, arg)        (type, arg)
#define CACHE_SHARED(type, arg)        (type, arg)
#define CACHE_TAG(...)                 (__VA_ARGS__)

#else

/* ---- memoize ----------------------------------------------------------------------------------------------------- *
 *
 * CACHE_MEMOIZE(name, compute, ttl, result_type, (type, arg), …) defines, for a function
 * `cache_status compute(args…, result_type *)`:
 *
 *     cache_status name(cache_t *, args…, result_type *out);      sets `*out` on CACHE_OK; returns as cache_fetch
 *     cache_status name_forget(cache_t *, args…);                 CACHE_MISS: there was no result
 *     cache_status name_forget_all(cache_t *);
 *     cache_status name_refresh(cache_t *, args…, result_type *out);      recomputes and stores
 *     cache_status name_key(args…, char *buf, size_t cap);        the key; CACHE_ERR_TOO_LARGE
 *
 * The result is a number or a struct without pointers. Any of these functions may stay unused. With a NULL cache the
 * result is computed. The list has up to 12 of:
 *
 *     (type, arg)                  a number, a bool or a char * (compared as text), which is part of the key
 *     CACHE_IGNORE(type, arg)      an argument of any type, which is not part of the key
 *     CACHE_SHARED(type, arg)      the same, if any thread may use it and it outlives the cache: a pool, settings
 *     CACHE_TAG(format, …)         stores the result under this tag, which is printed from the arguments as by printf:
 *                                  CACHE_TAG("post:%d", id). All tags of a call together have less than 512 bytes
 *
 * CACHE_MEMOIZE_WITH takes a `const cache_fetch_options *` instead of the ttl. Its tags are added to those of the list.
 * Its `name` becomes part of the key: give one if static functions in two files have the same name and signature, and
 * change it when the meaning of the result changes. Statistics count under "function@name", or "function" without a
 * name. With `stale` and cache_config.spawn, a stale result is recomputed in the background from copies of the
 * arguments, unless there is a CACHE_IGNORE argument, which belongs to the caller. A call with more than 60 KB of
 * arguments is computed each time. */
#define CACHE_MEMOIZE(name, compute, ttl, ...)                                                                         \
    CACHE_MEMO_DEFINE_(CACHE_MEMO_FAULT_(__VA_ARGS__), CACHE_MEMO_PLAIN_TTL_, name, compute, ttl, __VA_ARGS__)
#define CACHE_MEMOIZE_WITH(name, compute, options, ...)                                                                \
    CACHE_MEMO_DEFINE_(CACHE_MEMO_FAULT_(__VA_ARGS__), CACHE_MEMO_PLAIN_WITH_, name, compute, options, __VA_ARGS__)

/* CACHE_MEMOIZE_STRING(name, compute, ttl, (type, arg), …): compute(args…, char **out) sets `*out` to a text from
 * malloc, which the library frees, or to NULL if there is none. name(cache, args…, char **out) sets `*out` to a copy,
 * which the caller frees. */
#define CACHE_MEMOIZE_STRING(name, compute, ...)                                                                       \
    CACHE_MEMO_DEFINE_(CACHE_MEMO_FAULT_(__VA_ARGS__), CACHE_MEMO_STRING_TTL_, name, compute, __VA_ARGS__)
#define CACHE_MEMOIZE_STRING_WITH(name, compute, ...)                                                                  \
    CACHE_MEMO_DEFINE_(CACHE_MEMO_FAULT_(__VA_ARGS__), CACHE_MEMO_STRING_OPTIONS_, name, compute, __VA_ARGS__)

/* CACHE_MEMOIZE_CODEC(name, compute, ttl, type, encode, decode, (type, arg), …), for results that hold pointers:
 *
 *     cache_status encode(const type *, cache_writer *);
 *     cache_status decode(const void *data, size_t size, type *out);      on an error, `*out` must hold nothing
 *
 * `*out` comes from compute or from decode; the caller releases both in the same way. A stale result is recomputed by a
 * caller, and never in the background, where nobody would release it. */
#define CACHE_MEMOIZE_CODEC(name, compute, ttl, type, encode, ...)                                                     \
    CACHE_MEMO_DEFINE_(CACHE_MEMO_FAULT_(__VA_ARGS__), CACHE_MEMO_CODEC_TTL_, name, compute, ttl, type, encode,        \
                       __VA_ARGS__)
#define CACHE_MEMOIZE_CODEC_WITH(name, compute, options, type, encode, ...)                                            \
    CACHE_MEMO_DEFINE_(CACHE_MEMO_FAULT_(__VA_ARGS__), CACHE_MEMO_CODEC_OPTIONS_, name, compute, options, type,        \
                       encode, __VA_ARGS__)

#define CACHE_IGNORE(type, arg) (type, arg, IGNORED_)
#define CACHE_SHARED(type, arg) (type, arg, SHARED_)
#define CACHE_TAG(...)          ((__VA_ARGS__), ~, TAG_)

/* ---- the macros' insides ----------------------------------------------------------------------------------------- */

/* Finds a wrong list, whose first element precedes the arguments (a result's type, a ttl, a decode function). The
 * compiler then prints one sentence, instead of the hundreds of errors that the definitions would cause. */
#define CACHE_MEMO_FAULT_(...)                                                                                         \
    CACHE_PP_CAT(CACHE_MEMO_FAULT_, CACHE_PP_CAT(CACHE_PP_IS_LIST(CACHE_PP_FIRST(__VA_ARGS__, ~)),                     \
                                                 CACHE_PP_TAIL_IN_BRACKETS(__VA_ARGS__)))
#define CACHE_MEMO_FAULT_01                   NONE_
#define CACHE_MEMO_FAULT_00                   BRACKETS_
#define CACHE_MEMO_FAULT_10                   TTL_
#define CACHE_MEMO_FAULT_11                   TTL_
#define CACHE_MEMO_FAULT_0MANY                MANY_
#define CACHE_MEMO_FAULT_1MANY                MANY_

#define CACHE_MEMO_DEFINE_(fault, define, ...) CACHE_PP_CAT(CACHE_MEMO_IF_, fault)(define, __VA_ARGS__)
#define CACHE_MEMO_IF_NONE_(define, ...)      define(__VA_ARGS__)
#define CACHE_MEMO_IF_BRACKETS_(define, name, ...)                                                                     \
    _Static_assert(0, "libcache: " #name ": write each argument in brackets with its type: (int, id)");
#define CACHE_MEMO_IF_TTL_(define, name, ...)                                                                          \
    _Static_assert(0, "libcache: " #name ": something is missing before the arguments, such as the ttl: "              \
                      "CACHE_MEMOIZE(name, compute, ttl, result_type, (int, id))");
#define CACHE_MEMO_IF_MANY_(define, name, ...)                                                                         \
    _Static_assert(0, "libcache: " #name ": a memoized function has at most 12 arguments and tags");

#define CACHE_MEMO_PLAIN_TTL_(name, compute, ttl, ...)                                                                 \
    CACHE_MEMO_TTL_(name, ttl)                                                                                         \
    CACHE_MEMO_PLAIN_(name, compute, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)
#define CACHE_MEMO_PLAIN_WITH_(name, compute, options, ...)                                                            \
    CACHE_MEMO_OPTIONS_(name, options)                                                                                 \
    CACHE_MEMO_PLAIN_(name, compute, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)
#define CACHE_MEMO_STRING_TTL_(name, compute, ...)                                                                     \
    CACHE_MEMO_TTL_(name, CACHE_PP_FIRST(__VA_ARGS__, ~))                                                              \
    CACHE_MEMO_STRING_(name, compute, __VA_ARGS__)
#define CACHE_MEMO_STRING_OPTIONS_(name, compute, ...)                                                                 \
    CACHE_MEMO_OPTIONS_(name, CACHE_PP_FIRST(__VA_ARGS__, ~))                                                          \
    CACHE_MEMO_STRING_(name, compute, __VA_ARGS__)
#define CACHE_MEMO_CODEC_TTL_(name, compute, ttl, type, encode, ...)                                                   \
    CACHE_MEMO_TTL_(name, ttl)                                                                                         \
    CACHE_MEMO_CODEC_(name, compute, type, encode, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)
#define CACHE_MEMO_CODEC_OPTIONS_(name, compute, options, type, encode, ...)                                           \
    CACHE_MEMO_OPTIONS_(name, options)                                                                                 \
    CACHE_MEMO_CODEC_(name, compute, type, encode, CACHE_PP_FIRST(__VA_ARGS__, ~), __VA_ARGS__)

/* Each of these expands one tuple, (type, arg) or (type, arg, kind). A tag has no argument, so only ADD expands it. */
#define CACHE_MEMO_AS_(what, type, ...)                                                                                \
    CACHE_PP_CAT(what, CACHE_PP_SECOND(__VA_ARGS__, KEYED_, ~))(type, CACHE_PP_FIRST(__VA_ARGS__, ~))

#define CACHE_MEMO_PARAMETER_(...)            CACHE_MEMO_AS_(CACHE_MEMO_PARAMETER_, __VA_ARGS__)
#define CACHE_MEMO_PARAMETER_KEYED_(type, arg) , type arg
#define CACHE_MEMO_PARAMETER_IGNORED_          CACHE_MEMO_PARAMETER_KEYED_
#define CACHE_MEMO_PARAMETER_SHARED_           CACHE_MEMO_PARAMETER_KEYED_
#define CACHE_MEMO_PARAMETER_TAG_(format, arg)

#define CACHE_MEMO_LEADING_(...)              CACHE_MEMO_AS_(CACHE_MEMO_LEADING_, __VA_ARGS__)
#define CACHE_MEMO_LEADING_KEYED_(type, arg)   type arg,
#define CACHE_MEMO_LEADING_IGNORED_            CACHE_MEMO_LEADING_KEYED_
#define CACHE_MEMO_LEADING_SHARED_             CACHE_MEMO_LEADING_KEYED_
#define CACHE_MEMO_LEADING_TAG_(format, arg)

#define CACHE_MEMO_TYPE_(...)                 CACHE_MEMO_AS_(CACHE_MEMO_TYPE_, __VA_ARGS__)
#define CACHE_MEMO_TYPE_KEYED_(type, arg)      type,
#define CACHE_MEMO_TYPE_IGNORED_               CACHE_MEMO_TYPE_KEYED_
#define CACHE_MEMO_TYPE_SHARED_                CACHE_MEMO_TYPE_KEYED_
#define CACHE_MEMO_TYPE_TAG_(format, arg)

#define CACHE_MEMO_FIELD_(...)                CACHE_MEMO_AS_(CACHE_MEMO_FIELD_, __VA_ARGS__)
#define CACHE_MEMO_FIELD_KEYED_(type, arg)     type arg;
#define CACHE_MEMO_FIELD_IGNORED_              CACHE_MEMO_FIELD_KEYED_
#define CACHE_MEMO_FIELD_SHARED_               CACHE_MEMO_FIELD_KEYED_
#define CACHE_MEMO_FIELD_TAG_(format, arg)

#define CACHE_MEMO_NAME_(...)                 CACHE_MEMO_AS_(CACHE_MEMO_NAME_, __VA_ARGS__)
#define CACHE_MEMO_NAME_KEYED_(type, arg)      , arg
#define CACHE_MEMO_NAME_IGNORED_               CACHE_MEMO_NAME_KEYED_
#define CACHE_MEMO_NAME_SHARED_                CACHE_MEMO_NAME_KEYED_
#define CACHE_MEMO_NAME_TAG_(format, arg)

#define CACHE_MEMO_PASS_(...)                 CACHE_MEMO_AS_(CACHE_MEMO_PASS_, __VA_ARGS__)
#define CACHE_MEMO_PASS_KEYED_(type, arg)      memo_call_->arg,
#define CACHE_MEMO_PASS_IGNORED_               CACHE_MEMO_PASS_KEYED_
#define CACHE_MEMO_PASS_SHARED_                CACHE_MEMO_PASS_KEYED_
#define CACHE_MEMO_PASS_TAG_(format, arg)

#define CACHE_MEMO_STORE_(...)                CACHE_MEMO_AS_(CACHE_MEMO_STORE_, __VA_ARGS__)
#define CACHE_MEMO_STORE_KEYED_(type, arg)     memo_call_.arg = arg;
#define CACHE_MEMO_STORE_IGNORED_(type, arg)   memo_call_.arg = arg, memo_choices_.ctx_copy = NULL;
#define CACHE_MEMO_STORE_SHARED_               CACHE_MEMO_STORE_KEYED_
#define CACHE_MEMO_STORE_TAG_(format, arg)

#define CACHE_MEMO_COPY_(...)                 CACHE_MEMO_AS_(CACHE_MEMO_COPY_, __VA_ARGS__)
#define CACHE_MEMO_COPY_KEYED_(type, arg)                                                                              \
    memo_whole_ = CACHE_MEMO_IS_TEXT_(memo_call_->arg) && !cache_memo_copy_text(&memo_call_->arg) ? false : memo_whole_;
#define CACHE_MEMO_COPY_IGNORED_(type, arg)
#define CACHE_MEMO_COPY_SHARED_(type, arg)
#define CACHE_MEMO_COPY_TAG_(format, arg)

#define CACHE_MEMO_FREE_(...)                 CACHE_MEMO_AS_(CACHE_MEMO_FREE_, __VA_ARGS__)
#define CACHE_MEMO_FREE_KEYED_(type, arg)                                                                              \
    if (CACHE_MEMO_IS_TEXT_(memo_call_->arg))                                                                          \
        cache_memo_free_text(&memo_call_->arg);
#define CACHE_MEMO_FREE_IGNORED_(type, arg)
#define CACHE_MEMO_FREE_SHARED_(type, arg)
#define CACHE_MEMO_FREE_TAG_(format, arg)
#define CACHE_MEMO_IS_TEXT_(arg)              _Generic((arg), char *: true, const char *: true, default: false)

#define CACHE_MEMO_ADD_(...)                  CACHE_MEMO_AS_(CACHE_MEMO_ADD_, __VA_ARGS__)
#define CACHE_MEMO_ADD_KEYED_(type, arg)                                                                               \
    _Static_assert(_Generic((arg), CACHE_MEMO_KINDS_(1, 1, 1, 1, 1), default: 0),                                      \
                   "libcache: an argument of a memoized function must be a number, a bool or a string: "               \
                   "write CACHE_IGNORE(type, " #arg ") for one that is no part of the key");                           \
    _Generic((arg), CACHE_MEMO_KINDS_(cache_memo_bool, cache_memo_int, cache_memo_uint, cache_memo_double,             \
                                      cache_memo_text))(memo_key_, CACHE_MEMO_LETTER_(arg), arg);
#define CACHE_MEMO_ADD_IGNORED_(type, arg)     (void)(arg);
#define CACHE_MEMO_ADD_SHARED_                 CACHE_MEMO_ADD_IGNORED_
#define CACHE_MEMO_ADD_TAG_(format, arg)       cache_memo_tag(memo_key_, CACHE_PP_BARE format);

/* The letters are those of the Itanium C++ ABI's mangled names; T is a text. */
#define CACHE_MEMO_LETTER_(arg)                                                                                        \
    _Generic((arg), bool: 'b', char: 'c', signed char: 'a', short: 's', int: 'i', long: 'l', long long: 'x',           \
             unsigned char: 'h', unsigned short: 't', unsigned int: 'j', unsigned long: 'm', unsigned long long: 'y',  \
             float: 'f', double: 'd', char *: 'T', const char *: 'T', default: '?')
#define CACHE_MEMO_KINDS_(a_bool, an_int, a_uint, a_double, a_text)                                                    \
    bool: a_bool, char: an_int, signed char: an_int, short: an_int, int: an_int, long: an_int, long long: an_int,      \
    unsigned char: a_uint, unsigned short: a_uint, unsigned int: a_uint, unsigned long: a_uint,                        \
    unsigned long long: a_uint, float: a_double, double: a_double, char *: a_text, const char *: a_text

#define CACHE_MEMO_TTL_(function, seconds)                                                                             \
    static inline void function##_options_(cache_fetch_options *memo_choices_)                                         \
    {                                                                                                                  \
        _Static_assert(_Generic((seconds), cache_fetch_options *: 0, const cache_fetch_options *: 0, default: 1),      \
                       "libcache: " #function ": the ttl must be seconds; the macros that end in _WITH take options"); \
        const cache_fetch_options init = CACHE_FETCH_OPTIONS_INIT;                                                     \
        *memo_choices_ = init;                                                                                         \
        memo_choices_->ttl = (seconds);                                                                                \
    }                                                                                                                  \
    static inline const char *function##_name_(void)                                                                   \
    {                                                                                                                  \
        return NULL;                                                                                                   \
    }
#define CACHE_MEMO_OPTIONS_(function, given)                                                                           \
    static inline void function##_options_(cache_fetch_options *memo_choices_)                                         \
    {                                                                                                                  \
        *memo_choices_ = *(given);                                                                                     \
    }                                                                                                                  \
    static inline const char *function##_name_(void)                                                                   \
    {                                                                                                                  \
        return (given)->name;                                                                                          \
    }

/* Defines the struct that holds the arguments of a call, the key, and all functions that return no result. `...` is one
 * element that is ignored, followed by the arguments. */
#define CACHE_MEMO_COMMON_(name, compute, result, type_size, ...)                                                      \
    struct name##_call_ {                                                                                              \
        CACHE_PP_TAIL(CACHE_MEMO_FIELD_, __VA_ARGS__)                                                                  \
        bool memo_computed_;                                                                                           \
        result *memo_result_;                                                                                          \
    };                                                                                                                 \
    static inline void name##_make_key_(cache_memo_key *memo_key_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__))   \
    {                                                                                                                  \
        _Static_assert(_Generic(&(compute),                                                                            \
                                cache_status (*)(CACHE_PP_TAIL(CACHE_MEMO_TYPE_, __VA_ARGS__) result *): 1,            \
                                default: 0),                                                                           \
                       "libcache: " #compute " must be: cache_status " #compute "(arguments..., " #result " *out)");   \
        cache_memo_begin(memo_key_, #name, name##_name_(), #result, type_size);                                        \
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
        cache_memo_begin(&memo_key_, #name, name##_name_(), #result, type_size);                                       \
        return cache_memo_forget_all(memo_cache_, &memo_key_);                                                         \
    }                                                                                                                  \
    static inline cache_status name##_key(CACHE_PP_TAIL(CACHE_MEMO_LEADING_, __VA_ARGS__)                              \
                                          char *memo_buf_, size_t memo_cap_)                                           \
    {                                                                                                                  \
        cache_memo_key memo_key_;                                                                                      \
        name##_make_key_(&memo_key_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__));                                     \
        return cache_memo_copy_key(&memo_key_, memo_buf_, memo_cap_);                                                  \
    }

/* Defines name and name_refresh, which differ only in `force`. */
#define CACHE_MEMO_CALLS_(name, result, ...)                                                                           \
    static inline cache_status name(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),            \
                                    result *memo_out_)                                                                 \
    {                                                                                                                  \
        return name##_get_(memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__), memo_out_, false);                \
    }                                                                                                                  \
    static inline cache_status name##_refresh(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),  \
                                              result *memo_out_)                                                       \
    {                                                                                                                  \
        return name##_get_(memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__), memo_out_, true);                 \
    }

/* Begins the function that both of them call. It names every function that the program may leave unused, so that
 * compilers do not warn. */
#define CACHE_MEMO_BEGIN_GET_(name, result, copy, release, ...)                                                        \
    static inline cache_status name(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),            \
                                    result *memo_out_);                                                                \
    static inline cache_status name##_refresh(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),  \
                                              result *memo_out_);                                                      \
    static inline cache_status name##_get_(cache_t *memo_cache_ CACHE_PP_TAIL(CACHE_MEMO_PARAMETER_, __VA_ARGS__),     \
                                           result *memo_out_, bool memo_force_)                                        \
    {                                                                                                                  \
        struct name##_call_ memo_call_;                                                                                \
        cache_fetch_options memo_choices_;                                                                             \
        cache_memo_key memo_key_;                                                                                      \
        (void)name, (void)name##_refresh, (void)name##_forget, (void)name##_forget_all, (void)name##_key;              \
        name##_options_(&memo_choices_);                                                                               \
        memo_choices_.force = memo_choices_.force || memo_force_;                                                      \
        memo_choices_.ctx_copy = copy;                                                                                 \
        memo_choices_.ctx_free = release;                                                                              \
        CACHE_PP_TAIL(CACHE_MEMO_STORE_, __VA_ARGS__)                                                                  \
        memo_call_.memo_computed_ = false;                                                                             \
        memo_call_.memo_result_ = memo_out_;                                                                           \
        name##_make_key_(&memo_key_ CACHE_PP_TAIL(CACHE_MEMO_NAME_, __VA_ARGS__));

/* Defines how a call is copied for a background thread, and how the copy is freed. */
#define CACHE_MEMO_COPIES_(name, ...)                                                                                  \
    static inline void name##_free_(void *memo_ctx_)                                                                   \
    {                                                                                                                  \
        struct name##_call_ *memo_call_ = (struct name##_call_ *)memo_ctx_;                                            \
        CACHE_PP_TAIL(CACHE_MEMO_FREE_, __VA_ARGS__)                                                                   \
        cache_memo_free_call(memo_call_);                                                                              \
    }                                                                                                                  \
    static inline void *name##_copy_(void *memo_ctx_)                                                                  \
    {                                                                                                                  \
        struct name##_call_ *memo_call_ = (struct name##_call_ *)cache_memo_copy_call(memo_ctx_, sizeof *memo_call_);  \
        bool memo_whole_ = true;                                                                                       \
        if (memo_call_ == NULL)                                                                                        \
            return NULL;                                                                                               \
        CACHE_PP_TAIL(CACHE_MEMO_COPY_, __VA_ARGS__)                                                                   \
        if (memo_whole_)                                                                                               \
            return memo_call_;                                                                                         \
        name##_free_(memo_call_);                                                                                      \
        return NULL;                                                                                                   \
    }

#define CACHE_MEMO_PLAIN_(name, compute, result, ...)                                                                  \
    CACHE_MEMO_COMMON_(name, compute, result, sizeof(result), __VA_ARGS__)                                             \
    CACHE_MEMO_COPIES_(name, __VA_ARGS__)                                                                              \
    static inline cache_status name##_compute_(void *memo_ctx_, cache_writer *memo_out_)                               \
    {                                                                                                                  \
        const struct name##_call_ *memo_call_ = (const struct name##_call_ *)memo_ctx_;                                \
        _Static_assert(_Generic((result *)0, char **: 0, const char **: 0, void **: 0, const void **: 0, default: 1),  \
                       "libcache: the result of " #compute " is a pointer, which cannot be stored: "                   \
                       "CACHE_MEMOIZE_STRING stores a text, CACHE_MEMOIZE_CODEC what else holds pointers");            \
        result memo_made_;                                                                                             \
        cache_memo_zero(&memo_made_, sizeof memo_made_);                                                               \
        (void)memo_call_;                                                                                              \
        const cache_status memo_status_ = compute(CACHE_PP_TAIL(CACHE_MEMO_PASS_, __VA_ARGS__) &memo_made_);           \
        if (memo_status_ != CACHE_OK)                                                                                  \
            return memo_status_;                                                                                       \
        return cache_writer_append(memo_out_, &memo_made_, sizeof memo_made_);                                         \
    }                                                                                                                  \
    CACHE_MEMO_BEGIN_GET_(name, result, name##_copy_, name##_free_, __VA_ARGS__)                                       \
        return cache_memo_fetch(memo_cache_, &memo_key_, #result, &memo_choices_, name##_compute_, &memo_call_,        \
                                memo_out_, sizeof(result));                                                            \
    }                                                                                                                  \
    CACHE_MEMO_CALLS_(name, result, __VA_ARGS__)

#define CACHE_MEMO_STRING_(name, compute, ...)                                                                         \
    CACHE_MEMO_COMMON_(name, compute, char *, 0, __VA_ARGS__)                                                          \
    CACHE_MEMO_COPIES_(name, __VA_ARGS__)                                                                              \
    static inline cache_status name##_compute_(void *memo_ctx_, cache_writer *memo_out_)                               \
    {                                                                                                                  \
        const struct name##_call_ *memo_call_ = (const struct name##_call_ *)memo_ctx_;                                \
        char *memo_made_ = NULL;                                                                                       \
        (void)memo_call_;                                                                                              \
        const cache_status memo_status_ = compute(CACHE_PP_TAIL(CACHE_MEMO_PASS_, __VA_ARGS__) &memo_made_);           \
        return memo_status_ == CACHE_OK ? cache_memo_put_text(memo_out_, memo_made_) : memo_status_;                   \
    }                                                                                                                  \
    CACHE_MEMO_BEGIN_GET_(name, char *, name##_copy_, name##_free_, __VA_ARGS__)                                       \
        return cache_memo_fetch_text(memo_cache_, &memo_key_, &memo_choices_, name##_compute_, &memo_call_,            \
                                     memo_out_);                                                                       \
    }                                                                                                                  \
    CACHE_MEMO_CALLS_(name, char *, __VA_ARGS__)

/* If this call computed the result itself, it returns that result: the encoded copy is for the other callers. */
#define CACHE_MEMO_CODEC_(name, compute, result, encode, decode, ...)                                                  \
    CACHE_MEMO_COMMON_(name, compute, result, sizeof(result), __VA_ARGS__)                                             \
    static inline cache_status name##_compute_(void *memo_ctx_, cache_writer *memo_out_)                               \
    {                                                                                                                  \
        _Static_assert(_Generic(&(encode), cache_status (*)(const result *, cache_writer *): 1, default: 0),           \
                       "libcache: " #encode " must be: cache_status " #encode "(const " #result                        \
                       " *, cache_writer *)");                                                                         \
        _Static_assert(_Generic(&(decode), cache_status (*)(const void *, size_t, result *): 1, default: 0),           \
                       "libcache: " #decode " must be: cache_status " #decode "(const void *, size_t, " #result        \
                       " *)");                                                                                         \
        struct name##_call_ *memo_call_ = (struct name##_call_ *)memo_ctx_;                                            \
        const cache_status memo_status_ =                                                                              \
            compute(CACHE_PP_TAIL(CACHE_MEMO_PASS_, __VA_ARGS__) memo_call_->memo_result_);                            \
        memo_call_->memo_computed_ = memo_status_ == CACHE_OK;                                                         \
        return memo_status_ == CACHE_OK ? encode(memo_call_->memo_result_, memo_out_) : memo_status_;                  \
    }                                                                                                                  \
    CACHE_MEMO_BEGIN_GET_(name, result, NULL, NULL, __VA_ARGS__)                                                       \
        cache_value memo_value_;                                                                                       \
        cache_status memo_status_ =                                                                                    \
            cache_memo_fetch_value(memo_cache_, &memo_key_, #result, &memo_choices_, name##_compute_, &memo_call_,     \
                                   &memo_value_);                                                                      \
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
