/* env_vars.c - opens the cache that the environment describes: by CACHE_URL, or by a URL made from Flask-Caching's
 * names. */
#include "ascii.h"
#include "cache_internal.h"
#include "url.h"
#include "writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns the variable; or NULL if it is unset or empty. Compose files and shells leave a variable empty to leave it
 * out. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ---- the URL, piece by piece ----------------------------------------------------------------------------------- */

struct description {
    cache_writer url;
    cache_writer used;             /* the variables that were used, for the message if the URL is refused */
    char separator;                /* before the next option */
};

static void use(struct description *description, const char *name)
{
    (void)cache_writer_printf(&description->used, "%s%s", description->used.size > 0 ? ", " : "", name);
}

static void put_option(struct description *description, const char *option, const char *value)
{
    (void)cache_writer_printf(&description->url, "%c%s=", description->separator, option);
    cache_url_encode(&description->url, value, "/:");
    description->separator = '&';
}

/* ---- checks, whose messages name the variable -------------------------------------------------------------------- */

static bool is_word(const char *value, const char *word)
{
    return cache_ascii_same((cache_bytes){ value, strlen(value) }, word);
}

static cache_status check_number(const char *name, const char *value, long max)
{
    char *end = NULL;
    errno = 0;
    const long number = value[0] >= '0' && value[0] <= '9' ? strtol(value, &end, 10) : -1;
    if (number < 0 || number > max || errno != 0 || *end != '\0')
        return cache_fail(CACHE_ERR_CONFIG, "%s must be a whole number of 0..%ld, not '%.60s'", name, max, value);
    return CACHE_OK;
}

/* Read a bool, in the words that Python programs and shells use. */
static cache_status check_bool(const char *name, const char *value, bool *out)
{
    static const char *const words[] = { "0", "1", "false", "true", "no", "yes", "off", "on" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_word(value, words[i])) {
            *out = i % 2 == 1;
            return CACHE_OK;
        }
    return cache_fail(CACHE_ERR_CONFIG, "%s must be true or false, not '%.60s'", name, value);
}

static cache_status check_ttl(const char *name, const char *value)
{
    const char *point = strchr(value, '.');
    if (strcmp(value, "forever") == 0)
        return CACHE_OK;
    if (strspn(value, "0123456789.") != strlen(value) || strcmp(value, ".") == 0
        || (point != NULL && strchr(point + 1, '.') != NULL))
        return cache_fail(CACHE_ERR_CONFIG, "%s must be seconds such as 300, or 0 or forever, not '%.60s'", name,
                          value);
    return CACHE_OK;
}

/* ---- what all stores take ---------------------------------------------------------------------------------------- */

static cache_status put_timeout(struct description *description)
{
    const char *value = variable("CACHE_DEFAULT_TIMEOUT");
    if (value == NULL)
        return CACHE_OK;
    const cache_status status = check_ttl("CACHE_DEFAULT_TIMEOUT", value);
    if (status == CACHE_OK) {
        use(description, "CACHE_DEFAULT_TIMEOUT");
        put_option(description, "default_ttl", value);
    }
    return status;
}

static cache_status put_prefix(struct description *description)
{
    const char *value = variable("CACHE_KEY_PREFIX");
    if (value == NULL)
        return CACHE_OK;
    if (strlen(value) > CACHE_MAX_PREFIX)
        return cache_fail(CACHE_ERR_CONFIG, "CACHE_KEY_PREFIX has more than %d bytes", CACHE_MAX_PREFIX);
    use(description, "CACHE_KEY_PREFIX");
    put_option(description, "prefix", value);
    return CACHE_OK;
}

static cache_status put_ignore_errors(struct description *description)
{
    const char *value = variable("CACHE_IGNORE_ERRORS");
    bool ignore = false;
    if (value == NULL)
        return CACHE_OK;
    const cache_status status = check_bool("CACHE_IGNORE_ERRORS", value, &ignore);
    if (status == CACHE_OK) {
        use(description, "CACHE_IGNORE_ERRORS");
        put_option(description, "on_error", ignore ? "miss" : "fail");
    }
    return status;
}

static cache_status put_threshold(struct description *description)
{
    const char *value = variable("CACHE_THRESHOLD");
    if (value == NULL)
        return CACHE_OK;
    const cache_status status = check_number("CACHE_THRESHOLD", value, 2000000000);
    if (status == CACHE_OK) {
        use(description, "CACHE_THRESHOLD");
        put_option(description, "max_items", value);
    }
    return status;
}

/* ---- the stores -------------------------------------------------------------------------------------------------- */

static cache_status put_null(struct description *description)
{
    return cache_writer_puts(&description->url, "null://");
}

static cache_status put_memory(struct description *description)
{
    (void)cache_writer_puts(&description->url, "memory://");
    return put_threshold(description);
}

static cache_status put_file(struct description *description)
{
    const char *directory = variable("CACHE_DIR");
    char here[4096];
    if (directory == NULL)
        return cache_fail(CACHE_ERR_CONFIG, "CACHE_DIR is not set: CACHE_TYPE=FileSystemCache needs the directory");
    use(description, "CACHE_DIR");
    (void)cache_writer_puts(&description->url, "file://");
    if (directory[0] != '/') {
        if (getcwd(here, sizeof here) == NULL)
            return cache_fail(CACHE_ERR_CONFIG, "CACHE_DIR '%.200s': the working directory: %s", directory,
                              strerror(errno));
        cache_url_encode(&description->url, here, "/");
        (void)cache_writer_puts(&description->url, "/");
    }
    cache_url_encode(&description->url, directory, "/");
    return put_threshold(description);
}

static bool names_db(const char *url)
{
    const char *options = strchr(url, '?');
    if (options != NULL && (strstr(options, "?db=") != NULL || strstr(options, "&db=") != NULL))
        return true;
    /* The path of a socket is not a database. */
    const char *host = strncmp(url, "redis", 5) == 0 ? strstr(url, "://") : NULL;
    const char *path = host != NULL ? strpbrk(host + 3, "/?") : NULL;
    return path != NULL && path[0] == '/' && path[1] != '\0' && path[1] != '?';
}

/* Use a URL of redis-py. Only its scheme for unix sockets differs from ours. CACHE_REDIS_DB is used if the URL names no
 * database. */
static cache_status put_redis_url(struct description *description, const char *url)
{
    const char *db = names_db(url) ? NULL : variable("CACHE_REDIS_DB");
    use(description, "CACHE_REDIS_URL");
    if (strncmp(url, "unix://", 7) == 0)
        (void)cache_writer_puts(&description->url, "redis+");
    else if (strncmp(url, "redis", 5) != 0)
        return cache_fail(CACHE_ERR_CONFIG, "CACHE_REDIS_URL must begin with redis://, rediss:// or unix://");
    description->separator = strchr(url, '?') != NULL ? '&' : '?';
    (void)cache_writer_puts(&description->url, url);
    if (db == NULL)
        return CACHE_OK;
    use(description, "CACHE_REDIS_DB");
    put_option(description, "db", db);
    return check_number("CACHE_REDIS_DB", db, 2000000000);
}

static cache_status put_redis_number(struct description *description, const char *name, const char *before, long max)
{
    const char *value = variable(name);
    if (value == NULL)
        return CACHE_OK;
    use(description, name);
    (void)cache_writer_printf(&description->url, "%s%s", before, value);
    return check_number(name, value, max);
}

static cache_status put_redis(struct description *description)
{
    const char *url = variable("CACHE_REDIS_URL");
    const char *host = variable("CACHE_REDIS_HOST");
    const char *password = variable("CACHE_REDIS_PASSWORD");
    if (url != NULL)
        return put_redis_url(description, url);
    (void)cache_writer_puts(&description->url, "redis://");
    if (password != NULL) {
        use(description, "CACHE_REDIS_PASSWORD");
        (void)cache_writer_puts(&description->url, ":");
        cache_url_encode(&description->url, password, "");
        (void)cache_writer_puts(&description->url, "@");
    }
    if (host != NULL) {
        use(description, "CACHE_REDIS_HOST");
        const bool bare_ipv6 = host[0] != '[' && strchr(host, ':') != NULL;
        (void)cache_writer_puts(&description->url, bare_ipv6 ? "[" : "");
        cache_url_encode(&description->url, host, "[]:");
        (void)cache_writer_puts(&description->url, bare_ipv6 ? "]" : "");
    } else
        (void)cache_writer_puts(&description->url, "localhost");
    const cache_status status = put_redis_number(description, "CACHE_REDIS_PORT", ":", 65535);
    return status == CACHE_OK ? put_redis_number(description, "CACHE_REDIS_DB", "/", 2000000000) : status;
}

/* In Python these are for a server with SASL. Here they are for a server with -Y. A server with SASL is refused by a
 * message that names SASL. */
static cache_status put_memcached_login(struct description *description)
{
    static const char *const names[] = { "CACHE_MEMCACHED_USERNAME", "CACHE_MEMCACHED_PASSWORD" };
    const char *const values[] = { variable(names[0]), variable(names[1]) };
    if (values[0] == NULL && values[1] == NULL)
        return CACHE_OK;
    for (int i = 0; i < 2; i++) {
        if (values[i] == NULL)
            return cache_fail(CACHE_ERR_CONFIG, "%s is set but %s is not: a login needs both", names[1 - i], names[i]);
        use(description, names[i]);
        cache_url_encode(&description->url, values[i], "");
        (void)cache_writer_puts(&description->url, i == 0 ? ":" : "@");
    }
    return CACHE_OK;
}

/* The servers are a list in Python, so here they are a list too, separated by commas or spaces. */
static cache_status put_memcached(struct description *description)
{
    const char *servers = variable("CACHE_MEMCACHED_SERVERS");
    (void)cache_writer_puts(&description->url, "memcached://");
    const cache_status status = put_memcached_login(description);
    if (status != CACHE_OK)
        return status;
    if (servers == NULL)
        return cache_writer_puts(&description->url, "127.0.0.1");
    use(description, "CACHE_MEMCACHED_SERVERS");
    size_t n = 0;
    for (const char *at = servers; *(at += strspn(at, ", ")) != '\0'; n++) {
        const size_t size = strcspn(at, ", ");
        char host[300];
        if (size >= sizeof host)
            return cache_fail(CACHE_ERR_CONFIG, "CACHE_MEMCACHED_SERVERS: '%.60s…' is not a host or host:port", at);
        memcpy(host, at, size);
        host[size] = '\0';
        (void)cache_writer_puts(&description->url, n > 0 ? "," : "");
        cache_url_encode(&description->url, host, "[]:");
        at += size;
    }
    return n > 0 ? CACHE_OK : cache_fail(CACHE_ERR_CONFIG, "CACHE_MEMCACHED_SERVERS names no server");
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

/* Settings of Flask-Caching that have no equivalent here: each is refused, never ignored. `type`: the setting belongs
 * to that store only; NULL: to all. */
static const struct { const char *name, *type, *why; } lost[] = {
    { "CACHE_OPTIONS", NULL, "it is a Python dictionary; a store's options stand in CACHE_URL" },
    { "CACHE_ARGS", NULL, "it is a Python list; a store's options stand in CACHE_URL" },
    { "CACHE_REDIS_SENTINELS", "RedisCache", "set CACHE_URL=redis+sentinel://host1,host2/name/0" },
    { "CACHE_REDIS_SENTINEL_MASTER", "RedisCache", "set CACHE_URL=redis+sentinel://host1,host2/name/0" },
    { "CACHE_REDIS_SENTINEL_PASSWORD", "RedisCache",
      "set CACHE_URL=redis+sentinel://host1,host2/name/0?sentinel_password=…" },
    { "CACHE_REDIS_CLUSTER", "RedisCache", "set CACHE_URL=redis+cluster://host1,host2" },
};

static cache_status refuse_lost(const char *type)
{
    bool check = false;
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++)
        if (variable(lost[i].name) != NULL && (lost[i].type == NULL || strcmp(lost[i].type, type) == 0))
            return cache_fail(CACHE_ERR_CONFIG, "%s: %s", lost[i].name, lost[i].why);
    const char *source_check = variable("CACHE_SOURCE_CHECK");
    const cache_status status = source_check != NULL ? check_bool("CACHE_SOURCE_CHECK", source_check, &check)
                                                     : CACHE_OK;
    if (check)
        return cache_fail(CACHE_ERR_CONFIG,
                          "CACHE_SOURCE_CHECK: a compiled function has no source to look at; change its "
                          "name or the prefix when it changes");
    return status;
}

/* ---- the type ---------------------------------------------------------------------------------------------------- */

static const struct type {
    const char *name, *old_name;
    cache_status (*put)(struct description *description);
} types[] = {
    { "SimpleCache", "simple", put_memory },
    { "FileSystemCache", "filesystem", put_file },
    { "RedisCache", "redis", put_redis },
    { "MemcachedCache", "memcached", put_memcached },
    { "NullCache", "null", put_null },
};

/* Refuse a type that this library offers under another URL, or not at all. It is never silently replaced by another
 * store. */
static cache_status refuse_type(const char *type)
{
    if (is_word(type, "RedisSentinelCache") || is_word(type, "redissentinel"))
        return cache_fail(CACHE_ERR_CONFIG, "CACHE_TYPE: for RedisSentinelCache set CACHE_URL=redis+sentinel://…");
    if (is_word(type, "RedisClusterCache") || is_word(type, "rediscluster"))
        return cache_fail(CACHE_ERR_CONFIG, "CACHE_TYPE: for RedisClusterCache set CACHE_URL=redis+cluster://…");
    if (is_word(type, "SASLMemcachedCache") || is_word(type, "SpreadSASLMemcachedCache"))
        return cache_fail(CACHE_ERR_CONFIG,
                          "CACHE_TYPE: %s: SASL is not supported; MemcachedCache logs in to servers with -Y", type);
    return cache_fail(CACHE_ERR_CONFIG,
                      "CACHE_TYPE must be SimpleCache, FileSystemCache, RedisCache, MemcachedCache or "
                      "NullCache, not '%.60s'",
                      type);
}

static cache_status put_store(struct description *description)
{
    const char *type = variable("CACHE_TYPE");
    if (type == NULL) {
        const cache_status status = refuse_lost("SimpleCache");
        return status == CACHE_OK ? put_memory(description) : status;
    }
    use(description, "CACHE_TYPE");
    /* Flask-Caching also accepts a class with its module: flask_caching.backends.SimpleCache. */
    const char *dot = strrchr(type, '.');
    const char *name = dot != NULL ? dot + 1 : type;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (is_word(name, types[i].name) || is_word(name, types[i].old_name)) {
            const cache_status status = refuse_lost(types[i].name);
            return status == CACHE_OK ? types[i].put(description) : status;
        }
    return refuse_type(name);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static cache_status write_url(struct description *description)
{
    cache_status status = put_store(description);
    if (status == CACHE_OK)
        status = put_timeout(description);
    if (status == CACHE_OK)
        status = put_prefix(description);
    if (status == CACHE_OK)
        status = put_ignore_errors(description);
    if (status == CACHE_OK && cache_writer_status(&description->used) != CACHE_OK)
        status = cache_writer_status(&description->used);
    return status == CACHE_OK ? cache_writer_status(&description->url) : status;
}

/* Open the cache. After a failure, the message begins with the variables that caused it. */
static cache_status open_from(const cache_config *config, const char *url, const char *variables, cache_t **out)
{
    cache_config known = *config;
    known.url = url;
    const cache_status status = cache_open_config(&known, out);
    if (status < 0 && variables[0] != '\0')
        return cache_fail(status, "%s: %s", variables, cache_last_error());
    return status;
}

cache_status cache_open_env_config(const cache_config *config, cache_t **out)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "open_env: out is NULL");
    *out = NULL;
    cache_config known;
    cache_status status = cache_config_copy(config, &known);
    if (status != CACHE_OK)
        return status;
    if (known.url != NULL)
        return cache_fail(CACHE_ERR_INVALID, "open_env: config->url must be NULL: the environment names the store");
    const char *url = variable("CACHE_URL");
    if (url != NULL)
        return open_from(&known, url, "CACHE_URL", out);
    struct description description = { .separator = '?' };
    cache_writer_init(&description.url, &cache_allocator_default);
    cache_writer_init(&description.used, &cache_allocator_default);
    status = write_url(&description);
    if (status == CACHE_OK)
        status = open_from(&known, cache_writer_data(&description.url, NULL),
                           cache_writer_data(&description.used, NULL), out);
    cache_writer_release(&description.used);
    cache_writer_release(&description.url);
    return status;
}

cache_status cache_open_env(cache_t **out)
{
    const cache_config config = CACHE_CONFIG_INIT;
    return cache_open_env_config(&config, out);
}
