/* lines.h - for tests of the transport: a protocol whose requests and replies are lines. */
#ifndef LINES_H
#define LINES_H

#include "test.h"

#include "backends/wire/server.h"
#include "hooks.h"

static struct cache_server_counters lines_counters;
static cache_env lines_env;

struct line {
    char text[64], reply[64];
};

static inline enum cache_reply take_line(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                         size_t *used)
{
    struct line *line = exchange->ctx;
    const char *end = size > 0 ? memchr(bytes, '\n', size) : NULL;
    (void)state;
    if (end == NULL)
        return CACHE_REPLY_MORE;
    *used = (size_t)(end + 1 - bytes);
    if (*used >= sizeof line->reply) {
        exchange->status = cache_fail(CACHE_ERR_PROTOCOL, "lines: too long");
        return CACHE_REPLY_BROKEN;
    }
    memcpy(line->reply, bytes, *used);
    line->reply[*used - 1] = '\0';
    return CACHE_REPLY_DONE;
}

static inline void open_server_of(struct cache_server *server, const char *host, int port, int pool, bool gather,
                                  int64_t timeout_ms)
{
    static const cache_config none = CACHE_CONFIG_INIT;
    static const struct cache_protocol lines = { .greet = NULL };
    cache_env_init(&lines_env, &none);
    const struct cache_server_config config = {
        .env = &lines_env, .where = "lines", .place = { host, port }, .protocol = &lines, .pool = pool,
        .gather = gather, .timeout_ms = timeout_ms, .connect_timeout_ms = timeout_ms, .retry_after_ms = 1000,
        .counters = &lines_counters,
    };
    memset(&lines_counters, 0, sizeof lines_counters);
    assert_status(CACHE_OK, cache_server_init(server, &config));
}

static inline void open_server(struct cache_server *server, int port, int pool, bool gather, int64_t timeout_ms)
{
    open_server_of(server, "127.0.0.1", port, pool, gather, timeout_ms);
}

/* Makes a request of `text`. `part` and `line` must stay. */
static inline struct cache_exchange line_exchange(const char *text, struct iovec *part, struct line *line)
{
    (void)snprintf(line->text, sizeof line->text, "%s\n", text);
    line->reply[0] = '\0';
    *part = (struct iovec){ line->text, strlen(line->text) };
    return (struct cache_exchange){ .parts = part, .n_parts = 1, .repeatable = true, .take = take_line, .ctx = line };
}

static inline cache_status ask(struct cache_server *server, const char *text, bool repeatable, struct line *line)
{
    struct iovec part;
    struct cache_exchange exchange = line_exchange(text, &part, line);
    exchange.repeatable = repeatable;
    return cache_server_call(server, &exchange, cache_server_deadline(server));
}

#endif
