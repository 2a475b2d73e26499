/* test_tool.c - checks the command line tool as scripts use it, on stores without a server: its output, its exit
 * statuses and its JSON. */
#include "files.h"
#include "server.h"
#include "tool.h"

static void get_set_add_delete_and_their_exit_statuses(void **state)
{
    const char *url = *state;
    assert_tool(1, "", "%s get k", url);
    assert_tool(0, "", "%s set k value --ttl 60", url);
    assert_tool(0, "value", "%s get k", url);
    assert_tool(1, "", "%s add k other", url);
    assert_tool(0, "", "%s add new other", url);
    assert_tool(0, "other", "%s get new", url);
    assert_tool(0, "", "%s delete k new", url);
    assert_tool(1, "", "%s delete k", url);
    assert_tool(1, "", "%s get k", url);
}

static void a_value_comes_from_standard_input_byte_by_byte(void **state)
{
    const char *url = *state;
    tool_run(0, "printf 'a\\000b\\377' | " TOOL_PATH " '%s' set bytes", url);
    tool_run(0, TOOL_PATH " '%s' get bytes | od -An -c", url);
    assert_non_null(strstr(tool_output(), "a  \\0   b 377"));
    tool_run(0, TOOL_PATH " '%s' --json get bytes", url);
    cJSON *json = tool_json();
    assert_string_equal(cJSON_GetObjectItem(json, "value_base64")->valuestring, "YQBi/w==");
    cJSON_Delete(json);
    /* More than one buffer's worth. */
    tool_run(0, "head -c 300000 /dev/zero | " TOOL_PATH " '%s' set large && " TOOL_PATH " '%s' get large | wc -c", url,
             url);
    assert_int_equal(atol(tool_output()), 300000);
}

static void counters_and_times(void **state)
{
    const char *url = *state;
    assert_tool(0, "5\n", "%s inc n 5", url);
    assert_tool(0, "6\n", "%s inc n", url);
    assert_tool(0, "-1\n", "%s inc n -7", url);
    assert_tool(2, "", "%s inc n seven", url);
    assert_tool(0, "", "%s set text abc", url);
    assert_tool(3, "", "%s inc text", url);
    assert_tool(0, "", "%s touch n --ttl forever", url);
    assert_tool(0, "forever\n", "%s ttl n", url);
    assert_tool(0, "", "%s touch n --ttl 100", url);
    tool_run(0, TOOL_PATH " '%s' ttl n", url);
    assert_true(atof(tool_output()) > 90 && atof(tool_output()) <= 100);
    assert_tool(1, "", "%s ttl none", url);
    assert_tool(1, "", "%s touch none", url);
}

static void wrong_arguments_are_2_and_a_store_that_fails_is_3(void **state)
{
    const char *url = *state;
    assert_tool(2, "", "%s", url);
    assert_tool(2, "", "%s nonsense", url);
    assert_tool(2, "", "%s get", url);
    assert_tool(2, "", "%s get a b", url);
    assert_tool(2, "", "%s set a b --ttl -3", url);
    assert_tool(2, "", "%s set a b --ttl soon", url);
    assert_tool(2, "", "%s get a --nonsense", url);
    assert_tool(2, "", "nonsense:// get a");
    assert_tool(2, "", "%s?nonsense=1 get a", url);
    assert_tool(3, "", "redis://127.0.0.1:%d get a", test_free_port());
    assert_tool(3, "", "memcached:// keys");    /* cannot list */
    assert_tool(1, "", "memory:// keys");
    tool_run(0, TOOL_PATH " --help");
    assert_non_null(strstr(tool_output(), "doctor"));
    assert_tool(0, "libcache " CACHE_VERSION "\n", "--version");
    tool_run(3, TOOL_PATH " '%s' set k v && " TOOL_PATH " '%s' get k >/dev/full", url, url);    /* a full disk */
}

static cache_status compute(void *ctx, cache_writer *out)
{
    return ctx == NULL ? CACHE_MISS : cache_writer_puts(out, ctx);
}

static void put_computed(const char *url, const char *key, char *text, double ttl, double stale, const char *tag)
{
    cache_t *cache = test_open(url);
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.ttl = options.negative_ttl = ttl;
    options.stale = stale;
    options.type = "page";
    options.tags = &tag;
    options.n_tags = tag != NULL;
    assert_status(text != NULL ? CACHE_OK : CACHE_MISS, cache_fetch(cache, key, &options, compute, text, &value));
    cache_value_release(&value);
    cache_close(cache);
}

static void computed_values_are_shown_without_their_envelope(void **state)
{
    const char *url = *state;
    put_computed(url, "page", (char[]){ "hello" }, 60, 60, "posts");
    assert_tool(0, "hello", "%s get page", url);
    tool_run(0, TOOL_PATH " '%s' get page --raw | wc -c", url);
    assert_true(atol(tool_output()) > 50);
    tool_run(0, TOOL_PATH " '%s' get page -v 2>&1", url);
    assert_non_null(strstr(tool_output(), "computed, 5 bytes, age"));
    assert_non_null(strstr(tool_output(), "type page, tags posts"));
    tool_run(0, TOOL_PATH " '%s' get page --json", url);
    cJSON *json = tool_json();
    assert_string_equal(cJSON_GetObjectItem(json, "kind")->valuestring, "computed");
    assert_string_equal(cJSON_GetObjectItem(json, "value")->valuestring, "hello");
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "tags"), 0)->valuestring, "posts");
    const double left = cJSON_GetObjectItem(json, "ttl_left")->valuedouble;
    assert_true(left > 50 && left <= 60);
    cJSON_Delete(json);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "posts"));
    cache_close(cache);
    assert_tool(1, "", "%s get page", url);
    tool_run(1, TOOL_PATH " '%s' get page --json", url);
    json = tool_json();
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "invalidated")));
    assert_null(cJSON_GetObjectItem(json, "value"));
    cJSON_Delete(json);
    tool_run(0, TOOL_PATH " '%s' get page --raw | grep -c hello", url);
}

static void keys_are_listed_by_pattern_and_all_of_them(void **state)
{
    const char *url = *state;
    assert_tool(1, "", "%s keys", url);
    cache_t *cache = test_open(url);
    for (int i = 0; i < 2500; i++)    /* several steps */
        test_set_numbered(cache, i % 2 == 0 ? "user:" : "post:", i, 60);
    assert_status(CACHE_OK, cache_set_string(cache, "\"quoted\"\n", "x", 60));
    cache_close(cache);
    tool_run(0, TOOL_PATH " '%s' keys --pattern 'user:*' | sort -u | wc -l", url);
    assert_int_equal(atoi(tool_output()), 1250);
    tool_run(0, TOOL_PATH " '%s' keys --pattern '*:7'", url);
    assert_string_equal(tool_output(), "post:7\n");
    tool_run(0, TOOL_PATH " '%s' keys --json", url);
    cJSON *json = tool_json();
    assert_true(cJSON_GetArraySize(json) >= 2501);
    cJSON_Delete(json);
    tool_run(0, TOOL_PATH " '%s' stats --json", url);
    json = tool_json();
    assert_int_equal(cJSON_GetObjectItem(json, "items")->valueint, 2501);
    cJSON_Delete(json);
    assert_tool(0, "", "%s clear --yes", url);
    assert_tool(1, "", "%s keys", url);
}

static double ttl_of(const char *url, const char *key)
{
    double left = 0;
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_ttl_left(cache, key, &left));
    cache_close(cache);
    return left;
}

static void a_copy_has_the_times_and_tags_of_its_original(void **state)
{
    const char *url = *state;
    char to[256];
    (void)snprintf(to, sizeof to, "%s-copy?prefix=other:", url);
    assert_tool(0, "", "%s set short v --ttl 100", url);
    assert_tool(0, "", "%s set long v --ttl forever", url);
    assert_tool(0, "3\n", "%s inc n 3", url);
    put_computed(url, "page", (char[]){ "hello" }, 200, 100, "posts");
    put_computed(url, "nothing", NULL, 200, 0, NULL);
    put_computed(url, "gone", (char[]){ "old" }, 200, 0, "gone");
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "gone"));
    cache_close(cache);
    assert_tool(0, "5 copied, 1 were past their time, 0 failed\n", "%s copy %s", url, to);
    assert_true(ttl_of(to, "short") > 90 && ttl_of(to, "short") <= 100);
    assert_true(ttl_of(to, "long") == CACHE_TTL_FOREVER);
    assert_true(ttl_of(to, "page") > 190 && ttl_of(to, "page") <= 200);
    assert_tool(0, "hello", "%s get page", to);
    assert_tool(1, "", "%s get gone", to);
    assert_tool(0, "4\n", "%s inc n", to);
    tool_run(0, TOOL_PATH " '%s' get page --json", to);
    cJSON *json = tool_json();
    assert_string_equal(cJSON_GetObjectItem(json, "type")->valuestring, "page");
    assert_true(cJSON_GetObjectItem(json, "kept")->valuedouble > 290);
    cJSON_Delete(json);
    tool_run(1, TOOL_PATH " '%s' get nothing --json", to);
    json = tool_json();
    assert_string_equal(cJSON_GetObjectItem(json, "kind")->valuestring, "nothing");
    cJSON_Delete(json);
    cache = test_open(to);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "posts"));    /* reaches the copy */
    cache_close(cache);
    assert_tool(1, "", "%s get page", to);
    assert_tool(0, "hello", "%s get page", url);
    tool_run(0, TOOL_PATH " '%s' copy '%s' --pattern 'sh*' --json", url, to);
    json = tool_json();
    assert_int_equal(cJSON_GetObjectItem(json, "copied")->valueint, 1);
    cJSON_Delete(json);
}

static void bench_gives_percentiles_and_leaves_nothing(void **state)
{
    const char *url = *state;
    tool_run(0, TOOL_PATH " '%s' bench --count 300 --json", url);
    cJSON *json = tool_json();
    const cJSON *get = cJSON_GetObjectItem(json, "get");
    assert_int_equal(cJSON_GetObjectItem(get, "count")->valueint, 300);
    const double p50 = cJSON_GetObjectItem(get, "p50_us")->valuedouble;
    const double max = cJSON_GetObjectItem(get, "max_us")->valuedouble;
    assert_true(p50 > 0 && p50 <= max);
    assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "set"), "p99.9_us")->valuedouble > 0);
    cJSON_Delete(json);
    assert_tool(1, "", "%s keys", url);
    tool_run(0, TOOL_PATH " memory:// bench --count 100");
    assert_non_null(strstr(tool_output(), "p99.9"));
}

/* ---- doctor ------------------------------------------------------------------------------------------------------ */

static void doctor_finds_nothing_wrong_and_leaves_nothing(void **state)
{
    const char *url = *state;
    assert_tool(0, "", "%s set mine v", url);
    tool_run(0, TOOL_PATH " '%s' doctor", url);
    assert_non_null(strstr(tool_output(), "nothing is wrong"));
    assert_non_null(strstr(tool_output(), "ok     expiry"));
    assert_tool(0, "mine\n", "%s keys", url);
    tool_run(0, TOOL_PATH " memory:// doctor --json");
    cJSON *json = tool_json();
    assert_int_equal(cJSON_GetObjectItem(json, "problems")->valueint, 0);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(json, "checks")) >= 8);
    cJSON_Delete(json);
}

static void doctor_knows_a_foreign_directory_and_touches_nothing(void **state)
{
    char path[300];
    const char *directory = (const char *)*state + strlen("file://");
    (void)snprintf(path, sizeof path, "mkdir -p '%s' && echo mine > '%s/letter'", directory, directory);
    assert_int_equal(system(path), 0);
    tool_run(3, TOOL_PATH " '%s' doctor", (const char *)*state);
    assert_non_null(strstr(tool_output(), "WRONG"));
    assert_non_null(strstr(tool_output(), "Give the URL an empty or a new directory"));
    tool_run(0, "ls -A '%s'", directory);
    assert_string_equal(tool_output(), "letter\n");
}

static void doctor_knows_a_directory_that_is_not_to_be_written(void **state)
{
    (void)state;
    tool_run(3, TOOL_PATH " file:///proc/libcache doctor");
    assert_non_null(strstr(tool_output(), "WRONG"));
    assert_non_null(strstr(tool_output(), "/proc/libcache"));
}

static void doctor_knows_a_limit_below_the_values(void **state)
{
    char url[300];
    (void)snprintf(url, sizeof url, "%s?max_bytes=64kb", (const char *)*state);
    tool_run(3, TOOL_PATH " '%s' doctor --size 200000", url);
    assert_non_null(strstr(tool_output(), "WRONG  size"));
    assert_non_null(strstr(tool_output(), "Raise the limit"));
}

static void doctor_knows_that_nobody_listens(void **state)
{
    (void)state;
    tool_run(3, TOOL_PATH " 'redis://127.0.0.1:%d?on_error=miss' doctor", test_free_port());
    assert_non_null(strstr(tool_output(), "No server listens there"));
    tool_run(3, TOOL_PATH " nonsense:// doctor");
    assert_non_null(strstr(tool_output(), "WRONG  open"));
}

static int begin(void **state)
{
    char *url = calloc(1, 256);
    char directory[128];
    assert_non_null(url);
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url, 256, "file://%s/cache", directory);
    *state = url;
    return 0;
}

static int end(void **state)
{
    char *directory = (char *)*state + strlen("file://");
    *strrchr(directory, '/') = '\0';
    test_directory_remove(directory);
    free(*state);
    return 0;
}

#define ON_FILES(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FILES(get_set_add_delete_and_their_exit_statuses),
        ON_FILES(a_value_comes_from_standard_input_byte_by_byte),
        ON_FILES(counters_and_times),
        ON_FILES(wrong_arguments_are_2_and_a_store_that_fails_is_3),
        ON_FILES(computed_values_are_shown_without_their_envelope),
        ON_FILES(keys_are_listed_by_pattern_and_all_of_them),
        ON_FILES(a_copy_has_the_times_and_tags_of_its_original),
        ON_FILES(bench_gives_percentiles_and_leaves_nothing),
        ON_FILES(doctor_finds_nothing_wrong_and_leaves_nothing),
        ON_FILES(doctor_knows_a_foreign_directory_and_touches_nothing),
        cmocka_unit_test(doctor_knows_a_directory_that_is_not_to_be_written),
        ON_FILES(doctor_knows_a_limit_below_the_values),
        cmocka_unit_test(doctor_knows_that_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
