/* slots.c - each connection of a server is a slot. Requests that find no idle slot wait in a queue. The lock is only
 * held for a few instructions. */
#include "slots.h"

#include "turn.h"

#include "../../hooks.h"
#include "../../invariant.h"

#include <stdio.h>

enum {
    NANOSECONDS_IN_MS = 1000000,
    MAX_WAITING = 1024,
    MAX_BATCH_BYTES = 256 * 1024,
    MOST_APART = 8,                    /* the most callers that have a connection each, if the pool is larger */
    LEAST_PATIENCE_MS = 1,             /* of a caller that waits for a batch although a connection is idle */
    LATER_IN_QUEUE = 10                /* how many times more patience a caller has that is not the first */
};

/* These are said to a caller that waits for a connection, or for another thread to do its request. */
enum { FINISHED = 1, LEADS = 2 };      /* LEADS + the slot of the connection */

struct cache_waiter {
    struct cache_turn turn;
};

/* Called with the lock held, whenever the counts have changed. In a release build it does nothing. */
static void check_counts(const struct cache_server *server)
{
    ASSERT(server->n_busy >= 0 && server->n_busy <= server->config.pool);
    ASSERT(server->n_gathering >= 0 && server->n_gathering <= server->n_busy);
    ASSERT(server->n_waiting >= 0);
    ASSERT((server->n_waiting == 0) == (server->first == NULL));
    (void)server;
}

/* Called with the lock held. Takes the lowest idle slot, so that few callers share few connections. Returns -1 if all
 * are busy. */
static int take_idle(struct cache_server *server, bool alone)
{
    for (int i = 0; i < server->config.pool; i++)
        if (!server->busy[i]) {
            server->busy[i] = true;
            server->n_busy++;
            server->n_gathering += !alone;
            check_counts(server);
            return i;
        }
    return -1;
}

static void let_go(struct cache_server *server, int slot)
{
    ASSERT(server->busy[slot]);
    server->busy[slot] = false;
    server->n_busy--;
    check_counts(server);
}

/* Called with the lock held. Few large batches cost server and callers less than many small ones. If there are more
 * callers than connections, the next batch comes soon, so a new caller waits for it even if a connection is idle. Then
 * nearly all requests go out on one connection, in batches of half of the callers: those that wait while the other half
 * is under way. */
static bool is_crowded(const struct cache_server *server)
{
    const int most_apart = server->config.pool < MOST_APART ? server->config.pool : MOST_APART;
    return server->config.gather && server->n_gathering > 0 &&
           atomic_load_explicit(&server->n_callers, memory_order_relaxed) > most_apart;
}

/* Returns how long a caller waits before it takes an idle connection after all. A batch of many callers takes longer by
 * itself. A caller that wakes in vain costs the others time. If the first in the queue takes a connection, the others
 * go with it, so they need not wake that early. Their timers are seldom the next to expire: on a virtual machine, it
 * takes microseconds to set the one that is. */
static uint64_t patience_ns(const struct cache_server *server, bool is_first)
{
    const int n_callers = atomic_load_explicit(&server->n_callers, memory_order_relaxed);
    return (uint64_t)(1 + n_callers / MOST_APART) * (is_first ? 1 : LATER_IN_QUEUE) * LEAST_PATIENCE_MS *
           NANOSECONDS_IN_MS;
}

static void enqueue(struct cache_server *server, struct cache_exchange *exchange)
{
    exchange->next = NULL;
    *server->last = exchange;
    server->last = &exchange->next;
    server->n_waiting++;
}

/* For requests that are sent a second time: they have waited already. */
static void enqueue_first(struct cache_server *server, struct cache_exchange *exchange)
{
    exchange->next = server->first;
    if (server->first == NULL)
        server->last = &exchange->next;
    server->first = exchange;
    server->n_waiting++;
}

static struct cache_exchange *dequeue(struct cache_server *server)
{
    struct cache_exchange *exchange = server->first;
    ASSERT(exchange != NULL);
    server->first = exchange->next;
    if (server->first == NULL)
        server->last = &server->first;
    server->n_waiting--;
    check_counts(server);
    exchange->next = NULL;
    return exchange;
}

/* Returns false if the request is not in the queue any more. */
static bool remove_from_queue(struct cache_server *server, struct cache_exchange *exchange)
{
    struct cache_exchange **at = &server->first;
    while (*at != NULL && *at != exchange)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = exchange->next;
    if (*at == NULL)
        server->last = at;
    server->n_waiting--;
    check_counts(server);
    return true;
}

/* Takes an idle slot and removes the request from the queue. Returns -1 if there is none, or if the request is not in
 * the queue any more. */
static int take_for(struct cache_server *server, struct cache_exchange *exchange)
{
    pthread_mutex_lock(&server->lock);
    int slot = take_idle(server, exchange->alone);
    if (slot >= 0 && !remove_from_queue(server, exchange)) {
        server->n_gathering -= !exchange->alone;
        let_go(server, slot);
        slot = -1;
    }
    pthread_mutex_unlock(&server->lock);
    return slot;
}

static void expire(struct cache_server *server, struct cache_exchange *exchange)
{
    exchange->status = CACHE_ERR_TIMEOUT;
    (void)snprintf(exchange->message, sizeof exchange->message, "%.150s: all %d connections were busy for %lld ms",
                   server->config.where, server->config.pool, (long long)server->config.timeout_ms);
    atomic_fetch_add_explicit(&server->config.counters->timeouts, 1, memory_order_relaxed);
}

/* Ends requests whose time was over while they waited. */
static void expire_all(struct cache_server *server, struct cache_exchange *list)
{
    for (struct cache_exchange *next; list != NULL; list = next) {
        next = list->next;
        expire(server, list);
        cache_slots_finish(list);
    }
}

/* Waits for a turn, and returns the slot on which this thread leads; or -1 once no other thread uses the request. If
 * the next batch takes long, an idle connection is taken after all. If the request is in a batch, only the deadline of
 * the batch counts, and its leader reports the outcome. */
static int wait_for_turn(struct cache_server *server, struct cache_exchange *exchange, bool is_first)
{
    struct cache_turn *turn = &exchange->waiter->turn;
    uint64_t patience = patience_ns(server, is_first), now = cache_now_ns();
    unsigned told = 0;
    for (; told == 0 && now < exchange->deadline; patience *= 2, now = cache_now_ns()) {
        const uint64_t until = now + patience;
        told = cache_turn_wait(turn, until < exchange->deadline ? until : exchange->deadline);
        const int slot = told == 0 ? take_for(server, exchange) : -1;
        if (slot >= 0)
            return slot;
    }
    if (told == 0) {
        pthread_mutex_lock(&server->lock);
        const bool removed = remove_from_queue(server, exchange);
        pthread_mutex_unlock(&server->lock);
        if (removed) {
            expire(server, exchange);
            return -1;
        }
    }
    while (told == 0)
        told = cache_turn_wait(turn, UINT64_MAX);
    return told == FINISHED ? -1 : (int)told - LEADS;
}

void cache_slots_give_back(struct cache_server *server, int slot, const struct cache_exchange *exchange)
{
    struct cache_waiter *next = NULL;
    pthread_mutex_lock(&server->lock);
    server->n_gathering -= !exchange->alone;
    if (server->first != NULL && (server->first->alone || !is_crowded(server))) {
        struct cache_exchange *first = dequeue(server);
        server->n_gathering += !first->alone;
        ASSERT(server->busy[slot]);
        check_counts(server);
        next = first->waiter;
    } else
        let_go(server, slot);
    pthread_mutex_unlock(&server->lock);
    if (next != NULL)
        cache_turn_say(&next->turn, LEADS + (unsigned)slot);
}

int cache_slots_take(struct cache_server *server, struct cache_exchange *exchange)
{
    struct cache_waiter waiter;
    exchange->begun = false;
    pthread_mutex_lock(&server->lock);
    const bool queues = exchange->alone ? server->first != NULL && !is_crowded(server)
                                        : server->first != NULL || is_crowded(server);
    const int slot = queues ? -1 : take_idle(server, exchange->alone);
    const bool full = slot < 0 && server->n_waiting >= MAX_WAITING, is_first = server->first == NULL;
    if (slot < 0 && !full) {
        cache_turn_init(&waiter.turn);
        exchange->waiter = &waiter;
        enqueue(server, exchange);
    }
    pthread_mutex_unlock(&server->lock);
    if (full) {
        exchange->status = CACHE_ERR_TIMEOUT;
        (void)snprintf(exchange->message, sizeof exchange->message, "%.150s: %d callers wait for a connection",
                       server->config.where, (int)MAX_WAITING);
    }
    if (slot >= 0 || full)
        return slot;
    const int given = wait_for_turn(server, exchange, is_first || exchange->alone);
    exchange->waiter = NULL;
    cache_turn_destroy(&waiter.turn);
    return given;
}

int cache_slots_take_idle(struct cache_server *server, const struct cache_exchange *exchange)
{
    pthread_mutex_lock(&server->lock);
    const int slot = server->first == NULL ? take_idle(server, exchange->alone) : -1;
    pthread_mutex_unlock(&server->lock);
    return slot;
}

/* Called with the lock held. Removes requests whose time is over from the front of the queue, and puts them before
 * `late`. Their callers wake up only now. */
static struct cache_exchange *remove_late(struct cache_server *server, uint64_t now, struct cache_exchange *late)
{
    while (server->first != NULL && server->first->deadline <= now) {
        struct cache_exchange *exchange = dequeue(server);
        exchange->next = late;
        late = exchange;
    }
    return late;
}

/* Called with the lock held. */
static uint64_t gather(struct cache_server *server, struct cache_exchange *own, uint64_t now,
                       struct cache_exchange **late)
{
    struct cache_exchange *last = own;
    uint64_t deadline = own->deadline;
    size_t size = own->size;
    *late = remove_late(server, now, *late);
    while (server->first != NULL && !server->first->alone && size + server->first->size <= MAX_BATCH_BYTES) {
        last = last->next = dequeue(server);
        size += last->size;
        deadline = last->deadline < deadline ? last->deadline : deadline;
        *late = remove_late(server, now, *late);
    }
    return deadline;
}

uint64_t cache_slots_gather(struct cache_server *server, struct cache_exchange *own, uint64_t now)
{
    struct cache_exchange *late = NULL;
    own->next = NULL;
    if (!server->config.gather || own->alone)
        return own->deadline;
    pthread_mutex_lock(&server->lock);
    const uint64_t deadline = gather(server, own, now, &late);
    pthread_mutex_unlock(&server->lock);
    expire_all(server, late);
    return deadline;
}

bool cache_slots_has_next(struct cache_server *server)
{
    pthread_mutex_lock(&server->lock);
    const bool has = server->first != NULL && !server->first->alone;
    pthread_mutex_unlock(&server->lock);
    return has;
}

struct cache_exchange *cache_slots_next(struct cache_server *server, uint64_t now, uint64_t *deadline)
{
    struct cache_exchange *next = NULL, *late = NULL;
    pthread_mutex_lock(&server->lock);
    late = remove_late(server, now, late);
    if (server->first != NULL && !server->first->alone) {
        next = dequeue(server);
        *deadline = gather(server, next, now, &late);
    }
    pthread_mutex_unlock(&server->lock);
    expire_all(server, late);
    return next;
}

void cache_slots_pass_on(struct cache_exchange *next, int slot)
{
    cache_turn_say(&next->waiter->turn, LEADS + (unsigned)slot);
}

/* A caller whose time is over looks for its request in the queue once, and then waits for whoever has it. So a request
 * must not come back into the queue after its deadline. */
void cache_slots_return(struct cache_server *server, struct cache_exchange *list)
{
    struct cache_exchange *late = NULL;
    pthread_mutex_lock(&server->lock);
    const uint64_t now = cache_now_ns();
    for (struct cache_exchange *next; list != NULL; list = next) {
        next = list->next;
        if (now < list->deadline)
            enqueue_first(server, list);
        else {
            list->next = late;
            late = list;
        }
    }
    pthread_mutex_unlock(&server->lock);
    expire_all(server, late);
}

void cache_slots_finish(struct cache_exchange *exchange)
{
    cache_turn_say(&exchange->waiter->turn, FINISHED);
}
