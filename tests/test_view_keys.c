/* test_view_keys.c - checks which requests share one page. */
#include "site.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void queries_in_any_order_are_one_page(void **state)
{
    struct site site;
    site_open(&site, state);
    static const char *const ignored[] = { "utm_*", NULL };
    site.view.query_string = true;
    site.view.query_ignore = ignored;
    cache_request request = { .method = "GET", .path = "/p", .query = "b=2&a=1&a=0" };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.query = "a=1&utm_source=x&a=0&&b=2&utm%5Fid=3";
    assert_request(&site, &request, "HIT", "/p run 1");
    request.query = "a=0&a=1&b=2";    /* repeats keep their order */
    assert_request(&site, &request, "MISS", "/p run 2");
    site_close(&site);
}

static void queries_that_differ_are_never_one_page(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.query_string = true;
    static const char *const queries[] = {
        NULL, "a", "a=", "a=1", "a=1&b", "a=1&b=", "a=1%26b", "a%3D1", "a=1=", "a=1&a=1", "A=1", "a=%31", "a=1;b",
        "?a=1", "a=+1", "a=%201", "%a=1", "a\001=1",
    };
    enum { N = sizeof queries / sizeof queries[0] };
    char body[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++) {
            const cache_request request = { .method = "GET", .path = "/p", .query = queries[i] };
            (void)snprintf(body, sizeof body, "/p run %d", i + 1);
            assert_request(&site, &request, round == 0 ? "MISS" : "HIT", body);
        }
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p", .query = "" }, "HIT", "/p run 1");
    site_close(&site);
}

static void a_query_keeps_the_prefix(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.query_string = true;
    const cache_request request = { .method = "GET", .path = "/p", .query = "a=1" };
    assert_request(&site, &request, "MISS", "/p run 1");
    cache_t *all = site.cache;
    assert_status(CACHE_OK, cache_with_prefix(all, "v2:", &site.cache));
    assert_request(&site, &request, "MISS", "/p run 2");    /* pages of another prefix */
    assert_status(CACHE_OK, cache_clear(site.cache));
    assert_request(&site, &request, "MISS", "/p run 3");
    cache_close(site.cache);
    site.cache = all;
    assert_request(&site, &request, "HIT", "/p run 1");
    assert_status(CACHE_OK, cache_clear(all));
    assert_request(&site, &request, "MISS", "/p run 4");
    site_close(&site);
}

static void only_the_listed_parameters_count_however_they_are_encoded(void **state)
{
    struct site site;
    site_open(&site, state);
    const char *only[] = { "page", NULL };
    site.view.query_only = only;
    cache_request request = { .method = "GET", .path = "/p", .query = "x=1" };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.query = "p%61ge=2";
    assert_request(&site, &request, "MISS", "/p run 2");
    request.query = "x=3";
    assert_request(&site, &request, "HIT", "/p run 1");
    only[0] = "a*b";    /* a star stands for letters at the end alone */
    request.query = "axb=1";
    assert_request(&site, &request, "HIT", "/p run 1");
    request.query = "a*b=1";
    assert_request(&site, &request, "MISS", "/p run 3");
    only[0] = "a*";
    request.query = "axb=1";
    assert_request(&site, &request, "MISS", "/p run 4");
    site_close(&site);
}

static void a_path_that_looks_like_a_variant_has_a_page_of_its_own(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.query_string = true;
    const cache_request query = { .method = "GET", .path = "/p", .query = "a=1" };
    assert_request(&site, &query, "MISS", "/p run 1");
    site.view.query_string = false;
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p?a=1" }, "MISS", "/p?a=1 run 2");
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p\t?a=1" }, "MISS", "/p\t?a=1 run 3");
    assert_request(&site, &(cache_request){ .method = "GET", .path = "/p%09?a=1" }, "MISS", "/p%09?a=1 run 4");
    site_close(&site);
}

static void headers_and_cookies_that_count_give_pages_of_their_own(void **state)
{
    struct site site;
    site_open(&site, state);
    static const char *const languages[] = { "Accept-Language", NULL }, *const themes[] = { "theme", NULL };
    site.view.vary_headers = languages;
    site.view.vary_cookies = themes;
    struct pair headers[] = { { "Accept-Language", "de" }, { "Cookie", "x=1; theme=dark" }, { NULL, NULL } };
    const cache_request request = { .method = "GET", .path = "/p", .header = find_pair, .lookup_ctx = headers };
    assert_request(&site, &request, "MISS", "/p run 1");
    headers[1].value = "theme=light; x=1";
    assert_request(&site, &request, "MISS", "/p run 2");
    headers[0].value = "en";
    assert_request(&site, &request, "MISS", "/p run 3");
    headers[0].value = "de";
    headers[1].value = "theme=dark; x=2";
    assert_request(&site, &request, "HIT", "/p run 1");
    cache_page page = site_serve(&site, &request);
    assert_string_equal(page_header(&page, "Vary"), "Accept-Language");
    cache_page_release(&page);
    site_close(&site);
}

static const char *find_theme(void *ctx, const char *name)
{
    return strcmp(name, "theme") == 0 ? *(const char **)ctx : NULL;
}

static void cookies_come_from_the_servers_own_lookup_where_there_is_one(void **state)
{
    struct site site;
    site_open(&site, state);
    static const char *const themes[] = { "theme", NULL };
    site.view.vary_cookies = themes;
    const char *theme = "dark";
    const cache_request request = { .method = "GET", .path = "/p", .cookie = find_theme, .lookup_ctx = (void *)&theme };
    assert_request(&site, &request, "MISS", "/p run 1");
    theme = "";
    assert_request(&site, &request, "MISS", "/p run 2");
    theme = NULL;
    assert_request(&site, &request, "MISS", "/p run 3");    /* none is another than an empty one */
    theme = "dark";
    assert_request(&site, &request, "HIT", "/p run 1");
    site_close(&site);
}

static void a_path_of_any_length_has_a_page(void **state)
{
    struct site site;
    site_open(&site, state);
    char path[6001], other[6001];
    memset(path, 'x', 6000);
    path[6000] = '\0';
    memcpy(other, path, sizeof path);
    other[5999] = 'y';
    static const char *const verdicts[] = { "MISS", "MISS", "HIT" };
    for (int i = 0; i < 3; i++) {
        cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = i == 1 ? other : path });
        assert_string_equal(page_header(&page, "X-Cache"), verdicts[i]);
        cache_page_release(&page);
    }
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, path));
    cache_page page = site_serve(&site, &(cache_request){ .method = "GET", .path = path });
    assert_string_equal(page_header(&page, "X-Cache"), "MISS");
    cache_page_release(&page);
    site_close(&site);
}

static void a_post_that_is_a_query_is_stored_by_its_body(void **state)
{
    struct site site;
    site_open(&site, state);
    site.view.post_by_body = true;
    cache_request request = { .method = "POST", .path = "/p", .body = "a", .body_size = 1 };
    assert_request(&site, &request, "MISS", "/p run 1");
    assert_request(&site, &request, "HIT", "/p run 1");
    request.body = "b";
    assert_request(&site, &request, "MISS", "/p run 2");
    assert_get(&site, "MISS", "/p run 3");
    request.body = NULL;
    request.body_size = 0;
    assert_request(&site, &request, "MISS", "/p run 4");
    assert_request(&site, &request, "HIT", "/p run 4");
    request.method = "PUT";
    assert_request(&site, &request, "BYPASS", "/p run 5");
    site_close(&site);
}

/* XXH3 multiplies two words of the input, each with a part of a known secret over it: one that is the secret's makes 0
 * of the other. So whoever knows one body finds another with the same hash, of 128 bits or not. */
static void a_body_made_to_have_the_hash_of_another_does_not_get_its_page(void **state)
{
    static const char secret[] = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe\x7c\x01\x81\x2c\xf7\x21\xad\x1c";
    uint64_t words[2], one[4] = { 0 }, other[4] = { 0 };
    memcpy(words, secret, sizeof words);
    one[0] = words[0];
    one[1] = 12345;
    other[0] = words[0] + 12345 - words[1];
    other[1] = words[1];
    const XXH128_hash_t a = XXH3_128bits(one, sizeof one), b = XXH3_128bits(other, sizeof other);
    assert_true(XXH128_isEqual(a, b));

    struct site site;
    site_open(&site, state);
    site.view.post_by_body = true;
    cache_request request = { .method = "POST", .path = "/p", .body = one, .body_size = sizeof one };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.body = other;
    assert_request(&site, &request, "MISS", "/p run 2");
    site_close(&site);
}

/* ---- make_key ---------------------------------------------------------------------------------------------------- */

static cache_status by_path_and_query(void *ctx, const cache_request *request, cache_writer *key)
{
    const cache_status *status = ctx;
    if (*status != CACHE_OK)
        return *status;
    return request->query != NULL ? cache_writer_printf(key, "search_%s", request->query) : CACHE_OK;
}

static void hosts_and_schemes_that_count_give_pages_of_their_own(void **state)
{
    struct site site;
    site_open(&site, state);
    cache_request request = { .method = "GET", .path = "/p", .host = "a.example", .scheme = "https" };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.host = "b.example";
    assert_request(&site, &request, "HIT", "/p run 1");    /* the view says nothing of hosts */
    site.view.vary_host = true;
    assert_request(&site, &request, "MISS", "/p run 2");
    request.host = "B.Example";
    assert_request(&site, &request, "HIT", "/p run 2");
    request.host = "b.example:8080";
    assert_request(&site, &request, "MISS", "/p run 3");
    request.host = "b.example";
    request.scheme = "http";
    assert_request(&site, &request, "MISS", "/p run 4");
    request.scheme = NULL;
    assert_request(&site, &request, "MISS", "/p run 5");
    request.host = "b.example\tscheme https";
    assert_request(&site, &request, "MISS", "/p run 6");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/p"));
    request.host = "b.example";
    request.scheme = "https";
    assert_request(&site, &request, "MISS", "/p run 7");
    request.host = NULL;
    assert_request(&site, &request, "MISS", "/p run 8");
    assert_request(&site, &request, "HIT", "/p run 8");
    site_close(&site);
}

static void make_key_writes_the_whole_key(void **state)
{
    struct site site;
    cache_status status = CACHE_OK;
    site_open(&site, state);
    site.view.make_key = by_path_and_query;
    site.view.ctx = &status;
    cache_request request = { .method = "GET", .path = "/p", .query = "shoes" };
    assert_request(&site, &request, "MISS", "/p run 1");
    request.path = "/other";
    assert_request(&site, &request, "HIT", "/p run 1");
    assert_status(CACHE_OK, cache_has(site.cache, "search_shoes"));
    assert_status(CACHE_OK, cache_delete(site.cache, "search_shoes"));
    assert_request(&site, &request, "MISS", "/other run 2");
    assert_status(CACHE_OK, cache_view_forget_path(site.cache, "/other"));
    assert_request(&site, &request, "MISS", "/other run 3");
    site_close(&site);
}

static cache_status with_a_nul(void *ctx, const cache_request *request, cache_writer *key)
{
    (void)ctx, (void)request;
    return cache_writer_append(key, "a\0b", 3);
}

static void a_make_key_that_fails_or_writes_nothing_fails_the_request(void **state)
{
    struct site site;
    cache_status status = CACHE_ERR_IO;
    site_open(&site, state);
    site.view.make_key = by_path_and_query;
    site.view.ctx = &status;
    const cache_request request = { .method = "GET", .path = "/p" };
    cache_page page;
    assert_status(CACHE_ERR_IO, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    status = CACHE_OK;
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    assert_null(page.owner);
    site.view.make_key = with_a_nul;
    assert_status(CACHE_ERR_INVALID, cache_view_serve(site.cache, &site.view, &request, site_handler, &site, &page));
    assert_int_equal(site.runs, 0);
    site_close(&site);
}

/* ---- hostile input ----------------------------------------------------------------------------------------------- */

/* Deterministic noise: what stands in a request is anybody's. */
static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static char *noise(unsigned *seed, const char *alphabet, size_t most)
{
    const size_t size = next_random(seed) % (most + 1), letters = strlen(alphabet);
    char *text = malloc(size + 1);    /* of exactly its size, so that a sanitizer sees a read past its end */
    if (text == NULL)
        abort();
    for (size_t i = 0; i < size; i++)
        text[i] = next_random(seed) % 8 != 0 ? alphabet[next_random(seed) % letters]
                                             : (char)(next_random(seed) % 255 + 1);
    text[size] = '\0';
    return text;
}

static void a_request_of_noise_is_served_and_then_hit(void **state)
{
    struct site site;
    site_open(&site, state);
    static const char *const names[] = { "X-Noise", NULL }, *const ignored[] = { "u*", "b", NULL };
    site.view.query_string = site.view.vary_user = true;
    site.view.query_ignore = ignored;
    site.view.vary_headers = site.view.vary_cookies = names;
    unsigned seed = 7;
    const int rounds = test_store_is_shared(state) ? 300 : 3000;
    for (int round = 0; round < rounds; round++) {
        char *path = noise(&seed, "/ab%2?\t", 40), *query = noise(&seed, "ab=&%26u+;", 60);
        char *cookie = noise(&seed, "X-Noise=;, \"\\", 60), *match = noise(&seed, "\"W/,* \\ab", 40);
        struct pair headers[] = { { "Cookie", cookie }, { "If-None-Match", match }, { "If-Modified-Since", match },
                                  { "X-Noise", query }, { NULL, NULL } };
        const cache_request request = { .method = "GET", .path = path, .query = query, .user = match,
                                        .header = find_pair, .lookup_ctx = headers };
        cache_page page = site_serve(&site, &request);
        cache_page_release(&page);
        page = site_serve(&site, &request);
        assert_string_equal(page_header(&page, "X-Cache"), "HIT");
        cache_page_release(&page);
        free(path);
        free(query);
        free(cookie);
        free(match);
    }
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_in_any_order_are_one_page),
        cmocka_unit_test(queries_that_differ_are_never_one_page),
        cmocka_unit_test(a_query_keeps_the_prefix),
        cmocka_unit_test(only_the_listed_parameters_count_however_they_are_encoded),
        cmocka_unit_test(a_path_that_looks_like_a_variant_has_a_page_of_its_own),
        cmocka_unit_test(headers_and_cookies_that_count_give_pages_of_their_own),
        cmocka_unit_test(cookies_come_from_the_servers_own_lookup_where_there_is_one),
        cmocka_unit_test(a_path_of_any_length_has_a_page),
        cmocka_unit_test(a_post_that_is_a_query_is_stored_by_its_body),
        cmocka_unit_test(a_body_made_to_have_the_hash_of_another_does_not_get_its_page),
        cmocka_unit_test(hosts_and_schemes_that_count_give_pages_of_their_own),
        cmocka_unit_test(make_key_writes_the_whole_key),
        cmocka_unit_test(a_make_key_that_fails_or_writes_nothing_fails_the_request),
        cmocka_unit_test(a_request_of_noise_is_served_and_then_hit),
    };
    return test_on_stores(tests, sizeof tests / sizeof tests[0]);
}
