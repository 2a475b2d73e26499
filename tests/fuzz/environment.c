/* environment.c - reads an environment, one NAME=value per line. The file store is left out, since it makes
 * directories; the other stores connect only when they are used. */
#include "fuzz.h"

#include <strings.h>

static const char *const names[] = {
    "CACHE_URL", "CACHE_TYPE", "CACHE_DEFAULT_TIMEOUT", "CACHE_KEY_PREFIX", "CACHE_THRESHOLD", "CACHE_DIR",
    "CACHE_REDIS_HOST", "CACHE_REDIS_PORT", "CACHE_REDIS_PASSWORD", "CACHE_REDIS_DB", "CACHE_REDIS_URL",
    "CACHE_MEMCACHED_SERVERS", "CACHE_IGNORE_ERRORS", "CACHE_OPTIONS", "CACHE_ARGS", "CACHE_SOURCE_CHECK",
    "CACHE_NO_NULL_WARNING", "CACHE_MEMCACHED_USERNAME", "CACHE_MEMCACHED_PASSWORD", "CACHE_REDIS_SENTINELS",
    "CACHE_REDIS_SENTINEL_MASTER", "CACHE_REDIS_SENTINEL_PASSWORD", "CACHE_REDIS_CLUSTER",
};
enum { N_NAMES = sizeof names / sizeof names[0] };

/* Returns true if the text names the file store, in any case. */
static bool names_files(const char *text)
{
    for (; *text != '\0'; text++)
        if (strncasecmp(text, "file", 4) == 0)
            return true;
    return false;
}

static void set_variables(struct fuzz_input input)
{
    while (input.size > 0) {
        char *line = fuzz_line(&input);
        char *value = strchr(line, '=');
        if (value != NULL)
            *value++ = '\0';
        for (size_t i = 0; value != NULL && i < N_NAMES; i++)
            if (strcmp(line, names[i]) == 0 && !names_files(value))
                FUZZ_CHECK(setenv(line, value, 1) == 0);
        free(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cache_t *cache = NULL;
    for (size_t i = 0; i < N_NAMES; i++)
        (void)unsetenv(names[i]);
    set_variables((struct fuzz_input){ data, size });
    const cache_status status = cache_open_env(&cache);
    FUZZ_CHECK((status == CACHE_OK) == (cache != NULL));
    FUZZ_CHECK(status == CACHE_OK || cache_last_error()[0] != '\0');
    cache_close(cache);
    for (size_t i = 0; i < N_NAMES; i++)
        (void)unsetenv(names[i]);
    return 0;
}
