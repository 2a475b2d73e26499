/* url.h - parses and prints the URL of a cache. */
#ifndef URL_H
#define URL_H

#include "hooks.h"
#include "writer.h"

struct cache_url_option {
    char *name, *value;
    bool hidden;                        /* it stands behind a password, and may be the rest of one with an '&' */
};

/* The option's name for a message; not of one that may be a part of a password. */
const char *cache_url_option_shown(const struct cache_url_option *option);

/* scheme://[user[:password]@][host[:port][,host…]][/path][?name=value&…], percent-decoded. The texts point into
 * `memory`. */
struct cache_url {
    char *scheme;
    char *user, *password;              /* NULL: none */
    cache_host *hosts;
    size_t n_hosts;
    char *path;                         /* with its leading '/'; "" if there is none */
    struct cache_url_option *options;
    size_t n_options;
    char *memory;
    const cache_env *env;
};

/* CACHE_ERR_CONFIG: the message says what is wrong and never holds the user or password. CACHE_ERR_NOMEM. */
cache_status cache_url_parse(const cache_env *env, const char *text, struct cache_url *url);
/* The URL as a text that shows no secret: without the password, and without the options that may hold one. `*out` is to
 * be freed with cache_env_free. CACHE_ERR_NOMEM. */
cache_status cache_url_print(const struct cache_url *url, char **out);

/* Append the text percent-encoded: all bytes but letters, digits, -._~ and those of `keep`. */
void cache_url_encode(cache_writer *out, const char *text, const char *keep);

void cache_url_release(struct cache_url *url);

#endif
