/* page.c - reads a stored page, as a response and as a page to send. */
#include "fuzz.h"

#include "conditional.h"
#include "page_codec.h"

static size_t read_all(const cache_page *page)
{
    size_t sum = 0;
    for (size_t i = 0; i < page->n_headers; i++)
        sum += strlen(page->headers[i].name) + strlen(page->headers[i].value);
    const unsigned char *body = page->body;
    for (size_t i = 0; i < page->body_size; i++)
        sum += body[i];
    return sum;
}

static const char *header_of_request(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "If-None-Match") == 0 ? "\"a\"" : NULL;
}

/* As a page that is sent: it owns a copy of the bytes. */
static void send(const cache_env *env, const char *bytes, size_t size, bool is_page)
{
    const cache_request request = { .method = "GET", .path = "/", .header = header_of_request };
    cache_writer writer;
    cache_value value;
    cache_page page;
    cache_writer_init(&writer, env->allocator);
    FUZZ_CHECK(cache_writer_append(&writer, bytes, size) == CACHE_OK);
    FUZZ_CHECK(cache_writer_take(&writer, &value) == CACHE_OK);
    const cache_status status = cache_page_make(env, &value, &request, "HIT", 1, &page);
    FUZZ_CHECK(status == (is_page ? CACHE_OK : CACHE_ERR_PROTOCOL));
    if (status == CACHE_OK) {
        FUZZ_CHECK(read_all(&page) > 0);
        cache_page_release(&page);
    } else
        cache_value_release(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cache_env env = fuzz_env();
    char *bytes = malloc(size > 0 ? size : 1);
    struct stored_page stored;
    cache_response response;
    FUZZ_CHECK(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    const bool is_page = cache_page_decode((cache_bytes){ bytes, size }, &stored);
    if (is_page) {
        FUZZ_CHECK(cache_page_as_response(&env, &stored, &response));
        (void)cache_response_header(&response, "ETag");
        cache_page_as_response_release(&response);
        (void)cache_page_is_not_modified(&stored, &(cache_request){ .method = "GET", .header = header_of_request });
    }
    send(&env, bytes, size, is_page);
    free(bytes);
    return 0;
}
