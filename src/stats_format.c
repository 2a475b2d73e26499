/* stats_format.c - formats the statistics as JSON and as Prometheus text. */
#include "cache_internal.h"
#include "named_counters.h"
#include "number.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Each counter appears once. Both formats walk this table. */
static const struct field {
    const char *name, *help;
    size_t offset;
    bool is_gauge, is_named;           /* is_named: also counted for each name */
    bool is_held;                      /* a count of the contents, which is known only if knows_items is set */
} fields[] = {
#define FIELD(member, is_gauge, is_named, help) \
    { #member, help, offsetof(cache_counters, member), is_gauge, is_named, false }
#define HELD(member, help) { #member, help, offsetof(cache_counters, member), true, false, true }
    FIELD(hits, false, true, "Reads that found a value"),
    FIELD(misses, false, true, "Reads that found none"),
    FIELD(stale_hits, false, true, "Hits served past their TTL"),
    FIELD(sets, false, true, "Values stored"),
    FIELD(deletes, false, false, "Values deleted"),
    FIELD(incs, false, false, "Counters stepped"),
    FIELD(computations, false, true, "Values computed on a miss"),
    FIELD(compute_errors, false, true, "Computations that failed"),
    FIELD(waits_saved, false, true, "Fetches that shared another's computation"),
    FIELD(errors, false, true, "Failures of the store"),
    FIELD(timeouts, false, false, "Operations without an answer in time"),
    FIELD(reconnects, false, false, "Connections made anew"),
    FIELD(rejections, false, false, "Operations not tried, since the server was away"),
    FIELD(undecodable, false, false, "Values that were damaged, or that seal or compress could not read"),
    FIELD(front_hits, false, false, "Values that the front served"),
    FIELD(front_refused, false, false, "Values that the front did not keep, for a change meanwhile"),
    FIELD(front_heard_ms, true, false, "Milliseconds since the front heard from the store"),
    FIELD(evictions, false, false, "Values evicted for room"),
    FIELD(expirations, false, false, "Values removed after their TTL"),
    HELD(items, "Values held"),
    HELD(bytes, "Bytes held"),
    HELD(max_items, "Most values held, 0 for no limit"),
    HELD(max_bytes, "Most bytes held, 0 for no limit"),
#undef FIELD
#undef HELD
};

static const struct timed_field {
    const char *name;
    size_t offset;
} latencies[] = {
    { "get", offsetof(cache_counters, get) },
    { "set", offsetof(cache_counters, set) },
    { "compute", offsetof(cache_counters, compute) },
};

enum { N_FIELDS = sizeof fields / sizeof fields[0], N_LATENCIES = sizeof latencies / sizeof latencies[0] };

static uint64_t value_of(const cache_counters *counters, const struct field *field)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)counters + field->offset, sizeof value);
    return value;
}

static const cache_latency *latency_of(const cache_counters *counters, const struct timed_field *field)
{
    return (const cache_latency *)(const void *)((const char *)counters + field->offset);
}

/* Returns true if the field is shown. If a store does not know how much it holds, it must not look like an empty
 * one. */
static bool is_shown(const struct field *field, const cache_counters *total)
{
    return !field->is_held || total->knows_items;
}

/* ---- what both formats show ------------------------------------------------------------------------------------ */

struct report {
    const cache_t *cache;
    cache_counters total;
    struct cache_named *named;
    size_t n_named;
};

static cache_status report_init(cache_t *cache, const cache_writer *out, const char *function, struct report *report)
{
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "%s: out is NULL", function);
    cache = cache_or_none(cache);
    report->cache = cache;
    report->named = NULL;
    report->n_named = 0;
    cache_status status = cache_stats(cache, &report->total);
    if (status == CACHE_OK)
        status = cache_named_counters_read(cache->store->named_counters, &report->named, &report->n_named);
    return status;
}

static void report_release(struct report *report)
{
    cache_env_free(&report->cache->store->env, report->named);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------ */

static size_t copy_text(char *to, const char *text)
{
    const size_t size = strlen(text);
    memcpy(to, text, size);
    return size;
}

/* Monitoring reads the statistics often, and printf takes ten times as long. The texts are our own and short. */
static void put_number(cache_writer *out, const char *before, const char *name, const char *between, uint64_t number)
{
    char text[128];
    size_t size = copy_text(text, before);
    size += copy_text(text + size, name);
    size += copy_text(text + size, between);
    size += cache_number_format((int64_t)number, text + size);    /* no counter ever reaches the sign bit */
    (void)cache_writer_append(out, text, size);
}

/* Print the hit rate without floating point and locale: in per mille, rounded, as "93.1%" and as 0.931. */
static void put_hit_rate(cache_writer *out, const cache_counters *counters)
{
    const uint64_t reads = counters->hits + counters->misses;
    if (reads == 0) {
        (void)cache_writer_puts(out, "\"hit_rate\":\"N/A\",\"hit_ratio\":null");
        return;
    }
    const uint64_t rate = (uint64_t)((double)counters->hits / (double)reads * 1000 + 0.5);
    put_number(out, "\"", "hit_rate", "\":\"", rate / 10);
    put_number(out, "", "", ".", rate % 10);
    (void)cache_writer_puts(out, "%\"");
    const char *whole = rate == 1000 ? "\":1.0" : rate < 10 ? "\":0.00" : rate < 100 ? "\":0.0" : "\":0.";
    put_number(out, ",\"", "hit_ratio", whole, rate % 1000);
}

/* Returns the latency that `per_mille` of the operations did not exceed: the upper bound of a bucket. */
static uint64_t quantile_ns(const cache_latency *latency, uint64_t per_mille)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < CACHE_LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if (latency->count > 0 && seen * 1000 >= latency->count * per_mille)
            return UINT64_C(1) << (i + 8);
    }
    return 0;
}

/* Print the fields of an object. */
static void put_json_counters(cache_writer *out, const cache_counters *counters, bool of_a_name)
{
    put_hit_rate(out, counters);
    for (size_t i = 0; i < N_FIELDS; i++)
        if (of_a_name ? fields[i].is_named : is_shown(&fields[i], counters))
            put_number(out, ",\"", fields[i].name, "\":", value_of(counters, &fields[i]));
    (void)cache_writer_puts(out, ",\"latency\":{\"unit\":\"ns\"");
    for (size_t i = 0; i < N_LATENCIES; i++) {
        const cache_latency *latency = latency_of(counters, &latencies[i]);
        put_number(out, ",\"", latencies[i].name, "\":{\"count\":", latency->count);
        put_number(out, ",\"", "mean_ns", "\":", latency->count > 0 ? latency->nanoseconds / latency->count : 0);
        put_number(out, ",\"", "p50_ns", "\":", quantile_ns(latency, 500));
        put_number(out, ",\"", "p99_ns", "\":", quantile_ns(latency, 990));
        (void)cache_writer_puts(out, "}");
    }
    (void)cache_writer_puts(out, "}");
}

/* Print a name, which is known to be UTF-8 (named_counters.h). */
static void put_json_text(cache_writer *out, const char *text)
{
    (void)cache_writer_puts(out, "\"");
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            (void)cache_writer_printf(out, "\\%c", *at);
        else if ((unsigned char)*at < 0x20)
            (void)cache_writer_printf(out, "\\u%04x", (unsigned)*at);
        else
            (void)cache_writer_append(out, at, 1);
    }
    (void)cache_writer_puts(out, "\"");
}

cache_status cache_stats_json(cache_t *cache, cache_writer *out)
{
    struct report report;
    const cache_status status = report_init(cache, out, "stats_json", &report);
    if (status != CACHE_OK)
        return status;
    (void)cache_writer_puts(out, "{");
    put_json_counters(out, &report.total, false);
    (void)cache_writer_puts(out, ",\"names\":{");
    for (size_t i = 0; i < report.n_named; i++) {
        (void)cache_writer_puts(out, i > 0 ? "," : "");
        put_json_text(out, report.named[i].name);
        (void)cache_writer_puts(out, ":{");
        put_json_counters(out, &report.named[i].counters, true);
        (void)cache_writer_puts(out, "}");
    }
    report_release(&report);
    return cache_writer_puts(out, "}}");
}

/* Print a key, which may contain any bytes. If it is not UTF-8, it is written as if it were Latin-1, so that the JSON
 * is valid. */
static void put_json_key(cache_writer *out, const char *key)
{
    if (text_is_utf8(key)) {
        put_json_text(out, key);
        return;
    }
    (void)cache_writer_puts(out, "\"");
    for (const char *at = key; *at != '\0'; at++)
        if ((unsigned char)*at >= 0x80 || (unsigned char)*at < 0x20 || *at == '"' || *at == '\\')
            (void)cache_writer_printf(out, "\\u%04x", (unsigned)(unsigned char)*at);
        else
            (void)cache_writer_append(out, at, 1);
    (void)cache_writer_puts(out, "\"");
}

cache_status cache_stats_hot(cache_t *cache, cache_hot_key out[CACHE_HOT_KEYS], size_t *n)
{
    if (out == NULL || n == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats_hot: %s is NULL", out == NULL ? "out" : "n");
    *n = cache != NULL ? cache_hot_keys_read(cache->store->hot_keys, out) : 0;
    return CACHE_OK;
}

cache_status cache_stats_hot_json(cache_t *cache, cache_writer *out)
{
    cache_hot_key hot[CACHE_HOT_KEYS];
    size_t n = 0;
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats_hot_json: out is NULL");
    (void)cache_stats_hot(cache, hot, &n);
    (void)cache_writer_puts(out, "[");
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_puts(out, i > 0 ? ",{\"key\":" : "{\"key\":");
        put_json_key(out, hot[i].key);
        put_number(out, ",\"", "reads", "\":", hot[i].reads);
        put_number(out, ",\"", "error", "\":", hot[i].error);
        (void)cache_writer_puts(out, "}");
    }
    return cache_writer_puts(out, "]");
}

/* ---- Prometheus ------------------------------------------------------------------------------------------------ */

static void put_family(cache_writer *out, const char *family, const char *suffix, const char *help, const char *by,
                       const char *type)
{
    (void)cache_writer_printf(out, "# HELP %s%s %s%s.\n# TYPE %s%s %s\n", family, suffix, help, by, family, suffix,
                              type);
}

/* Print `name="…",` with the escapes of the format. */
static void put_label(cache_writer *out, const char *name)
{
    (void)cache_writer_puts(out, "name=\"");
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '\n')
            (void)cache_writer_puts(out, "\\n");
        else if (*at == '"' || *at == '\\')
            (void)cache_writer_printf(out, "\\%c", *at);
        else
            (void)cache_writer_append(out, at, 1);
    }
    (void)cache_writer_puts(out, "\"");
}

/* Print a line up to its value. `name` may be NULL. */
static void put_series(cache_writer *out, const char *family, const char *suffix, const char *name,
                       const char *operation)
{
    (void)cache_writer_printf(out, "%s%s{", family, suffix);
    if (name != NULL) {
        put_label(out, name);
        (void)cache_writer_puts(out, ",");
    }
    (void)cache_writer_printf(out, "operation=\"%s\"", operation);
}

/* Print every `step`th bound, counted from the last one down. */
static void put_histogram(cache_writer *out, const char *family, const char *name, const char *operation,
                          const cache_latency *latency, size_t step)
{
    uint64_t seen = 0;
    for (size_t i = 0; i + 1 < CACHE_LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        if ((CACHE_LATENCY_BUCKETS - 2 - i) % step != 0)
            continue;
        const uint64_t bound_ns = UINT64_C(1) << (i + 8);
        put_series(out, family, "_bucket", name, operation);
        (void)cache_writer_printf(out, ",le=\"%" PRIu64 ".%09" PRIu64 "\"} %" PRIu64 "\n", bound_ns / 1000000000,
                                  bound_ns % 1000000000, seen);
    }
    seen += latency->buckets[CACHE_LATENCY_BUCKETS - 1];
    put_series(out, family, "_bucket", name, operation);
    (void)cache_writer_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", seen);
    put_series(out, family, "_sum", name, operation);
    (void)cache_writer_printf(out, "} %" PRIu64 ".%09" PRIu64 "\n", latency->nanoseconds / 1000000000,
                              latency->nanoseconds % 1000000000);
    put_series(out, family, "_count", name, operation);
    (void)cache_writer_printf(out, "} %" PRIu64 "\n", seen);
}

static void put_total(cache_writer *out, const struct report *report)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        char family[64];
        if (!is_shown(&fields[i], &report->total))
            continue;
        (void)snprintf(family, sizeof family, "libcache_%s", fields[i].name);
        const char *suffix = fields[i].is_gauge ? "" : "_total";
        put_family(out, family, suffix, fields[i].help, "", fields[i].is_gauge ? "gauge" : "counter");
        (void)cache_writer_printf(out, "%s%s %" PRIu64 "\n", family, suffix, value_of(&report->total, &fields[i]));
    }
    put_family(out, "libcache_latency_seconds", "", "How long operations took", "", "histogram");
    for (size_t i = 0; i < N_LATENCIES; i++)
        put_histogram(out, "libcache_latency_seconds", NULL, latencies[i].name,
                      latency_of(&report->total, &latencies[i]), 1);
}

/* Named counters have families of their own: a sum over a family that also holds the total would count everything
 * twice. */
static void put_named(cache_writer *out, const struct report *report)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        char family[64];
        if (!fields[i].is_named)
            continue;
        (void)snprintf(family, sizeof family, "libcache_named_%s", fields[i].name);
        put_family(out, family, "_total", fields[i].help, ", by view or function", "counter");
        for (size_t k = 0; k < report->n_named; k++) {
            (void)cache_writer_printf(out, "%s_total{", family);
            put_label(out, report->named[k].name);
            (void)cache_writer_printf(out, "} %" PRIu64 "\n", value_of(&report->named[k].counters, &fields[i]));
        }
    }
    put_family(out, "libcache_named_latency_seconds", "", "How long operations took", ", by view or function",
               "histogram");
    for (size_t k = 0; k < report->n_named; k++)
        for (size_t i = 0; i < N_LATENCIES; i++)
            put_histogram(out, "libcache_named_latency_seconds", report->named[k].name, latencies[i].name,
                          latency_of(&report->named[k].counters, &latencies[i]), 3);
}

cache_status cache_stats_prometheus(cache_t *cache, cache_writer *out)
{
    struct report report;
    const cache_status status = report_init(cache, out, "stats_prometheus", &report);
    if (status != CACHE_OK)
        return status;
    put_family(out, "libcache_info", "", "The library's version and the store", "", "gauge");
    (void)cache_writer_printf(out, "libcache_info{version=\"" CACHE_VERSION "\",store=\"%s\"} 1\n",
                              report.cache->store->ops.scheme);
    put_total(out, &report);
    if (report.n_named > 0)
        put_named(out, &report);
    report_release(&report);
    return cache_writer_status(out);
}
