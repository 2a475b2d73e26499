/* test_memcached_proxy.c - a proxy before Memcached that knows the commands which docs/backends.md lists, and no
 * others. What it knows it passes on to a real server. */
#include "test.h"

#include "fake_server.h"
#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PIECE = 64 * 1024, MAX_VERB = 16 };

static const char *const known[] = { "get", "gets", "set", "add", "cas", "delete", "incr", "touch" };

static struct test_server server;
static struct fake_server proxy;
static const char *refused = "", *refusal = "";    /* a command that it knows not either, and what it says to it */
static atomic_int n_unknown;

/* ---- the proxy --------------------------------------------------------------------------------------------------- */

static int connect_to_server(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server.port),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static bool is_store(const char *verb)
{
    return strcmp(verb, "set") == 0 || strcmp(verb, "add") == 0 || strcmp(verb, "cas") == 0;
}

/* What came and was not passed on yet. Values have any bytes. */
struct piece {
    size_t size;
    char bytes[MAX_PIECE];
};

/* Returns false if the other side is gone. */
static bool read_more(int fd, struct piece *piece)
{
    const ssize_t n = recv(fd, piece->bytes + piece->size, sizeof piece->bytes - piece->size, 0);
    piece->size += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The size of the first command and its value; 0: it has not come to its end. */
static size_t first_command(const struct piece *came, char verb[MAX_VERB])
{
    const char *end = memchr(came->bytes, '\n', came->size);
    char line[512];
    size_t value = 0;
    if (end == NULL)
        return 0;
    const size_t size = (size_t)(end + 1 - came->bytes);
    (void)snprintf(line, sizeof line, "%.*s", (int)size, came->bytes);
    (void)sscanf(line, "%15s", verb);
    if (is_store(verb) && sscanf(line, "%*s %*s %*s %*s %zu", &value) == 1)
        value += 2;
    return came->size >= size + value ? size + value : 0;
}

static bool is_known(const char *verb)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(verb, known[i]) == 0)
            return true;
    return false;
}

/* No value of the test ends with a line end and "END", nor has a line end in it where the reply is a line. */
static bool is_whole(const struct piece *reply, bool is_get)
{
    static const char end[] = "END\r\n";
    const size_t size = is_get ? sizeof end - 1 : 2;
    return reply->size >= size && memcmp(reply->bytes + reply->size - size, is_get ? end : "\r\n", size) == 0;
}

static bool pass_on(int client, int to, const char *command, size_t size, bool is_get)
{
    struct piece reply = { .size = 0 };
    if (!fake_server_send(to, command, size))
        return false;
    while (!is_whole(&reply, is_get))
        if (!read_more(to, &reply))
            return false;
    return fake_server_send(client, reply.bytes, reply.size);
}

static bool answer(int client, int to, const char *command, size_t size, const char *verb)
{
    if (!is_known(verb))
        atomic_fetch_add(&n_unknown, 1);
    if (strcmp(verb, refused) == 0)
        return refusal[0] != '\0' && fake_server_puts(client, refusal);
    if (!is_known(verb))
        return fake_server_puts(client, "ERROR\r\n");
    return pass_on(client, to, command, size, strncmp(verb, "get", 3) == 0);
}

static void serve(struct fake_server *fake, int fd, int number)
{
    struct piece came = { .size = 0 };
    char verb[MAX_VERB] = "";
    const int to = connect_to_server();
    size_t size;
    (void)fake, (void)number;
    for (bool good = to >= 0; good; good = good && read_more(fd, &came))
        while (good && (size = first_command(&came, verb)) > 0) {
            good = answer(fd, to, came.bytes, size, verb);
            came.size -= size;
            memmove(came.bytes, came.bytes + size, came.size);
        }
    if (to >= 0)
        close(to);
}

static int start(void **state)
{
    (void)state;
    test_server_start_memcached(&server, NULL);
    fake_server_start(&proxy, serve, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_server_stop(&proxy);
    test_server_stop(&server);
    return 0;
}

static cache_t *open_proxy(const char *prefix)
{
    char url[128];
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?timeout=20&connect_timeout=20&prefix=%s", proxy.port,
                   prefix);
    refused = "";
    return test_open(url);
}

/* ---- every call -------------------------------------------------------------------------------------------------- */

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "computed");
}

static void use_many(cache_t *cache)
{
    const cache_item items[] = { { "a", "1", 1 }, { "b", "2", 1 }, { "c", "3", 1 } };
    const char *const keys[] = { "a", "b", "c", "none" };
    cache_value values[4];
    size_t deleted = 0;
    assert_status(CACHE_OK, cache_set_many(cache, items, 3, 60));
    assert_status(CACHE_OK, cache_get_many(cache, keys, 4, values));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(values[i].size, 1);
        assert_memory_equal(values[i].data, items[i].data, 1);
        cache_value_release(&values[i]);
    }
    assert_null(values[3].data);
    assert_status(CACHE_OK, cache_delete_many(cache, keys, 4, &deleted));
    assert_int_equal(deleted, 3);
}

static void use_numbers(cache_t *cache)
{
    int64_t number = 0;
    assert_status(CACHE_OK, cache_inc(cache, "n", 5, &number));
    assert_status(CACHE_OK, cache_dec(cache, "n", 7, &number));
    assert_int_equal(number, -2);
    assert_status(CACHE_OK, cache_set_string(cache, "text", "10", 60));
    assert_status(CACHE_OK, cache_dec(cache, "text", 20, &number));    /* by gets and cas */
    assert_int_equal(number, -10);
}

static void use_fetch(cache_t *cache)
{
    static const char *const tags[] = { "tag" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    options.lock = true;
    options.tags = tags;
    options.n_tags = 1;
    for (int i = 0; i < 2; i++) {
        assert_status(CACHE_OK, cache_fetch(cache, "fetched", &options, compute, NULL, &value));
        assert_string_equal(value.data, "computed");
        cache_value_release(&value);
        assert_status(CACHE_OK, cache_invalidate_tag(cache, "tag"));
    }
}

static void the_commands_of_the_documentation_are_all_that_is_sent(void **state)
{
    char key[400];
    (void)state;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    cache_t *cache = open_proxy("proxied:");
    assert_status(CACHE_OK, cache_ping(cache));
    assert_status(CACHE_OK, cache_set_string(cache, key, "v", 60));
    assert_text(cache, key, "v");
    assert_status(CACHE_OK, cache_has(cache, key));
    assert_status(CACHE_OK, cache_touch(cache, key, 30));
    assert_status(CACHE_NOT_STORED, cache_add(cache, key, "w", 1, 60));
    use_many(cache);
    use_numbers(cache);
    use_fetch(cache);
    assert_status(CACHE_OK, cache_delete(cache, key));
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_OK, cache_clear(cache));
    assert_text(cache, "k", NULL);
    assert_int_equal(n_unknown, 0);
    assert_int_equal(test_counters(cache).errors, 0);
    cache_close(cache);
}

/* ---- fewer ------------------------------------------------------------------------------------------------------- */

static void a_command_that_a_proxy_does_not_know_is_named(void **state)
{
    static const char *const refusals[] = { "ERROR\r\n", "CLIENT_ERROR unsupported\r\n" };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        cache_t *cache = open_proxy("fewer:");
        assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
        refusal = refusals[i];
        refused = "touch";
        assert_status(CACHE_ERR_PROTOCOL, cache_touch(cache, "k", 60));
        assert_non_null(strstr(cache_last_error(), "'touch'"));
        assert_text(cache, "k", "v");    /* what it knows goes on */
        refused = "incr";
        assert_status(CACHE_OK, cache_set_string(cache, "n", "1", 60));
        assert_status(CACHE_ERR_PROTOCOL, cache_inc(cache, "n", 1, NULL));
        assert_non_null(strstr(cache_last_error(), "'incr'"));
        assert_text(cache, "n", "1");
        cache_close(cache);
    }
}

/* Nothing waits for its timeout, and the server does not count as away. */
static void a_proxy_that_hangs_up_on_a_command_keeps_the_others(void **state)
{
    (void)state;
    cache_t *cache = open_proxy("hung_up:");
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    refused = "touch";
    refusal = "";
    assert_status(CACHE_ERR_CONNECT, cache_touch(cache, "k", 60));
    assert_text(cache, "k", "v");
    assert_int_equal(test_counters(cache).rejections, 0);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_commands_of_the_documentation_are_all_that_is_sent),
        cmocka_unit_test(a_command_that_a_proxy_does_not_know_is_named),
        cmocka_unit_test(a_proxy_that_hangs_up_on_a_command_keeps_the_others),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
