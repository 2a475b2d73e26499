/* keys.c - the commands keys and stats. Keys are listed step by step, so neither the store nor this process ever holds
 * all of them at once. */
#include "tool.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- listing --------------------------------------------------------------------------------------------------- */

bool tool_matches(const struct tool *tool, const char *key)
{
    return tool->pattern == NULL || fnmatch(tool->pattern, key, 0) == 0;
}

/* The keys of one step, one after the other. */
struct step {
    const struct tool *tool;
    char *text;
    size_t size, room, n;
    bool is_out_of_memory;
};

static void keep(void *ctx, const char *key)
{
    struct step *step = ctx;
    if (step->is_out_of_memory || !tool_matches(step->tool, key))
        return;
    const size_t size = strlen(key) + 1;
    if (step->size + size > step->room) {
        const size_t room = 2 * step->room + size + 4096;
        char *larger = realloc(step->text, room);
        if (larger == NULL) {
            step->is_out_of_memory = true;
            return;
        }
        step->text = larger;
        step->room = room;
    }
    memcpy(step->text + step->size, key, size);
    step->size += size;
    step->n++;
}

static bool hand_over(const struct step *step, tool_keys_fn *each, void *ctx, bool *goes_on)
{
    const char **keys = malloc((step->n + 1) * sizeof *keys);
    if (keys == NULL)
        return false;
    const char *at = step->text;
    for (size_t i = 0; i < step->n; i++, at += strlen(at) + 1)
        keys[i] = at;
    *goes_on = each(ctx, keys, step->n);
    free((void *)keys);
    return true;
}

/* Copy the part of the pattern before its first wildcard, so that the store lists fewer keys. */
static void literal_prefix(const char *pattern, char out[CACHE_MAX_KEY + 1])
{
    const size_t size = pattern != NULL ? strcspn(pattern, "*?[\\") : 0;
    const size_t known = size <= CACHE_MAX_KEY ? size : 0;
    memcpy(out, known > 0 ? pattern : "", known);
    out[known] = '\0';
}

cache_status tool_each_step(const struct tool *tool, tool_keys_fn *each, void *ctx)
{
    char prefix[CACHE_MAX_KEY + 1];
    cache_cursor cursor = { 0 };
    struct step step = { .tool = tool };
    cache_status status = CACHE_OK;
    bool goes_on = true;
    literal_prefix(tool->pattern, prefix);
    while (status == CACHE_OK && goes_on && !cursor.done) {
        step.size = step.n = 0;
        status = cache_keys(tool->cache, prefix, &cursor, keep, &step);
        if (status == CACHE_OK && (step.is_out_of_memory || !hand_over(&step, each, ctx, &goes_on)))
            status = CACHE_ERR_NOMEM;
    }
    free(step.text);
    return status;
}

/* ---- the commands ---------------------------------------------------------------------------------------------- */

struct printing {
    bool json;
    size_t n;
};

static bool print_keys(void *ctx, const char *const keys[], size_t n)
{
    struct printing *printing = ctx;
    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        if (printing->json) {
            cJSON *string = cJSON_CreateString(keys[i]);
            text = cJSON_PrintUnformatted(string);
            cJSON_Delete(string);
            (void)printf("%s%s", printing->n > 0 ? ",\n " : "", text != NULL ? text : "null");
            cJSON_free(text);
        } else
            (void)puts(keys[i]);
        printing->n++;
    }
    return !ferror(stdout);
}

int tool_keys(const struct tool *tool)
{
    struct printing printing = { tool->json, 0 };
    if (tool->json)
        (void)putchar('[');
    const cache_status status = tool_each_step(tool, print_keys, &printing);
    if (tool->json)
        (void)puts("]");
    if (status < 0)
        return tool_fail("keys", status);
    return printing.n > 0 ? TOOL_FOUND : TOOL_MISS;
}

int tool_stats(const struct tool *tool)
{
    cache_counters counters;
    cache_status status = cache_ping(tool->cache);    /* a store that cannot be reached has no statistics */
    if (status == CACHE_OK)
        status = cache_stats(tool->cache, &counters);
    if (status < 0)
        return tool_fail("stats", status);
    if (tool->json) {
        cache_writer *out = cache_writer_new();
        status = out != NULL ? cache_stats_json(tool->cache, out) : CACHE_ERR_NOMEM;
        if (status == CACHE_OK)
            (void)puts(cache_writer_data(out, NULL));
        cache_writer_free(out);
        return status < 0 ? tool_fail("stats", status) : TOOL_FOUND;
    }
    if (!counters.knows_items)
        (void)puts("the store answers; it tells of no items");
    else
        (void)printf("items     %llu\nbytes     %llu\n", (unsigned long long)counters.items,
                     (unsigned long long)counters.bytes);
    if (counters.max_items > 0)
        (void)printf("max_items %llu\n", (unsigned long long)counters.max_items);
    if (counters.max_bytes > 0)
        (void)printf("max_bytes %llu\n", (unsigned long long)counters.max_bytes);
    return TOOL_FOUND;
}
