/* forked.c - the pid is compared before each use of a connection: it costs less than any of them. */
#include "forked.h"

#include <sched.h>
#include <unistd.h>

void cache_forked_check(_Atomic pid_t *owner, void (*clean_up)(void *ctx), void *ctx)
{
    const pid_t self = getpid(), cleaning = -1;
    pid_t now = atomic_load_explicit(owner, memory_order_acquire);
    while (now != self) {
        if (now != cleaning && atomic_compare_exchange_strong(owner, &now, cleaning)) {
            clean_up(ctx);
            atomic_store_explicit(owner, self, memory_order_release);
            return;
        }
        sched_yield();    /* another thread of this child is at it */
        now = atomic_load_explicit(owner, memory_order_acquire);
    }
}
