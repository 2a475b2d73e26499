/* server.c - makes a server of the transport for each host in the URL, and finds the server of a key. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_PORT = 11211, MAX_WEIGHT = 1000000, MAX_UNIX_PATH = 107 };

static const char unix_scheme[] = "memcached+unix", tls_scheme[] = "memcacheds";

/* ---- what the URL must say --------------------------------------------------------------------------------------- */

static cache_status login_open(struct mc_store *store, const cache_backend_config *config)
{
    const char *user = cache_option_text(config, "user"), *password = cache_option_text(config, "password");
    if ((user != NULL && config->user != NULL) || (password != NULL && config->password != NULL))
        return cache_fail(CACHE_ERR_CONFIG, "%s: the URL gives the %s twice", config->scheme,
                          user != NULL ? "user" : "password");
    user = user != NULL ? user : config->user;
    password = password != NULL ? password : config->password;
    if (user == NULL && password == NULL)
        return CACHE_OK;
    if (user == NULL || password == NULL)
        return cache_fail(CACHE_ERR_CONFIG, "%s: a login needs a user and a password: the %s is missing",
                          config->scheme, user != NULL ? "password" : "user");
    if (strpbrk(user, " \r\n") != NULL || strpbrk(password, "\r\n") != NULL)
        return cache_fail(CACHE_ERR_CONFIG,
                          "%s: a user must not contain spaces, and a login must not contain line ends",
                          config->scheme);
    store->user = cache_env_strdup(store->env, user);
    store->password = cache_env_strdup(store->env, password);
    return store->user != NULL && store->password != NULL ? CACHE_OK
                                                          : cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
}

static cache_status check(const cache_backend_config *config)
{
    const bool is_unix = strcmp(config->scheme, unix_scheme) == 0;
    if (is_unix && config->n_hosts > 0)
        return cache_fail(CACHE_ERR_CONFIG, "%s: this URL takes a socket's path and no host: %s:///run/memcached.sock",
                          config->scheme, config->scheme);
    if (is_unix && (strlen(config->path) < 2 || strlen(config->path) > MAX_UNIX_PATH))
        return cache_fail(CACHE_ERR_CONFIG, "%s: a socket's path has 2 to %d bytes", config->scheme, MAX_UNIX_PATH);
    if (!is_unix && config->path[0] != '\0' && strcmp(config->path, "/") != 0)
        return cache_fail(CACHE_ERR_CONFIG, "%s: this URL takes no path ('%.60s')", config->scheme, config->path);
    for (size_t i = 0; i < config->n_hosts; i++)
        if (config->hosts[i].name[0] == '/' || strlen(config->hosts[i].name) > 255)
            return cache_fail(CACHE_ERR_CONFIG, "%s: '%.60s' is not a host", config->scheme, config->hosts[i].name);
    return CACHE_OK;
}

/* ---- ketama ------------------------------------------------------------------------------------------------------ */

/* Read the next weight of a list such as "3,1,1" from `*text`. Returns 0 if it is not valid. */
static unsigned read_weight(const char **text)
{
    uint64_t weight = 0;
    const size_t size = strcspn(*text, ",");
    if (!cache_mc_read_number(*text, size, MAX_WEIGHT, &weight))
        weight = 0;
    *text += size + ((*text)[size] == ',');
    return (unsigned)weight;
}

static cache_status router_open(struct mc_store *store, const cache_backend_config *config)
{
    const char *weights = cache_option_text(config, "weights");
    struct mc_ketama_host *hosts = cache_env_alloc(store->env, store->n_servers * sizeof *hosts);
    if (hosts == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    const char *rest = weights;
    bool good = true;
    for (size_t i = 0; i < store->n_servers; i++) {
        const struct cache_place *place = &store->servers[i].link.config.place;
        hosts[i] = (struct mc_ketama_host){ place->host, place->port, 1 };
        if (weights != NULL)
            hosts[i].weight = read_weight(&rest);
        good = good && hosts[i].weight > 0;
    }
    const cache_status status = good && (weights == NULL || rest[0] == '\0')
        ? cache_mc_ketama_init(&store->ketama, store->env, hosts, store->n_servers)
        : cache_fail(CACHE_ERR_CONFIG, "%s: option 'weights' must be a number of 1..%d for each of %zu servers, "
                     "not '%.60s'", config->scheme, MAX_WEIGHT, store->n_servers, weights);
    cache_env_free(store->env, hosts);
    return status;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static void name_server(struct mc_server *server, int port)
{
    const char *format = port == 0 ? "memcached %.107s" : strchr(server->host, ':') != NULL ? "memcached [%.107s]:%d"
                                                                                            : "memcached %.107s:%d";
    (void)snprintf(server->where, sizeof server->where, format, server->host, port);
}

static cache_status server_open(struct mc_store *store, const cache_backend_config *config, const char *host, int port,
                                struct mc_server *server)
{
    *server = (struct mc_server){ .store = store, .host = cache_env_strdup(store->env, host) };
    if (server->host == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    name_server(server, port);
    const struct cache_server_config link = {
        .env = store->env,
        .where = server->where,
        .place = { server->host, port },
        .protocol = &cache_mc_protocol,
        .ctx = server,
        .tls = store->tls,
        .pool = (int)cache_option_int(config, "pool"),
        .gather = cache_option_int(config, "gather") != 0,
        .timeout_ms = cache_option_ms(config, "timeout"),
        .connect_timeout_ms = cache_option_ms(config, "connect_timeout"),
        .retry_after_ms = cache_option_ms(config, "retry_after"),
        .counters = &store->counters,
    };
    const cache_status status = cache_server_init(&server->link, &link);
    if (status != CACHE_OK)
        cache_env_free(store->env, server->host);
    else
        pthread_mutex_init(&server->generation.lock, NULL);
    return status;
}

static cache_status servers_open(struct mc_store *store, const cache_backend_config *config)
{
    const bool is_unix = strcmp(config->scheme, unix_scheme) == 0;
    const size_t n = config->n_hosts > 0 ? config->n_hosts : 1;
    store->servers = cache_env_alloc(store->env, n * sizeof *store->servers);
    if (store->servers == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "memcached: out of memory");
    for (size_t i = 0; i < n; i++) {
        const cache_host *named = config->n_hosts > 0 ? &config->hosts[i] : NULL;
        const char *host = is_unix ? config->path : named != NULL ? named->name : "127.0.0.1";
        const int port = is_unix ? 0 : named != NULL && named->port != 0 ? named->port : DEFAULT_PORT;
        const cache_status status = server_open(store, config, host, port, &store->servers[i]);
        if (status != CACHE_OK)
            return status;
        store->n_servers++;
    }
    return router_open(store, config);
}

static cache_status tls_open(struct mc_store *store, const cache_backend_config *config)
{
    const struct cache_tls_config tls = {
        .env = store->env,
        .scheme = config->scheme,
        .ca = cache_option_text(config, "ca"),
        .cert = cache_option_text(config, "cert"),
        .key = cache_option_text(config, "key"),
        .server_name = cache_option_text(config, "server_name"),
    };
    if (strcmp(config->scheme, tls_scheme) == 0)
        return cache_tls_open(&tls, &store->tls);
    if (tls.ca != NULL || tls.cert != NULL || tls.key != NULL || tls.server_name != NULL)
        return cache_fail(CACHE_ERR_CONFIG, "%s: options ca, cert, key and server_name need %s://", config->scheme,
                          tls_scheme);
    return CACHE_OK;
}

cache_status cache_mc_servers_open(struct mc_store *store, const cache_backend_config *config)
{
    cache_status status = check(config);
    if (status != CACHE_OK)
        return status;
    status = login_open(store, config);
    if (status != CACHE_OK)
        return status;
    status = tls_open(store, config);
    return status == CACHE_OK ? servers_open(store, config) : status;
}

void cache_mc_servers_close(struct mc_store *store)
{
    for (size_t i = 0; i < store->n_servers; i++) {
        cache_server_release(&store->servers[i].link);
        pthread_mutex_destroy(&store->servers[i].generation.lock);
        cache_env_free(store->env, store->servers[i].host);
    }
    cache_mc_ketama_release(&store->ketama, store->env);
    if (store->tls != NULL)
        cache_tls_close(store->tls);
    cache_env_free(store->env, store->servers);
    cache_env_free(store->env, store->user);
    cache_env_free(store->env, store->password);
}

uint64_t cache_mc_deadline(const struct mc_store *store)
{
    return cache_server_deadline(&store->servers[0].link);
}

/* ---- after a fork ------------------------------------------------------------------------------------------------ */

/* Called in the child of a fork. A thread that held the lock of a generation does not exist here. */
static void forked(void *ctx)
{
    struct mc_store *store = ctx;
    for (size_t i = 0; i < store->n_servers; i++) {
        pthread_mutex_init(&store->servers[i].generation.lock, NULL);
        store->servers[i].generation.refreshing = false;
    }
}

void cache_mc_check_fork(struct mc_store *store)
{
    cache_fork_guard_check(&store->fork_guard, forked, store);
}
