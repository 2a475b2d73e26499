/* soak.c - a store under mixed traffic of eight threads, disturbed every few seconds: no value is wrong, no call
 * outlasts its time, and the process stays as large as it is.
 *
 *     soak STORE SECONDS        scripts/soak builds it first
 *
 * It exits with 0 if all of that held. */
#include "soak.h"

#include <time.h>

enum { THREADS = 8, PERIOD_MS = 4000, CALM_MS = 1000, PROGRESS_MS = 10000 };

static void pause_until(double ms)
{
    const double left = ms - soak_now_ms();
    if (left > 0)
        nanosleep(&(const struct timespec){ (time_t)(left / 1e3), (long)(left * 1e6) % 1000000000 }, NULL);
}

/* What another process does until it is killed. */
static void write_for_ever(const char *url)
{
    static char text[20000];
    cache_t *cache = test_open(url);
    for (unsigned i = 0;; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "guest %u", i % 50);
        (void)cache_set(cache, key, text, i * 37 % sizeof text, 60);
        if (i % 10 == 0)
            (void)cache_invalidate_tag(cache, "tag 0");
    }
}

/* The most of two readings, each for itself. */
static struct soak_gauges most(struct soak_gauges a, struct soak_gauges b)
{
    return (struct soak_gauges){ a.memory_kb > b.memory_kb ? a.memory_kb : b.memory_kb,
                                 a.descriptors > b.descriptors ? a.descriptors : b.descriptors,
                                 a.threads > b.threads ? a.threads : b.threads };
}

static bool holds(bool condition, const char *what)
{
    if (!condition)
        printf("FAILED: %s\n", what);
    return condition;
}

/* The first half of the time sets the marks for the second. */
static bool verdict(const struct soak_report *report, const struct soak_gauges halves[2])
{
    bool good = holds(report->torn == 0 && report->foreign == 0 && report->stale == 0, report->first_wrong);
    good &= holds(report->calm_failures == 0, report->first_failure);
    good &= holds(report->too_long == 0, report->first_long);
    good &= holds(halves[1].descriptors <= halves[0].descriptors + 8, "descriptors grow");
    good &= holds(halves[1].threads <= halves[0].threads + 2, "threads grow");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)    /* whose own memory grows */
    good &= holds(halves[1].memory_kb <= halves[0].memory_kb + halves[0].memory_kb / 10 + 4096, "memory grows");
#endif
    return good;
}

static void say(double ms, const char *what, const struct soak_gauges *now)
{
    const struct soak_report report = soak_traffic_report();
    printf("%5.0f s: %s; %lu calls, %lu failed, %lu wrong, %ld kB, %d descriptors, %d threads\n", ms / 1e3, what,
           report.calls, report.failures, report.torn + report.foreign + report.stale, now->memory_kb,
           now->descriptors, now->threads);
    (void)fflush(stdout);
}

static double later(double a, double b)
{
    return a > b ? a : b;
}

static int soak(const char *name, double seconds)
{
    struct soak_gauges halves[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
    unsigned n = 0;
    const char *url = soak_store_start(name);
    if (url == NULL) {
        fprintf(stderr, "soak: no store '%s'\n", name);
        return 2;
    }
    cache_t *cache = test_open(url);
    const double begun = soak_now_ms(), end = begun + seconds * 1e3;
    soak_lag_start();
    soak_traffic_start(cache, THREADS);
    double next = begun + PERIOD_MS / 2.0, said = begun - PROGRESS_MS;
    while (next < end) {
        pause_until(next);
        const int half = soak_now_ms() - begun > seconds * 500;
        const char *what = soak_disturb(cache);
        const struct soak_gauges now = soak_gauges_read();
        halves[half] = most(halves[half], now);
        n++;
        if (soak_now_ms() - said >= PROGRESS_MS) {
            say(soak_now_ms() - begun, what, &now);
            said = soak_now_ms();
        }
        next = later(next + PERIOD_MS, soak_now_ms() + SOAK_GRACE_MS + CALM_MS);    /* some harm takes long */
    }
    pause_until(end);
    halves[1] = most(halves[1], soak_gauges_read());
    if (halves[0].memory_kb == 0)
        halves[0] = halves[1];
    soak_traffic_stop();
    const double lag = soak_lag_stop();
    const struct soak_report report = soak_traffic_report();
    cache_close(cache);
    soak_store_stop();
    printf("%s, %.0f s, %u disturbances: %lu calls, %lu failed; torn %lu, foreign %lu, outdated %lu, "
           "failed in calm %lu, too long %lu; longest %.0f ms (lag of the machine %.0f ms); memory %ld then %ld kB, "
           "descriptors %d then %d, threads %d then %d\n",
           name, seconds, n, report.calls, report.failures, report.torn, report.foreign, report.stale,
           report.calm_failures, report.too_long, report.longest_ms, lag, halves[0].memory_kb, halves[1].memory_kb,
           halves[0].descriptors, halves[1].descriptors, halves[0].threads, halves[1].threads);
    return verdict(&report, halves) ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "writer") == 0)
        write_for_ever(argv[2]);
    if (argc != 3 || atof(argv[2]) <= 0) {
        fprintf(stderr, "usage: soak STORE SECONDS; scripts/soak names the stores\n");
        return 2;
    }
    return soak(argv[1], atof(argv[2]));
}
