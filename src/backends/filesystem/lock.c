/* lock.c - one writer at a time in a leaf: a mutex among threads, and behind it a lock on a byte of the marker among
 * processes, which ends with its process.
 *
 * _GNU_SOURCE is for open file description locks: POSIX locks would be lost whenever another handle of this process on
 * the same directory is closed. A child shares its parent's open file, and with it the locks: so it opens its own. */
#define _GNU_SOURCE
#include "store.h"

#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { LOCKS_AT = 1 << 20, FRONTS_BEHIND = 1024, FIRST_PAUSE_NS = 20000, LONGEST_PAUSE_NS = 200000 };

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct fs_store *stores;

static void before_fork(void)
{
    pthread_mutex_lock(&stores_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&stores_lock);
}

/* At once, not at its first write: while a child holds the parent's file, the parent's locks outlive the parent. */
static void after_fork_in_child(void)
{
    for (struct fs_store *store = stores; store != NULL; store = store->next) {
        const int marker = atomic_exchange(&store->marker, -1);
        if (marker >= 0)
            close(marker);
        for (int i = 0; i < FS_LEAVES; i++)    /* threads that held them are not in this process */
            pthread_mutex_init(&store->locks[i], NULL);
    }
    pthread_mutex_unlock(&stores_lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void cache_fs_locks_init(struct fs_store *store)
{
    for (int i = 0; i < FS_LEAVES; i++)
        pthread_mutex_init(&store->locks[i], NULL);
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&stores_lock);
    store->next = stores;
    store->at = &stores;
    if (stores != NULL)
        stores->at = &store->next;
    stores = store;
    pthread_mutex_unlock(&stores_lock);
}

void cache_fs_locks_release(struct fs_store *store)
{
    pthread_mutex_lock(&stores_lock);
    *store->at = store->next;
    if (store->next != NULL)
        store->next->at = store->at;
    pthread_mutex_unlock(&stores_lock);
    for (int i = 0; i < FS_LEAVES; i++)
        pthread_mutex_destroy(&store->locks[i]);
}

/* ---- among processes --------------------------------------------------------------------------------------------- */

static int set_lock(int marker, off_t at, short type)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
    return fcntl(marker, F_OFD_SETLK, &range) == 0 ? 0 : errno;
}

/* Asked again and again, since a wait in the kernel has no end: a process that was stopped would stop all others. */
static int wait_for(int marker, off_t at, uint64_t deadline)
{
    for (long pause = FIRST_PAUSE_NS;; pause = pause < LONGEST_PAUSE_NS ? pause * 2 : pause) {
        const int error = set_lock(marker, at, F_WRLCK);
        if (error != EAGAIN && error != EACCES && error != EINTR)
            return error;
        if (cache_now_ns() >= deadline)
            return ETIMEDOUT;
        nanosleep(&(struct timespec){ 0, pause }, NULL);
    }
}

/* Who waits holds the place in front of the lock: else one that locks in a loop would always be first. */
int cache_fs_range_lock(int marker, unsigned number, uint64_t deadline)
{
    const off_t lock = LOCKS_AT + (off_t)number, front = lock + FRONTS_BEHIND;
    int error = wait_for(marker, front, deadline);
    if (error != 0)
        return error;
    error = wait_for(marker, lock, deadline);
    (void)set_lock(marker, front, F_UNLCK);
    return error;
}

void cache_fs_range_unlock(int marker, unsigned number)
{
    (void)set_lock(marker, LOCKS_AT + (off_t)number, F_UNLCK);
}

/* ---- a leaf ------------------------------------------------------------------------------------------------------ */

static int lock_mutex(pthread_mutex_t *mutex, int64_t timeout_ms)
{
    if (pthread_mutex_trylock(mutex) == 0)
        return 0;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_mutex_timedlock(mutex, &until);
}

static cache_status lock_failed(struct fs_store *store, unsigned number, int error)
{
    char path[4];
    cache_fs_leaf_path(number, path);
    if (error != ETIMEDOUT)
        return cache_fs_fail(store, FS_MARKER, error);
    atomic_fetch_add_explicit(&store->timeouts, 1, memory_order_relaxed);
    return cache_fail(CACHE_ERR_TIMEOUT, "file %.200s: '%s' stayed locked by another writer for %lld ms", store->path,
                      path, (long long)store->timeout_ms);
}

/* 0 or an errno. */
static int take_locks(struct fs_store *store, unsigned number, int64_t wait_ms)
{
    const uint64_t deadline = cache_now_ns() + (uint64_t)wait_ms * 1000000;
    int error = lock_mutex(&store->locks[number], wait_ms);
    if (error != 0)
        return error;
    const int marker = cache_fs_marker(store);
    error = marker >= 0 ? cache_fs_range_lock(marker, number, deadline) : errno;
    if (error != 0)
        pthread_mutex_unlock(&store->locks[number]);
    return error;
}

static cache_status enter(struct fs_store *store, unsigned number, struct fs_leaf *out)
{
    *out = (struct fs_leaf){ .store = store, .number = number, .fd = cache_fs_leaf_open(store, number) };
    if (out->fd < 0 && errno != ENOENT) {
        char path[4];
        cache_fs_leaf_path(number, path);
        const cache_status status = cache_fs_fail(store, path, errno);
        cache_fs_leaf_unlock(out);
        return status;
    }
    cache_fs_usage_load(out);
    return CACHE_OK;
}

cache_status cache_fs_leaf_lock(struct fs_store *store, unsigned number, struct fs_leaf *out)
{
    if (store->read_only != 0)
        return cache_fs_fail(store, FS_MARKER, store->read_only);
    const int error = take_locks(store, number, store->timeout_ms);
    return error == 0 ? enter(store, number, out) : lock_failed(store, number, error);
}

cache_status cache_fs_leaf_try(struct fs_store *store, unsigned number, struct fs_leaf *out)
{
    const int error = take_locks(store, number, 0);
    if (error != 0)
        return error == ETIMEDOUT ? CACHE_MISS : cache_fs_fail(store, FS_MARKER, error);
    return enter(store, number, out);
}

void cache_fs_leaf_unlock(struct fs_leaf *leaf)
{
    struct fs_store *store = leaf->store;
    if (leaf->fd >= 0)
        close(leaf->fd);
    cache_fs_range_unlock(cache_fs_marker(store), leaf->number);
    pthread_mutex_unlock(&store->locks[leaf->number]);
}
