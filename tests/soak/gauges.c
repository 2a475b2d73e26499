/* gauges.c - what the process holds, and how busy the machine is. */
#include "soak.h"

#include "files.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static long field(const char *name)
{
    char line[256];
    long number = -1;
    const size_t length = strlen(name);
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (number < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, length) == 0)
            number = strtol(line + length, NULL, 10);
    (void)fclose(file);
    return number;
}

struct soak_gauges soak_gauges_read(void)
{
    return (struct soak_gauges){ field("VmRSS:"), files_count_descriptors(), (int)field("Threads:") };
}

/* ---- a thread's waiting ------------------------------------------------------------------------------------------ */

double soak_waited_ms(void)
{
    static _Thread_local int fd = -1;
    char text[80] = "";
    unsigned long long waited_ns = 0;
    if (fd < 0)
        fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, text, sizeof text - 1, 0) <= 0 || sscanf(text, "%*u %llu", &waited_ns) != 1)
        return 0;
    return (double)waited_ns / 1e6;
}

/* ---- lag --------------------------------------------------------------------------------------------------------- */

enum { LATE_MS = 20, MOST_EPISODES = 65536 };

static pthread_t watcher;
static atomic_bool stop_now;
static double worst_ms;
static struct {
    double from, to;                   /* ms */
} episodes[MOST_EPISODES];             /* in which the machine was late */
static size_t n_episodes;

double soak_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void *watch(void *unused)
{
    (void)unused;
    while (!stop_now) {
        const double begun = soak_now_ms();
        nanosleep(&(const struct timespec){ 0, 10 * 1000 * 1000 }, NULL);
        const double late = soak_now_ms() - begun - 10;
        if (late > worst_ms)
            worst_ms = late;
        if (late > LATE_MS && n_episodes < MOST_EPISODES) {
            episodes[n_episodes].from = begun;
            episodes[n_episodes++].to = begun + late;
        }
    }
    return NULL;
}

void soak_lag_start(void)
{
    stop_now = false;
    assert_int_equal(pthread_create(&watcher, NULL, watch, NULL), 0);
}

double soak_lag_stop(void)
{
    stop_now = true;
    pthread_join(watcher, NULL);
    return worst_ms;
}

/* Adds up what the machine was late between two times, and finds the longest of it. */
static double lag_between(double from_ms, double to_ms, double *longest)
{
    double sum = 0;
    *longest = 0;
    for (size_t i = 0; i < n_episodes; i++)
        if (episodes[i].from < to_ms && episodes[i].to > from_ms) {
            const double late = episodes[i].to - episodes[i].from;
            sum += late;
            *longest = late > *longest ? late : *longest;
        }
    return sum;
}

double soak_lag_between(double from_ms, double to_ms)
{
    double longest;
    return lag_between(from_ms, to_ms, &longest);
}

double soak_longest_lag_between(double from_ms, double to_ms)
{
    double longest;
    (void)lag_between(from_ms, to_ms, &longest);
    return longest;
}
