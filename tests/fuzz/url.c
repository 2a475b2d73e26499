/* url.c - reads the URL of a cache and its options. A message never contains the password. */
#include "fuzz.h"

#include "options.h"
#include "registry.h"

#include <strings.h>

static const char login[] = "//user:hunter2secret@", secret[] = "hunter2secret";

/* Returns true if the URL has the secret as its password, and nowhere else. */
static bool has_password(const char *text)
{
    const char *at = strstr(text, login);
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++)    /* messages write a scheme in lower case */
        n += strncasecmp(c, secret, sizeof secret - 1) == 0;
    return at != NULL && at > text && at == strchr(text, '/') && at[-1] == ':'
        && n == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cache_env env = fuzz_env();
    char *text = fuzz_copy(data, size);
    struct cache_url url;
    struct cache_options options;
    const cache_backend_ops *ops = NULL;
    cache_status status = cache_url_parse(&env, text, &url);
    if (status == CACHE_OK) {
        FUZZ_CHECK(url.scheme != NULL && url.path != NULL);
        FUZZ_CHECK(url.n_hosts == 0 || url.hosts != NULL);
        status = cache_registry_find(url.scheme, &ops);
        if (status == CACHE_OK)
            status = cache_options_parse(&url, ops, &options);
        if (status == CACHE_OK)
            cache_options_release(&options);
        cache_url_release(&url);
    }
    FUZZ_CHECK(status == CACHE_OK || status == CACHE_ERR_CONFIG);
    FUZZ_CHECK(status == CACHE_OK || cache_last_error()[0] != '\0');
    FUZZ_CHECK(status == CACHE_OK || !has_password(text) || strstr(cache_last_error(), secret) == NULL);
    free(text);
    return 0;
}
