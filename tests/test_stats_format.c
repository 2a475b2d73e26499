/* test_stats_format.c - checks statistics as JSON and as text for Prometheus, which dashboards and scrapers read. */
#include "test.h"

#include <cjson/cJSON.h>

static cache_t *open_used(void)
{
    cache_t *cache = test_open("memory://?max_items=1000");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    for (int i = 0; i < 27; i++)
        assert_text(cache, "k", "x");
    assert_text(cache, "missing", NULL);
    assert_text(cache, "missing", NULL);
    return cache;
}

static void json_is_valid_and_has_the_counters(void **state)
{
    (void)state;
    cache_t *cache = open_used();
    cache_writer *out = cache_writer_new();
    assert_status(CACHE_OK, cache_stats_json(cache, out));
    cJSON *json = cJSON_Parse(cache_writer_data(out, NULL));
    assert_non_null(json);
    assert_int_equal(cJSON_GetObjectItem(json, "hits")->valueint, 27);
    assert_int_equal(cJSON_GetObjectItem(json, "misses")->valueint, 2);
    assert_string_equal(cJSON_GetObjectItem(json, "hit_rate")->valuestring, "93.1%");
    assert_true(cJSON_GetObjectItem(json, "hit_ratio")->valuedouble > 0.9309 &&
                cJSON_GetObjectItem(json, "hit_ratio")->valuedouble < 0.9311);
    assert_int_equal(cJSON_GetObjectItem(json, "items")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(json, "max_items")->valueint, 1000);
    assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "latency"), "get"));
    cJSON_Delete(json);
    cache_writer_free(out);
    cache_close(cache);
}

static void a_hit_rate_of_no_reads_is_not_available(void **state)
{
    (void)state;
    cache_t *cache = test_open("null://");
    cache_writer *out = cache_writer_new();
    assert_status(CACHE_OK, cache_stats_json(cache, out));
    assert_non_null(strstr(cache_writer_data(out, NULL), "\"hit_rate\":\"N/A\",\"hit_ratio\":null"));
    cache_writer_free(out);
    cache_close(cache);
}

static void a_store_that_does_not_know_what_it_holds_shows_no_zeros(void **state)
{
    (void)state;
    cache_t *cache = test_open("null://");
    cache_writer *json = cache_writer_new(), *text = cache_writer_new();
    cache_counters counters;
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_int_equal(counters.knows_items, 0);
    assert_status(CACHE_OK, cache_stats_json(cache, json));
    assert_status(CACHE_OK, cache_stats_prometheus(cache, text));
    assert_null(strstr(cache_writer_data(json, NULL), "\"items\""));
    assert_null(strstr(cache_writer_data(json, NULL), "\"max_bytes\""));
    assert_null(strstr(cache_writer_data(text, NULL), "libcache_items"));
    assert_null(strstr(cache_writer_data(text, NULL), "libcache_bytes"));
    cache_writer_free(json);
    cache_writer_free(text);
    cache_close(cache);
}

/* The calls of one thread take turns, and each kind is to be among those that are timed. */
static void gets_and_the_sets_behind_them_are_both_timed(void **state)
{
    (void)state;
    cache_counters counters;
    cache_t *cache = test_open("memory://");
    for (int i = 0; i < 1000; i++) {
        assert_text(cache, "missing", NULL);
        assert_status(CACHE_OK, cache_set_string(cache, "k", "x", 60));
    }
    assert_status(CACHE_OK, cache_stats(cache, &counters));
    assert_true(counters.get.count > 0 && counters.get.count < 100);
    assert_true(counters.set.count > 0 && counters.set.count < 100);
    cache_close(cache);
}

/* ---- what `promtool check metrics` asks for ---------------------------------------------------------------------- */

enum { MAX_SERIES = 4000 };

struct scrape {
    char family[80], type[16];         /* of the last TYPE */
    char families[64][80];
    size_t n_families;
    char *series[MAX_SERIES];          /* name and labels as written */
    size_t n_series;
    char bucket_of[300];               /* the labels of the histogram's running buckets, without le */
    double last_bound;
    unsigned long long last_bucket;
};

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void check_type(struct scrape *scrape, const char *line)
{
    char named[80];
    assert_int_equal(sscanf(line, "# TYPE %79s %15s", named, scrape->type), 2);
    assert_string_equal(named, scrape->family);    /* HELP stands before it */
    assert_true(strcmp(scrape->type, "counter") == 0 || strcmp(scrape->type, "gauge") == 0 ||
                strcmp(scrape->type, "histogram") == 0);
    assert_int_equal(strcmp(scrape->type, "counter") == 0, ends_with(named, "_total"));
    if (strcmp(scrape->type, "histogram") == 0)
        assert_true(ends_with(named, "_seconds"));
    for (size_t i = 0; i < scrape->n_families; i++)
        assert_string_not_equal(scrape->families[i], named);
    assert_true(scrape->n_families < 64);
    strcpy(scrape->families[scrape->n_families++], named);
}

/* One label, name="value" with \\, \" and \n as its only escapes; returns what stands behind it. */
static const char *check_label(const char *at)
{
    const size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    assert_true(name > 0 && strncmp(at + name, "=\"", 2) == 0);
    for (at += name + 2; *at != '"'; at++) {
        assert_true(*at != '\0' && *at != '\n');
        if (*at == '\\')
            assert_non_null(strchr("\\\"n", *++at));
    }
    return at + 1;
}

static void check_bucket(struct scrape *scrape, const char *labels, const char *le, unsigned long long value)
{
    char others[300];
    (void)snprintf(others, sizeof others, "%.*s", (int)(le - labels), labels);
    const double bound = strncmp(le, "le=\"+Inf\"", 9) == 0 ? 1e300 : strtod(le + 4, NULL);
    if (strcmp(others, scrape->bucket_of) == 0) {
        assert_true(bound > scrape->last_bound);
        assert_true(value >= scrape->last_bucket);
    }
    strcpy(scrape->bucket_of, others);
    scrape->last_bound = bound;
    scrape->last_bucket = value;
}

static void check_sample(struct scrape *scrape, const char *line)
{
    const size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_:");
    const size_t family = strlen(scrape->family);
    assert_true(name >= family && strncmp(line, scrape->family, family) == 0);
    const char *at = line + name;
    const char *labels = at + 1, *le = NULL;
    if (*at == '{') {
        do {
            at++;
            le = strncmp(at, "le=", 3) == 0 ? at : le;
            at = check_label(at);
        } while (*at == ',');
        assert_true(*at == '}');
        at++;
    }
    for (size_t i = 0; i < scrape->n_series; i++)
        assert_true(strncmp(scrape->series[i], line, (size_t)(at - line)) != 0 ||
                    scrape->series[i][at - line] != '\0');
    assert_true(scrape->n_series < MAX_SERIES);
    char *series = strdup(line);
    series[at - line] = '\0';
    scrape->series[scrape->n_series++] = series;

    char *end = NULL;
    assert_true(*at == ' ');
    const double value = strtod(at + 1, &end);
    assert_true(*end == '\0' && value >= 0);
    if (strcmp(scrape->type, "histogram") != 0) {
        assert_int_equal(name, family);
        return;
    }
    if (strncmp(line + family, "_bucket", name - family) == 0) {
        assert_non_null(le);
        check_bucket(scrape, labels, le, (unsigned long long)value);
    } else if (strncmp(line + family, "_count", name - family) == 0) {
        assert_true(scrape->last_bound >= 1e300);    /* +Inf came last, and counts all */
        assert_int_equal((unsigned long long)value, scrape->last_bucket);
    } else
        assert_int_equal(strncmp(line + family, "_sum", name - family), 0);
}

/* Returns how many series there are. */
static size_t check_prometheus(const char *text)
{
    static struct scrape scrape;
    memset(&scrape, 0, sizeof scrape);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (const char *end; *text != '\0'; text = end + 1) {
        char line[600];
        end = strchr(text, '\n');
        assert_true((size_t)(end - text) < sizeof line);
        (void)snprintf(line, sizeof line, "%.*s", (int)(end - text), text);
        if (strncmp(line, "# HELP ", 7) == 0)
            assert_int_equal(sscanf(line, "# HELP %79s %*c", scrape.family), 1);
        else if (strncmp(line, "# TYPE ", 7) == 0)
            check_type(&scrape, line);
        else
            check_sample(&scrape, line);
    }
    for (size_t i = 0; i < scrape.n_series; i++)
        free(scrape.series[i]);
    return scrape.n_series;
}

static void prometheus_text_keeps_the_formats_rules(void **state)
{
    (void)state;
    cache_t *cache = open_used();
    cache_writer *out = cache_writer_new();
    assert_status(CACHE_OK, cache_stats_prometheus(cache, out));
    const char *text = cache_writer_data(out, NULL);
    assert_true(check_prometheus(text) > 18);
    assert_non_null(strstr(text, "\nlibcache_hits_total 27\n"));
    assert_non_null(strstr(text, "\nlibcache_max_items 1000\n"));
    assert_non_null(strstr(text, ",store=\"memory\"} 1\n"));
    assert_null(strstr(text, "libcache_named_"));
    cache_writer_free(out);
    cache_close(cache);
}

/* ---- by name ----------------------------------------------------------------------------------------------------- */

static cache_status compute(void *ctx, cache_writer *out)
{
    return cache_writer_puts(out, ctx);
}

static void fetch_as(cache_t *cache, const char *name)
{
    static char text[] = "x";
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.name = name;
    assert_status(CACHE_OK, cache_fetch(cache, "fetched", &options, compute, text, &value));
    cache_value_release(&value);
}

static void names_are_escaped_in_both_formats(void **state)
{
    (void)state;
    static const char odd[] = "a \"quoted\\\"\nname\x01 and \xc3\xa4";
    cache_t *cache = test_open("memory://");
    cache_writer *out = cache_writer_new(), *json = cache_writer_new();
    for (int i = 0; i < 3; i++)
        fetch_as(cache, odd);
    fetch_as(cache, "get_product");
    assert_status(CACHE_OK, cache_stats_json(cache, json));
    cJSON *parsed = cJSON_Parse(cache_writer_data(json, NULL));
    const cJSON *names = cJSON_GetObjectItem(parsed, "names");
    assert_int_equal(cJSON_GetArraySize(names), 2);
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(names, odd);
    assert_non_null(named);
    assert_int_equal(cJSON_GetObjectItem(named, "hits")->valueint, 2);
    assert_int_equal(cJSON_GetObjectItem(named, "misses")->valueint, 1);
    assert_string_equal(cJSON_GetObjectItem(named, "hit_rate")->valuestring, "66.7%");
    assert_null(cJSON_GetObjectItem(named, "evictions"));    /* a store does not know names */
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(named, "latency"), "compute"),
                                         "count")->valueint, 1);
    cJSON_Delete(parsed);

    assert_status(CACHE_OK, cache_stats_prometheus(cache, out));
    (void)check_prometheus(cache_writer_data(out, NULL));
    assert_non_null(strstr(cache_writer_data(out, NULL),
                           "\nlibcache_named_hits_total{name=\"a \\\"quoted\\\\\\\"\\nname\x01 and \xc3\xa4\"} 2\n"));
    assert_non_null(strstr(cache_writer_data(out, NULL), "\nlibcache_named_hits_total{name=\"get_product\"} 1\n"));
    cache_writer_free(json);
    cache_writer_free(out);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_valid_and_has_the_counters),
        cmocka_unit_test(a_hit_rate_of_no_reads_is_not_available),
        cmocka_unit_test(a_store_that_does_not_know_what_it_holds_shows_no_zeros),
        cmocka_unit_test(gets_and_the_sets_behind_them_are_both_timed),
        cmocka_unit_test(prometheus_text_keeps_the_formats_rules),
        cmocka_unit_test(names_are_escaped_in_both_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
