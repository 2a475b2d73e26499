/* thread_slot.h - gives each running thread a small number that no other thread has. What only that thread writes, in a
 * place of that number, needs no atomic step. A thread gives its number back when it ends. */
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

/* Returns this thread's number, from 1 to THREAD_SLOTS - 1. If all are in use, it returns 0, which several threads
 * share. */
unsigned cache_thread_slot_take(void);

/* This thread's number, or THREAD_SLOTS if it has not asked for one yet. Only cache_thread_slot() uses it. */
extern CACHE_HOT_THREAD_LOCAL unsigned cache_thread_slot_mine;

/* The same as cache_thread_slot_take, and cheaper from the second call on. */
static inline unsigned cache_thread_slot(void)
{
    const unsigned mine = cache_thread_slot_mine;
    return mine < THREAD_SLOTS ? mine : cache_thread_slot_take();
}

#endif
