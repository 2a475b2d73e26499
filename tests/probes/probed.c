/* probed.c - a program in which each probe fires; fires.sh runs it in gdb. */
#include <libcache/cache.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

volatile int somebody_waits;    /* the debugger sets it, when wait__begin has fired */

static cache_t *cache;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "probed: %s: %s\n", what, cache_last_error());
    exit(1);
}

static cache_status never_runs(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "computed twice");
}

static void *wait_for_it(void *arg)
{
    cache_value value;
    (void)arg;
    must(cache_fetch(cache, "slow", NULL, never_runs, NULL, &value) == CACHE_OK, "the second fetch");
    cache_value_release(&value);
    return NULL;
}

/* Returns when another thread waits for the result, or after ten seconds. */
static cache_status compute(void *ctx, cache_writer *out)
{
    const struct timespec moment = { .tv_nsec = 1000000 };
    must(pthread_create(ctx, NULL, wait_for_it, NULL) == 0, "a thread");
    for (int i = 0; i < 10000 && !somebody_waits; i++)
        nanosleep(&moment, NULL);
    return cache_writer_puts(out, "twelve bytes");
}

/* A server that never answers: its connections stay in the kernel's queue. */
static void ask_a_silent_server(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    char url[100];
    cache_t *store;
    must(bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 1) == 0 &&
         getsockname(fd, (struct sockaddr *)&address, &size) == 0, "a socket");
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d?timeout=0.05", ntohs(address.sin_port));
    must(cache_open(url, &store) == CACHE_OK, "open");
    must(cache_set_string(store, "unheard", "x", 60) == CACHE_ERR_TIMEOUT, "a set that no server answers");
    cache_close(store);
    close(fd);
}

int main(void)
{
    pthread_t waiting;
    cache_value value;
    must(cache_open("memory://?max_items=1&prefix=", &cache) == CACHE_OK, "open");
    must(cache_get(cache, "absent", &value) == CACHE_MISS, "get of a missing key");
    must(cache_set_string(cache, "first", "four", 60) == CACHE_OK, "set");
    must(cache_get(cache, "first", &value) == CACHE_OK, "get");
    cache_value_release(&value);
    must(cache_set_string(cache, "second", "x", 60) == CACHE_OK, "set");    /* evicts the first */
    must(cache_fetch(cache, "slow", NULL, compute, &waiting, &value) == CACHE_OK, "fetch");
    cache_value_release(&value);
    must(pthread_join(waiting, NULL) == 0, "join");
    cache_close(cache);
    ask_a_silent_server();
    return 0;
}
