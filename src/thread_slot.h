/* thread_slot.h - a small number for each thread that runs, its own alone: what it writes under that number needs no
 * atomic step. A thread gives its number back at its end. */
#ifndef THREAD_SLOT_H
#define THREAD_SLOT_H

enum { THREAD_SLOTS = 32 };

/* Returns this thread's number, 1 to THREAD_SLOTS - 1, or 0, which all threads share for whom there is none. */
unsigned cache_thread_slot_take(void);

/* This thread's number; use cache_thread_slot(). THREAD_SLOTS: not asked for yet. */
extern _Thread_local unsigned cache_thread_slot_mine;

static inline unsigned cache_thread_slot(void)
{
    const unsigned mine = cache_thread_slot_mine;
    return mine < THREAD_SLOTS ? mine : cache_thread_slot_take();
}

#endif
