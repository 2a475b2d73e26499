/* bench_gather - many threads on one Redis: requests that share connections beside a connection a thread.
 *
 *     [THREADS=1,16] [UNIX_ONLY=1] bench_gather [OTHER] [OPTION=VALUE…]
 *
 * On a Redis of its own, on a Unix socket and a port. Each measurement is a process of its own; rounds are
 * interleaved, and what is printed are medians, the ratio's of the rounds' ratios. OTHER is this program built with
 * another libcache, to stand beside this one. Reads of 100 bytes, each compared with its key. */
#include <libcache/cache.h>

#include "server.h"

#include <hiredis/hiredis.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 1000, SIZE = 100, ROUNDS = 5, MS = 400, MAX_THREADS = 64, SAMPLES = 20000, PORT = 27391 };

static struct bench_redis server;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- one measurement --------------------------------------------------------------------------------------------- */

struct result {
    double rate, p50, p99, client_us, server_us;
};

static cache_t *cache;                 /* NULL: a raw connection a thread */
static const char *place;
static atomic_bool stop_now;
static atomic_long n_done;
static float samples[MAX_THREADS][SAMPLES];
static int n_samples[MAX_THREADS];

static void value_of(int key, char out[SIZE + 1])
{
    memset(out, 'v', SIZE);
    out[SIZE] = '\0';
    memcpy(out, &key, sizeof key);
}

static void read_ours(const char *name, const char *expected)
{
    char value[SIZE];
    size_t size = 0;
    if (cache_get_copy(cache, name, value, sizeof value, &size) != CACHE_OK || size != SIZE ||
        memcmp(value, expected, SIZE) != 0)
        bench_die(cache_last_error());
}

static void read_raw(redisContext *context, const char *name, const char *expected)
{
    redisReply *reply = redisCommand(context, "GET b:%s", name);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || memcmp(reply->str, expected, SIZE) != 0)
        bench_die("a raw read failed");
    freeReplyObject(reply);
}

static redisContext *connect_raw(void)
{
    redisContext *context = place[0] == '/' ? redisConnectUnix(place) : redisConnect("127.0.0.1", PORT);
    if (context == NULL || context->err != 0)
        bench_die("hiredis cannot connect");
    return context;
}

static void *work(void *arg)
{
    const int self = (int)(long)arg;
    redisContext *context = cache == NULL ? connect_raw() : NULL;
    unsigned seed = (unsigned)self * 77 + 1;
    long n = 0;
    while (!atomic_load_explicit(&stop_now, memory_order_relaxed)) {
        char name[16], expected[SIZE + 1];
        const int key = (int)((seed = seed * 1664525 + 1013904223) >> 16) % KEYS;
        (void)snprintf(name, sizeof name, "k%d", key);
        value_of(key, expected);
        const double begun = seconds();
        if (cache != NULL)
            read_ours(name, expected);
        else
            read_raw(context, name, expected);
        if (n_samples[self] < SAMPLES)
            samples[self][n_samples[self]++] = (float)((seconds() - begun) * 1e6);
        n++;
    }
    atomic_fetch_add(&n_done, n);
    if (context != NULL)
        redisFree(context);
    return NULL;
}

static double cpu_of(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system_time = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        bench_die("no /proc");
    fclose(file);
    sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system_time);
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void fill(void)
{
    redisContext *context = connect_raw();
    for (int key = 0; key < KEYS; key++) {
        char value[SIZE + 1];
        value_of(key, value);
        freeReplyObject(redisCommand(context, "SET b:k%d %b", key, value, (size_t)SIZE));
    }
    redisFree(context);
}

/* Prints a line of five numbers. */
static void measure(const char *options, int n_threads, pid_t server_pid)
{
    pthread_t threads[MAX_THREADS];
    static float all[MAX_THREADS * SAMPLES];
    size_t n = 0;
    fill();
    if (options[0] != '-') {
        char url[256];
        const bool tcp = place[0] != '/';
        (void)snprintf(url, sizeof url, "%s%s?prefix=b:&%s", tcp ? "redis://127.0.0.1:27391" : "redis+unix://",
                       tcp ? "" : place, options);
        if (cache_open(url, &cache) != CACHE_OK)
            bench_die(cache_last_error());
    }
    const double begun = seconds(), client = own_cpu(), other = cpu_of(server_pid);
    for (long i = 0; i < n_threads; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    nanosleep(&(const struct timespec){ 0, MS * 1000000L }, NULL);
    atomic_store(&stop_now, true);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    const double took = seconds() - begun, done = (double)n_done;
    for (int i = 0; i < n_threads; i++) {
        memcpy(&all[n], samples[i], (size_t)n_samples[i] * sizeof *all);
        n += (size_t)n_samples[i];
    }
    qsort(all, n, sizeof *all, by_size);
    printf("%.0f %.1f %.1f %.2f %.2f\n", done / took, (double)all[n / 2], (double)all[n * 99 / 100],
           (own_cpu() - client) * 1e6 / done, (cpu_of(server_pid) - other) * 1e6 / done);
    cache_close(cache);
}

/* ---- the rounds -------------------------------------------------------------------------------------------------- */

static struct result run(const char *program, const char *where, const char *options, int n_threads)
{
    char command[512];
    struct result result = { 0 };
    (void)snprintf(command, sizeof command, "%s --measure '%s' '%s' %d %d", program, where, options, n_threads,
                   (int)server.pid);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL || fscanf(pipe, "%lf %lf %lf %lf %lf", &result.rate, &result.p50, &result.p99, &result.client_us,
                               &result.server_us) != 5)
        bench_die(command);
    pclose(pipe);
    return result;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

struct contender {
    const char *name, *program, *options;
};

static void compare(const struct contender contenders[], int n, const char *where, int n_threads)
{
    double rate[8][ROUNDS], ratio[8][ROUNDS], p50[8][ROUNDS], p99[8][ROUNDS], client[8][ROUNDS], other[8][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < n; k++) {
            const int i = (k + round) % n;
            const struct result result = run(contenders[i].program, where, contenders[i].options, n_threads);
            rate[i][round] = result.rate;
            p50[i][round] = result.p50;
            p99[i][round] = result.p99;
            client[i][round] = result.client_us;
            other[i][round] = result.server_us;
        }
        for (int i = 0; i < n; i++)
            ratio[i][round] = rate[i][round] / rate[0][round];
    }
    for (int i = 0; i < n; i++)
        printf("%-5s %2d threads  %-14s %8.0f/s  x%.2f  p50 %6.1f us  p99 %7.1f us  "
               "CPU a read: client %5.2f us, server %5.2f us\n",
               where[0] == '/' ? "unix" : "tcp", n_threads, contenders[i].name, median(rate[i]), median(ratio[i]),
               median(p50[i]), median(p99[i]), median(client[i]), median(other[i]));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--measure") == 0) {
        place = argv[2];
        measure(argv[3], atoi(argv[4]), atoi(argv[5]));
        return 0;
    }
    struct contender contenders[8] = { { "raw", argv[0], "-" }, { "libcache", argv[0], "" } };
    int n = 2;
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (argv[i][0] == '/' || argv[i][0] == '.')
            contenders[n++] = (struct contender){ "other", argv[i], "" };
        else if (equals != NULL)
            contenders[n++] = (struct contender){ argv[i], argv[0], argv[i] };
    }
    static const char *const with_port[] = { "--port", "27391", "--bind", "127.0.0.1", NULL };
    server = bench_redis_start(with_port);
    const char *threads = getenv("THREADS") != NULL ? getenv("THREADS") : "1,4,16,64";
    while (threads != NULL && *threads != '\0') {
        compare(contenders, n, server.path, atoi(threads));
        if (getenv("UNIX_ONLY") == NULL)
            compare(contenders, n, "tcp", atoi(threads));
        threads = strchr(threads, ',') != NULL ? strchr(threads, ',') + 1 : NULL;
    }
    return 0;
}
