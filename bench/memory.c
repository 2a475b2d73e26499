/* bench_memory - nanoseconds per operation on a million items of 100 bytes, beside what people write themselves.
 *
 * The rivals: a classic LRU, a uthash table whose hit moves the item to the end of its list, under one mutex; and GLib's hash
 * table under one mutex, which never evicts. All copy the value out. Rounds are interleaved, medians of five. */
#include <libcache/cache.h>

#include <glib.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum { ITEMS = 1000000, OPERATIONS = 1000000, ROUNDS = 5, VALUE_SIZE = 100, KEY_SIZE = 16, MAX_THREADS = 2 };

static char keys[ITEMS][KEY_SIZE];
static unsigned *order[2];             /* uniform, Zipf 0.99 */
static cache_t *cache;

/* ---- the rivals -------------------------------------------------------------------------------------------------- */

struct entry {
    UT_hash_handle hh;
    char key[KEY_SIZE], value[VALUE_SIZE];
};

static struct entry *lru;
static GHashTable *glib;
static pthread_mutex_t lru_lock = PTHREAD_MUTEX_INITIALIZER, glib_lock = PTHREAD_MUTEX_INITIALIZER;

static void lru_get(const char *key)
{
    char value[VALUE_SIZE];
    struct entry *entry = NULL;
    pthread_mutex_lock(&lru_lock);
    HASH_FIND_STR(lru, key, entry);
    if (entry != NULL) {
        HASH_DEL(lru, entry);
        HASH_ADD_STR(lru, key, entry);
        memcpy(value, entry->value, sizeof value);
    }
    pthread_mutex_unlock(&lru_lock);
}

static void lru_set(const char *key)
{
    struct entry *entry = NULL, *fresh = calloc(1, sizeof *fresh);
    (void)snprintf(fresh->key, sizeof fresh->key, "%s", key);
    pthread_mutex_lock(&lru_lock);
    HASH_FIND_STR(lru, key, entry);
    if (entry != NULL)
        HASH_DEL(lru, entry);
    HASH_ADD_STR(lru, key, fresh);
    pthread_mutex_unlock(&lru_lock);
    free(entry);
}

static void glib_get(const char *key)
{
    char value[VALUE_SIZE];
    pthread_mutex_lock(&glib_lock);
    const char *found = g_hash_table_lookup(glib, key);
    if (found != NULL)
        memcpy(value, found, sizeof value);
    pthread_mutex_unlock(&glib_lock);
}

static void glib_set(const char *key)
{
    char *fresh_key = strdup(key), *value = calloc(1, VALUE_SIZE);
    pthread_mutex_lock(&glib_lock);
    g_hash_table_replace(glib, fresh_key, value);
    pthread_mutex_unlock(&glib_lock);
}

/* ---- ours -------------------------------------------------------------------------------------------------------- */

static void our_get(const char *key)
{
    cache_value value;
    if (cache_get(cache, key, &value) == CACHE_OK)
        cache_value_release(&value);
}

static void our_get_copy(const char *key)
{
    char value[VALUE_SIZE];
    (void)cache_get_copy(cache, key, value, sizeof value, NULL);
}

static void our_set(const char *key)
{
    static const char value[VALUE_SIZE];
    (void)cache_set(cache, key, value, sizeof value, 3600);
}

static void our_inc(const char *key)
{
    char counter[KEY_SIZE + 2] = "n:";
    memcpy(counter + 2, key, KEY_SIZE);
    (void)cache_inc(cache, counter, 1, NULL);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

struct work {
    pthread_t thread;
    void (*operation)(const char *key);
    const unsigned *order;
    int begin, end;
};

static void *run(void *arg)
{
    const struct work *work = arg;
    for (int i = work->begin; i < work->end; i++)
        work->operation(keys[work->order[i]]);
    return NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Wall nanoseconds per operation, all threads together. */
static double measure(void (*operation)(const char *key), const unsigned *which, int threads)
{
    struct work work[MAX_THREADS];
    const double begun = seconds();
    for (int i = 0; i < threads; i++) {
        work[i] = (struct work){ .operation = operation, .order = which, .begin = OPERATIONS / threads * i,
                                 .end = OPERATIONS / threads * (i + 1) };
        pthread_create(&work[i].thread, NULL, run, &work[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(work[i].thread, NULL);
    return (seconds() - begun) * 1e9 / OPERATIONS;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void make_orders(void)
{
    double *sums = malloc(ITEMS * sizeof *sums), total = 0;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < ITEMS; i++)
        sums[i] = total += 1 / pow(i + 1, 0.99);
    for (int kind = 0; kind < 2; kind++) {
        order[kind] = malloc(OPERATIONS * sizeof *order[kind]);
        for (int i = 0; i < OPERATIONS; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            if (kind == 0) {
                order[kind][i] = (unsigned)(random % ITEMS);
                continue;
            }
            const double wanted = (double)(random >> 11) / 9007199254740992.0 * total;
            int low = 0, high = ITEMS - 1;
            while (low < high) {
                const int middle = (low + high) / 2;
                if (sums[middle] < wanted)
                    low = middle + 1;
                else
                    high = middle;
            }
            order[kind][i] = (unsigned)((unsigned long long)low * 2654435761u % ITEMS);    /* popular ones lie apart */
        }
    }
    free(sums);
}

int main(void)
{
    static const struct { const char *name; void (*operation)(const char *key); } operations[] = {
        { "get    libcache", our_get },     { "get    libcache, copied", our_get_copy }, { "get    uthash LRU", lru_get },
        { "get    GLib", glib_get },        { "set    libcache", our_set },              { "set    uthash LRU", lru_set },
        { "set    GLib", glib_set },        { "inc    libcache", our_inc },
    };
    enum { N = sizeof operations / sizeof operations[0], SETTINGS = 4 };
    static double took[N][SETTINGS][ROUNDS];
    if (cache_open("memory://?prefix=b:", &cache) != CACHE_OK)
        return 1;
    glib = g_hash_table_new_full(g_str_hash, g_str_equal, free, free);
    make_orders();
    for (int i = 0; i < ITEMS; i++) {
        (void)snprintf(keys[i], KEY_SIZE, "key:%d", i);
        our_set(keys[i]);
        our_inc(keys[i]);
        lru_set(keys[i]);
        glib_set(keys[i]);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int setting = 0; setting < SETTINGS; setting++)
            for (int i = 0; i < N; i++)
                took[i][setting][round] = measure(operations[i].operation, order[setting % 2], 1 + setting / 2);
    puts("ns per operation (median of 5)   1 thread: uniform     Zipf   2 threads: uniform     Zipf");
    for (int i = 0; i < N; i++) {
        for (int setting = 0; setting < SETTINGS; setting++)
            qsort(took[i][setting], ROUNDS, sizeof(double), compare);
        printf("%-32s %17.0f %8.0f %20.0f %8.0f\n", operations[i].name, took[i][0][ROUNDS / 2], took[i][1][ROUNDS / 2],
               took[i][2][ROUNDS / 2], took[i][3][ROUNDS / 2]);
    }
    return 0;
}
