/* wheel.c - a hierarchical timing wheel. */
#include "wheel.h"

enum { LOOKS = 32 };

static struct item **slot_for(struct wheel *wheel, int64_t deadline_ms)
{
    const int64_t tick = deadline_ms >> WHEEL_TICK_BITS, now = wheel->now_ms >> WHEEL_TICK_BITS;
    int level = 0;
    /* The level on which deadline and now lie within one turn. */
    while (level < WHEEL_LEVELS - 1 && (tick >> (WHEEL_BITS * level)) - (now >> (WHEEL_BITS * level)) >= WHEEL_SLOTS)
        level++;
    const int64_t at = tick < now ? now : tick;
    return &wheel->slots[level][(at >> (WHEEL_BITS * level)) & (WHEEL_SLOTS - 1)];
}

static void hang(struct item **slot, struct item *item)
{
    item->wheel_next = *slot;
    item->wheel_at = slot;
    if (*slot != NULL)
        (*slot)->wheel_at = &item->wheel_next;
    *slot = item;
}

void wheel_add(struct wheel *wheel, struct item *item)
{
    if (item->deadline_ms != 0)
        hang(slot_for(wheel, item->deadline_ms), item);
}

void wheel_remove(struct item *item)
{
    if (item->wheel_at == NULL)
        return;
    *item->wheel_at = item->wheel_next;
    if (item->wheel_next != NULL)
        item->wheel_next->wheel_at = item->wheel_at;
    item->wheel_at = NULL;
}

void wheel_reschedule(struct wheel *wheel, struct item *item, int64_t deadline_ms)
{
    const bool later = item->wheel_at != NULL && deadline_ms >= item->deadline_ms;
    if (!later)
        wheel_remove(item);
    item->deadline_ms = deadline_ms;
    if (!later)
        wheel_add(wheel, item);
}

/* Hang the items of a slot where they belong now: nearer. */
static void cascade(struct wheel *wheel, struct item **slot)
{
    struct item *item = *slot;
    *slot = NULL;
    while (item != NULL) {
        struct item *next = item->wheel_next;
        wheel_add(wheel, item);
        item = next;
    }
}

/* From the slot of this tick. What was given a later deadline since it was hung is hung anew; what is due within the
 * tick stays, and is not looked through to the end each time: a tick may hold all that was set in one loop. */
static struct item *take_expired(struct wheel *wheel, struct item **slot, int64_t now_ms)
{
    struct item *item = *slot, *next;
    for (int looked_at = 0; item != NULL && looked_at < LOOKS; looked_at++, item = next) {
        next = item->wheel_next;
        if (item->deadline_ms >> WHEEL_TICK_BITS <= now_ms >> WHEEL_TICK_BITS && item->deadline_ms > now_ms)
            continue;
        wheel_remove(item);
        if (item->deadline_ms <= now_ms)
            return item;
        wheel_add(wheel, item);
    }
    return NULL;
}

/* The clock may have jumped by days: then every slot is looked at once, and not each tick between. */
static void turn(struct wheel *wheel, int64_t now_ms)
{
    const int64_t old = wheel->now_ms;
    wheel->now_ms = now_ms;
    for (int level = WHEEL_LEVELS - 1; level > 0; level--) {
        const int shift = WHEEL_TICK_BITS + WHEEL_BITS * level;
        int64_t steps = (now_ms >> shift) - (old >> shift);
        if (steps > WHEEL_SLOTS)
            steps = WHEEL_SLOTS;
        for (int64_t i = 0; i < steps; i++)
            cascade(wheel, &wheel->slots[level][((now_ms >> shift) - i) & (WHEEL_SLOTS - 1)]);
    }
    /* What was due in the ticks passed comes into the present one, where wheel_expired looks. */
    int64_t steps = (now_ms >> WHEEL_TICK_BITS) - (old >> WHEEL_TICK_BITS);
    if (steps > WHEEL_SLOTS)
        steps = WHEEL_SLOTS;
    for (int64_t i = 1; i <= steps; i++)
        cascade(wheel, &wheel->slots[0][((now_ms >> WHEEL_TICK_BITS) - i) & (WHEEL_SLOTS - 1)]);
}

struct item *wheel_expired(struct wheel *wheel, int64_t now_ms)
{
    if (now_ms > wheel->now_ms)
        turn(wheel, now_ms);
    return take_expired(wheel, &wheel->slots[0][(wheel->now_ms >> WHEEL_TICK_BITS) & (WHEEL_SLOTS - 1)], now_ms);
}
