/* copy.c - the command copy FROM TO: copies entries with their remaining time to live, their tags, and how long they
 * may be served stale.
 *
 * A plain value is set again. A computed value goes through cache_fetch on the other store, which stores it as if it
 * had been computed there. So its tags belong to that store, and cache_invalidate_tag there reaches it. Its age starts
 * again. */
#include "tool.h"

#include <stdio.h>
#include <unistd.h>

struct copying {
    const struct tool *tool;
    cache_t *to;
    const char *key;
    cache_status status;               /* the status of this key */
    size_t copied, past, failed;
    cache_status first_failure;
    uint64_t total;                    /* 0: unknown */
    uint64_t drawn_ns;
    bool has_bar;
};

/* ---- one entry ------------------------------------------------------------------------------------------------- */

static cache_status give(void *ctx, cache_writer *out)
{
    const cache_entry *entry = ctx;
    if (entry->has_stale)
        (void)cache_writer_set_stale(out, entry->stale, entry->stale_if_error);
    if (entry->kind == CACHE_ENTRY_NOTHING)
        return cache_writer_set_ttl(out, entry->ttl_left) == CACHE_OK ? CACHE_MISS : cache_writer_status(out);
    return cache_writer_append(out, entry->data, entry->size);
}

static cache_status copy_computed(const struct copying *copying, const cache_entry *entry)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_fetch_info info;
    cache_value value;
    options.force = true;
    options.ttl = entry->ttl_left;
    if (!entry->has_stale && entry->kept > entry->ttl_left && entry->ttl_left > 0)
        options.stale = entry->kept - entry->ttl_left;
    options.type = entry->type[0] != '\0' ? entry->type : NULL;
    options.tags = entry->tags;
    options.n_tags = entry->n_tags;
    options.info = &info;
    const cache_status status = cache_fetch(copying->to, copying->key, &options, give, (void *)(uintptr_t)entry,
                                            &value);
    cache_value_release(&value);
    if (status < 0 || info.stored)
        return status < 0 ? status : CACHE_OK;
    return CACHE_ERR_IO;    /* cache_fetch returns the value all the same; cache_last_error has the message of the
                             * store */
}

static void copy_entry(void *ctx, const cache_entry *entry)
{
    struct copying *copying = ctx;
    const bool is_over = entry->ttl_left < 0 && entry->ttl_left != CACHE_TTL_FOREVER;
    if (entry->kind == CACHE_ENTRY_PLAIN)
        copying->status = cache_set(copying->to, copying->key, entry->data, entry->size,
                                    entry->kept != 0 ? entry->kept : CACHE_TTL_DEFAULT);
    else if (entry->kind == CACHE_ENTRY_UNREADABLE || entry->invalidated || is_over)
        copying->status = CACHE_MISS;
    else
        copying->status = copy_computed(copying, entry);
}

/* ---- the progress bar ------------------------------------------------------------------------------------------ */

static void draw(struct copying *copying, bool last)
{
    enum { WIDTH = 30 };
    const uint64_t now_ns = tool_now_ns(), done = copying->copied + copying->past + copying->failed;
    if (!copying->has_bar || (!last && now_ns - copying->drawn_ns < 100000000))
        return;
    copying->drawn_ns = now_ns;
    if (copying->total > 0) {
        const int full = done >= copying->total || last ? WIDTH : (int)(done * WIDTH / copying->total);
        (void)fprintf(stderr, "\r[%.*s%*s] %llu of %llu", full, "##############################", WIDTH - full, "",
                      (unsigned long long)done, (unsigned long long)copying->total);
    } else
        (void)fprintf(stderr, "\r%llu entries", (unsigned long long)done);
    if (last)
        (void)fputc('\n', stderr);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

static bool copy_keys(void *ctx, const char *const keys[], size_t n)
{
    struct copying *copying = ctx;
    for (size_t i = 0; i < n; i++) {
        copying->key = keys[i];
        copying->status = CACHE_MISS;
        const cache_status status = cache_inspect(copying->tool->cache, keys[i], copy_entry, copying);
        if (status < 0)
            copying->status = status;
        if (copying->status == CACHE_OK)
            copying->copied++;
        else if (copying->status == CACHE_MISS)
            copying->past++;
        else {
            copying->failed++;
            if (copying->first_failure == CACHE_OK) {
                copying->first_failure = copying->status;
                (void)fprintf(stderr, "libcache: copy: %s: %s\n", keys[i], cache_last_error());
            }
        }
        draw(copying, false);
    }
    return true;
}

static int report(const struct copying *copying, int status)
{
    if (!copying->tool->json) {
        (void)printf("%zu copied, %zu were past their time, %zu failed\n", copying->copied, copying->past,
                     copying->failed);
        return status;
    }
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(object, "copied", (double)copying->copied);
    (void)cJSON_AddNumberToObject(object, "past", (double)copying->past);
    (void)cJSON_AddNumberToObject(object, "failed", (double)copying->failed);
    return tool_json_print(object, status);
}

int tool_copy(const struct tool *tool)
{
    struct copying copying = { .tool = tool, .has_bar = isatty(STDERR_FILENO) != 0 };
    cache_counters counters;
    cache_status status = cache_open(tool->operands[0], &copying.to);
    if (status < 0)
        return tool_fail("copy: the second URL", status);
    status = cache_ping(copying.to);
    if (status == CACHE_OK && cache_stats(tool->cache, &counters) == CACHE_OK)
        copying.total = counters.items;
    if (status == CACHE_OK)
        status = tool_each_step(tool, copy_keys, &copying);
    if (status < 0) {
        cache_close(copying.to);
        return tool_fail("copy", status);
    }
    draw(&copying, true);
    cache_close(copying.to);
    return report(&copying, copying.failed > 0 ? TOOL_FAILED : TOOL_FOUND);
}
