/* tracing - what the cache did for each request, as spans in the shape of OpenTelemetry: a line of JSON each.
 *
 * The event hook runs in the thread of the operation and carries the pointer that this thread has set, here the request
 * that it serves. A real program hands the spans to its exporter in place of printing them. */
#include <libcache/cache.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct request {
    const char *trace_id, *span_id;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void print_text(const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c < ' ')
            printf("\\u%04x", c);
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else
            putchar(c);
    }
}

/* One span a fetch, which says where its value came from, and one a computation. */
static void on_event(void *ctx, const cache_event *event)
{
    static const char *const sources[] = { "none", "hit", "stale", "computed", "shared" };
    const struct request *request = event->context;
    (void)ctx;
    if (request == NULL || (event->type != CACHE_EVENT_FETCH && event->type != CACHE_EVENT_COMPUTE))
        return;
    const uint64_t end = now_ns();
    const bool is_fetch = event->type == CACHE_EVENT_FETCH;
    printf("{\"traceId\":\"%s\",\"parentSpanId\":\"%s\",\"name\":\"cache.%s\",\"startTimeUnixNano\":\"%" PRIu64
           "\",\"endTimeUnixNano\":\"%" PRIu64 "\",\"attributes\":{\"cache.key\":\"",
           request->trace_id, request->span_id, is_fetch ? "fetch" : "compute", end - event->nanoseconds, end);
    print_text(event->key);
    printf("\",\"cache.size\":%zu", event->size);
    if (is_fetch)
        printf(",\"cache.source\":\"%s\"", sources[event->source]);
    printf("},\"status\":{\"code\":%d}}\n", event->status < 0 ? 2 : 1);
}

static cache_status load(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "a page");
}

int main(void)
{
    static struct request requests[] = { { "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174" },
                                               { "5b8efff798038103d269b633813fc60d", "eee19b7ec3c1b175" } };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache;
    config.url = "memory://";
    config.event = on_event;
    if (cache_open_config(&config, &cache) != CACHE_OK)
        return EXIT_FAILURE;
    for (int i = 0; i < 2; i++) {
        cache_value value;
        cache_set_event_context(&requests[i]);
        if (cache_fetch(cache, "page \"1\"", NULL, load, NULL, &value) == CACHE_OK)
            cache_value_release(&value);
    }
    cache_set_event_context(NULL);
    cache_close(cache);
    return EXIT_SUCCESS;
}
