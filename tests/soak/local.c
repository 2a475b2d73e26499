/* local.c - the stores without a server. Whatever is done to them here, no call of theirs may fail. */
#include "disturb.h"

#include "files.h"
#include "server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop_nothing(void)
{
}

/* What was to live for a minute is over after a sleep of more. It may be served for a second after the machine woke. */
static const char *sleep_and_wake(cache_t *cache)
{
    assert_status(CACHE_OK, cache_set_string(cache, "minute", "x", 60));
    soak_clock_sleep(70);
    soak_pause_ms(1100);
    assert_status(CACHE_MISS, cache_has(cache, "minute"));
    return "the machine sleeps for 70 s";
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void *use_a_little(void *arg)
{
    cache_t *cache = arg;
    for (int i = 0; i < 50; i++)
        test_set_numbered(cache, "guest", i, 0.05);
    return NULL;
}

/* Threads that come and go, and entries that expire. */
static const char *short_threads(cache_t *unused)
{
    (void)unused;
    cache_t *cache = test_open("memory://?max_bytes=1mb");
    pthread_t guests[8];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 8; i++)
            assert_int_equal(pthread_create(&guests[i], NULL, use_a_little, cache), 0);
        for (int i = 0; i < 8; i++)
            pthread_join(guests[i], NULL);
    }
    cache_close(cache);
    return "threads and a second cache come and go";
}

/* Less than half of what the traffic would fill. */
static void start_memory(char url[SOAK_URL])
{
    (void)snprintf(url, SOAK_URL, "memory://?max_bytes=256kb");
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static char directory[64], url_of_files[SOAK_URL];
static unsigned n_rounds, n_seen;

static void remove_some(const char *path)
{
    if (n_seen++ % 5 == n_rounds % 5)
        (void)unlink(path);
}

static void cut_some(const char *path)
{
    if (n_seen++ % 5 == n_rounds % 5 && truncate(path, 20) != 0)
        return;    /* it has gone meanwhile */
}

static const char *remove_files(cache_t *cache)
{
    (void)cache;
    n_rounds++;
    files_each(directory, remove_some);
    return "a fifth of the files is removed";
}

static const char *cut_files(cache_t *cache)
{
    (void)cache;
    n_rounds++;
    files_each(directory, cut_some);
    return "a fifth of the files is cut off";
}

static const char *remove_directories(cache_t *cache)
{
    (void)cache;
    files_remove_below(directory);
    return "all files and directories are removed";
}

/* Another process, begun anew so that it has no threads of ours, which writes until it is killed. */
static const char *kill_writer(cache_t *cache)
{
    (void)cache;
    const pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "soak", "writer", url_of_files, (char *)NULL);
        _exit(127);
    }
    soak_pause_ms(200);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return "another process is killed while it writes";
}

static void start_files(char url[SOAK_URL])
{
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url_of_files, SOAK_URL, "file://%s?max_bytes=1mb", directory);
    (void)snprintf(url, SOAK_URL, "%s", url_of_files);
}

static void stop_files(void)
{
    test_directory_remove(directory);
}

const struct soak_store soak_local[] = {
    { "memory", start_memory, stop_nothing,
      { { short_threads, false }, { soak_fork, false }, { sleep_and_wake, false } } },
    { "file", start_files, stop_files,
      { { kill_writer, false }, { remove_files, false }, { soak_fork, false }, { cut_files, false },
        { sleep_and_wake, false }, { remove_directories, false }, { soak_set_clock_back, false } } },
    { NULL, NULL, NULL, { { NULL, false } } },
};
