/* test_wire.c - the transport, with a protocol of lines and fake servers: who gets which reply, what goes out together,
 * what a failure means for the requests beside it. */
#include "test.h"

#include "backends/wire/server.h"
#include "hooks.h"

#include "fake_server.h"


/* ---- a protocol: the reply to a line is the line ----------------------------------------------------------------- */

static struct cache_server_counters counters;
static cache_env env;

struct line {
    char text[64], reply[64];
};

static enum cache_reply take_line(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
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

static const struct cache_protocol lines = { .greet = NULL };

static void open_server(struct cache_server *server, int port, int pool, bool gather, int64_t timeout_ms)
{
    static const cache_config none = CACHE_CONFIG_INIT;
    cache_env_init(&env, &none);
    const struct cache_server_config config = {
        .env = &env, .where = "lines", .place = { "127.0.0.1", port }, .protocol = &lines, .pool = pool,
        .gather = gather, .timeout_ms = timeout_ms, .connect_timeout_ms = timeout_ms, .retry_after_ms = 1000,
        .counters = &counters,
    };
    memset(&counters, 0, sizeof counters);
    assert_status(CACHE_OK, cache_server_init(server, &config));
}

static cache_status ask(struct cache_server *server, const char *text, bool repeatable, struct line *line)
{
    (void)snprintf(line->text, sizeof line->text, "%s\n", text);
    line->reply[0] = '\0';
    const struct iovec part = { line->text, strlen(line->text) };
    struct cache_exchange exchange = { .parts = &part, .n_parts = 1, .repeatable = repeatable, .take = take_line,
                                       .ctx = line };
    return cache_server_call(server, &exchange, cache_server_deadline(server));
}

/* ---- gathering --------------------------------------------------------------------------------------------------- */

static void echo(struct fake_server *server, int fd, int number)
{
    char bytes[4096];
    (void)server, (void)number;
    while (fake_server_read(fd, bytes, sizeof bytes))
        if (!fake_server_puts(fd, bytes))
            return;
}

static struct cache_server shared;
static atomic_int wrong;

static void *ask_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        char text[32];
        struct line line;
        (void)snprintf(text, sizeof text, "%d-%d", *(int *)arg, i);
        if (ask(&shared, text, true, &line) != CACHE_OK || strcmp(line.reply, text) != 0)
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

static void threads_that_share_connections_get_their_own_replies(void **state)
{
    struct fake_server fake;
    (void)state;
    for (int gather = 0; gather < 2; gather++) {
        pthread_t threads[16];
        int numbers[16];
        fake_server_start(&fake, echo, NULL);
        open_server(&shared, fake.port, 2, gather, 20000);
        wrong = 0;
        for (int i = 0; i < 16; i++) {
            numbers[i] = i;
            assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &numbers[i]), 0);
        }
        for (int i = 0; i < 16; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(wrong, 0);
        assert_in_range(fake.accepted, 1, 2);
        cache_server_release(&shared);
        fake_server_stop(&fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_share_connections_get_their_own_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
