/* address.c - how URLs and messages write where a server is. */
#include "test.h"

#include "address.h"

void test_address_in_brackets(const char *scheme, void (*start)(struct test_server *, const char *const extra[]),
                              const char *const extra[])
{
    struct test_server both = { .pid = 0 };
    char url[96], where[64];
    if (!test_has_ipv6())
        skip();
    start(&both, extra);
    (void)snprintf(where, sizeof where, "%s [::1]:%d: ", scheme, both.port);
    (void)snprintf(url, sizeof url, "%s://[::1]:%d?timeout=20&connect_timeout=20&retry_after=0.001", scheme, both.port);
    cache_t *cache = test_open(url);
    assert_status(CACHE_OK, cache_set_string(cache, "k", "v", 60));
    assert_status(CACHE_OK, cache_add(cache, "l", "w", 1, 60));
    assert_text(cache, "k", "v");
    test_server_stop(&both);
    while (cache_set_string(cache, "k", "v", 60) != CACHE_ERR_CONNECT)    /* a dead connection is noticed first */
        continue;
    assert_int_equal(strncmp(cache_last_error(), where, strlen(where)), 0);
    cache_close(cache);
}
