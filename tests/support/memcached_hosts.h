/* memcached_hosts.h - three Memcached servers for the tests of a program, and caches on some of them. */
#ifndef MEMCACHED_HOSTS_H
#define MEMCACHED_HOSTS_H

#include "server.h"
#include "test.h"

enum { HOSTS = 3 };

static struct test_server servers[HOSTS];

static inline int start_hosts(void **state)
{
    (void)state;
    for (int i = 0; i < HOSTS; i++)
        test_server_start_memcached(&servers[i], NULL);
    return 0;
}

static inline int stop_hosts(void **state)
{
    (void)state;
    for (int i = 0; i < HOSTS; i++)
        test_server_stop(&servers[i]);
    return 0;
}

/* Opens a cache on the first `n` servers. `clock` may be NULL. The machine may be busy: only the waits that a test is
 * about are short. */
static inline cache_t *open_hosts_with_clock(int n, const char *options, _Atomic int64_t *clock)
{
    char url[256];
    int size = snprintf(url, sizeof url, "memcached://127.0.0.1:%d", servers[0].port);
    for (int i = 1; i < n; i++)
        size += snprintf(url + size, sizeof url - (size_t)size, ",127.0.0.1:%d", servers[i].port);
    const char *patience = strstr(options, "timeout=") == NULL ? "timeout=20&connect_timeout=20&" : "";
    (void)snprintf(url + size, sizeof url - (size_t)size, "?%s%s", patience, options);
    return clock != NULL ? test_open_with_clock(url, clock) : test_open(url);
}

static inline cache_t *open_hosts(int n, const char *options)
{
    return open_hosts_with_clock(n, options, NULL);
}

#endif
