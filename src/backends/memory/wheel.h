/* wheel.h - which items expire next: a hierarchical timing wheel.
 *
 * Adding and removing cost a few pointers, whatever the number of items; turning it visits only what is due.
 * After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987). */
#ifndef WHEEL_H
#define WHEEL_H

#include "item.h"

/* A tick is 16 ms, a turn of the last level 198 days; what is farther away passes there more than once. */
enum { WHEEL_LEVELS = 5, WHEEL_SLOTS = 64, WHEEL_BITS = 6, WHEEL_TICK_BITS = 4 };

struct wheel {
    int64_t now_ms;                    /* how far it was turned */
    struct item *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_add(struct wheel *wheel, struct item *item);        /* its deadline_ms says where; 0: nowhere */
void wheel_remove(struct item *item);

/* A new deadline. A later one, as a renewed item gets, moves nothing: the item is hung anew when the wheel comes to
 * it. */
void wheel_reschedule(struct wheel *wheel, struct item *item, int64_t deadline_ms);

/* Turn to `now_ms` and give an item that has expired by then, taken out of the wheel; NULL: none is left, or in the
 * tick of `now_ms` itself none among the first few. */
struct item *wheel_expired(struct wheel *wheel, int64_t now_ms);

#endif
