/* test_http_rules.c - checks the rules of HTTP that are functions on texts: dates, lists and Cache-Control; also with
 * random texts. */
#include "test.h"

#include "page/http_rules.h"

/* ---- dates ------------------------------------------------------------------------------------------------------- */

static void a_date_is_read_in_each_of_the_three_forms(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t seconds; } cases[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 }, { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
        { "Sun Nov  6 08:49:37 1994", 784111777 }, { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Thu Jan 01 00:00:00 1970", 0 }, { "Tue, 29 Feb 2000 12:00:00 GMT", 951825600 },
        { "Sun, 31 Dec 1899 23:59:59 GMT", -2208988801 }, { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 }, { "Tuesday, 19-Jan-38 03:14:08 GMT", 2147483648 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds = 7;
        if (!cache_http_read_date(cases[i].text, &seconds) || seconds != cases[i].seconds)
            fail_msg("%s: %lld", cases[i].text, (long long)seconds);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "0", "-1", "Sun", "Sun,", "Sun, 06 Nov 1994", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 30 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:00:61 GMT",
        ", 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "784111777",
        "Sun, 06 Nov 0000 08:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t seconds = 0;
        if (cache_http_read_date(texts[i], &seconds))
            fail_msg("'%s' was read as %lld", texts[i], (long long)seconds);
    }
}

/* ---- If-None-Match, Cache-Control, Cookie ------------------------------------------------------------------------ */

static void if_none_match_is_compared_weakly_element_by_element(void **state)
{
    (void)state;
    static const struct { const char *list, *etag; bool matches; } cases[] = {
        { "\"a\"", "\"a\"", true }, { "W/\"a\"", "\"a\"", true }, { "\"a\"", "W/\"a\"", true },
        { "\"b\",\"a\"", "\"a\"", true },
        { " , \"b\" ,\t\"a\" , ", "\"a\"", true }, { "*", "\"a\"", true }, { "*", NULL, true },
        { "\"a,b\"", "\"a,b\"", true },
        { "\"a\"", "\"A\"", false }, { "\"x, \\\"a\\\"\"", "\"a\"", false }, { "a", "\"a\"", false },
        { "w/\"a\"", "\"a\"", false },
        { "", "\"a\"", false }, { "\"a\"", NULL, false }, { "\"*\"", "\"a\"", false }, { "\"a", "\"a\"", false },
        { "", NULL, false }, { "\"\"", NULL, false },
        /* RFC 9110 section 8.8.3: a backslash is a character of the tag, and escapes nothing. */
        { "\"a\\\", \"b\"", "\"a\\\"", true }, { "\"a\\\", \"b\"", "\"b\"", true },
        { "\"a\\\"b\"", "\"b\"", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (cache_http_none_match(cases[i].list, cases[i].etag) != cases[i].matches)
            fail_msg("%s against %s", cases[i].list, cases[i].etag);
}

static void cache_control_is_read_without_case_and_with_quotes(void **state)
{
    (void)state;
    struct cache_http_control control = CACHE_HTTP_CONTROL_INIT;
    cache_http_read_control("Public, MAX-AGE=\"60\" , x=\"no-store, private\", stale-while-revalidate=30", &control);
    assert_true(control.max_age == 60 && control.stale_while_revalidate == 30 && control.stale_if_error < 0);
    assert_false(control.no_store || control.is_private || control.no_cache || control.must_revalidate);
    cache_http_read_control("s-maxage=5, stale-if-error=1e9, max-age=70", &control);
    assert_true(control.s_maxage == 5 && control.max_age == 60 && control.stale_if_error == 0);
    assert_true(control.must_revalidate);
    cache_http_read_control("max-age=-1", &control);
    assert_true(control.max_age == 0);
}

static void a_cookie_is_found_by_its_whole_name(void **state)
{
    (void)state;
    static const struct { const char *cookies, *value; } cases[] = {
        { "id=1", "1" }, { "x=0; id=1; id=2", "1" }, { "xid=0;id=1", "1" }, { "id=", "" }, { "id2=0; id=a=b", "a=b" },
        { "ID=1", NULL }, { "id", NULL }, { "", NULL }, { NULL, NULL }, { ";;; ;id=1", "1" }, { "x=id=1", NULL },
        { "id =1", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cache_bytes value = { NULL, 0 };
        const bool found = cache_http_find_cookie(cases[i].cookies, "id", &value);
        if (found != (cases[i].value != NULL) ||
            (found && (value.size != strlen(cases[i].value) || memcmp(value.data, cases[i].value, value.size) != 0)))
            fail_msg("'%s': '%.*s'", cases[i].cookies, (int)value.size, value.data);
    }
}

/* ---- noise ------------------------------------------------------------------------------------------------------- */

/* Texts that are nearly right, each in a block of exactly its size, so that a sanitizer sees a read past its end. */
static void texts_of_noise_never_lead_outside(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sunday, 06-Nov-94 08:49:37 GMT",
        "max-age=60, s-maxage=\"5\", no-cache=\"a\\\"b, c\", stale-if-error=1", "W/\"abc\", \"d,e\", *",
        "a=1; id=2; b=\"3\"; id",
    };
    unsigned random = 11;
    for (int round = 0; round < 60000; round++) {
        const char *seed = seeds[round % 6];
        const size_t size = strlen(seed) - (size_t)(round / 6 % 5);
        char *text = malloc(size + 1);
        assert_non_null(text);
        memcpy(text, seed, size);
        text[size] = '\0';
        for (int i = 0; i < round % 4; i++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % size] = (char)(random >> 24);
        }
        struct cache_http_control control = CACHE_HTTP_CONTROL_INIT;
        cache_bytes value;
        int64_t seconds = 0;
        cache_http_read_control(text, &control);
        assert_true(control.max_age <= 1e11 && control.s_maxage <= 1e11);
        (void)cache_http_read_date(text, &seconds);
        (void)cache_http_none_match(text, "\"abc\"");
        (void)cache_http_list_has(text, "accept");
        if (cache_http_find_cookie(text, "id", &value))
            assert_true(value.data >= text && value.data + value.size <= text + size);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_read_in_each_of_the_three_forms),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(if_none_match_is_compared_weakly_element_by_element),
        cmocka_unit_test(cache_control_is_read_without_case_and_with_quotes),
        cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
        cmocka_unit_test(texts_of_noise_never_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
