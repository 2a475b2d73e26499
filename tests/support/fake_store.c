/* fake_store.c - a list under a mutex, and what tests need to look into it. */
#include "fake_store.h"

#include <pthread.h>

struct entry {
    struct entry *next;
    int64_t ttl_ms, deadline_ms;       /* 0: for ever */
    size_t key_size, size;
    char *key, *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;
static atomic_int calls[FAKE_OPS], failures[FAKE_OPS];
static fake_hook_fn *hook;
static void *hook_ctx;
static _Thread_local bool in_hook;

/* ---- the list, with the lock held ------------------------------------------------------------------------------ */

static struct entry **find(cache_bytes key)
{
    struct entry **at = &entries;
    while (*at != NULL && ((*at)->key_size != key.size || memcmp((*at)->key, key.data, key.size) != 0))
        at = &(*at)->next;
    return at;
}

static void drop(struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    free(entry->key);
    free(entry->data);
    free(entry);
}

static struct entry **find_live(const cache_env *env, cache_bytes key)
{
    struct entry **at = find(key);
    if (*at != NULL && (*at)->deadline_ms != 0 && cache_env_monotonic_ms(env) >= (*at)->deadline_ms)
        drop(at);
    return find(key);
}

static char *copy_of(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

static void put(cache_bytes key, cache_bytes value, int64_t ttl_ms, int64_t now_ms)
{
    struct entry **at = find(key);
    if (*at != NULL)
        drop(at);
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        abort();
    *entry = (struct entry){ entries, ttl_ms, ttl_ms != 0 ? now_ms + ttl_ms : 0, key.size, value.size,
                             copy_of(key.data, key.size), copy_of(value.data, value.size) };
    entries = entry;
}

/* ---- the operations -------------------------------------------------------------------------------------------- */

static cache_status enter(enum fake_op op, cache_bytes key)
{
    atomic_fetch_add(&calls[op], 1);
    if (hook != NULL && !in_hook) {
        in_hook = true;
        hook(hook_ctx, op, key);
        in_hook = false;
    }
    const cache_status told = (cache_status)atomic_load(&failures[op]);
    return told != CACHE_OK ? cache_fail(told, "fake: told to fail") : CACHE_OK;
}

static cache_status fake_open(const cache_backend_config *config, void **self)
{
    *self = (void *)(uintptr_t)config->env;
    return CACHE_OK;
}

static void fake_close(void *self)
{
    (void)self;
}

static cache_status read_entry(void *self, cache_bytes key, cache_writer *out)
{
    pthread_mutex_lock(&lock);
    struct entry *entry = *find_live(self, key);
    const cache_status status = entry == NULL ? CACHE_MISS : cache_writer_append(out, entry->data, entry->size);
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_get(void *self, cache_bytes key, cache_writer *out)
{
    const cache_status status = enter(FAKE_GET, key);
    return status == CACHE_OK ? read_entry(self, key, out) : status;
}

static cache_status fake_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    cache_status status = enter(FAKE_GET_MANY, keys[0]);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n && status == CACHE_OK; i++) {
        struct entry *entry = *find_live(self, keys[i]);
        if (entry != NULL)
            status = cache_results_put(out, i, entry->data, entry->size);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    cache_status status = enter(FAKE_SET, key);
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&lock);
    if ((flags & CACHE_SET_IF_ABSENT) && *find_live(self, key) != NULL)
        status = CACHE_NOT_STORED;
    else
        put(key, value, ttl_ms, cache_env_monotonic_ms(self));
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_remove(void *self, cache_bytes key)
{
    cache_status status = enter(FAKE_REMOVE, key);
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&lock);
    struct entry **at = find_live(self, key);
    status = *at != NULL ? CACHE_OK : CACHE_MISS;
    if (*at != NULL)
        drop(at);
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_set_many(void *self, const cache_bytes keys[], const cache_bytes values[], size_t n,
                                  int64_t ttl_ms)
{
    const cache_status status = enter(FAKE_SET_MANY, keys[0]);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n && status == CACHE_OK; i++)
        put(keys[i], values[i], ttl_ms, cache_env_monotonic_ms(self));
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_remove_many(void *self, const cache_bytes keys[], size_t n, size_t *removed)
{
    const cache_status status = enter(FAKE_REMOVE_MANY, keys[0]);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n && status == CACHE_OK; i++) {
        struct entry **at = find_live(self, keys[i]);
        *removed += *at != NULL;
        if (*at != NULL)
            drop(at);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    const cache_status status = enter(FAKE_INC, key);
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&lock);
    struct entry *entry = *find_live(self, key);
    char text[32];
    char *end = NULL;
    const long long before = entry != NULL ? strtoll(entry->data, &end, 10) : 0;
    if (entry != NULL && (end == entry->data || *end != '\0')) {
        pthread_mutex_unlock(&lock);
        return cache_fail(CACHE_ERR_TYPE, "fake: no number");
    }
    *result = delta + before;
    const int size = snprintf(text, sizeof text, "%lld", (long long)*result);
    put(key, (cache_bytes){ text, (size_t)size }, ttl_ms, cache_env_monotonic_ms(self));
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_clear(void *self, cache_bytes prefix)
{
    (void)self;
    const cache_status status = enter(FAKE_CLEAR, prefix);
    pthread_mutex_lock(&lock);
    for (struct entry **at = &entries; status == CACHE_OK && *at != NULL;) {
        if ((*at)->key_size >= prefix.size && memcmp((*at)->key, prefix.data, prefix.size) == 0)
            drop(at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static cache_status fake_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    const cache_status status = enter(FAKE_GET, key);
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&lock);
    const struct entry *entry = *find_live(self, key);
    if (entry != NULL)
        *left_ms = entry->deadline_ms != 0 ? entry->deadline_ms - cache_env_monotonic_ms(self) : 0;
    pthread_mutex_unlock(&lock);
    return read_entry(self, key, out);
}

/* One entry a step, by its number. */
static cache_status fake_list(void *self, cache_bytes prefix, cache_cursor *cursor, cache_list_key_fn *each, void *ctx)
{
    (void)self;
    char key[256] = "";
    const cache_status status = enter(FAKE_LIST, prefix);
    pthread_mutex_lock(&lock);
    const struct entry *entry = entries;
    for (uint64_t i = 0; i < cursor->at[0] && entry != NULL; i++)
        entry = entry->next;
    cursor->done = status == CACHE_OK && entry == NULL;
    cursor->at[0]++;
    const bool fits = status == CACHE_OK && entry != NULL && entry->key_size >= prefix.size &&
                      memcmp(entry->key, prefix.data, prefix.size) == 0;
    if (fits)
        (void)snprintf(key, sizeof key, "%s", entry->key);
    pthread_mutex_unlock(&lock);
    if (fits)
        each(ctx, (cache_bytes){ key, strlen(key) });
    return status;
}

static cache_status fake_ping(void *self)
{
    (void)self;
    return enter(FAKE_PING, (cache_bytes){ "", 0 });
}

static cache_status fake_compare_and_set(void *self, cache_bytes key, cache_bytes expected, cache_bytes value,
                                         int64_t ttl_ms)
{
    cache_status status = enter(FAKE_COMPARE_AND_SET, key);
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&lock);
    struct entry **at = find_live(self, key);
    if (*at == NULL || (*at)->size < expected.size || memcmp((*at)->data, expected.data, expected.size) != 0)
        status = CACHE_NOT_STORED;
    else if (value.data == NULL)
        drop(at);
    else
        put(key, value, ttl_ms, cache_env_monotonic_ms(self));
    pthread_mutex_unlock(&lock);
    return status;
}

#define OPERATIONS .open = fake_open, .close = fake_close, .get = fake_get, .set = fake_set, .remove = fake_remove, \
                   .inc = fake_inc, .clear = fake_clear, .get_many = fake_get_many

static const cache_backend_ops shared_ops = { .size = sizeof(cache_backend_ops), .scheme = "fake", OPERATIONS };
static const cache_backend_ops local_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "fakelocal", .flags = CACHE_BACKEND_LOCAL, OPERATIONS
};

static const cache_backend_ops many_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "fakemany", OPERATIONS,
    .set_many = fake_set_many, .remove_many = fake_remove_many,
    .get_left = fake_get_left, .list = fake_list, .ping = fake_ping
};

static const cache_backend_ops compare_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "fakecompare", OPERATIONS, .compare_and_set = fake_compare_and_set
};

/* ---- for tests ------------------------------------------------------------------------------------------------- */

void fake_store_reset(void)
{
    static bool known;
    if (!known) {
        assert_status(CACHE_OK, cache_register_backend(&shared_ops));
        assert_status(CACHE_OK, cache_register_backend(&local_ops));
        assert_status(CACHE_OK, cache_register_backend(&many_ops));
        assert_status(CACHE_OK, cache_register_backend(&compare_ops));
        known = true;
    }
    while (entries != NULL)
        drop(&entries);
    for (size_t i = 0; i < FAKE_OPS; i++) {
        atomic_store(&calls[i], 0);
        atomic_store(&failures[i], CACHE_OK);
    }
    fake_store_hook(NULL, NULL);
}

int fake_store_calls(enum fake_op op)
{
    return atomic_load(&calls[op]);
}

void fake_store_fail(enum fake_op op, cache_status status)
{
    atomic_store(&failures[op], status);
}

void fake_store_hook(fake_hook_fn *to, void *ctx)
{
    hook = to;
    hook_ctx = ctx;
}

long fake_store_peek(const char *key, void *buf, size_t cap, int64_t *ttl_ms)
{
    long size = -1;
    pthread_mutex_lock(&lock);
    const struct entry *entry = *find((cache_bytes){ key, strlen(key) });
    if (entry != NULL) {
        size = (long)entry->size;
        if (cap > 0)
            memcpy(buf, entry->data, entry->size < cap ? entry->size : cap);
        if (ttl_ms != NULL)
            *ttl_ms = entry->ttl_ms;
    }
    pthread_mutex_unlock(&lock);
    return size;
}

void fake_store_poke(const char *key, const void *data, size_t size)
{
    const cache_bytes name = { key, strlen(key) };
    pthread_mutex_lock(&lock);
    if (data != NULL)
        put(name, (cache_bytes){ data, size }, 0, 0);
    else if (*find(name) != NULL)
        drop(find(name));
    pthread_mutex_unlock(&lock);
}

bool fake_key_ends(cache_bytes key, const char *text)
{
    const size_t size = strlen(text);
    return key.size >= size && memcmp(key.data + key.size - size, text, size) == 0;
}
