/* show.c - the commands get and ttl: print the value of a key, and what is known about it. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

struct showing {
    const struct tool *tool;
    const char *key;
    int status;
};

static const char *kind_name(cache_entry_kind kind)
{
    static const char *const names[] = { "plain", "computed", "nothing", "unreadable" };
    return names[kind];
}

/* ---- for people: on standard error, so that standard output is the value alone --------------------------------- */

static void print_span(const char *text, double seconds)
{
    if (seconds == CACHE_TTL_FOREVER)
        (void)fprintf(stderr, "%s for ever", text);
    else
        (void)fprintf(stderr, "%s %.3g s", text, seconds);
}

static void describe(const cache_entry *entry)
{
    (void)fprintf(stderr, "libcache: %s, %zu bytes", kind_name(entry->kind), entry->size);
    if (entry->kind == CACHE_ENTRY_COMPUTED || entry->kind == CACHE_ENTRY_NOTHING) {
        print_span(", age", entry->age);
        if (entry->ttl_left < 0 && entry->ttl_left != CACHE_TTL_FOREVER)
            print_span(", stale since", -entry->ttl_left);
        else
            print_span(", fresh for", entry->ttl_left);
    }
    if (entry->kept != 0)
        print_span(", kept for", entry->kept);
    if (entry->type[0] != '\0')
        (void)fprintf(stderr, ", type %s", entry->type);
    for (size_t i = 0; i < entry->n_tags; i++)
        (void)fprintf(stderr, "%s%s", i == 0 ? ", tags " : " ", entry->tags[i]);
    (void)fprintf(stderr, "%s\n", entry->invalidated ? ", invalidated by its tag" : "");
}

/* ---- for programs ---------------------------------------------------------------------------------------------- */

static int print_json(const struct showing *showing, const cache_entry *entry, int status)
{
    const bool raw = showing->tool->raw;
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, "key", showing->key);
    (void)cJSON_AddBoolToObject(object, "found", status == TOOL_FOUND);
    if (entry != NULL) {
        (void)cJSON_AddStringToObject(object, "kind", kind_name(entry->kind));
        (void)cJSON_AddBoolToObject(object, "shown", entry->shown);
        if (entry->kind == CACHE_ENTRY_COMPUTED || entry->kind == CACHE_ENTRY_NOTHING) {
            (void)cJSON_AddNumberToObject(object, "age", entry->age);
            tool_json_seconds(object, "ttl_left", entry->ttl_left);
            (void)cJSON_AddBoolToObject(object, "invalidated", entry->invalidated);
            (void)cJSON_AddStringToObject(object, "type", entry->type);
            cJSON *tags = cJSON_AddArrayToObject(object, "tags");
            for (size_t i = 0; i < entry->n_tags; i++)
                (void)cJSON_AddItemToArray(tags, cJSON_CreateString(entry->tags[i]));
        }
        if (entry->kept != 0)
            tool_json_seconds(object, "kept", entry->kept);
        (void)cJSON_AddNumberToObject(object, "size", (double)(raw ? entry->raw_size : entry->size));
        if (status == TOOL_FOUND)
            tool_json_bytes(object, "value", raw ? entry->raw : entry->data, raw ? entry->raw_size : entry->size);
    }
    return tool_json_print(object, status);
}

static void show(void *ctx, const cache_entry *entry)
{
    struct showing *showing = ctx;
    const struct tool *tool = showing->tool;
    const bool found = entry->shown || tool->raw;
    showing->status = found ? TOOL_FOUND : TOOL_MISS;
    if (tool->json) {
        showing->status = print_json(showing, entry, showing->status);
        return;
    }
    if (tool->verbose || (tool->is_terminal && !tool->raw))
        describe(entry);
    if (!found)
        return;
    const char *data = tool->raw ? entry->raw : entry->data;
    const size_t size = tool->raw ? entry->raw_size : entry->size;
    (void)fwrite(data, 1, size, stdout);
    if (tool->is_terminal && (size == 0 || data[size - 1] != '\n'))
        (void)putchar('\n');
}

int tool_get(const struct tool *tool)
{
    struct showing showing = { tool, tool->operands[0], TOOL_MISS };
    const cache_status status = cache_inspect(tool->cache, showing.key, show, &showing);
    if (status < 0)
        return tool_fail("get", status);
    if (status == CACHE_MISS && tool->json)
        return print_json(&showing, NULL, TOOL_MISS);
    return showing.status;
}

int tool_ttl(const struct tool *tool)
{
    double left = 0;
    const cache_status status = cache_ttl_left(tool->cache, tool->operands[0], &left);
    if (status < 0)
        return tool_fail("ttl", status);
    const int exit_status = status == CACHE_OK ? TOOL_FOUND : TOOL_MISS;
    if (tool->json) {
        cJSON *object = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(object, "key", tool->operands[0]);
        (void)cJSON_AddBoolToObject(object, "found", status == CACHE_OK);
        if (status == CACHE_OK)
            tool_json_seconds(object, "ttl_left", left);
        return tool_json_print(object, exit_status);
    }
    if (status == CACHE_OK && left == CACHE_TTL_FOREVER)
        (void)puts("forever");
    else if (status == CACHE_OK)
        (void)printf("%.3f\n", left);
    return exit_status;
}
