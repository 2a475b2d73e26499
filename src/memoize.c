/* memoize.c - the functions that CACHE_MEMOIZE calls: they build the key of a call and fetch its result. */
#include "fetch_internal.h"
#include "number.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys -------------------------------------------------------------------------------------------------------- */

enum {
    WHOLE_MAX = 60000,                 /* the whole key is stored as the type of the value, whose size has 16 bits */
    HEAD_SIZE = 200                    /* of a hashed key: the part that people can read */
};

/* The contents of a cache_memo_key. */
struct memo_key {
    cache_status status;               /* not CACHE_OK: the whole key could not be kept, and the function is computed at
                                        * each call */
    const char *function, *name;       /* counted as "function" or "function@name" */
    size_t size;                       /* bytes of the whole text */
    char *whole;                       /* the text, if it is longer than `text`; else NULL */
    size_t n_tags, tags_size;
    char text[CACHE_MAX_KEY + 1];
    char tag[128];                     /* the tag that forget_all invalidates */
    char tags[512];                    /* the tags of CACHE_TAG, one after the other, each with its NUL */
};

_Static_assert(sizeof(struct memo_key) <= sizeof(cache_memo_key), "a key fits into the room that the header makes");

static struct memo_key *inside(cache_memo_key *opaque)
{
    return (struct memo_key *)(void *)opaque->room;
}

/* Make room for `more` bytes, which do not fit into `text`: the key moves to `whole`. */
static bool make_room(struct memo_key *key, size_t more)
{
    if (key->status != CACHE_OK)
        return false;
    if (more > WHOLE_MAX - key->size) {
        key->status = cache_fail(CACHE_ERR_TOO_LARGE, "memoize: the arguments have more than %d bytes", WHOLE_MAX);
        return false;
    }
    if (key->whole == NULL) {
        key->whole = malloc(WHOLE_MAX + 1);
        if (key->whole != NULL)
            memcpy(key->whole, key->text, key->size);
        else
            key->status = cache_fail(CACHE_ERR_NOMEM, "memoize: out of memory for a key");
    }
    return key->whole != NULL;
}

static void put_slowly(struct memo_key *key, const char *text, size_t size)
{
    if (!make_room(key, size))
        return;
    char *to = key->whole != NULL ? key->whole : key->text;
    memcpy(to + key->size, text, size);
    key->size += size;
}

/* Append to the key. cache_memo_end appends the final NUL. */
static inline void append_to_key(struct memo_key *key, const char *text, size_t size)
{
    if (key->status == CACHE_OK && key->whole == NULL && size <= CACHE_MAX_KEY - key->size) {
        memcpy(key->text + key->size, text, size);
        key->size += size;
    } else
        put_slowly(key, text, size);
}

static inline void put_text(struct memo_key *key, const char *text)
{
    append_to_key(key, text, strlen(text));
}

static void put_number(struct memo_key *key, int64_t number)
{
    char text[NUMBER_MAX_SIZE + 1];
    append_to_key(key, text, cache_number_format(number, text));
}

static inline void put_letter(struct memo_key *key, char letter)
{
    append_to_key(key, &letter, 1);
}

static void release(struct memo_key *key)
{
    free(key->whole);
    key->whole = NULL;
}

void cache_memo_begin(cache_memo_key *opaque, const char *function, const char *name, const char *type, size_t size)
{
    struct memo_key *key = inside(opaque);
    key->status = CACHE_OK;
    key->function = function;
    key->name = name;
    key->size = 0;
    key->text[0] = '\0';
    key->whole = NULL;
    key->n_tags = key->tags_size = 0;
    put_text(key, "memo/");
    put_text(key, function);
    if (name != NULL) {
        put_text(key, "@");
        put_text(key, name);
    }
    put_text(key, "/");
    put_text(key, type);
    put_text(key, "/");
    put_number(key, (int64_t)size);
    const size_t tag_size = key->size < sizeof key->tag ? key->size : sizeof key->tag - 1;
    memcpy(key->tag, key->whole != NULL ? key->whole : key->text, tag_size);
    key->tag[tag_size] = '\0';
    put_text(key, "(");
}

void cache_memo_bool(cache_memo_key *opaque, char letter, bool argument)
{
    struct memo_key *key = inside(opaque);
    put_letter(key, letter);
    put_text(key, argument ? "1," : "0,");
}

void cache_memo_int(cache_memo_key *opaque, char letter, long long argument)
{
    struct memo_key *key = inside(opaque);
    put_letter(key, letter);
    put_number(key, argument);
    put_text(key, ",");
}

void cache_memo_uint(cache_memo_key *opaque, char letter, unsigned long long argument)
{
    struct memo_key *key = inside(opaque);
    char text[24];
    append_to_key(key, text, (size_t)snprintf(text, sizeof text, "%c%llu,", letter, argument));
}

/* Append the bits of the number, which do not depend on the locale. Both zeros give the same key, and so do all
 * NaNs. */
void cache_memo_double(cache_memo_key *opaque, char letter, double argument)
{
    struct memo_key *key = inside(opaque);
    uint64_t bits = 0;
    char text[24] = "nan,";
    if (argument == 0)
        argument = 0;
    memcpy(&bits, &argument, sizeof bits);
    if (argument == argument)
        (void)snprintf(text, sizeof text, "%016" PRIx64 ",", bits);
    put_letter(key, letter);
    put_text(key, text);
}

void cache_memo_text(cache_memo_key *opaque, char letter, const char *argument)
{
    struct memo_key *key = inside(opaque);
    put_letter(key, letter);
    if (argument == NULL) {
        put_text(key, "null,");
        return;
    }
    const size_t size = strlen(argument);
    put_number(key, (int64_t)size);
    put_text(key, ":");
    append_to_key(key, argument, size);
    put_text(key, ",");
}

/* If there is no room for a tag, the result is not stored: without the tag it could not be invalidated. */
void cache_memo_tag(cache_memo_key *opaque, const char *format, ...)
{
    struct memo_key *key = inside(opaque);
    const size_t room = sizeof key->tags - key->tags_size;
    va_list args;
    va_start(args, format);
    const int size = vsnprintf(key->tags + key->tags_size, room, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= room) {
        key->status = cache_fail(CACHE_ERR_TOO_LARGE, "memoize: the tags have more than %zu bytes", sizeof key->tags);
        return;
    }
    key->tags_size += (size_t)size + 1;
    key->n_tags++;
}

/* Finish the key. A hashed key ends with a digit, every other key with a bracket. Two calls may have the same hash;
 * `whole` tells them apart. */
void cache_memo_end(cache_memo_key *opaque)
{
    struct memo_key *key = inside(opaque);
    put_text(key, ")");
    (key->whole != NULL ? key->whole : key->text)[key->size] = '\0';
    if (key->whole == NULL || key->status != CACHE_OK)
        return;
    const XXH128_hash_t hash = XXH3_128bits(key->whole, key->size);
    (void)snprintf(key->text, sizeof key->text, "%.*s...#%016" PRIx64 "%016" PRIx64, HEAD_SIZE, key->whole,
                   hash.high64, hash.low64);
}

cache_status cache_memo_copy_key(cache_memo_key *opaque, char *buf, size_t cap)
{
    struct memo_key *key = inside(opaque);
    cache_status status = key->status;
    const size_t size = strlen(key->text);
    if (status == CACHE_OK && (size + 1 > cap || buf == NULL))
        status = cache_fail(CACHE_ERR_TOO_LARGE, "memoize: the key has more than %zu bytes", cap > 0 ? cap - 1 : 0);
    if (status == CACHE_OK)
        memcpy(buf, key->text, size + 1);
    release(key);
    return status;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* Collect the tags: those of the caller, of the arguments, and of the function. */
static cache_status collect_tags(const struct memo_key *key, const cache_fetch_options *options,
                                 const char *tags[CACHE_MAX_TAGS], size_t *n)
{
    const size_t given = options->tags != NULL ? options->n_tags : 0;
    *n = 0;
    if (given > CACHE_MAX_TAGS - 1 - key->n_tags) {
        *n = CACHE_MAX_TAGS + 1;    /* cache_fetch reports this, and computes */
        return CACHE_OK;
    }
    for (size_t i = 0; i < given; i++)
        tags[(*n)++] = options->tags[i];
    const char *at = key->tags;
    for (size_t i = 0; i < key->n_tags; i++, at += strlen(at) + 1)
        tags[(*n)++] = at;
    tags[(*n)++] = key->tag;
    return CACHE_OK;
}

static cache_status fetch(cache_t *cache, const struct memo_key *key, const char *type,
                          const cache_fetch_options *options, bool force, cache_compute_fn *compute, void *ctx,
                          cache_value *out)
{
    *out = (cache_value){ NULL, 0, NULL };
    const char *tags[CACHE_MAX_TAGS];
    char counted[CACHE_MAX_NAME + 1];
    cache_fetch_options given, all;
    cache_status status = cache_fetch_copy_options(&given, options);
    if (status != CACHE_OK)
        return status;
    all = given;
    all.force = given.force || force;
    all.name = key->function;
    if (key->name != NULL) {
        (void)snprintf(counted, sizeof counted, "%s@%s", key->function, key->name);
        all.name = counted;
    }
    all.tags = tags;
    all.type = key->whole != NULL ? key->whole : type;
    if (key->status == CACHE_OK)
        status = collect_tags(key, &given, tags, &all.n_tags);
    else {    /* neither read nor stored, but counted all the same */
        all.unless = true;
        all.n_tags = 0;
    }
    return status == CACHE_OK ? cache_fetch(cache, key->text, &all, compute, ctx, out) : status;
}

cache_status cache_memo_fetch_value(cache_t *cache, cache_memo_key *opaque, const char *type,
                                    const cache_fetch_options *options, cache_compute_fn *compute, void *ctx,
                                    cache_value *out)
{
    struct memo_key *key = inside(opaque);
    const cache_status status = fetch(cache, key, type, options, false, compute, ctx, out);
    release(key);
    return status;
}

cache_status cache_memo_fetch(cache_t *cache, cache_memo_key *opaque, const char *type,
                              const cache_fetch_options *options, cache_compute_fn *compute, void *ctx, void *out,
                              size_t size)
{
    struct memo_key *key = inside(opaque);
    cache_value value = { NULL, 0, NULL };
    cache_status status = CACHE_OK;
    if (out == NULL)
        status = cache_fail(CACHE_ERR_INVALID, "memoize: out is NULL");
    else
        status = fetch(cache, key, type, options, false, compute, ctx, &value);
    if (status == CACHE_OK && value.size != size) {
        /* A program with another definition of the type has stored this value. It is computed again, and never
         * misread. */
        cache_value_release(&value);
        status = fetch(cache, key, type, options, true, compute, ctx, &value);
    }
    if (status == CACHE_OK)
        memcpy(out, value.data, value.size < size ? value.size : size);
    cache_value_release(&value);
    release(key);
    return status;
}

cache_status cache_memo_fetch_text(cache_t *cache, cache_memo_key *opaque, const cache_fetch_options *options,
                                   cache_compute_fn *compute, void *ctx, char **out)
{
    struct memo_key *key = inside(opaque);
    cache_value value = { NULL, 0, NULL };
    cache_status status = CACHE_OK;
    if (out == NULL)
        status = cache_fail(CACHE_ERR_INVALID, "memoize: out is NULL");
    else {
        *out = NULL;
        status = fetch(cache, key, "char *", options, false, compute, ctx, &value);
    }
    if (status == CACHE_OK) {
        *out = malloc(value.size + 1);    /* not by the handle's allocator, because the caller frees it with free */
        if (*out != NULL)
            memcpy(*out, value.data, value.size + 1);
        else
            status = cache_fail(CACHE_ERR_NOMEM, "memoize: out of memory for a text of %zu bytes", value.size);
    }
    cache_value_release(&value);
    release(key);
    return status;
}

cache_status cache_memo_forget(cache_t *cache, cache_memo_key *opaque)
{
    struct memo_key *key = inside(opaque);
    /* A key that is too long was never stored. If memory ran out, it may have been stored earlier. */
    cache_status status = key->status == CACHE_ERR_TOO_LARGE ? CACHE_MISS : key->status;
    if (status == CACHE_OK)
        status = cache_delete(cache, key->text);
    release(key);
    return status;
}

cache_status cache_memo_forget_all(cache_t *cache, cache_memo_key *opaque)
{
    struct memo_key *key = inside(opaque);
    release(key);
    return cache_invalidate_tag(cache, key->tag);
}

cache_status cache_memo_put_text(cache_writer *out, char *text)
{
    const cache_status status = text != NULL ? cache_writer_puts(out, text) : CACHE_MISS;
    free(text);
    return status;
}

void cache_memo_zero(void *result, size_t size)
{
    memset(result, 0, size);
}

/* ---- a call for another thread ----------------------------------------------------------------------------------- */

void *cache_memo_copy_call(const void *call, size_t size)
{
    void *copy = malloc(size);
    if (copy != NULL)
        memcpy(copy, call, size);
    return copy;
}

/* Copy by memcpy, since the variable may be a char * or a const char *. */
bool cache_memo_copy_text(void *text)
{
    const char *from = NULL;
    memcpy(&from, text, sizeof from);
    char *copy = from != NULL ? strdup(from) : NULL;
    memcpy(text, &copy, sizeof copy);
    return from == NULL || copy != NULL;
}

void cache_memo_free_text(void *text)
{
    char *copy = NULL;
    memcpy(&copy, text, sizeof copy);
    free(copy);
}

void cache_memo_free_call(void *call)
{
    free(call);
}
