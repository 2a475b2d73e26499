/* bench_memory - nanoseconds per operation on a million items of 100 bytes, beside what people write themselves.
 *
 *     bench_memory [ROUNDS]     5 unless said
 *
 * The rivals: a classic LRU, a uthash table whose hit moves the item to the end of its list, under one mutex; and
 * GLib's hash table under one mutex, which never evicts. Nobody gets anything for nothing: each get copies the value
 * into a buffer of the caller's, each set brings the same bytes, and the keys asked for are read one behind the other,
 * as if just made. Rounds are interleaved. The counters live in a store of their own, which is filled last. */
#include <libcache/cache.h>

#include <glib.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum { ITEMS = 1000000, OPERATIONS = 1000000, VALUE_SIZE = 100, KEY_SIZE = 16, MAX_THREADS = 16, MAX_ROUNDS = 99 };

/* Ask for `key`, copy its value to `value`; or set `key` to the bytes at `value`. */
typedef void operation_fn(const char *key, char value[VALUE_SIZE]);
typedef char request[KEY_SIZE];

static request *requests[2];           /* uniform, Zipf 0.99 */
static cache_t *cache, *counters;

/* ---- the rivals -------------------------------------------------------------------------------------------------- */

struct entry {
    UT_hash_handle hh;
    char key[KEY_SIZE], value[VALUE_SIZE];
};

static struct entry *lru;
static GHashTable *glib;
static pthread_mutex_t lru_lock = PTHREAD_MUTEX_INITIALIZER, glib_lock = PTHREAD_MUTEX_INITIALIZER;

static void lru_get(const char *key, char value[VALUE_SIZE])
{
    struct entry *entry = NULL;
    pthread_mutex_lock(&lru_lock);
    HASH_FIND_STR(lru, key, entry);
    if (entry != NULL) {
        HASH_DEL(lru, entry);
        HASH_ADD_STR(lru, key, entry);
        memcpy(value, entry->value, VALUE_SIZE);
    }
    pthread_mutex_unlock(&lru_lock);
}

static void lru_set(const char *key, char value[VALUE_SIZE])
{
    struct entry *entry = NULL, *fresh = malloc(sizeof *fresh);
    memcpy(fresh->key, key, strlen(key) + 1);
    memcpy(fresh->value, value, VALUE_SIZE);
    pthread_mutex_lock(&lru_lock);
    HASH_FIND_STR(lru, key, entry);
    if (entry != NULL)
        HASH_DEL(lru, entry);
    HASH_ADD_STR(lru, key, fresh);
    pthread_mutex_unlock(&lru_lock);
    free(entry);
}

static void glib_get(const char *key, char value[VALUE_SIZE])
{
    pthread_mutex_lock(&glib_lock);
    const char *found = g_hash_table_lookup(glib, key);
    if (found != NULL)
        memcpy(value, found, VALUE_SIZE);
    pthread_mutex_unlock(&glib_lock);
}

static void glib_set(const char *key, char value[VALUE_SIZE])
{
    char *fresh_key = strdup(key), *fresh = malloc(VALUE_SIZE);
    memcpy(fresh, value, VALUE_SIZE);
    pthread_mutex_lock(&glib_lock);
    g_hash_table_replace(glib, fresh_key, fresh);
    pthread_mutex_unlock(&glib_lock);
}

/* ---- ours -------------------------------------------------------------------------------------------------------- */

static void our_get(const char *key, char value[VALUE_SIZE])
{
    (void)cache_get_copy(cache, key, value, VALUE_SIZE, NULL);
}

/* The view that cache_get gives is read to its end, too. */
static void our_view(const char *key, char value[VALUE_SIZE])
{
    cache_value view;
    if (cache_get(cache, key, &view) == CACHE_OK)
        memcpy(value, view.data, VALUE_SIZE);
    cache_value_release(&view);
}

static void our_set(const char *key, char value[VALUE_SIZE])
{
    (void)cache_set(cache, key, value, VALUE_SIZE, 3600);
}

static void our_inc(const char *key, char value[VALUE_SIZE])
{
    (void)value;
    (void)cache_inc(counters, key, 1, NULL);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

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

struct work {
    pthread_t thread;
    operation_fn *operation;
    request *begin, *end;
};

static void *run(void *arg)
{
    const struct work *work = arg;
    char value[VALUE_SIZE] = "";
    for (request *next = work->begin; next < work->end; next++)
        work->operation(*next, value);
    return NULL;
}

/* Nanoseconds per operation: of several threads together by the wall clock; of one in processor time, so that another
 * program's turn counts for nobody. */
static double measure(operation_fn *operation, request *which, int threads)
{
    struct work work[MAX_THREADS];
    const clockid_t clock = threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const double begun = seconds(clock);
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){ .operation = operation, .begin = which + OPERATIONS / threads * i,
                                 .end = which + OPERATIONS / threads * (i + 1) };
        pthread_create(&work[i].thread, NULL, run, &work[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(work[i].thread, NULL);
    return (seconds(clock) - begun) * 1e9 / OPERATIONS;
}

/* Set every key once, each set timed alone: in processor time, so that another program's turn is nobody's pause. */
static void fill(const char *name, operation_fn *set)
{
    static double took[ITEMS];
    char key[KEY_SIZE] = "", value[VALUE_SIZE] = "";
    for (int i = 0; i < ITEMS; i++) {
        (void)snprintf(key, sizeof key, "key:%d", i);
        const double begun = seconds(CLOCK_THREAD_CPUTIME_ID);
        set(key, value);
        took[i] = (seconds(CLOCK_THREAD_CPUTIME_ID) - begun) * 1e6;
    }
    qsort(took, ITEMS, sizeof *took, compare);
    printf("%-32s %17.1f %15.1f %15.1f %15.0f\n", name, took[ITEMS / 2], took[ITEMS / 1000 * 999],
           took[ITEMS / 10000 * 9999], took[ITEMS - 1]);
}

static void make_requests(void)
{
    double *sums = malloc(ITEMS * sizeof *sums), total = 0;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < ITEMS; i++)
        sums[i] = total += 1 / pow(i + 1, 0.99);
    for (int kind = 0; kind < 2; kind++) {
        requests[kind] = malloc(OPERATIONS * sizeof *requests[kind]);
        for (int i = 0; i < OPERATIONS; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            unsigned long long which = random % ITEMS;
            if (kind == 1) {
                const double wanted = (double)(random >> 11) / 9007199254740992.0 * total;
                int low = 0, high = ITEMS - 1;
                while (low < high) {
                    const int middle = (low + high) / 2;
                    if (sums[middle] < wanted)
                        low = middle + 1;
                    else
                        high = middle;
                }
                which = (unsigned long long)low * 2654435761u % ITEMS;    /* popular ones lie apart */
            }
            (void)snprintf(requests[kind][i], KEY_SIZE, "key:%u", (unsigned)which);
        }
    }
    free(sums);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; operation_fn *operation; } operations[] = {
        { "get    libcache", our_get },   { "get    libcache, view", our_view }, { "get    uthash LRU", lru_get },
        { "get    GLib", glib_get },      { "set    libcache", our_set },        { "set    uthash LRU", lru_set },
        { "set    GLib", glib_set },      { "inc    libcache", our_inc },
    };
    static const struct { int kind, threads; } settings[] = { { 0, 1 }, { 1, 1 }, { 0, 2 }, { 1, 2 }, { 1, 16 } };
    enum { N = sizeof operations / sizeof operations[0], SETTINGS = sizeof settings / sizeof settings[0] };
    static double took[N][SETTINGS][MAX_ROUNDS];
    const int wanted = argc > 1 ? atoi(argv[1]) : 5;
    const int rounds = wanted < 1 ? 1 : wanted > MAX_ROUNDS ? MAX_ROUNDS : wanted;
    if (cache_open("memory://?prefix=b:", &cache) != CACHE_OK ||
        cache_open("memory://?prefix=n:", &counters) != CACHE_OK)
        return 1;
    glib = g_hash_table_new_full(g_str_hash, g_str_equal, free, free);
    make_requests();

    puts("microseconds of a set while the million is filled        median           99.9 %          99.99 %"
         "         longest");
    fill("libcache", our_set);
    fill("uthash LRU", lru_set);
    fill("GLib", glib_set);
    fill("libcache, inc", our_inc);

    for (int round = 0; round < rounds; round++)
        for (int s = 0; s < SETTINGS; s++)
            for (int i = 0; i < N; i++)
                took[i][s][round] = measure(operations[i].operation, requests[settings[s].kind], settings[s].threads);
    printf("\nns per operation, median of %d    ", rounds);
    puts("1 thread: uniform     Zipf   2 threads: uniform     Zipf   16 threads: Zipf");
    for (int i = 0; i < N; i++) {
        for (int s = 0; s < SETTINGS; s++)
            qsort(took[i][s], (size_t)rounds, sizeof(double), compare);
        const int middle = rounds / 2;
        printf("%-32s %17.0f %8.0f %20.0f %8.0f %18.0f\n", operations[i].name, took[i][0][middle], took[i][1][middle],
               took[i][2][middle], took[i][3][middle], took[i][4][middle]);
    }
    puts("\nlibcache's time by the rival's");
    static const struct { const char *name; int ours, rival; } pairs[] = {
        { "get    by uthash LRU", 0, 2 }, { "get    by GLib", 0, 3 }, { "set    by uthash LRU", 4, 5 },
        { "set    by GLib", 4, 6 },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        double ratio[SETTINGS];
        for (int s = 0; s < SETTINGS; s++)
            ratio[s] = took[pairs[i].ours][s][rounds / 2] / took[pairs[i].rival][s][rounds / 2];
        printf("%-32s %17.2f %8.2f %20.2f %8.2f %18.2f\n", pairs[i].name, ratio[0], ratio[1], ratio[2], ratio[3],
               ratio[4]);
    }
    return 0;
}
