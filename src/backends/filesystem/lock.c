/* lock.c - allows one writer at a time in a leaf: a mutex among the threads of this process, and then a byte lock on
 * the meta file among processes. A child shares its parent's open file, and with it the locks, so it opens its own.
 * _GNU_SOURCE is for a wait by a clock that cannot be set. */
#define _GNU_SOURCE
#include "store.h"

#include "hooks.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct fs_store *stores;

static void init_mutexes(struct fs_store *store)
{
    pthread_mutex_init(&store->opening, NULL);
    for (int i = 0; i < FS_LEAVES; i++)
        pthread_mutex_init(&store->locks[i], NULL);
}

static void before_fork(void)
{
    pthread_mutex_lock(&stores_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&stores_lock);
}

/* This is done at once and not at the child's first write: while a child holds the parent's open file, the parent's
 * locks outlive the parent. */
static void after_fork_in_child(void)
{
    for (struct fs_store *store = stores; store != NULL; store = store->next) {
        const int meta_file = atomic_exchange(&store->meta_file, -1);
        if (meta_file >= 0)
            close(meta_file);
        init_mutexes(store);    /* the threads that held them are not in this process */
    }
    pthread_mutex_unlock(&stores_lock);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void cache_fs_locks_init(struct fs_store *store)
{
    init_mutexes(store);
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
    pthread_mutex_destroy(&store->opening);
}

/* ---- a leaf ------------------------------------------------------------------------------------------------------ */

/* If the C library has this function, it is used. Otherwise the wait follows the wall clock, and becomes longer or
 * shorter if that is set. gcc's ThreadSanitizer does not know the function. */
#if defined(__GLIBC_PREREQ) && !defined(__SANITIZE_THREAD__)
#if __GLIBC_PREREQ(2, 30)
#define HAVE_CLOCKLOCK
#endif
#endif
#ifdef HAVE_CLOCKLOCK
enum { WAIT_CLOCK = CLOCK_MONOTONIC };

static int lock_until(pthread_mutex_t *mutex, const struct timespec *until)
{
    return pthread_mutex_clocklock(mutex, WAIT_CLOCK, until);
}
#else
enum { WAIT_CLOCK = CLOCK_REALTIME };

static int lock_until(pthread_mutex_t *mutex, const struct timespec *until)
{
    return pthread_mutex_timedlock(mutex, until);
}
#endif

static int lock_mutex(pthread_mutex_t *mutex, int64_t timeout_ms)
{
    if (pthread_mutex_trylock(mutex) == 0)
        return 0;
    struct timespec until = { 0 };
    clock_gettime(WAIT_CLOCK, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return lock_until(mutex, &until);
}

static cache_status lock_failed(struct fs_store *store, unsigned number, int error)
{
    char path[4];
    cache_fs_leaf_path(number, path);
    if (error != ETIMEDOUT)
        return cache_fs_fail(store, FS_META_FILE, error);
    atomic_fetch_add_explicit(&store->timeouts, 1, memory_order_relaxed);
    return cache_fail(CACHE_ERR_TIMEOUT, "file %.200s: '%s' stayed locked by another writer for %lld ms", store->path,
                      path, (long long)store->timeout_ms);
}

/* Returns 0 or an errno. */
static int take_locks(struct fs_store *store, unsigned number, int64_t wait_ms)
{
    const uint64_t deadline = cache_now_ns() + (uint64_t)wait_ms * 1000000;
    int error = lock_mutex(&store->locks[number], wait_ms);
    if (error != 0)
        return error;
    const int meta_file = cache_fs_meta_file(store);
    error = meta_file >= 0 ? cache_fs_byte_lock(meta_file, number, deadline) : errno;
    if (error != 0)
        pthread_mutex_unlock(&store->locks[number]);
    return error;
}

static cache_status enter(struct fs_leaf *leaf)
{
    leaf->fd = cache_fs_leaf_open(leaf->store, leaf->number);
    if (leaf->fd < 0 && errno != ENOENT) {
        char path[4];
        cache_fs_leaf_path(leaf->number, path);
        const cache_status status = cache_fs_fail(leaf->store, path, errno);
        cache_fs_leaf_unlock(leaf);
        return status;
    }
    cache_fs_usage_load(leaf->store, leaf->number, &leaf->usage);
    if ((leaf->usage.version & 1) != 0 && cache_fs_leaf_scan(leaf, NULL, NULL) == CACHE_OK)
        leaf->changing = true;    /* the unfinished change of a writer that died ends here, with a new count */
    return CACHE_OK;
}

/* Returns 0 or an errno. On success the thread cannot be cancelled until cache_fs_leaf_unlock. */
static int begin(struct fs_store *store, unsigned number, int64_t wait_ms, struct fs_leaf *out)
{
    assert(number < FS_LEAVES);
    *out = (struct fs_leaf){ .store = store, .number = number, .fd = -1 };
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &out->cancel_state);
    const int error = take_locks(store, number, wait_ms);
    if (error != 0)
        pthread_setcancelstate(out->cancel_state, NULL);
    return error;
}

cache_status cache_fs_leaf_lock(struct fs_store *store, unsigned number, struct fs_leaf *out)
{
    if (store->read_only != 0)
        return cache_fs_fail(store, FS_META_FILE, store->read_only);
    const int error = begin(store, number, store->timeout_ms, out);
    return error == 0 ? enter(out) : lock_failed(store, number, error);
}

cache_status cache_fs_leaf_try(struct fs_store *store, unsigned number, struct fs_leaf *out)
{
    const int error = begin(store, number, 0, out);
    if (error != 0)
        return error == ETIMEDOUT ? CACHE_MISS : cache_fs_fail(store, FS_META_FILE, error);
    return enter(out);
}

void cache_fs_leaf_unlock(struct fs_leaf *leaf)
{
    struct fs_store *store = leaf->store;
    const int error = errno;
    if (leaf->changing)
        leaf->usage.version += FS_VERSION_STEP;
    assert(!leaf->changing || (leaf->usage.version & 1) == 0);
    /* If this fails, the version stays odd, and the next writer counts the leaf. */
    if (leaf->changing || leaf->counted)
        (void)cache_fs_usage_save(store, leaf->number, &leaf->usage);
    if (leaf->fd >= 0)
        close(leaf->fd);
    cache_fs_byte_unlock(cache_fs_meta_file(store), leaf->number);
    pthread_mutex_unlock(&store->locks[leaf->number]);
    pthread_setcancelstate(leaf->cancel_state, NULL);
    errno = error;
}
