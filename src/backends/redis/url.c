/* url.c - reads a Redis URL and its options. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, DEFAULT_SENTINEL_PORT = 26379, MAX_SOCKET_PATH = 107, MAX_DB = 1 << 20 };

const cache_option cache_redis_options[] = {
    { "db", CACHE_OPTION_INT, .def = "0", .min = 0, .max = MAX_DB,
      .help = "the database; redis://host/2 says the same" },
    { "user", CACHE_OPTION_TEXT, .min = 1, .max = 512,
      .help = "an ACL user; redis://user:password@host says the same" },
    { "password", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "its password, or that of requirepass" },
    { "sentinel_user", CACHE_OPTION_TEXT, .min = 1, .max = 512, .help = "an ACL user of the sentinels" },
    { "sentinel_password", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "the sentinels' password" },
    { "client_name", CACHE_OPTION_TEXT, .def = "libcache", .min = 0, .max = 64,
      .help = "what CLIENT LIST calls a connection; empty or 'off': nothing is told" },
    { "pool", CACHE_OPTION_INT, .def = "4", .min = 1, .max = 1024, .help = "connections, made as needed" },
    { "gather", CACHE_OPTION_BOOL, .def = "on",
      .help = "requests that wait for a connection go out together; off: one by one" },
    { "ca", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "a file of the certificates that are trusted" },
    { "cert", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "a file of this side's certificate" },
    { "key", CACHE_OPTION_TEXT, .min = 1, .max = 4096, .help = "a file of its key" },
    { "server_name", CACHE_OPTION_TEXT, .min = 1, .max = 253, .help = "whom the server's certificate must name" },
    { 0 },
};

static cache_status copy_text(const cache_env *env, const char *text, char **out)
{
    *out = text != NULL ? cache_env_strdup(env, text) : NULL;
    return text == NULL || *out != NULL ? CACHE_OK : cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
}

static cache_status twice(const char *what)
{
    return cache_fail(CACHE_ERR_CONFIG, "redis: the URL gives the %s twice", what);
}

static cache_status read_user(const cache_backend_config *config, struct redis_store *store)
{
    const char *user = cache_option_text(config, "user"), *password = cache_option_text(config, "password");
    if (user != NULL && config->user != NULL)
        return twice("user");
    if (password != NULL && config->password != NULL)
        return twice("password");
    user = user != NULL ? user : config->user;
    password = password != NULL ? password : config->password;
    if (password != NULL && password[0] == '\0')
        password = NULL;
    if (user != NULL && password == NULL)
        return cache_fail(CACHE_ERR_CONFIG, "redis: the URL has a user but no password");
    const cache_status status = copy_text(config->env, user, &store->login.user);
    return status == CACHE_OK ? copy_text(config->env, password, &store->login.password) : status;
}

/* Refuse options that have no meaning for this kind of URL, and name them. */
static cache_status refuse_options(const cache_backend_config *config, const char *const names[], const char *why)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (cache_option_is_set(config, names[i]))
            return cache_fail(CACHE_ERR_CONFIG, "redis: option '%s' needs %s", names[i], why);
    return CACHE_OK;
}

static cache_status read_sentinel_user(const cache_backend_config *config, struct redis_store *store)
{
    static const char *const names[] = { "sentinel_user", "sentinel_password", NULL };
    const char *user = cache_option_text(config, names[0]), *password = cache_option_text(config, names[1]);
    if (store->kind != REDIS_SENTINEL)
        return refuse_options(config, names, "Sentinels: write redis+sentinel://");
    if (user != NULL && password == NULL)
        return cache_fail(CACHE_ERR_CONFIG, "redis: option 'sentinel_user' needs 'sentinel_password'");
    const cache_status status = copy_text(config->env, user, &store->sentinel_login.user);
    return status == CACHE_OK ? copy_text(config->env, password, &store->sentinel_login.password) : status;
}

static cache_status read_client_name(const cache_backend_config *config, struct redis_store *store)
{
    const char *name = cache_option_text(config, "client_name");
    for (const char *c = name; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return cache_fail(CACHE_ERR_CONFIG, "redis: option 'client_name' must be printable ASCII without spaces");
    return copy_text(config->env, name[0] != '\0' && strcmp(name, "off") != 0 ? name : NULL, &store->client_name);
}

static cache_status read_tls(const cache_backend_config *config, bool wanted, struct redis_store *store)
{
    static const char *const names[] = { "ca", "cert", "key", "server_name", NULL };
    if (!wanted)
        return refuse_options(config, names, "TLS: write rediss://");
    const struct cache_tls_config tls = {
        .env = config->env, .scheme = config->scheme, .ca = cache_option_text(config, "ca"),
        .cert = cache_option_text(config, "cert"), .key = cache_option_text(config, "key"),
        .server_name = cache_option_text(config, "server_name"),
    };
    return cache_tls_open(&tls, &store->tls);
}

/* `text` is the part after the '/' before the database's number. It may be NULL or "" if there is none. */
static cache_status read_db(const cache_backend_config *config, const char *text, struct redis_store *store)
{
    store->db = cache_option_int(config, "db");
    if (text == NULL || text[0] == '\0')
        return CACHE_OK;
    const size_t size = strlen(text);
    const long number = size <= 7 && strspn(text, "0123456789") == size ? strtol(text, NULL, 10) : -1;
    if (number < 0 || number > MAX_DB)
        return cache_fail(CACHE_ERR_CONFIG, "redis: '%.60s' is not a database number", text);
    if (cache_option_is_set(config, "db"))
        return twice("database");
    store->db = number;
    return CACHE_OK;
}

static cache_status read_hosts(const cache_backend_config *config, int default_port, struct redis_store *store)
{
    static const cache_host here = { "127.0.0.1", 0 };
    const size_t n = config->n_hosts > 0 ? config->n_hosts : 1;
    store->hosts = cache_env_alloc(config->env, n * sizeof *store->hosts);
    if (store->hosts == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
    for (size_t i = 0; i < n; i++) {
        const cache_host *from = config->n_hosts > 0 ? &config->hosts[i] : &here;
        if (from->name[0] == '/' || strlen(from->name) > REDIS_MAX_HOST)
            return cache_fail(CACHE_ERR_CONFIG, "redis: '%.60s' is not a host", from->name);
        char *name = NULL;
        const cache_status status = copy_text(config->env, from->name, &name);
        if (status != CACHE_OK)
            return status;
        store->hosts[i] = (cache_host){ name, from->port != 0 ? from->port : default_port };
        store->n_hosts++;
    }
    return CACHE_OK;
}

static cache_status read_tcp(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_TCP;
    if (config->n_hosts > 1)
        return cache_fail(CACHE_ERR_CONFIG,
                          "redis: this URL takes one host. For Sentinels write redis+sentinel://, for a cluster "
                          "redis+cluster://");
    cache_status status = read_hosts(config, DEFAULT_PORT, store);
    if (status == CACHE_OK)
        status = read_db(config, config->path[0] != '\0' ? config->path + 1 : NULL, store);
    if (status == CACHE_OK)
        (void)snprintf(store->where, sizeof store->where,
                       strchr(store->hosts[0].name, ':') != NULL ? "redis [%.120s]:%d" : "redis %.120s:%d",
                       store->hosts[0].name, store->hosts[0].port);
    return status;
}

static cache_status read_unix(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_UNIX;
    if (config->n_hosts > 0 || config->path[0] == '\0' || config->path[1] == '\0')
        return cache_fail(CACHE_ERR_CONFIG,
                          "redis: write a socket's path after three slashes: redis+unix:///run/redis.sock");
    if (strlen(config->path) > MAX_SOCKET_PATH)
        return cache_fail(CACHE_ERR_CONFIG, "redis: a socket's path has at most %d bytes", MAX_SOCKET_PATH);
    (void)snprintf(store->where, sizeof store->where, "redis %s", config->path);
    const cache_status status = copy_text(config->env, config->path, &store->name);
    return status == CACHE_OK ? read_db(config, NULL, store) : status;
}

static cache_status read_sentinel(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_SENTINEL;
    const char *service = config->path[0] != '\0' ? config->path + 1 : "";
    const char *slash = strchr(service, '/');
    const size_t size = slash != NULL ? (size_t)(slash - service) : strlen(service);
    if (size == 0)
        return cache_fail(CACHE_ERR_CONFIG, "redis: the service's name is missing: redis+sentinel://host1,host2/name");
    (void)snprintf(store->where, sizeof store->where, "redis service %.*s", (int)(size < 120 ? size : 120), service);
    cache_status status = read_hosts(config, DEFAULT_SENTINEL_PORT, store);
    if (status == CACHE_OK)
        status = read_db(config, slash != NULL ? slash + 1 : NULL, store);
    if (status == CACHE_OK)
        status = copy_text(config->env, service, &store->name);
    if (status == CACHE_OK)
        store->name[size] = '\0';
    return status;
}

static cache_status read_cluster(const cache_backend_config *config, struct redis_store *store)
{
    store->kind = REDIS_CLUSTER;
    if ((config->path[0] != '\0' && config->path[1] != '\0') || cache_option_is_set(config, "db"))
        return cache_fail(CACHE_ERR_CONFIG, "redis: a cluster has no databases: redis+cluster://host1,host2:7001");
    const cache_status status = read_hosts(config, DEFAULT_PORT, store);
    if (status == CACHE_OK)
        (void)snprintf(store->where, sizeof store->where, "redis cluster %.110s:%d", store->hosts[0].name,
                       store->hosts[0].port);
    return status;
}

/* Split a scheme: "valkeys+sentinel" means the same as "rediss+sentinel". Sets `*tls`. Returns the part after the '+',
 * or "". */
static const char *read_scheme(const char *scheme, bool *tls)
{
    const char *plus = strchr(scheme, '+');
    *tls = strncmp(scheme, "rediss", 6) == 0 || strncmp(scheme, "valkeys", 7) == 0;
    return plus != NULL ? plus + 1 : "";
}

cache_status cache_redis_read_url(const cache_backend_config *config, struct redis_store *store)
{
    bool tls = false;
    const char *form = read_scheme(config->scheme, &tls);
    cache_status status;
    if (strcmp(form, "unix") == 0)
        status = read_unix(config, store);
    else if (strcmp(form, "cluster") == 0)
        status = read_cluster(config, store);
    else
        status = strcmp(form, "sentinel") == 0 ? read_sentinel(config, store) : read_tcp(config, store);
    if (status == CACHE_OK)
        status = read_user(config, store);
    if (status == CACHE_OK)
        status = read_sentinel_user(config, store);
    if (status == CACHE_OK)
        status = read_client_name(config, store);
    if (status == CACHE_OK)
        status = read_tls(config, tls, store);
    store->timeout_ms = cache_option_ms(config, "timeout");
    store->connect_timeout_ms = cache_option_ms(config, "connect_timeout");
    store->retry_after_ms = cache_option_ms(config, "retry_after");
    store->pool = (int)cache_option_int(config, "pool");
    store->gather = cache_option_int(config, "gather") != 0;
    return status;
}

void cache_redis_forget_url(struct redis_store *store)
{
    for (size_t i = 0; i < store->n_hosts; i++)
        cache_env_free(store->env, (char *)(uintptr_t)store->hosts[i].name);
    cache_env_free(store->env, store->hosts);
    cache_env_free(store->env, store->name);
    cache_env_free(store->env, store->login.user);
    cache_env_free(store->env, store->login.password);
    cache_env_free(store->env, store->sentinel_login.user);
    cache_env_free(store->env, store->sentinel_login.password);
    cache_env_free(store->env, store->client_name);
    cache_tls_close(store->tls);
}
