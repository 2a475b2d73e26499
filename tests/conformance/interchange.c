/* interchange.c - other programs' clients read what we write, and we read what they write: values are stored
 * verbatim. */
#include "conformance.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Send one command of a text protocol and compare the beginning of the answer. */
static void assert_answer(int port, const char *command, const char *expected)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char answer[512] = "";
    size_t size = 0;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, command, strlen(command), 0), (ssize_t)strlen(command));
    while (size < strlen(expected)) {
        const ssize_t n = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    close(fd);
    answer[size] = '\0';
    if (strncmp(answer, expected, strlen(expected)) != 0)
        fail_msg("%s: answered '%s', not '%s'", command, answer, expected);
}

static void a_redis_client_and_we_read_each_others_values(void **state)
{
    (void)state;
    if (target.redis_port == 0 || strstr(target.url, "db=") != NULL)
        return;
    cache_t *cache = target_open("prefix=app:");
    assert_answer(target.redis_port, "SET app:theirs hello\r\n", "+OK\r\n");
    assert_text(cache, "theirs", "hello");
    assert_status(CACHE_OK, cache_set_string(cache, "ours", "bonjour", 60));
    assert_answer(target.redis_port, "GET app:ours\r\n", "$7\r\nbonjour\r\n");
    assert_status(CACHE_OK, cache_inc(cache, "n", -7, NULL));
    assert_answer(target.redis_port, "INCRBY app:n 10\r\n", ":3\r\n");
    assert_text(cache, "n", "3");
    assert_status(CACHE_OK, cache_clear(cache));
    cache_close(cache);
}

static void a_memcached_client_and_we_read_each_others_values(void **state)
{
    (void)state;
    if (target.memcached_port == 0)
        return;
    cache_t *cache = target_open("prefix=app:&generation=off");
    assert_answer(target.memcached_port, "set app:theirs 0 0 5\r\nhello\r\n", "STORED\r\n");
    assert_text(cache, "theirs", "hello");
    assert_status(CACHE_OK, cache_set_string(cache, "ours", "bonjour", 60));
    assert_answer(target.memcached_port, "get app:ours\r\n", "VALUE app:ours 0 7\r\nbonjour\r\nEND\r\n");
    assert_status(CACHE_OK, cache_inc(cache, "n", 7, NULL));
    assert_answer(target.memcached_port, "incr app:n 10\r\n", "17\r\n");
    assert_text(cache, "n", "17");
    assert_status(CACHE_ERR_UNSUPPORTED, cache_clear(cache));
    cache_close(cache);
}

int run_interchange(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redis_client_and_we_read_each_others_values),
        cmocka_unit_test(a_memcached_client_and_we_read_each_others_values),
    };
    return cmocka_run_group_tests_name("interchange", tests, NULL, NULL);
}
