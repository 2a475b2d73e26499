/* tls_gate.c - counts the threads inside OpenSSL. A fork keeps new ones out, and waits until the count is 0. */
#include "tls_gate.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t closed = PTHREAD_MUTEX_INITIALIZER;    /* held while the gate is closed */
static atomic_bool is_closed;
static atomic_uint n_inside;

static void before_fork(void)
{
    pthread_mutex_lock(&closed);
    atomic_store(&is_closed, true);
    while (atomic_load(&n_inside) != 0)
        sched_yield();
}

static void after_fork(void)
{
    atomic_store(&is_closed, false);
    pthread_mutex_unlock(&closed);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

void cache_tls_gate_init(void)
{
    (void)pthread_once(&once, watch_forks);
}

/* A thread that enters first counts itself and then checks the gate. A thread that forks closes the gate first and then
 * checks the count. So at least one of them sees the other. */
void cache_tls_gate_enter(void)
{
    for (;;) {
        atomic_fetch_add(&n_inside, 1);
        if (!atomic_load(&is_closed))
            return;
        atomic_fetch_sub(&n_inside, 1);
        pthread_mutex_lock(&closed);
        pthread_mutex_unlock(&closed);
    }
}

void cache_tls_gate_leave(void)
{
    atomic_fetch_sub(&n_inside, 1);
}
