/* telling_store.c - a store in the test's memory that tells its changes. */
#include "telling_store.h"

#include "test.h"

#include "hooks.h"

enum { ENTRIES = TELLING_ENTRIES, CHANGES = TELLING_CHANGES };

struct telling_store stub = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int find(const char *key)
{
    for (int i = 0; i < ENTRIES; i++)
        if (strcmp(stub.entries[i].key, key) == 0)
            return i;
    return -1;
}

/* With the lock held. */
static void put(const char *key, const void *value, size_t size)
{
    int i = find(key);
    if (i < 0)
        i = find("");
    assert_true(i >= 0 && size <= sizeof stub.entries[i].value);
    (void)snprintf(stub.entries[i].key, sizeof stub.entries[i].key, "%s", key);
    memcpy(stub.entries[i].value, value, size);
    stub.entries[i].size = size;
    if (stub.n_changes == CHANGES) {    /* as a server does with a client that does not read */
        stub.n_changes = 0;
        stub.lost = true;
    }
    (void)snprintf(stub.changes[stub.n_changes++], sizeof stub.changes[0], "%s", key);
}

void change_outside(const char *key, const char *value)
{
    pthread_mutex_lock(&stub.lock);
    put(key, value, strlen(value));
    pthread_mutex_unlock(&stub.lock);
}

static cache_status stub_open(const cache_backend_config *config, void **self)
{
    (void)config;
    *self = &stub;
    return CACHE_OK;
}

static void stub_close(void *self)
{
    (void)self;
}

static cache_status stub_get_left(void *self, cache_bytes key, cache_writer *out, int64_t *left_ms)
{
    (void)self;
    char value[128];
    size_t size = 0;
    pthread_mutex_lock(&stub.lock);
    const int i = find(key.data);
    if (i >= 0)
        memcpy(value, stub.entries[i].value, size = stub.entries[i].size);
    *left_ms = stub.left_ms;
    stub.gets++;
    void (*inside)(void) = stub.inside_get;
    stub.inside_get = NULL;
    pthread_mutex_unlock(&stub.lock);
    if (inside != NULL)
        inside();
    return i >= 0 ? cache_writer_append(out, value, size) : CACHE_MISS;
}

static cache_status stub_get(void *self, cache_bytes key, cache_writer *out)
{
    int64_t left_ms;
    return stub_get_left(self, key, out, &left_ms);
}

static cache_status stub_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    (void)self, (void)ttl_ms;
    pthread_mutex_lock(&stub.lock);
    cache_status status = stub.set_status;
    stub.sets++;
    if ((flags & CACHE_SET_IF_ABSENT) && find(key.data) >= 0)
        status = CACHE_NOT_STORED;
    else if (status == CACHE_OK || status == CACHE_ERR_TIMEOUT)    /* one that timed out has arrived all the same */
        put(key.data, value.data, value.size);
    pthread_mutex_unlock(&stub.lock);
    return status;
}

static cache_status stub_remove(void *self, cache_bytes key)
{
    (void)self;
    pthread_mutex_lock(&stub.lock);
    const int i = find(key.data);
    if (i >= 0)
        stub.entries[i].key[0] = '\0';
    pthread_mutex_unlock(&stub.lock);
    return i >= 0 ? CACHE_OK : CACHE_MISS;
}

static cache_status stub_has(void *self, cache_bytes key)
{
    (void)self;
    pthread_mutex_lock(&stub.lock);
    const int i = find(key.data);
    pthread_mutex_unlock(&stub.lock);
    return i >= 0 ? CACHE_OK : CACHE_MISS;
}

static cache_status stub_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    (void)self, (void)ttl_ms;
    char text[32];
    pthread_mutex_lock(&stub.lock);
    const int i = find(key.data);
    *result = (i >= 0 ? strtoll(stub.entries[i].value, NULL, 10) : 0) + delta;
    const int size = snprintf(text, sizeof text, "%lld", (long long)*result);
    put(key.data, text, (size_t)size);
    pthread_mutex_unlock(&stub.lock);
    return CACHE_OK;
}

static cache_status stub_clear(void *self, cache_bytes prefix)
{
    (void)self, (void)prefix;
    pthread_mutex_lock(&stub.lock);
    memset(stub.entries, 0, sizeof stub.entries);
    pthread_mutex_unlock(&stub.lock);
    return CACHE_OK;
}

static cache_status stub_get_many(void *self, const cache_bytes keys[], size_t n, cache_results *out)
{
    (void)self;
    pthread_mutex_lock(&stub.lock);
    for (size_t k = 0; k < n; k++) {
        const int i = find(keys[k].data);
        stub.gets++;
        if (i >= 0)
            (void)cache_results_put(out, k, stub.entries[i].value, stub.entries[i].size);
    }
    pthread_mutex_unlock(&stub.lock);
    return CACHE_OK;
}

static void stub_changes(void *self, const cache_changes *to, void *ctx, uint64_t *heard_ns)
{
    (void)self;
    *heard_ns = 0;
    pthread_mutex_lock(&stub.lock);
    if (stub.lost)
        to->all(ctx);
    stub.lost = false;
    if (stub.connected) {
        for (size_t i = 0; i < stub.n_changes; i++)
            to->one(ctx, (cache_bytes){ stub.changes[i], strlen(stub.changes[i]) });
        stub.n_changes = 0;
        *heard_ns = cache_now_ns() - stub.heard_ago_ns;
    }
    pthread_mutex_unlock(&stub.lock);
}

const cache_backend_ops telling_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "telling", .open = stub_open, .close = stub_close, .get = stub_get,
    .set = stub_set, .remove = stub_remove, .inc = stub_inc, .clear = stub_clear, .get_many = stub_get_many,
    .has = stub_has, .get_left = stub_get_left, .changes = stub_changes,
};

const cache_backend_ops mute_ops = {
    .size = sizeof(cache_backend_ops), .scheme = "mute", .open = stub_open, .close = stub_close, .get = stub_get,
    .set = stub_set, .remove = stub_remove, .inc = stub_inc, .clear = stub_clear,
};

int telling_store_reset(void **state)
{
    (void)state;
    memset(stub.entries, 0, sizeof stub.entries);
    stub.n_changes = 0;
    stub.connected = true;
    stub.lost = false;
    stub.heard_ago_ns = 0;
    stub.left_ms = 60000;
    stub.gets = stub.sets = 0;
    stub.set_status = CACHE_OK;
    stub.inside_get = NULL;
    return 0;
}
