/* page_key.c - makes the key of a request. The first byte chooses what counts; the lines are the path, query, user,
 * host, cookies and language. Every key can be used, and a request has the same key each time. */
#include "fuzz.h"

#include "page/page_key.h"

struct lines {
    char *path, *query, *user, *host, *cookies, *language;
};

static const char *header(void *ctx, const char *name)
{
    const struct lines *lines = ctx;
    return strcmp(name, "Cookie") == 0 ? lines->cookies : strcmp(name, "Accept-Language") == 0 ? lines->language : NULL;
}

/* Returns a key, to be freed, or NULL. */
static char *key_of(const cache_view *view, const cache_request *request)
{
    const cache_env env = fuzz_env();
    cache_writer key;
    cache_writer_init(&key, env.allocator);
    const cache_status status = cache_view_key(view, request, &key);
    FUZZ_CHECK(status == CACHE_OK || status == CACHE_ERR_INVALID);
    char *text = NULL;
    if (status == CACHE_OK) {
        FUZZ_CHECK(key.size >= 5 && key.size <= CACHE_MAX_KEY);
        FUZZ_CHECK(memchr(key.data, '\0', key.size) == NULL && memchr(key.data, '\n', key.size) == NULL);
        text = fuzz_copy(key.data, key.size);
    }
    cache_writer_release(&key);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const cookies[] = { "theme", "a", NULL }, *const headers[] = { "Accept-Language", NULL };
    static const char *const only[] = { "page", "a", NULL }, *const ignore[] = { "utm_*", NULL };
    struct fuzz_input input = { data, size };
    const unsigned bits = fuzz_byte(&input);
    struct lines lines;
    lines.path = fuzz_line(&input);
    lines.query = fuzz_line(&input);
    lines.user = fuzz_line(&input);
    lines.host = fuzz_line(&input);
    lines.cookies = fuzz_line(&input);
    lines.language = fuzz_line(&input);
    cache_view view = CACHE_VIEW_INIT;
    view.query_string = (bits & 1) != 0;
    view.query_only = (bits & 2) != 0 ? only : NULL;
    view.query_ignore = (bits & 4) != 0 ? ignore : NULL;
    view.vary_cookies = (bits & 8) != 0 ? cookies : NULL;
    view.vary_headers = (bits & 16) != 0 ? headers : NULL;
    view.vary_user = (bits & 32) != 0;
    view.vary_host = (bits & 64) != 0;
    view.post_by_body = (bits & 128) != 0;
    const cache_request request = { .method = (bits & 128) != 0 ? "POST" : "GET", .path = lines.path,
                                    .query = lines.query, .user = lines.user[0] != '\0' ? lines.user : NULL,
                                    .header = header, .lookup_ctx = &lines, .host = lines.host, .scheme = "https",
                                    .body = input.data, .body_size = input.size };
    char *first = key_of(&view, &request), *second = key_of(&view, &request);
    FUZZ_CHECK((first == NULL) == (second == NULL) && (first == NULL || strcmp(first, second) == 0));
    free(second);
    free(first);
    free(lines.path);
    free(lines.query);
    free(lines.user);
    free(lines.host);
    free(lines.cookies);
    free(lines.language);
    return 0;
}
