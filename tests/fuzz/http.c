/* http.c - reads texts of HTTP, one per line: a Cache-Control, a date, an If-None-Match, an ETag, a Cookie header, and
 * the name of a cookie. */
#include "fuzz.h"

#include "page/http_rules.h"

static void read_control(const char *value)
{
    struct cache_http_control control = CACHE_HTTP_CONTROL_INIT;
    cache_http_read_control(value, &control);
    FUZZ_CHECK(control.max_age >= -1 && control.s_maxage >= -1);
    FUZZ_CHECK(control.stale_while_revalidate >= -1 && control.stale_if_error >= -1);
    const struct cache_http_control once = control;
    cache_http_read_control(value, &control);    /* what is said twice is no more than said once */
    FUZZ_CHECK(control.no_store == once.no_store && control.no_cache == once.no_cache);
    const bool same = control.max_age >= once.max_age && control.max_age <= once.max_age;
    FUZZ_CHECK(same);
}

/* The elements lie within the list, one behind the other. */
static void walk(const char *list)
{
    const char *at = list, *end = list + strlen(list);
    cache_bytes element;
    while (cache_http_next_element(&at, &element)) {
        FUZZ_CHECK(at <= end);
        FUZZ_CHECK(element.size == 0 || ((const char *)element.data >= list && (const char *)element.data < end));
        (void)cache_http_is_token_of(element);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = { data, size };
    char *lines[6];
    for (size_t i = 0; i < 6; i++)
        lines[i] = fuzz_line(&input);
    read_control(lines[0]);
    for (size_t i = 0; i < 6; i++) {
        walk(lines[i]);
        (void)cache_http_list_has(lines[i], "no-cache");
        (void)cache_http_is_token(lines[i]);
        (void)cache_http_is_field_value(lines[i]);
        (void)cache_http_is_dropped(lines[i]);
        (void)cache_http_is_of_content(lines[i]);
    }
    int64_t seconds = 0;
    if (cache_http_read_date(lines[1], &seconds))    /* years 0 to 9999 */
        FUZZ_CHECK(seconds >= -INT64_C(62167219200) - 86400 && seconds < INT64_C(253402300800) + 86400);
    FUZZ_CHECK(!cache_http_none_match("", lines[3]));
    (void)cache_http_none_match(lines[2], lines[3]);
    cache_bytes value;
    if (cache_http_find_cookie(lines[4], lines[5], &value))
        free(fuzz_copy(value.data, value.size));
    for (size_t i = 0; i < 6; i++)
        free(lines[i]);
    return 0;
}
