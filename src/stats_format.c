/* stats_format.c - the statistics as JSON and as Prometheus' text. */
#include "handle.h"

#include <inttypes.h>
#include <string.h>

/* Each counter once: both formats walk this table. */
static const struct field {
    const char *name, *help;
    size_t offset;
    bool is_gauge;
} fields[] = {
#define FIELD(member, is_gauge, help) { #member, help, offsetof(cache_counters, member), is_gauge }
    FIELD(hits, false, "Reads that found a value"),
    FIELD(misses, false, "Reads that found none"),
    FIELD(stale_hits, false, "Hits served past their TTL"),
    FIELD(sets, false, "Values stored"),
    FIELD(deletes, false, "Values deleted"),
    FIELD(incs, false, "Counters stepped"),
    FIELD(computations, false, "Values computed on a miss"),
    FIELD(waits_saved, false, "Fetches that shared another's computation"),
    FIELD(errors, false, "Failures of the store"),
    FIELD(timeouts, false, "Operations without an answer in time"),
    FIELD(reconnects, false, "Connections made anew"),
    FIELD(evictions, false, "Values evicted for room"),
    FIELD(expirations, false, "Values removed after their TTL"),
    FIELD(items, true, "Values held"),
    FIELD(bytes, true, "Bytes held"),
    FIELD(max_items, true, "Most values held, 0 for no limit"),
    FIELD(max_bytes, true, "Most bytes held, 0 for no limit"),
#undef FIELD
};

enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static uint64_t value_of(const cache_counters *counters, const struct field *field)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)counters + field->offset, sizeof value);
    return value;
}

/* No floating point and no locale: per mille, rounded, as "93.1%". */
static void put_hit_rate(cache_writer *out, const cache_counters *counters)
{
    const uint64_t reads = counters->hits + counters->misses;
    if (reads == 0) {
        (void)cache_writer_puts(out, "\"hit_rate\":\"N/A\"");
        return;
    }
    const uint64_t rate = (uint64_t)((double)counters->hits / (double)reads * 1000 + 0.5);
    (void)cache_writer_printf(out, "\"hit_rate\":\"%" PRIu64 ".%" PRIu64 "%%\"", rate / 10, rate % 10);
}

/* The latency that `per_mille` of the operations did not exceed: the bound of its bucket. */
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

static void put_json_latency(cache_writer *out, const char *name, const cache_latency *latency)
{
    (void)cache_writer_printf(out,
                              ",\"%s\":{\"count\":%" PRIu64 ",\"mean_ns\":%" PRIu64 ",\"p50_ns\":%" PRIu64
                              ",\"p99_ns\":%" PRIu64 "}",
                              name, latency->count, latency->count > 0 ? latency->nanoseconds / latency->count : 0,
                              quantile_ns(latency, 500), quantile_ns(latency, 990));
}

cache_status cache_stats_json(cache_t *cache, cache_writer *out)
{
    cache_counters counters;
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats_json: out is NULL");
    const cache_status status = cache_stats(cache, &counters);
    if (status != CACHE_OK)
        return status;
    (void)cache_writer_puts(out, "{");
    put_hit_rate(out, &counters);
    for (size_t i = 0; i < N_FIELDS; i++)
        (void)cache_writer_printf(out, ",\"%s\":%" PRIu64, fields[i].name, value_of(&counters, &fields[i]));
    (void)cache_writer_puts(out, ",\"latency\":{\"unit\":\"ns\"");
    put_json_latency(out, "get", &counters.get);
    put_json_latency(out, "set", &counters.set);
    put_json_latency(out, "compute", &counters.compute);
    return cache_writer_puts(out, "}}");
}

/* ---- Prometheus -------------------------------------------------------------------------------------------------- */

static void put_histogram(cache_writer *out, const char *operation, const cache_latency *latency)
{
    uint64_t seen = 0;
    for (size_t i = 0; i + 1 < CACHE_LATENCY_BUCKETS; i++) {
        seen += latency->buckets[i];
        const uint64_t bound_ns = UINT64_C(1) << (i + 8);
        (void)cache_writer_printf(out,
                                  "libcache_latency_seconds_bucket{operation=\"%s\",le=\"%" PRIu64 ".%09" PRIu64
                                  "\"} %" PRIu64 "\n",
                                  operation, bound_ns / 1000000000, bound_ns % 1000000000, seen);
    }
    seen += latency->buckets[CACHE_LATENCY_BUCKETS - 1];
    (void)cache_writer_printf(out,
                              "libcache_latency_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                              "libcache_latency_seconds_sum{operation=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n"
                              "libcache_latency_seconds_count{operation=\"%s\"} %" PRIu64 "\n",
                              operation, seen, operation, latency->nanoseconds / 1000000000,
                              latency->nanoseconds % 1000000000, operation, seen);
}

cache_status cache_stats_prometheus(cache_t *cache, cache_writer *out)
{
    cache_counters counters;
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "stats_prometheus: out is NULL");
    const cache_status status = cache_stats(cache, &counters);
    if (status != CACHE_OK)
        return status;
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *suffix = fields[i].is_gauge ? "" : "_total";
        (void)cache_writer_printf(out, "# HELP libcache_%s%s %s.\n# TYPE libcache_%s%s %s\nlibcache_%s%s %" PRIu64 "\n",
                                  fields[i].name, suffix, fields[i].help, fields[i].name, suffix,
                                  fields[i].is_gauge ? "gauge" : "counter", fields[i].name, suffix,
                                  value_of(&counters, &fields[i]));
    }
    (void)cache_writer_puts(out, "# HELP libcache_latency_seconds How long operations took.\n"
                                 "# TYPE libcache_latency_seconds histogram\n");
    put_histogram(out, "get", &counters.get);
    put_histogram(out, "set", &counters.set);
    put_histogram(out, "compute", &counters.compute);
    return cache_writer_status(out);
}
