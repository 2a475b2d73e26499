/* Statistics as JSON and as Prometheus' text: what dashboards and scrapers read. */
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
    assert_non_null(strstr(cache_writer_data(out, NULL), "\"hit_rate\":\"N/A\""));
    cache_writer_free(out);
    cache_close(cache);
}

/* HELP and TYPE before a family's samples, counters that end in _total, buckets that only grow, and the last line whole. */
static void prometheus_text_keeps_the_formats_rules(void **state)
{
    (void)state;
    cache_t *cache = open_used();
    cache_writer *out = cache_writer_new();
    char family[64] = "", type[16] = "", line[256];
    unsigned long long last_bucket = 0, value = 0;
    size_t samples = 0;
    assert_status(CACHE_OK, cache_stats_prometheus(cache, out));
    const char *text = cache_writer_data(out, NULL);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (; *text != '\0'; text = strchr(text, '\n') + 1) {
        (void)snprintf(line, sizeof line, "%.*s", (int)(strchr(text, '\n') - text), text);
        if (sscanf(line, "# HELP %63s", family) == 1)
            continue;
        char named[64];
        if (sscanf(line, "# TYPE %63s %15s", named, type) == 2) {
            assert_string_equal(named, family);
            assert_true(strcmp(type, "counter") != 0 || strcmp(named + strlen(named) - 6, "_total") == 0);
            continue;
        }
        assert_int_equal(strncmp(line, family, strlen(family)), 0);
        assert_true(sscanf(strrchr(line, ' '), " %llu", &value) == 1);
        if (strstr(line, "_bucket{") != NULL) {
            if (strstr(line, "le=\"0.000000256\"") != NULL)
                last_bucket = 0;
            assert_true(value >= last_bucket);
            last_bucket = value;
        } else if (strstr(line, "_count{") != NULL)
            assert_int_equal(value, last_bucket);    /* the +Inf bucket */
        samples++;
    }
    assert_true(samples > 17);
    assert_non_null(strstr(cache_writer_data(out, NULL), "\nlibcache_hits_total 27\n"));
    cache_writer_free(out);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_valid_and_has_the_counters),
        cmocka_unit_test(a_hit_rate_of_no_reads_is_not_available),
        cmocka_unit_test(prometheus_text_keeps_the_formats_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
