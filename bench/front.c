/* bench_front - a front before Redis: what a hit costs, how late a change of another process is seen, and what each
 * process that listens costs the server.
 *
 * On a Redis of its own, on a Unix socket. Hits: rounds of memory, front and Redis alone in turns, medians. Lag:
 * another process sets a key; from the moment it has its answer until this one reads the new value, with and without
 * all cores busy, beside a front that looks at each read; and how much of that is after the server's word had come,
 * while this process had a core. Watchers: the server's processor time a lone SET, with that many processes that
 * listen. */
#define _GNU_SOURCE    /* MAP_ANONYMOUS */
#include <libcache/cache.h>

#include "server.h"

#include <hiredis/hiredis.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, HITS = 200000, GETS = 3000, CHANGES = 2000, SETS = 2000, MAX_WATCHERS = 100 };

static struct bench_redis server;

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static cache_t *open_store(const char *options)
{
    char url[256];
    cache_t *cache = NULL;
    (void)snprintf(url, sizeof url, "redis+unix://%s?prefix=b:&%s", server.path, options);
    if (cache_open(url, &cache) != CACHE_OK)
        bench_die(cache_last_error());
    for (int i = 0; i < 500 && cache_ping(cache) != CACHE_OK; i++)
        nanosleep(&(const struct timespec){ 0, 20000000 }, NULL);
    return cache;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[], int n)
{
    qsort(values, (size_t)n, sizeof *values, by_size);
    return values[n / 2];
}

static double read_ns(cache_t *cache, int n)
{
    char buffer[128];
    size_t size;
    const double begun = now_ns();
    for (int i = 0; i < n; i++)
        if (cache_get_copy(cache, "hot", buffer, sizeof buffer, &size) != CACHE_OK)
            bench_die(cache_last_error());
    return (now_ns() - begun) / n;
}

static void warm_up(cache_t *cache)
{
    cache_counters counters = { 0 };
    for (int i = 0; i < 10000 && counters.front_hits == 0; i++) {
        (void)read_ns(cache, 1);
        cache_stats(cache, &counters);
    }
    if (counters.front_hits == 0)
        bench_die("the front serves nothing");
}

static void measure_hits(void)
{
    cache_t *memory = NULL, *front = open_store("front=64mb"), *plain = open_store("");
    double of_memory[ROUNDS], of_front[ROUNDS], of_plain[ROUNDS], ratio[ROUNDS];
    char value[100];
    memset(value, 'x', sizeof value);
    if (cache_open("memory://", &memory) != CACHE_OK)
        bench_die(cache_last_error());
    cache_set(memory, "hot", value, sizeof value, 3600);
    cache_set(front, "hot", value, sizeof value, 3600);
    warm_up(front);
    for (int i = 0; i < ROUNDS; i++) {
        of_memory[i] = read_ns(memory, HITS);
        of_front[i] = read_ns(front, HITS);
        of_plain[i] = read_ns(plain, GETS);
        ratio[i] = of_front[i] / of_memory[i];
    }
    printf("a hit of 100 bytes, one key, ns: memory %.0f, front %.0f (%.2f of memory), redis %.0f\n",
           median(of_memory, ROUNDS), median(of_front, ROUNDS), median(ratio, ROUNDS), median(of_plain, ROUNDS));
    cache_close(memory);
    cache_close(front);
    cache_close(plain);
}

/* Shared with the process that writes. */
struct stage {
    atomic_int wanted, answered;       /* the number that is to be set; that has been */
    _Atomic double answered_ns;
    atomic_bool over;
};

static void write_numbers(struct stage *stage)
{
    cache_t *cache = open_store("");
    for (int done = 0; !atomic_load(&stage->over);) {
        char text[16];
        const int wanted = atomic_load(&stage->wanted);
        if (wanted == done)
            continue;
        (void)snprintf(text, sizeof text, "%d", wanted);
        if (cache_set_string(cache, "number", text, 3600) != CACHE_OK)
            _exit(1);
        atomic_store(&stage->answered_ns, now_ns());
        atomic_store(&stage->answered, done = wanted);
    }
    _exit(0);
}

static int read_number(cache_t *cache)
{
    char text[16] = "";
    size_t size = 0;
    return cache_get_copy(cache, "number", text, sizeof text - 1, &size) == CACHE_OK ? atoi(text) : -1;
}

static void print_lags(const char *of, double lags[CHANGES])
{
    qsort(lags, CHANGES, sizeof *lags, by_size);
    printf("  %s us p50 %.0f, p99 %.0f, longest %.0f\n", of, lags[CHANGES / 2] / 1e3, lags[CHANGES * 99 / 100] / 1e3,
           lags[CHANGES - 1] / 1e3);
}

/* A connection of the bench's own that hears the same words of the server as the front, and the time of the last. */
static redisContext *listener;
static double word_ns;

static void start_listener(void)
{
    listener = redisConnectUnix(server.path);
    redisReply *id = listener != NULL ? redisCommand(listener, "CLIENT ID") : NULL;
    if (id == NULL || id->type != REDIS_REPLY_INTEGER)
        bench_die("no listener");
    freeReplyObject(redisCommand(listener, "CLIENT TRACKING ON REDIRECT %lld BCAST PREFIX b:", id->integer));
    freeReplyObject(redisCommand(listener, "SUBSCRIBE __redis__:invalidate"));
    freeReplyObject(id);
}

/* Looks whether the server has said something; not at each read, since the call would make room for other processes. */
static void listen_for_word(double now)
{
    enum { EACH_NS = 10000 };
    static double last;
    char bytes[4096];
    if (now - last < EACH_NS)
        return;
    last = now;
    if (recv(listener->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        word_ns = now;
}

/* Reads until the number is there. Returns how long that was after the server's word had come, without the time in
 * which this process had no core: a read takes less than that. */
static double wait_for_number(cache_t *cache, int number)
{
    enum { NO_CORE_NS = 100000 };
    double after = 0;
    for (double last = now_ns(); read_number(cache) != number;) {
        const double now = now_ns();
        listen_for_word(now);
        after += word_ns != 0 && now - last < NO_CORE_NS ? now - last : 0;
        last = now;
    }
    return after;
}

static void measure_lag(int n_busy, const char *options)
{
    struct stage *stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static double lags[CHANGES], own[CHANGES];
    pid_t busy[8], writer = fork();
    if (writer == 0)
        write_numbers(stage);
    for (int i = 0; i < n_busy; i++)
        if ((busy[i] = fork()) == 0)
            for (prctl(PR_SET_PDEATHSIG, SIGKILL);;)
                (void)now_ns();
    cache_t *cache = open_store(options);
    for (int i = 1; i <= CHANGES; i++) {
        word_ns = 0;
        atomic_store(&stage->wanted, i);
        while (atomic_load(&stage->answered) != i) {
            (void)read_number(cache);
            listen_for_word(now_ns());
        }
        own[i - 1] = wait_for_number(cache, i);
        lags[i - 1] = now_ns() - atomic_load(&stage->answered_ns);
    }
    atomic_store(&stage->over, true);
    waitpid(writer, NULL, 0);
    for (int i = 0; i < n_busy; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
    printf("lag of %d changes, %d busy processes beside, %s:\n", CHANGES, n_busy, options);
    print_lags("after the writer's answer:", lags);
    print_lags("after the server's word:  ", own);
    cache_close(cache);
    munmap(stage, sizeof *stage);
}

/* Processor time of the server so far, in microseconds. */
static double server_us(void)
{
    char path[64], text[512];
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)server.pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL ||
        sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        bench_die("no /proc/PID/stat");
    fclose(file);
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static void listen_until(int fd)
{
    cache_t *cache = open_store("front=1mb");
    warm_up(cache);
    if (write(fd, "r", 1) != 1)
        _exit(1);
    /* It reads on, a few times a second, as a process with little traffic would. */
    for (;; nanosleep(&(const struct timespec){ 0, 100000000 }, NULL))
        (void)read_number(cache);
}

static void measure_watchers(int n)
{
    int ready[2];
    pid_t pids[MAX_WATCHERS];
    if (pipe(ready) != 0)
        bench_die("no pipe");
    for (int i = 0; i < n; i++)
        if ((pids[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            listen_until(ready[1]);
        }
    for (int i = 0; i < n; i++) {
        char byte;
        if (read(ready[0], &byte, 1) != 1)
            bench_die("a watcher did not begin");
    }
    cache_t *cache = open_store("");
    double each[5];
    for (int round = 0; round < 5; round++) {
        const double begun = server_us();
        for (int i = 0; i < SETS; i++)
            if (cache_set_string(cache, "written", "x", 3600) != CACHE_OK)
                bench_die(cache_last_error());
        each[round] = (server_us() - begun) / SETS;
    }
    printf("the server's processor time a lone SET with %d listening: %.1f us\n", n, median(each, 5));
    cache_close(cache);
    for (int i = 0; i < n; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);    /* before the first fork, so that no child prints again what is there */
    server = bench_redis_start(NULL);
    cache_close(open_store(""));
    measure_hits();
    start_listener();
    for (int n_busy = 0; n_busy <= 2; n_busy += 2) {
        measure_lag(n_busy, "front=4mb");
        measure_lag(n_busy, "front=4mb&front_check=0");
    }
    measure_watchers(0);
    measure_watchers(1);
    measure_watchers(10);
    measure_watchers(100);
    return 0;
}
