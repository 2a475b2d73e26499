/* registry.c - finds the store for a URL's scheme: in a const table, or among the stores that applications register. */
#include "registry.h"

#include "backends/backends.h"
#include "hooks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* To add a store, add one line here. If the table is NULL, the store was switched off when the library was built. */
static const struct { const char *scheme; const cache_backend_ops *ops; } builtin[] = {
    { "null", &cache_null_ops },
    { "memory", &cache_memory_ops },
#ifdef LIBCACHE_HAVE_FILE
    { "file", &cache_filesystem_ops },
#else
    { "file", NULL },
#endif
#ifdef LIBCACHE_HAVE_REDIS
    { "redis", &cache_redis_ops },
#else
    { "redis", NULL }, { "rediss", NULL }, { "redis+unix", NULL }, { "redis+sentinel", NULL },
    { "redis+cluster", NULL }, { "rediss+cluster", NULL }, { "valkey+cluster", NULL }, { "valkeys+cluster", NULL },
    { "rediss+sentinel", NULL }, { "valkey", NULL }, { "valkeys", NULL }, { "valkey+unix", NULL },
    { "valkey+sentinel", NULL }, { "valkeys+sentinel", NULL },
#endif
#ifdef LIBCACHE_HAVE_MEMCACHED
    { "memcached", &cache_memcached_ops },
#else
    { "memcached", NULL }, { "memcached+unix", NULL }, { "memcacheds", NULL },
#endif
};

enum { N_BUILTIN = sizeof builtin / sizeof builtin[0], MAX_ADDED = 32 };

/* Few stores are added, and none is ever removed, so an array with a mutex is enough. */
static pthread_mutex_t added_lock = PTHREAD_MUTEX_INITIALIZER;
static const cache_backend_ops *added[MAX_ADDED];
static size_t n_added;

static bool serves(const cache_backend_ops *ops, const char *scheme)
{
    if (strcmp(ops->scheme, scheme) == 0)
        return true;
    for (const char *const *alias = ops->aliases; alias != NULL && *alias != NULL; alias++)
        if (strcmp(*alias, scheme) == 0)
            return true;
    return false;
}

static const cache_backend_ops *find_builtin(const char *scheme, bool *switched_off)
{
    *switched_off = false;
    for (size_t i = 0; i < N_BUILTIN; i++) {
        if (builtin[i].ops != NULL && serves(builtin[i].ops, scheme))
            return builtin[i].ops;
        if (builtin[i].ops == NULL && strcmp(builtin[i].scheme, scheme) == 0)
            *switched_off = true;
    }
    return NULL;
}

/* Call with added_lock held. */
static const cache_backend_ops *find_added(const char *scheme)
{
    for (size_t i = 0; i < n_added; i++)
        if (serves(added[i], scheme))
            return added[i];
    return NULL;
}

static void list_scheme(const cache_backend_ops *ops, char *names, size_t size)
{
    size_t used = strlen(names);
    used += (size_t)snprintf(names + used, size - used, "%s%s", used > 0 ? ", " : "", ops->scheme);
    for (const char *const *alias = ops->aliases; alias != NULL && *alias != NULL && used < size; alias++)
        used += (size_t)snprintf(names + used, size - used, ", %s", *alias);
}

static void list_schemes(char *names, size_t size)
{
    for (size_t i = 0; i < N_BUILTIN; i++)
        if (builtin[i].ops != NULL)
            list_scheme(builtin[i].ops, names, size);
    pthread_mutex_lock(&added_lock);
    for (size_t i = 0; i < n_added; i++)
        list_scheme(added[i], names, size);
    pthread_mutex_unlock(&added_lock);
}

cache_status cache_registry_find(const char *scheme, const cache_backend_ops **out)
{
    bool switched_off = false;
    *out = find_builtin(scheme, &switched_off);
    if (*out != NULL)
        return CACHE_OK;
    pthread_mutex_lock(&added_lock);
    *out = find_added(scheme);
    pthread_mutex_unlock(&added_lock);
    if (*out != NULL)
        return CACHE_OK;
    if (switched_off)
        return cache_fail(CACHE_ERR_CONFIG, "url: this build of libcache has no '%s' store", scheme);
    char names[300] = "";
    list_schemes(names, sizeof names);
    return cache_fail(CACHE_ERR_CONFIG, "url: unknown scheme '%.60s'; this build has %s", scheme, names);
}

const cache_backend_ops *cache_registry_front(void)
{
    return &cache_memory_ops;
}

static cache_status check(const cache_backend_ops *ops)
{
    if (ops == NULL)
        return cache_fail(CACHE_ERR_INVALID, "register: ops is NULL");
    if (ops->size < offsetof(cache_backend_ops, clear) + sizeof ops->clear)
        return cache_fail(CACHE_ERR_INVALID,
                          "register: ops->size is too small: write .size = sizeof(cache_backend_ops)");
    if (ops->scheme == NULL || ops->scheme[0] == '\0')
        return cache_fail(CACHE_ERR_INVALID, "register: ops->scheme is missing");
    const struct { const char *name; bool there; } required[] = {
        { "open", ops->open != NULL }, { "close", ops->close != NULL }, { "get", ops->get != NULL },
        { "set", ops->set != NULL }, { "remove", ops->remove != NULL }, { "inc", ops->inc != NULL },
        { "clear", ops->clear != NULL },
    };
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        if (!required[i].there)
            return cache_fail(CACHE_ERR_INVALID, "register: %s: the operation '%s' is missing", ops->scheme,
                              required[i].name);
    return CACHE_OK;
}

static cache_status check_free(const cache_backend_ops *ops, const char *scheme)
{
    bool switched_off = false;
    if (find_builtin(scheme, &switched_off) != NULL || find_added(scheme) != NULL)
        return cache_fail(CACHE_ERR_INVALID, "register: the scheme '%s' is in use", scheme);
    if (n_added == MAX_ADDED)
        return cache_fail(CACHE_ERR_NOMEM, "register: %s: only %d stores can be added", ops->scheme, MAX_ADDED);
    return CACHE_OK;
}

cache_status cache_register_backend(const cache_backend_ops *ops)
{
    cache_status status = check(ops);
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&added_lock);
    status = check_free(ops, ops->scheme);
    for (const char *const *alias = ops->aliases; status == CACHE_OK && alias != NULL && *alias != NULL; alias++)
        status = check_free(ops, *alias);
    if (status == CACHE_OK)
        added[n_added++] = ops;
    pthread_mutex_unlock(&added_lock);
    return status;
}
