/* thread_slot.h - a small number for each thread that runs, its own alone: what it writes under that number needs no
 * atomic step. A thread gives its number back at its end. */
#ifndef THREAD_SLOT_H
#define THREAD_SLOT_H

#include <stdint.h>    /* so that __GLIBC__ is known */

enum { THREAD_SLOTS = 32 };

/* A thread's variable that each hit reads. In a shared library the usual access to one is a call. With this model it is
 * a load from a small area that glibc keeps for this, also for libraries that are loaded later. */
#ifdef __GLIBC__
#define CACHE_HOT_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define CACHE_HOT_THREAD_LOCAL _Thread_local
#endif

/* Returns this thread's number, 1 to THREAD_SLOTS - 1, or 0, which all threads share for whom there is none. */
unsigned cache_thread_slot_take(void);

/* This thread's number; use cache_thread_slot(). THREAD_SLOTS: not asked for yet. */
extern CACHE_HOT_THREAD_LOCAL unsigned cache_thread_slot_mine;

static inline unsigned cache_thread_slot(void)
{
    const unsigned mine = cache_thread_slot_mine;
    return mine < THREAD_SLOTS ? mine : cache_thread_slot_take();
}

#endif
