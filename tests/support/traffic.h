/* traffic.h - forks while other threads use the library. The allocators of AddressSanitizer and ThreadSanitizer do not
 * survive a fork while another thread is inside them, as the C library's does. With them, the fork waits until no
 * thread is in the library. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TRAFFIC_STOPS = 1 };
#else
enum { TRAFFIC_STOPS = 0 };
#endif

static pthread_rwlock_t traffic_gate = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t traffic_queue = PTHREAD_MUTEX_INITIALIZER;    /* else a thread that forks might wait for ever */

/* Called before and after each use of the library by a thread. */
static inline void traffic_enter(void)
{
    if (TRAFFIC_STOPS) {
        pthread_mutex_lock(&traffic_queue);
        pthread_rwlock_rdlock(&traffic_gate);
        pthread_mutex_unlock(&traffic_queue);
    }
}

static inline void traffic_leave(void)
{
    if (TRAFFIC_STOPS)
        pthread_rwlock_unlock(&traffic_gate);
}

static inline pid_t traffic_fork(void)
{
    if (TRAFFIC_STOPS) {
        pthread_mutex_lock(&traffic_queue);
        pthread_rwlock_wrlock(&traffic_gate);
    }
    const pid_t child = fork();
    if (TRAFFIC_STOPS) {
        pthread_rwlock_unlock(&traffic_gate);
        pthread_mutex_unlock(&traffic_queue);
    }
    return child;
}

#endif
