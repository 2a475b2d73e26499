/* epoch.c - the records of reading threads, and the memory barrier that writers request. */
#define _GNU_SOURCE                    /* syscall */
#include "epoch.h"

#include "lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

struct epoch cache_mem_epoch = { .now = 1 };
CACHE_HOT_THREAD_LOCAL struct reader *cache_mem_reader;

static struct lock readers_lock;
static struct reader *readers;
static struct reader *left;            /* records of ended threads whose views still exist, linked by `next` */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static atomic_bool exit_key_made;

/* ---- the barrier --------------------------------------------------------------------------------------------- */

#ifdef SYS_membarrier
static bool membarrier(int command)
{
    const int saved = errno;
    const bool done = syscall(SYS_membarrier, command, 0, 0) == 0;
    errno = saved;
    return done;
}

static bool register_barrier(void)
{
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static bool barrier(void)
{
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
#else
static bool register_barrier(void)
{
    return false;
}

static bool barrier(void)
{
    return false;
}
#endif

uint64_t cache_mem_epoch_advance(void)
{
    const uint64_t epoch = atomic_fetch_add_explicit(&cache_mem_epoch.now, 1, memory_order_seq_cst) + 1;
    if (EPOCH_ALWAYS_FENCE || atomic_load_explicit(&cache_mem_epoch.fence, memory_order_relaxed))
        return epoch;
    return barrier() ? epoch : UINT64_MAX;    /* if the kernel refuses it now, no epoch counts as passed */
}

static void count_pins(void)
{
    for (struct reader *reader = readers; reader != NULL; reader = reader->next)
        (void)cache_mem_pins_count(&reader->pins);
    for (struct reader *reader = left; reader != NULL; reader = reader->next)
        (void)cache_mem_pins_count(&reader->pins);
}

bool cache_mem_epoch_passed(uint64_t epoch)
{
    bool passed = epoch != UINT64_MAX;
    lock_take(&readers_lock);
    for (const struct reader *reader = readers; passed && reader != NULL; reader = reader->next) {
        const uint64_t entered = atomic_load_explicit(&reader->epoch, memory_order_seq_cst);
        passed = entered == 0 || entered >= epoch;
    }
    if (passed)
        count_pins();
    lock_give(&readers_lock);
    return passed;
}

void cache_mem_epoch_count_pins(void)
{
    lock_take(&readers_lock);
    count_pins();
    lock_give(&readers_lock);
}

void cache_mem_epoch_wait(uint64_t epoch)
{
    while (epoch == UINT64_MAX)
        epoch = cache_mem_epoch_advance();
    while (!cache_mem_epoch_passed(epoch))
        sched_yield();
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

/* Called with the lock held. Frees the records of ended threads whose views have all ended. */
static void free_left(void)
{
    for (struct reader **at = &left; *at != NULL;) {
        struct reader *reader = *at;
        if (cache_mem_pins_count(&reader->pins)) {
            at = &reader->next;
            continue;
        }
        *at = reader->next;
        free(reader);
    }
}

/* Called with the lock held, when the thread of this record ends. Other threads may still hold its views. */
static void leave(struct reader *reader)
{
    atomic_store_explicit(&reader->epoch, 0, memory_order_relaxed);
    reader->next = left;
    left = reader;
}

static void reader_quit(void *arg)
{
    struct reader *reader = arg;
    lock_take(&readers_lock);
    *reader->at = reader->next;
    if (reader->next != NULL)
        reader->next->at = reader->at;
    leave(reader);
    free_left();
    lock_give(&readers_lock);
    cache_mem_reader = NULL;
}

static void prepare(void)
{
    atomic_store(&exit_key_made, pthread_key_create(&exit_key, reader_quit) == 0);
    atomic_store(&cache_mem_epoch.fence, EPOCH_ALWAYS_FENCE || !register_barrier());
}

void cache_mem_epoch_init(void)
{
    (void)pthread_once(&once, prepare);
}

struct reader *cache_mem_reader_join(void)
{
    void *block = NULL;
    if (!atomic_load(&exit_key_made) || posix_memalign(&block, _Alignof(struct reader), sizeof(struct reader)) != 0)
        return NULL;
    struct reader *reader = block;
    if (pthread_setspecific(exit_key, reader) != 0) {
        free(reader);
        return NULL;
    }
    atomic_init(&reader->epoch, 0);
    pins_init(&reader->pins);
    lock_take(&readers_lock);
    free_left();
    reader->next = readers;
    reader->at = &readers;
    if (readers != NULL)
        readers->at = &reader->next;
    readers = reader;
    lock_give(&readers_lock);
    return cache_mem_reader = reader;
}

/* When the library is unloaded, no ending thread may call into it any more. At the end of the process other threads may
 * still read: they keep their records, and a new thread reads with the lock held. */
__attribute__((destructor)) static void unload(void)
{
    if (!atomic_exchange(&exit_key_made, false))
        return;
    (void)pthread_key_delete(exit_key);
    if (cache_mem_reader != NULL)
        reader_quit(cache_mem_reader);
}

/* ---- fork ---------------------------------------------------------------------------------------------------- */

void cache_mem_epoch_before_fork(void)
{
    lock_take(&readers_lock);
}

void cache_mem_epoch_after_fork(bool in_child)
{
    if (!in_child) {
        lock_give(&readers_lock);
        return;
    }
    for (struct reader *reader = readers, *next; reader != NULL; reader = next) {
        next = reader->next;
        if (reader != cache_mem_reader)
            leave(reader);
    }
    free_left();
    readers = cache_mem_reader;
    if (readers != NULL) {
        readers->next = NULL;
        readers->at = &readers;
    }
    lock_reset(&readers_lock);
    if (!atomic_load(&cache_mem_epoch.fence) && !EPOCH_ALWAYS_FENCE)
        atomic_store(&cache_mem_epoch.fence, !register_barrier());
}
