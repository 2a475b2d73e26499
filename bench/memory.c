/* bench_memory - the memory store beside what people link or write instead: nanoseconds, bytes, pauses.
 *
 *     bench_memory [--rounds N] [--seconds S] [--stores NAME,NAME…] [--csv FILE] [SETTING…]
 *
 * A setting is a number of items and the size of a value, "1000000x100"; the usual ones without any. Each store lives
 * in a process of its own, so that its memory can be told; the processes measure in turns, so that all meet the same
 * machine. The keys asked for are made beforehand and read one behind the other, as if just made. A number is the
 * median of the rounds: nanoseconds that one thread spends on an operation; of one thread in processor time, so that
 * another program's turn counts for nobody, of two by the wall clock, since they may wait for each other.
 *
 * With --csv each number is added as a line to FILE, too: items, value size, store, operation, threads, nanoseconds.
 * bench/plot draws them. */
#include "memory_stores.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS = 1 << 20, KEY_SIZE = 24, MAX_THREADS = 2, MAX_ROUNDS = 99, MAX_VALUE = 1 << 20 };

static const struct bench_store *const stores[] = {
    &bench_libcache, &bench_uthash, &bench_glib,
#ifdef BENCH_TBB
    &bench_tbb,
#endif
#ifdef BENCH_CUCKOO
    &bench_cuckoo,
#endif
};

enum { STORES = sizeof stores / sizeof stores[0] };

enum operation { GET_UNIFORM, GET_ZIPF, MIXED, VIEW_ZIPF, HAS_ZIPF, SET_ZIPF, INC_ZIPF, GET_MANY, OPERATIONS };

static const char *const operation_names[OPERATIONS] = { "get, uniform", "get, Zipf", "95 get / 5 set, Zipf",
                                                         "view, Zipf", "has, Zipf", "set again, Zipf", "inc, Zipf",
                                                         "100 keys at once, uniform" };

struct setting {
    size_t items, value_size;
};

static char (*requests[2])[KEY_SIZE];    /* uniform, Zipf 0.99 */
static double turn_seconds = 0.15;
static FILE *csv;
static const char *wanted_stores;      /* NULL: all */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void make_requests(size_t items)
{
    double *sums = malloc(items * sizeof *sums), total = 0;
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < items; i++)
        sums[i] = total += 1 / pow((double)i + 1, 0.99);
    for (int i = 0; i < REQUESTS; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const double wanted = (double)(random >> 11) / 9007199254740992.0 * total;
        size_t low = 0, high = items - 1;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (sums[middle] < wanted)
                low = middle + 1;
            else
                high = middle;
        }
        (void)snprintf(requests[0][i], KEY_SIZE, "product:%u", (unsigned)(random % items));
        (void)snprintf(requests[1][i], KEY_SIZE, "product:%u",
                       (unsigned)(low * 2654435761u % items));    /* popular ones lie apart */
    }
    free(sums);
}

/* ---- one store, in its process ----------------------------------------------------------------------------------- */

struct work {
    pthread_t thread;
    const struct bench_store *store;
    enum operation operation;
    size_t value_size, first;
    clockid_t clock;
    double took;
    size_t done;
};

static void get_many(const struct bench_store *store, const char (*keys)[KEY_SIZE], size_t first, char *value,
                     size_t value_size)
{
    const char *some[BENCH_MANY];
    for (size_t i = 0; i < BENCH_MANY; i++)
        some[i] = keys[(first + i) % REQUESTS];
    (void)store->get_many(some, BENCH_MANY, value, value_size);
}

static void one(const struct work *work, const char (*keys)[KEY_SIZE], size_t i, char *value)
{
    const struct bench_store *store = work->store;
    const char *key = keys[i % REQUESTS];
    switch (work->operation) {
    case GET_UNIFORM:
    case GET_ZIPF: (void)store->get(key, value, work->value_size); break;
    case MIXED:
        if (i % 20 == 0)
            store->set(key, value, work->value_size);
        else
            (void)store->get(key, value, work->value_size);
        break;
    case VIEW_ZIPF: (void)store->view(key, value, work->value_size); break;
    case HAS_ZIPF: (void)store->has(key); break;
    case SET_ZIPF: store->set(key, value, work->value_size); break;
    case INC_ZIPF: store->inc(key + sizeof "product" - 1); break;    /* ":17": a counter beside product 17 */
    case GET_MANY:
        if (i % BENCH_MANY == 0)
            get_many(store, keys, i, value, work->value_size);
        break;
    case OPERATIONS: break;
    }
}

static void *run(void *arg)
{
    enum { BATCH = 1000 };
    struct work *work = arg;
    char *value = calloc(1, MAX_VALUE);
    const bool is_uniform = work->operation == GET_UNIFORM || work->operation == GET_MANY;
    const char (*keys)[KEY_SIZE] = (const char (*)[KEY_SIZE])requests[is_uniform ? 0 : 1];
    const double begun = seconds(work->clock);
    double took = 0;
    size_t done = 0;                   /* in this thread's own lines: those of two works are neighbours */
    do {
        for (int i = 0; i < BATCH; i++)
            one(work, keys, work->first + done++, value);
        took = seconds(work->clock) - begun;
    } while (took < turn_seconds);
    work->took = took;
    work->done = done;
    free(value);
    return NULL;
}

static bool is_wanted(const struct bench_store *store)
{
    return wanted_stores == NULL || strstr(wanted_stores, store->name) != NULL;
}

static bool can(const struct bench_store *store, enum operation operation)
{
    return is_wanted(store) && (operation != VIEW_ZIPF || store->view != NULL) &&
           (operation != HAS_ZIPF || store->has != NULL) &&
           (operation != INC_ZIPF || store->inc != NULL) && (operation != GET_MANY || store->get_many != NULL);
}

static double measure(const struct bench_store *store, enum operation operation, int threads, size_t value_size)
{
    static size_t first;
    struct work work[MAX_THREADS];
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){ .store = store, .operation = operation, .value_size = value_size,
                                 .first = (first += REQUESTS / 7),
                                 .clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC };
        pthread_create(&work[i].thread, NULL, run, &work[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(work[i].thread, NULL);
        sum += work[i].took * 1e9 / (double)work[i].done;
    }
    return sum / threads;
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

struct filled {
    double median, four_nines, longest;    /* microseconds of processor time */
    double mean;                           /* nanoseconds by the wall clock */
    double bytes;                          /* of resident memory, an item, over key and value */
};

/* Set every key once. Each set is timed alone, in processor time, so that another program's turn is nobody's pause. */
static struct filled fill(const struct bench_store *store, size_t items, size_t value_size)
{
    char key[KEY_SIZE] = "", *value = calloc(1, MAX_VALUE);
    double *took = malloc(items * sizeof *took), keys = 0;
    memset(took, 1, items * sizeof *took);    /* so that its pages are there */
    const double before = resident_bytes();
    double wall = 0;
    for (size_t i = 0; i < items; i++) {
        keys += snprintf(key, sizeof key, "product:%zu", i);
        const double begun = seconds(CLOCK_THREAD_CPUTIME_ID), clock = seconds(CLOCK_MONOTONIC);
        store->set(key, value, value_size);
        wall += seconds(CLOCK_MONOTONIC) - clock;
        took[i] = (seconds(CLOCK_THREAD_CPUTIME_ID) - begun) * 1e6;
    }
    struct filled filled = { .mean = wall * 1e9 / (double)items,
                             .bytes = (resident_bytes() - before - keys) / (double)items - (double)value_size };
    qsort(took, items, sizeof *took, compare);
    filled.median = took[items / 2];
    filled.four_nines = took[items - 1 - items / 10000];
    filled.longest = took[items - 1];
    free(took);
    free(value);
    return filled;
}

struct command {
    enum operation operation;
    int threads;
};

static void serve(const struct bench_store *store, struct setting setting, int in, int out)
{
    struct command command;
    store->open(setting.value_size);
    const struct filled filled = fill(store, setting.items, setting.value_size);
    if (write(out, &filled, sizeof filled) != sizeof filled)
        _exit(1);
    while (read(in, &command, sizeof command) == sizeof command && command.operation != OPERATIONS) {
        const double took = measure(store, command.operation, command.threads, setting.value_size);
        if (write(out, &took, sizeof took) != sizeof took)
            _exit(1);
    }
    _exit(0);
}

/* ---- all of them, in turns --------------------------------------------------------------------------------------- */

struct process {
    pid_t pid;
    int in, out;                       /* what it reads, and what it writes */
};

static struct process start(const struct bench_store *store, struct setting setting)
{
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0)
        exit(1);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)close(in[1]);
        (void)close(out[0]);
        serve(store, setting, in[0], out[1]);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    return (struct process){ pid, in[1], out[0] };
}

static double ask(const struct process *process, enum operation operation, int threads)
{
    const struct command command = { operation, threads };
    double took = NAN;
    if (write(process->in, &command, sizeof command) != sizeof command ||
        read(process->out, &took, sizeof took) != sizeof took)
        exit(1);
    return took;
}

static void print_fill(const struct setting *setting, const struct bench_store *store, const struct filled *filled)
{
    printf("%-12s %10.0f %12.1f %12.1f %12.0f %12.1f\n", store->name, filled->mean, filled->median, filled->four_nines,
           filled->longest, filled->bytes);
    if (csv != NULL)
        fprintf(csv, "%zu,%zu,%s,set a new key,1,%.1f\n%zu,%zu,%s,bytes over key and value,1,%.1f\n", setting->items,
                setting->value_size, store->name, filled->mean, setting->items, setting->value_size, store->name,
                filled->bytes);
}

static void measure_setting(struct setting setting, int rounds)
{
    static double took[STORES][OPERATIONS][MAX_THREADS][MAX_ROUNDS];
    struct process processes[STORES];
    printf("\n%zu items of %zu bytes\n%-12s %10s %12s %12s %12s %12s\n", setting.items, setting.value_size, "filling",
           "ns", "median us", "99.99 % us", "longest us", "bytes over");
    (void)fflush(stdout);
    make_requests(setting.items);
    for (int s = 0; s < STORES; s++) {
        struct filled filled;
        if (!is_wanted(stores[s]))
            continue;
        processes[s] = start(stores[s], setting);
        if (read(processes[s].out, &filled, sizeof filled) != sizeof filled)
            exit(1);
        print_fill(&setting, stores[s], &filled);
    }
    for (int round = 0; round < rounds; round++)
        for (int o = 0; o < OPERATIONS; o++)
            for (int threads = 1; threads <= MAX_THREADS; threads++)
                for (int s = 0; s < STORES; s++)
                    if (can(stores[s], (enum operation)o))
                        took[s][o][threads - 1][round] = ask(&processes[s], (enum operation)o, threads);
    printf("%-26s", "ns, 1 and 2 threads");
    for (int s = 0; s < STORES; s++)
        printf(" %15s", stores[s]->name);
    for (int o = 0; o < OPERATIONS; o++) {
        printf("\n%-26s", operation_names[o]);
        for (int s = 0; s < STORES; s++) {
            if (!can(stores[s], (enum operation)o)) {
                printf(" %15s", "");
                continue;
            }
            for (int t = 0; t < MAX_THREADS; t++) {
                double *all = took[s][o][t];
                qsort(all, (size_t)rounds, sizeof *all, compare);
                printf(t == 0 ? " %7.0f" : " / %5.0f", all[rounds / 2]);
                if (csv != NULL)
                    fprintf(csv, "%zu,%zu,%s,\"%s\",%d,%.1f\n", setting.items, setting.value_size, stores[s]->name,
                            operation_names[o], t + 1, all[rounds / 2]);
            }
        }
    }
    puts("");
    for (int s = 0; s < STORES; s++) {
        const struct command end = { OPERATIONS, 0 };
        if (!is_wanted(stores[s]))
            continue;
        if (write(processes[s].in, &end, sizeof end) == sizeof end)
            (void)waitpid(processes[s].pid, NULL, 0);
        (void)close(processes[s].in);
        (void)close(processes[s].out);
    }
}

static bool parse_setting(const char *text, struct setting *setting)
{
    char behind = '\0';
    return sscanf(text, "%zux%zu%c", &setting->items, &setting->value_size, &behind) == 2 && setting->items > 0 &&
           setting->items < UINT32_MAX && setting->value_size > 0 && setting->value_size <= MAX_VALUE;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = { "1x100", "10x100", "1000x100", "100000x100", "1000000x100", "10000x10000" };
    int rounds = 5, at = 1;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        if (strcmp(argv[at], "--rounds") == 0)
            rounds = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--seconds") == 0)
            turn_seconds = atof(argv[at + 1]);
        else if (strcmp(argv[at], "--csv") == 0)
            csv = fopen(argv[at + 1], "a");
        else if (strcmp(argv[at], "--stores") == 0)
            wanted_stores = argv[at + 1];
    }
    rounds = rounds < 1 ? 1 : rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    for (int i = 0; i < 2; i++)
        requests[i] = malloc(REQUESTS * sizeof *requests[i]);
    const int n = at < argc ? argc - at : (int)(sizeof usual / sizeof usual[0]);
    for (int i = 0; i < n; i++) {
        struct setting setting;
        const char *text = at < argc ? argv[at + i] : usual[i];
        if (!parse_setting(text, &setting)) {
            fprintf(stderr, "bench_memory: '%s' is not ITEMSxBYTES\n", text);
            return 2;
        }
        measure_setting(setting, rounds);
    }
    return csv != NULL && fclose(csv) != 0;
}
