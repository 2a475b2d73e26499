/* bench_files - microseconds per get and set of the filesystem store, beside plain system calls on the same bytes.
 *
 * A plain get is open, read, close of the very files that the store reads; a plain set is open, write, close, rename to
 * files of the same size, in as many directories. Turns are interleaved, medians of five rounds. On TMPDIR, or /tmp. */
#define _GNU_SOURCE
#include <libcache/cache.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 1000, GETS = 40000, SETS = 2000, ROUNDS = 5, TURNS = 40, MAX_THREADS = 2, LARGEST = 10000, HEADER = 48,
       PATH = 160 };

static char directory[96], keys[FILES][16], plain[FILES][PATH], stored[FILES][PATH];
static size_t n_stored, value_size;
static char value[LARGEST + HEADER + 16];
static cache_t *cache;

/* ---- the four operations ----------------------------------------------------------------------------------------- */

static void our_get(int i, int thread)
{
    char copy[LARGEST];
    (void)thread;
    if (cache_get_copy(cache, keys[i % FILES], copy, sizeof copy, NULL) != CACHE_OK)
        abort();
}

static void plain_get(int i, int thread)
{
    char copy[LARGEST + HEADER + 64];
    (void)thread;
    const int fd = open(stored[i % FILES], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, copy, sizeof copy) <= (ssize_t)value_size)
        abort();
    close(fd);
}

static void our_set(int i, int thread)
{
    (void)thread;
    if (cache_set(cache, keys[i % FILES], value, value_size, 3600) != CACHE_OK)
        abort();
}

static void plain_set(int i, int thread)
{
    char draft[PATH];
    (void)snprintf(draft, sizeof draft, "%.120s.tmp%d", plain[i % FILES], thread);
    const int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const size_t size = value_size + HEADER + 16;
    if (fd < 0 || write(fd, value, size) != (ssize_t)size || close(fd) != 0 || rename(draft, plain[i % FILES]) != 0)
        abort();
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

struct work {
    pthread_t thread;
    void (*operation)(int i, int thread);
    int begin, end, number;
};

static void *run(void *arg)
{
    const struct work *work = arg;
    for (int i = work->begin; i < work->end; i++)
        work->operation((int)((unsigned)i * 7919u % FILES), work->number);
    return NULL;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Microseconds per operation, all threads together: of the wall clock, and of processor time. */
struct cost {
    double wall, processor;
};

static void measure(void (*operation)(int i, int thread), int n, int threads, struct cost *sum)
{
    struct work work[MAX_THREADS];
    const double begun = seconds(CLOCK_MONOTONIC), begun_processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){ .operation = operation, .begin = n / threads * i, .end = n / threads * (i + 1),
                                 .number = i };
        pthread_create(&work[i].thread, NULL, run, &work[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(work[i].thread, NULL);
    sum->wall += (seconds(CLOCK_MONOTONIC) - begun) * 1e6 / n;
    sum->processor += (seconds(CLOCK_PROCESS_CPUTIME_ID) - begun_processor) * 1e6 / n;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double took[ROUNDS])
{
    qsort(took, ROUNDS, sizeof took[0], compare);
    return took[ROUNDS / 2];
}

/* In turns of a few milliseconds, so that what else the machine does falls on both. */
static void compare_operations(const char *name, void (*ours)(int, int), void (*theirs)(int, int), int n)
{
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        double our_times[ROUNDS], plain_times[ROUNDS], ratios[ROUNDS], processor_ratios[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            struct cost our_cost = { 0, 0 }, plain_cost = { 0, 0 };
            for (int turn = 0; turn < TURNS; turn++) {
                measure(ours, n / TURNS, threads, &our_cost);
                measure(theirs, n / TURNS, threads, &plain_cost);
            }
            our_times[round] = our_cost.wall / TURNS;
            plain_times[round] = plain_cost.wall / TURNS;
            ratios[round] = our_cost.wall / plain_cost.wall;
            processor_ratios[round] = our_cost.processor / plain_cost.processor;
        }
        printf("%-4s %6zu B  %d thread%s  libcache %8.2f us  plain %8.2f us  ratio %5.2f  of processor time %5.2f\n",
               name, value_size, threads, threads > 1 ? "s" : " ", median(our_times), median(plain_times),
               median(ratios), median(processor_ratios));
    }
}

/* ---- the files --------------------------------------------------------------------------------------------------- */

static int note(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    if (type == FTW_F && where->level == 3 && n_stored < FILES)
        (void)snprintf(stored[n_stored++], PATH, "%s", path);
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static void make_plain_paths(void)
{
    for (int i = 0; i < FILES; i++) {
        char path[PATH];
        const unsigned spread = (unsigned)i * 2654435761u >> 24;
        (void)snprintf(path, sizeof path, "%s/plain/%x", directory, spread >> 4);
        (void)mkdir(path, 0700);
        (void)snprintf(path, sizeof path, "%s/plain/%x/%x", directory, spread >> 4, spread & 15);
        (void)mkdir(path, 0700);
        (void)snprintf(plain[i], PATH, "%s/plain/%x/%x/%030d", directory, spread >> 4, spread & 15, i);
    }
}

static void bench(size_t size)
{
    value_size = size;
    n_stored = 0;
    for (int i = 0; i < FILES; i++) {
        our_set(i, 0);
        plain_set(i, 0);
    }
    char path[PATH];
    (void)snprintf(path, sizeof path, "%s/cache", directory);
    (void)nftw(path, note, 16, FTW_PHYS);
    if (n_stored != FILES)
        abort();
    compare_operations("get", our_get, plain_get, GETS);
    compare_operations("set", our_set, plain_set, SETS);
}

int main(void)
{
    char url[PATH];
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) >= 64)
        base = "/tmp";
    (void)snprintf(directory, sizeof directory, "%s/libcache-bench-XXXXXX", base);
    if (mkdtemp(directory) == NULL)
        return 1;
    (void)snprintf(url, sizeof url, "file://%s/cache?prefix=b:", directory);
    if (cache_open(url, &cache) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        return 1;
    }
    (void)snprintf(url, sizeof url, "%s/plain", directory);
    (void)mkdir(url, 0700);
    make_plain_paths();
    for (int i = 0; i < FILES; i++)
        (void)snprintf(keys[i], sizeof keys[i], "key:%010d", i);
    bench(100);
    bench(10000);
    cache_close(cache);
    (void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
