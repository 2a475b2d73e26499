/* program.c - is a program of an older version: its config, options and view are shorter than this library's. What
 * follows each of them in memory is no part of it, and must be neither read nor written. */
#include <libcache/cache.h>

#include <stdio.h>
#include <string.h>

/* A struct between two runs of bytes that nobody may touch. */
#define GUARDED(type, ...) struct { unsigned char before[64]; type it; unsigned char behind[256]; } guarded = \
    { .it = __VA_ARGS__ }; \
    memset(guarded.before, 0xa5, sizeof guarded.before); \
    memset(guarded.behind, 0xa5, sizeof guarded.behind)

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("line %d: %s: %s\n", __LINE__, #condition, cache_last_error()); \
            return false; \
        } \
    } while (0)

static bool is_untouched(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0xa5)
            return false;
    return true;
}

#define UNTOUCHED() (is_untouched(guarded.before, sizeof guarded.before) && \
                     is_untouched(guarded.behind, sizeof guarded.behind))

static bool opens(cache_t **cache)
{
    GUARDED(cache_config, { .size = sizeof(cache_config) });
    guarded.it.url = "memory://";
    CHECK(cache_open_config(&guarded.it, cache) == CACHE_OK);
    CHECK(UNTOUCHED());
    return true;
}

static cache_status compute(void *ctx, cache_writer *out)
{
    return cache_writer_puts(out, ctx);
}

static bool fetches(cache_t *cache)
{
    static char text[] = "text";
    struct { cache_fetch_info it; unsigned char behind[64]; } info;
    memset(&info, 0xa5, sizeof info);
    GUARDED(cache_fetch_options, CACHE_FETCH_OPTIONS_INIT);
    guarded.it.info = &info.it;
    for (int i = 0; i < 2; i++) {
        cache_value value;
        CHECK(cache_fetch(cache, "k", &guarded.it, compute, text, &value) == CACHE_OK);
        CHECK(strcmp(value.data, "text") == 0);
        CHECK(info.it.source == (i == 0 ? CACHE_SOURCE_COMPUTED : CACHE_SOURCE_HIT));
        cache_value_release(&value);
    }
    CHECK(UNTOUCHED());
    CHECK(is_untouched(info.behind, sizeof info.behind));
    return true;
}

static cache_status load_square(int number, int *out)
{
    *out = number * number;
    return CACHE_OK;
}

CACHE_MEMOIZE(get_square, load_square, 60, int, (int, number))

static bool memoizes(cache_t *cache)
{
    int square = 0;
    for (int i = 0; i < 2; i++) {
        CHECK(get_square(cache, 7, &square) == CACHE_OK);
        CHECK(square == 49);
    }
    CHECK(get_square_forget(cache, 7) == CACHE_OK);
    return true;
}

static cache_status handle(void *ctx, const cache_request *request, cache_response *response)
{
    (void)request;
    return cache_writer_puts(cache_response_body(response), ctx);
}

static bool serves(cache_t *cache)
{
    static char text[] = "page";
    GUARDED(cache_view, { .size = sizeof(cache_view) });
    const cache_rule rules[] = { { "/p", NULL, &guarded.it } };
    const cache_request request = { .method = "GET", .path = "/p" };
    for (int i = 0; i < 2; i++) {
        struct { cache_page it; unsigned char behind[64]; } page;
        memset(&page, 0xa5, sizeof page);
        CHECK(cache_middleware(cache, rules, 1, &request, handle, text, &page.it) == CACHE_OK);
        CHECK(strcmp(page.it.headers[page.it.n_headers - 1].value, i == 0 ? "MISS" : "HIT") == 0);
        CHECK(is_untouched(page.behind, sizeof page.behind));
        cache_page_release(&page.it);
    }
    CHECK(UNTOUCHED());
    return true;
}

int main(void)
{
    cache_t *cache = NULL;
    const bool good = opens(&cache) && fetches(cache) && memoizes(cache) && serves(cache);
    cache_close(cache);
    return good ? 0 : 1;
}
