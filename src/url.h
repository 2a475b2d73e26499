/* url.h - parses and prints the URL of a cache. */
#ifndef URL_H
#define URL_H

#include "hooks.h"
#include "writer.h"

struct cache_url_option {
    char *name, *value;
    bool hidden;                        /* it follows a password, and may be the rest of a password that contains an
                                         * '&' */
};

/* Returns the option's name for a message; or a placeholder, if the name may be part of a password. */
const char *cache_url_option_shown(const struct cache_url_option *option);

/* scheme://[user[:password]@][host[:port][,host…]][/path][?name=value&…], percent-decoded. The texts point into
 * `memory`. */
struct cache_url {
    char *scheme;
    char *user, *password;              /* NULL if there is none */
    cache_host *hosts;
    size_t n_hosts;
    char *path;                         /* with its leading '/'; "" if there is no path */
    struct cache_url_option *options;
    size_t n_options;
    char *memory;
    const cache_env *env;
};

/* Parse a URL. Returns CACHE_OK, CACHE_ERR_CONFIG or CACHE_ERR_NOMEM. The message says what is wrong, and never
 * contains the user or the password. */
cache_status cache_url_parse(const cache_env *env, const char *text, struct cache_url *url);
/* Print the URL without its secrets: without the password, and without options that may contain one. The caller frees
 * `*out` with cache_env_free. Returns CACHE_OK or CACHE_ERR_NOMEM. */
cache_status cache_url_print(const struct cache_url *url, char **out);

/* Append the text percent-encoded: all bytes except letters, digits, -._~ and those in `keep`. */
void cache_url_encode(cache_writer *out, const char *text, const char *keep);

void cache_url_release(struct cache_url *url);

#endif
