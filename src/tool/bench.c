/* bench.c - measures how long a set and a get take from this machine. One thread does one operation at a time. There
 * are few keys and small values, so a cache that is in use loses nothing. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 100, DEFAULT_SIZE = 100, DEFAULT_COUNT = 10000 };

static const uint64_t longest_ns = 5000000000;    /* the longest time of a phase, so that a slow server does not take
                                                   * minutes */

struct bench {
    cache_t *cache;
    char keys[KEYS][64];
    char *value;
    size_t size, count;
    uint64_t *took;
};

static cache_status set_one(const struct bench *bench, const char *key)
{
    return cache_set(bench->cache, key, bench->value, bench->size, 60);    /* if the run is interrupted, its keys expire
                                                                            * soon */
}

static cache_status get_one(const struct bench *bench, const char *key)
{
    cache_value value;
    const cache_status status = cache_get(bench->cache, key, &value);
    cache_value_release(&value);
    return status;
}

/* Do the operation `count` times, or as often as the time allows. Sets `*n` to the number of times. */
static cache_status measure(struct bench *bench, cache_status (*one)(const struct bench *, const char *), size_t *n)
{
    const uint64_t end_ns = tool_now_ns() + longest_ns;
    cache_status status = CACHE_OK;
    for (*n = 0; *n < bench->count && status >= 0; (*n)++) {
        const uint64_t begun_ns = tool_now_ns();
        if (begun_ns > end_ns)
            break;
        status = one(bench, bench->keys[*n % KEYS]);
        bench->took[*n] = tool_now_ns() - begun_ns;
    }
    if (status < 0)
        return status;
    tool_sort(bench->took, *n);
    return CACHE_OK;
}

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

static void report(const struct bench *bench, const char *name, size_t n, cJSON *json)
{
    static const struct { const char *name; double part; } parts[] = {
        { "p50", 0.5 }, { "p99", 0.99 }, { "p99.9", 0.999 }, { "max", 1 },
    };
    cJSON *object = json != NULL ? cJSON_AddObjectToObject(json, name) : NULL;
    if (json != NULL)
        (void)cJSON_AddNumberToObject(object, "count", (double)n);
    else
        (void)printf("%-4s %7zu times ", name, n);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const double value = us(tool_percentile(bench->took, n, parts[i].part));
        if (json != NULL) {
            char field[16];
            (void)snprintf(field, sizeof field, "%s_us", parts[i].name);
            (void)cJSON_AddNumberToObject(object, field, value);
        } else
            (void)printf("  %s %.1f us", parts[i].name, value);
    }
    if (json == NULL)
        (void)putchar('\n');
}

static int run(struct bench *bench, const struct tool *tool)
{
    cJSON *json = tool->json ? cJSON_CreateObject() : NULL;
    size_t n = 0;
    cache_status status = measure(bench, set_one, &n);
    if (status == CACHE_OK) {
        report(bench, "set", n, json);
        for (size_t i = 0; i < KEYS && status == CACHE_OK; i++)
            status = set_one(bench, bench->keys[i]);
    }
    if (status == CACHE_OK)
        status = measure(bench, get_one, &n);
    if (status == CACHE_OK)
        report(bench, "get", n, json);
    for (size_t i = 0; i < KEYS; i++)
        (void)cache_delete(bench->cache, bench->keys[i]);
    if (status != CACHE_OK) {
        cJSON_Delete(json);
        return tool_fail("bench", status);
    }
    return json != NULL ? tool_json_print(json, TOOL_FOUND) : TOOL_FOUND;
}

int tool_bench(const struct tool *tool)
{
    struct bench bench = { .cache = tool->cache, .size = tool->size > 0 ? tool->size : DEFAULT_SIZE,
                           .count = tool->count > 0 ? (size_t)tool->count : DEFAULT_COUNT };
    char name[17];
    const cache_status status = cache_ping(tool->cache);
    if (status < 0)
        return tool_fail("bench", status);
    tool_random_name(name);
    for (size_t i = 0; i < KEYS; i++)
        (void)snprintf(bench.keys[i], sizeof bench.keys[i], "libcache-bench/%s/%zu", name, i);
    bench.took = calloc(bench.count, sizeof *bench.took);
    bench.value = malloc(bench.size);
    int exit_status = TOOL_FAILED;
    if (bench.took == NULL || bench.value == NULL)
        exit_status = tool_fail("bench", CACHE_ERR_NOMEM);
    else {
        memset(bench.value, 'x', bench.size);
        exit_status = run(&bench, tool);
    }
    free(bench.value);
    free(bench.took);
    return exit_status;
}
