/* responses.c - pages as libmicrohttpd sends them.
 *
 * A response is a list of copied headers, some twenty allocations that cost as much as finding the page. A page that is
 * asked for all the time is the same for as long as its Age is, a second: its response is kept, and sent again. A kept
 * page stays in memory until another takes its place, though it be evicted meanwhile. */
#include "responses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 16 };

struct kept {
    cache_page page;
    struct MHD_Response *response;     /* NULL: this place is free. It holds the page */
};

struct responses {
    struct kept kept[KEPT];
};

/* Pages whose bytes are in one place are one stored page, since the kept one holds that place. */
static bool is_same(const cache_page *a, const cache_page *b)
{
    if (a->body != b->body || a->status != b->status || a->n_headers != b->n_headers)
        return false;
    for (size_t i = 0; i < a->n_headers; i++) {
        const cache_header *x = &a->headers[i], *y = &b->headers[i];
        if (x->name != y->name || (x->value != y->value && strcmp(x->value, y->value) != 0))
            return false;
    }
    return true;
}

static bool is_from_cache(const cache_page *page)
{
    for (size_t i = 0; i < page->n_headers; i++)
        if (strcmp(page->headers[i].name, "Age") == 0)
            return page->body_size > 0;
    return false;
}

struct responses *responses_new(void)
{
    return calloc(1, sizeof(struct responses));
}

/* What the cache did, where a script of the page can read it: the headers of a page itself are closed to it. */
static void tell_script(struct MHD_Response *response, const cache_page *page)
{
    char text[64];
    for (size_t i = 0; i < page->n_headers; i++) {
        const cache_header *header = &page->headers[i];
        const bool is_verdict = strcmp(header->name, "X-Cache") == 0;
        if (!is_verdict && strcmp(header->name, "Age") != 0)
            continue;
        (void)snprintf(text, sizeof text, "%s;desc=\"%s\"", is_verdict ? "cache" : "age", header->value);
        (void)MHD_add_response_header(response, "Server-Timing", text);
    }
}

static void empty(struct kept *kept)
{
    if (kept->response != NULL)
        MHD_destroy_response(kept->response);
    *kept = (struct kept){ .response = NULL };
}

void responses_free(struct responses *responses)
{
    for (size_t i = 0; responses != NULL && i < KEPT; i++)
        empty(&responses->kept[i]);
    free(responses);
}

enum MHD_Result responses_send(struct responses *responses, struct MHD_Connection *connection, cache_page *page,
                               bool last)
{
    struct kept *kept = NULL;
    if (responses != NULL && !last && is_from_cache(page)) {
        kept = &responses->kept[((uintptr_t)page->body >> 6) % KEPT];
        if (kept->response != NULL && is_same(&kept->page, page)) {
            cache_page_release(page);
            return MHD_queue_response(connection, (unsigned)kept->page.status, kept->response);
        }
    }
    const cache_page sent = *page;
    struct MHD_Response *response = mhd_response(page);
    if (response == NULL)
        return MHD_NO;
    tell_script(response, &sent);
    if (last)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    const enum MHD_Result result = MHD_queue_response(connection, (unsigned)sent.status, response);
    if (kept != NULL) {
        empty(kept);
        *kept = (struct kept){ sent, response };
    } else
        MHD_destroy_response(response);
    return result;
}
