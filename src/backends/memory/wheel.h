/* wheel.h - which items expire next: a hierarchical timing wheel.
 *
 * Adding and removing cost a few pointers, whatever the number of items; turning it visits only what is due.
 * After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987). */
#ifndef WHEEL_H
#define WHEEL_H

#include "item.h"

enum { WHEEL_LEVELS = 7, WHEEL_SLOTS = 64, WHEEL_BITS = 6, WHEEL_TICK_BITS = 4 };    /* a tick is 16 ms; 2^46 ms in all */

struct wheel {
    int64_t now_ms;                    /* how far it was turned */
    struct item *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_add(struct wheel *wheel, struct item *item);        /* its deadline_ms says where; 0: nowhere */
void wheel_remove(struct item *item);

/* Turn to `now_ms` and give an item that has expired by then, taken out of the wheel; NULL: none is left. */
struct item *wheel_expired(struct wheel *wheel, int64_t now_ms);

#endif
