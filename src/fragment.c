/* fragment.c - caches a part of a page, where it is written. */
#include "fetch_internal.h"
#include "number.h"

#include <string.h>

/* ---- keys -------------------------------------------------------------------------------------------------------- */

struct key_text {
    char *buf;
    size_t cap, size;
    bool fits;                         /* with its NUL */
};

static void put(struct key_text *key, const char *text, size_t size)
{
    key->fits = key->fits && size < key->cap - key->size;
    if (!key->fits)
        return;
    memcpy(key->buf + key->size, text, size);
    key->size += size;
    key->buf[key->size] = '\0';
}

/* A '/' is written as %2F, so that the name ends at the first '/', and a '%' as %25. */
static void put_name(struct key_text *key, const char *name)
{
    put(key, "fragment/", strlen("fragment/"));
    for (;;) {
        const size_t plain = strcspn(name, "/%");
        put(key, name, plain);
        name += plain;
        if (*name == '\0')
            return;
        put(key, *name++ == '/' ? "%2F" : "%25", 3);
    }
}

static void put_part(struct key_text *key, const char *part)
{
    char head[NUMBER_MAX_SIZE + 3] = "/n";
    if (part == NULL) {
        put(key, head, 2);
        return;
    }
    const size_t size = strlen(part), digits = cache_number_format((int64_t)size, head + 1);
    head[1 + digits] = ':';
    put(key, head, digits + 2);
    put(key, part, size);
}

/* Make "fragment/NAME", followed by the length and the text of each vary part. So no two lists of parts have the same
 * key. */
cache_status cache_fragment_key(const char *const parts[], size_t n, char *buf, size_t cap)
{
    if (buf == NULL || parts == NULL || n == 0 || parts[0] == NULL || parts[0][0] == '\0')
        return cache_fail(CACHE_ERR_INVALID, "fragment: %s", buf == NULL ? "buf is NULL" : "it has no name");
    struct key_text key = { buf, cap, 0, true };
    put_name(&key, parts[0]);
    for (size_t i = 1; i < n; i++)
        put_part(&key, parts[i]);
    if (!key.fits)
        return cache_fail(CACHE_ERR_TOO_LARGE, "fragment '%.40s': the key has more than %zu bytes", parts[0],
                          cap > 0 ? cap - 1 : 0);
    return CACHE_OK;
}

cache_status cache_fragment_forget(cache_t *cache, const char *const parts[], size_t n)
{
    char key[CACHE_MAX_KEY + 1];
    const cache_status status = cache_fragment_key(parts, n, key, sizeof key);
    return status == CACHE_OK ? cache_delete(cache, key) : status;
}

/* ---- rendering --------------------------------------------------------------------------------------------------- */

/* A running body whose text may be stored: a fetch whose computation is the code between begin and end. It is on the
 * heap and has its own handle, since a body that is left by return or goto ends with the writer. */
struct cache_rendering {
    struct cache_writer_cleanup_hook hook;
    struct fetch fetch;
    struct cache_full_key key;
    cache_value old;                   /* shown if the body fails */
    uint64_t begun_ns;
    struct cache_lease lease;          /* only used if it is held */
    bool leased, storable, shareable;
};

static struct cache_rendering *rendering_of(struct cache_writer_cleanup_hook *hook)
{
    return (struct cache_rendering *)(void *)hook;
}

static void free_rendering(struct cache_rendering *rendering)
{
    cache_t *cache = rendering->fetch.cache;
    cache_value_release(&rendering->old);
    cache_tags_release(cache, &rendering->fetch.tags);
    cache_env_free(&cache->store->env, rendering);
    cache_close(cache);
}

/* Ends a body that has no text to store. Callers that wait for it render the text themselves. */
static void abandon(struct cache_writer_cleanup_hook *hook)
{
    struct cache_rendering *rendering = rendering_of(hook);
    const struct cache_outcome outcome = { .status = CACHE_ERR_COMPUTE, .again = true };
    if (rendering->leased)
        (void)cache_lease_drop(rendering->fetch.cache, rendering->fetch.key, &rendering->lease);
    cache_flight_complete(rendering->fetch.flight, &outcome);
    free_rendering(rendering);
}

/* Move the fetch into a new rendering. Returns NULL if there is no memory; then the fetch is unchanged. */
static struct cache_rendering *new_rendering(struct fetch *fetch)
{
    const cache_env *env = &fetch->cache->store->env;
    struct cache_rendering *rendering = cache_env_alloc(env, sizeof *rendering);
    cache_t *cache = rendering != NULL ? cache_handle_copy(fetch->cache) : NULL;
    if (cache == NULL) {
        cache_env_free(env, rendering);
        return NULL;
    }
    rendering->hook = (struct cache_writer_cleanup_hook){ NULL, abandon };
    rendering->fetch = *fetch;
    rendering->fetch.cache = cache;
    rendering->fetch.key.data = memcpy(rendering->key.text, fetch->key.data, fetch->key.size + 1);
    rendering->old = (cache_value){ NULL, 0, NULL };
    fetch->tags = (struct cache_tags){ .n = 0 };
    return rendering;
}

/* Returns true if the fragment is inside itself, where it must not wait for itself. */
static bool renders_already(const cache_writer *out, const struct fetch *fetch)
{
    const cache_bytes key = fetch->key;
    for (struct cache_writer_cleanup_hook *hook = out->cleanup_hooks; hook != NULL; hook = hook->outer) {
        const struct fetch *other = &rendering_of(hook)->fetch;
        if (other->cache->store == fetch->cache->store && other->key.size == key.size &&
            memcmp(other->key.data, key.data, key.size) == 0)
            return true;
    }
    return false;
}

/* With `lock`, a text is only stored under a lease. If another process renders this, the threads that wait do not get
 * the text either: they may have come after a change of the key, of which this process does not know. If the store
 * fails, every process renders. */
static void take_lease(struct cache_rendering *rendering)
{
    const struct fetch *fetch = &rendering->fetch;
    rendering->leased = false;
    rendering->storable = rendering->shareable = true;
    if (!fetch->options.lock || (fetch->cache->store->ops.flags & CACHE_BACKEND_LOCAL))
        return;
    const cache_status status = cache_lease_take(fetch->cache, fetch->key, &fetch->present, fetch->lock_ms,
                                                 &rendering->lease);
    rendering->leased = rendering->storable = status == CACHE_OK;
    rendering->shareable = status != CACHE_NOT_STORED;
}

/* There is no fresh text. Wait for the text of another caller, or become the one that renders. Returns true if `*value`
 * is the text. */
static bool begin_rendering(cache_fragment *fragment, struct fetch *fetch, struct reading *reading, cache_value *value)
{
    cache_writer *out = fragment->out;
    struct cache_rendering *rendering = renders_already(out, fetch) ? NULL : new_rendering(fetch);
    if (rendering == NULL) {
        cache_value_release(&reading->value);
        cache_fetch_count_miss(fetch);
        return false;
    }
    const bool found = cache_fetch_wait_or_lead(&rendering->fetch, reading, value);
    if (found || rendering->fetch.flight == NULL) {
        if (!found)
            cache_value_release(&reading->value);
        free_rendering(rendering);
        return found;
    }
    take_lease(rendering);
    if (!rendering->shareable && (reading->found == FOUND_STALE || reading->found == FOUND_EARLY)) {
        const cache_status status = cache_fetch_return_value(&rendering->fetch, reading, value);
        abandon(&rendering->hook);
        return status == CACHE_OK;
    }
    cache_fetch_count_miss(&rendering->fetch);
    rendering->old = reading->value;
    rendering->storable = cache_fetch_prepare(&rendering->fetch) && rendering->storable;
    rendering->begun_ns = cache_now_ns();
    rendering->hook.outer = out->cleanup_hooks;
    out->cleanup_hooks = &rendering->hook;
    fragment->rendering = rendering;
    return false;
}

/* Returns true if `*value` is the text. If the key is invalid or the store fails, the body is rendered. */
static bool find(cache_fragment *fragment, cache_t *cache, const cache_fetch_options *options,
                 const char *const parts[], size_t n, cache_value *value)
{
    char key[CACHE_MAX_KEY + 1];
    struct cache_full_key full;
    struct fetch fetch;
    struct reading reading;
    cache_fetch_options named = CACHE_FETCH_OPTIONS_INIT;
    if (options != NULL)
        memcpy(&named, options, options->size < sizeof named ? options->size : sizeof named);
    if (named.name == NULL)
        named.name = n > 0 ? parts[0] : NULL;
    if (cache == NULL || cache_fragment_key(parts, n, key, sizeof key) != CACHE_OK ||
        cache_fetch_init(&fetch, cache, key, &named, &full, NULL) != CACHE_OK)
        return false;
    /* These options point into the caller's block, which may be gone later, so they are cleared. */
    fetch.options.tags = NULL;
    fetch.options.name = NULL;
    cache_fetch_lookup(&fetch, &reading);
    const bool found = reading.found == FOUND_FRESH ? cache_fetch_return_value(&fetch, &reading, value) == CACHE_OK
                                                    : begin_rendering(fragment, &fetch, &reading, value);
    cache_tags_release(cache, &fetch.tags);
    return found;
}

cache_fragment cache_fragment_begin(cache_t *cache, cache_writer *out, const cache_fetch_options *options,
                                    const char *const parts[], size_t n)
{
    cache_fragment fragment = { .out = out, .rendering = NULL, .running = cache_writer_status(out) == CACHE_OK };
    cache_value value = { NULL, 0, NULL };
    if (!fragment.running)
        return fragment;
    if (find(&fragment, cache, options, parts, n, &value)) {
        (void)cache_writer_append(out, value.data, value.size);
        cache_value_release(&value);
        fragment.running = false;
        return fragment;
    }
    fragment.begin = out->size;
    fragment.n_no_store = out->n_no_store;
    fragment.outer_failed = out->fragment_failed;
    out->fragment_failed = false;    /* also if a body failed and was then left by return */
    return fragment;
}

/* The body failed, so its text is removed. An old text is shown instead; if there is none, the surrounding page is
 * incomplete. */
static void take_back(const cache_fragment *fragment)
{
    cache_writer *out = fragment->out;
    const struct cache_rendering *rendering = fragment->rendering;
    if (out->size > fragment->begin)
        cache_writer_undo(out, out->size - fragment->begin);
    if (rendering != NULL && rendering->old.data != NULL && out->status == CACHE_OK)
        (void)cache_writer_append(out, rendering->old.data, rendering->old.size);
    else
        cache_writer_no_store(out);
}

/* Store the text; or if there is none, wake the callers that wait for it. */
static void store_rendering(const cache_fragment *fragment, cache_status status)
{
    struct cache_rendering *rendering = fragment->rendering;
    const cache_writer *out = fragment->out;
    const uint64_t took_ns = cache_now_ns() - rendering->begun_ns;
    cache_writer text;
    cache_writer_init(&text, rendering->fetch.cache->store->env.allocator);
    if (status == CACHE_OK)
        status = cache_writer_append(&text, cache_writer_data(out, NULL) + fragment->begin,
                                     out->size - fragment->begin);
    cache_fetch_finish(&rendering->fetch, rendering->leased ? &rendering->lease : NULL, &text, status, took_ns,
                       rendering->storable, rendering->shareable);
    cache_writer_release(&text);
    free_rendering(rendering);
}

void cache_fragment_end(cache_fragment *fragment)
{
    cache_writer *out = fragment->out;
    struct cache_rendering *rendering = fragment->rendering;
    fragment->running = false;
    if (rendering != NULL) {
        cache_writer_run_cleanup_hooks(out, &rendering->hook);
        out->cleanup_hooks = rendering->hook.outer;
    }
    const bool failed = out->fragment_failed || out->status != CACHE_OK;
    const bool refused = out->n_no_store != fragment->n_no_store;
    if (failed)
        take_back(fragment);
    if (rendering != NULL && failed)
        store_rendering(fragment, CACHE_ERR_COMPUTE);
    else if (rendering != NULL && fragment->whole && !refused)
        store_rendering(fragment, CACHE_OK);
    else if (rendering != NULL)
        abandon(&rendering->hook);
    out->fragment_failed = fragment->outer_failed;
}

void cache_fragment_fail(cache_writer *out)
{
    if (out != NULL)
        out->fragment_failed = true;
}
