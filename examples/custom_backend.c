/* custom_backend.c - a store of your own, outside the library: a linked list under one mutex.
 *
 * Slow on purpose and whole all the same: it keeps every promise of libcache/backend.h that the conformance suite
 * checks. What it leaves out (get_many, set_many, remove_many, has, stats) the core makes up for. */
#include <libcache/backend.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct item *next;
    int64_t deadline_ms;               /* 0: for ever */
    size_t key_size, size;
    char bytes[];                      /* the key, then the value */
};

struct list {
    const cache_env *env;
    pthread_mutex_t lock;
    struct item *first;
};

static int64_t deadline(const struct list *list, int64_t ttl_ms)
{
    return ttl_ms > 0 ? cache_env_monotonic_ms(list->env) + ttl_ms : 0;
}

static void drop(struct list *list, struct item **at)
{
    struct item *gone = *at;
    *at = gone->next;
    cache_env_free(list->env, gone);
}

/* Where the live item of `key` hangs; or the list's end. Expired items that are met on the way go. */
static struct item **find(struct list *list, cache_bytes key)
{
    struct item **at = &list->first;
    while (*at != NULL) {
        struct item *item = *at;
        if (item->deadline_ms != 0 && cache_env_monotonic_reached(list->env, item->deadline_ms))
            drop(list, at);
        else if (item->key_size == key.size && memcmp(item->bytes, key.data, key.size) == 0)
            break;
        else
            at = &item->next;
    }
    return at;
}

static cache_status put(struct list *list, struct item **at, cache_bytes key, cache_bytes value, int64_t deadline_ms)
{
    struct item *item = cache_env_alloc(list->env, sizeof *item + key.size + value.size);
    if (item == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "list: out of memory");
    *item = (struct item){ .deadline_ms = deadline_ms, .key_size = key.size, .size = value.size };
    memcpy(item->bytes, key.data, key.size);
    memcpy(item->bytes + key.size, value.data, value.size);
    if (*at != NULL)
        drop(list, at);                /* only now that nothing can fail: the old value stays until then */
    item->next = *at;
    *at = item;
    return CACHE_OK;
}

static void list_close(void *self)
{
    struct list *list = self;
    while (list->first != NULL)
        drop(list, &list->first);
    pthread_mutex_destroy(&list->lock);
    cache_env_free(list->env, list);
}

static cache_status list_open(const cache_backend_config *config, void **self)
{
    struct list *list = cache_env_alloc(config->env, sizeof *list);
    if (list == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "list: out of memory");
    *list = (struct list){ .env = config->env };
    pthread_mutex_init(&list->lock, NULL);
    *self = list;
    return CACHE_OK;
}

static cache_status list_get(void *self, cache_bytes key, cache_writer *out)
{
    struct list *list = self;
    pthread_mutex_lock(&list->lock);
    const struct item *item = *find(list, key);
    const cache_status status = item == NULL ? CACHE_MISS
                                             : cache_writer_append(out, item->bytes + item->key_size, item->size);
    pthread_mutex_unlock(&list->lock);
    return status;
}

static cache_status list_set(void *self, cache_bytes key, cache_bytes value, int64_t ttl_ms, unsigned flags)
{
    struct list *list = self;
    pthread_mutex_lock(&list->lock);
    struct item **at = find(list, key);
    const bool refused = *at != NULL && (flags & CACHE_SET_IF_ABSENT);
    const cache_status status = refused ? CACHE_NOT_STORED : put(list, at, key, value, deadline(list, ttl_ms));
    pthread_mutex_unlock(&list->lock);
    return status;
}

static cache_status list_remove(void *self, cache_bytes key)
{
    struct list *list = self;
    pthread_mutex_lock(&list->lock);
    struct item **at = find(list, key);
    const cache_status status = *at != NULL ? CACHE_OK : CACHE_MISS;
    if (*at != NULL)
        drop(list, at);
    pthread_mutex_unlock(&list->lock);
    return status;
}

/* A number is an optional '-', then digits without a leading zero, within int64. */
static bool read_number(const struct item *item, int64_t *out)
{
    char text[24] = "";
    if (item->size == 0 || item->size > 20)
        return false;
    memcpy(text, item->bytes + item->key_size, item->size);
    errno = 0;
    *out = strtoll(text, NULL, 10);
    char again[24];
    const int size = snprintf(again, sizeof again, "%lld", (long long)*out);
    return errno == 0 && (size_t)size == item->size && memcmp(again, text, item->size) == 0;
}

static cache_status add_to(struct list *list, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct item **at = find(list, key);
    int64_t number = 0;
    if (*at != NULL && !read_number(*at, &number))
        return cache_fail(CACHE_ERR_TYPE, "list: the value is not a number");
    if (delta > 0 ? number > INT64_MAX - delta : number < INT64_MIN - delta)
        return cache_fail(CACHE_ERR_RANGE, "list: inc: the result does not fit in int64");
    char text[24];
    const int size = snprintf(text, sizeof text, "%lld", (long long)(number + delta));
    const int64_t until = *at != NULL ? (*at)->deadline_ms : deadline(list, ttl_ms);
    *result = number + delta;
    return put(list, at, key, (cache_bytes){ text, (size_t)size }, until);
}

static cache_status list_inc(void *self, cache_bytes key, int64_t delta, int64_t ttl_ms, int64_t *result)
{
    struct list *list = self;
    pthread_mutex_lock(&list->lock);
    const cache_status status = add_to(list, key, delta, ttl_ms, result);
    pthread_mutex_unlock(&list->lock);
    return status;
}

static cache_status list_touch(void *self, cache_bytes key, int64_t ttl_ms)
{
    struct list *list = self;
    pthread_mutex_lock(&list->lock);
    struct item *item = *find(list, key);
    if (item != NULL)
        item->deadline_ms = deadline(list, ttl_ms);
    pthread_mutex_unlock(&list->lock);
    return item != NULL ? CACHE_OK : CACHE_MISS;
}

static cache_status list_clear(void *self, cache_bytes prefix)
{
    struct list *list = self;
    pthread_mutex_lock(&list->lock);
    for (struct item **at = &list->first; *at != NULL;)
        if ((*at)->key_size >= prefix.size && memcmp((*at)->bytes, prefix.data, prefix.size) == 0)
            drop(list, at);
        else
            at = &(*at)->next;
    pthread_mutex_unlock(&list->lock);
    return CACHE_OK;
}

const cache_backend_ops list_store_ops = {
    .size = sizeof(cache_backend_ops),
    .scheme = "list",
    .flags = CACHE_BACKEND_LOCAL,
    .open = list_open,
    .close = list_close,
    .get = list_get,
    .set = list_set,
    .remove = list_remove,
    .inc = list_inc,
    .clear = list_clear,
    .touch = list_touch,
};

#ifndef CUSTOM_BACKEND_WITHOUT_MAIN
int main(void)
{
    cache_t *cache;
    int64_t visits = 0;
    if (cache_register_backend(&list_store_ops) != CACHE_OK || cache_open("list://?prefix=demo:", &cache) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        return EXIT_FAILURE;
    }
    for (int i = 0; i < 3; i++)
        cache_inc(cache, "visits", 1, &visits);
    printf("visits: %lld\n", (long long)visits);
    cache_close(cache);
    return EXIT_SUCCESS;
}
#endif
