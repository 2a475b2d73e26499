/* flight.c - single flight (request coalescing): the running computations of this process, and the callers that wait
 * for them. It prevents a cache stampede.
 *
 * One lock serves all stores. It is held for some instructions at the beginning and end of a computation, and never
 * during one. Since there is only one, a deadlock of threads that wait for each other can be found even if it involves
 * several stores. The waits are the only cancellation points that are reached with the lock, and each of them releases
 * it.
 *
 * A flight owns all its memory, since its leader's stack may be gone before it ends. When a thread ends by return,
 * pthread_exit or cancellation, the flights that it still leads are abandoned. */
#include "flight_internal.h"

#include "invariant.h"
#include "probes.h"

pthread_mutex_t cache_flight_lock = PTHREAD_MUTEX_INITIALIZER;
_Thread_local struct cache_flight_thread cache_flight_me;
static unsigned current_epoch;         /* incremented in each forked child */
static pthread_key_t thread_end;
static atomic_bool has_thread_end;

/* ---- once a process ---------------------------------------------------------------------------------------------- */

bool cache_flight_init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    const bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                      pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

static void before_fork(void)
{
    pthread_mutex_lock(&cache_flight_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&cache_flight_lock);
}

/* The other threads do not exist in the child, so their flights would never end there. */
static void after_fork_in_child(void)
{
    current_epoch++;
    cache_flight_init_order();
    pthread_mutex_unlock(&cache_flight_lock);
}

/* Called with the lock held. The runner of a flight from before a fork is not in this process, unless it forked. */
static void unset_runner(struct cache_flight *flight)
{
    struct cache_flight_thread *runner = flight->runner;
    flight->runner = NULL;
    if (runner == NULL || (runner != &cache_flight_me && flight->epoch != current_epoch))
        return;
    struct cache_flight **at = &runner->runs;
    while (*at != NULL && *at != flight)
        at = &(*at)->next_run;
    if (*at == flight)
        *at = flight->next_run;
}

/* Called when a thread ends. Its flights have not ended if it left a computation by longjmp, or ends inside one. */
static void abandon_all(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&cache_flight_lock);
    while (cache_flight_me.runs != NULL)
        unset_runner(cache_flight_me.runs);
    pthread_mutex_unlock(&cache_flight_lock);
    while (cache_flight_me.computes != NULL) {
        struct cache_flight *flight = cache_flight_me.computes;
        if (flight->is_orphan)
            cache_flight_me.computes = flight->outer;
        else
            cache_flight_abandon(flight);
    }
}

static void init_process(void)
{
    cache_flight_init_order();
    atomic_store(&has_thread_end, pthread_key_create(&thread_end, abandon_all) == 0);
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* A library that is unloaded leaves no destructor behind, which a thread that ends later would call. */
__attribute__((destructor)) static void unload(void)
{
    if (atomic_exchange(&has_thread_end, false))
        (void)pthread_key_delete(thread_end);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

struct cache_flights *cache_flights_new(const cache_env *env)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_process);
    struct cache_flights *flights = cache_env_alloc(env, sizeof *flights);
    if (flights != NULL) {
        *flights = (struct cache_flights){ .env = env };
        pthread_mutex_lock(&cache_flight_lock);
        flights->epoch = current_epoch;
        pthread_mutex_unlock(&cache_flight_lock);
    }
    return flights;
}

/* A flight that is still there was left by longjmp. Its thread must not touch it when it ends. */
void cache_flights_free(struct cache_flights *flights)
{
    if (flights == NULL)
        return;
    cache_flights_lock(flights);
    for (struct cache_flight *flight = flights->all; flight != NULL; flight = flight->next)
        flight->is_orphan = true;
    pthread_mutex_unlock(&cache_flight_lock);
    cache_env_free(flights->env, flights);
}

unsigned cache_flights_n_completed(const struct cache_flights *flights)
{
    return atomic_load(&flights->n_completed);
}

void cache_flights_lock(struct cache_flights *flights)
{
    pthread_mutex_lock(&cache_flight_lock);
    if (flights->epoch != current_epoch) {
        flights->epoch = current_epoch;
        HASH_CLEAR(hh, flights->table);    /* their threads are in the parent */
        flights->all = NULL;
        atomic_store(&flights->n, 0);
    }
}

void cache_flight_take_out(struct cache_flights *flights, struct cache_flight *flight)
{
    if (flight->in_table && flight->epoch == flights->epoch)
        HASH_DELETE(hh, flights->table, flight);
    flight->in_table = false;
}

struct cache_flight_tag *cache_flight_find_tag(const struct cache_flight *flight, cache_bytes key)
{
    for (size_t i = 0; i < flight->n_tags; i++)
        if (flight->tags[i].key.size == key.size && memcmp(flight->tags[i].key.data, key.data, key.size) == 0)
            return &flight->tags[i];
    return NULL;
}

void cache_flight_invalidate(struct cache_flights *flights, struct cache_flight *flight)
{
    atomic_store(&flight->invalidated, true);
    cache_flight_take_out(flights, flight);    /* later callers start a new one */
}

static void link_flight(struct cache_flights *flights, struct cache_flight *flight)
{
    flight->next = flights->all;
    if (flight->next != NULL)
        flight->next->previous = flight;
    flights->all = flight;
    flight->epoch = flights->epoch;
    atomic_fetch_add(&flights->n, 1);
}

static void unlink_flight(struct cache_flights *flights, struct cache_flight *flight)
{
    if (flight->epoch != flights->epoch)
        return;
    if (flight->next != NULL)
        flight->next->previous = flight->previous;
    if (flight->previous != NULL)
        flight->previous->next = flight->next;
    else
        flights->all = flight->next;
    ASSERT(atomic_load(&flights->n) > 0);
    atomic_fetch_sub(&flights->n, 1);
}

static void free_flight(struct cache_flight *flight)
{
    const cache_env *env = flight->flights->env;
    ASSERT(!flight->in_table && flight->store_number == 0);
    cache_value_release(&flight->outcome.value);
    pthread_cond_destroy(&flight->completed);
    cache_env_free(env, flight->message);
    cache_env_free(env, flight);
}

/* Drops a reference and unlocks. The flight is freed after that, so no owner of a value is called under the lock. */
static void drop_and_unlock(struct cache_flight *flight)
{
    ASSERT(flight->references > 0);
    const bool last = --flight->references == 0;
    pthread_mutex_unlock(&cache_flight_lock);
    if (last)
        free_flight(flight);
}

/* ---- a new flight ------------------------------------------------------------------------------------------------ */

static void note_version(struct cache_flight_tag *tag, const cache_value *version)
{
    tag->known = cache_tag_is_version(version);
    if (tag->known)
        memcpy(tag->version, version->data, TAG_VERSION_SIZE);
}

static void copy_tags(struct cache_flight *flight, const struct cache_tags *tags, char *text)
{
    for (size_t i = 0; i < flight->n_tags; i++) {
        const cache_bytes key = tags->keys[i + 1];
        flight->tags[i].key = (cache_bytes){ memcpy(text, key.data, key.size), key.size };
        note_version(&flight->tags[i], &tags->values[i + 1]);
        text += key.size;
    }
}

/* Allocates one block for the struct, the key, the type, the tags and their keys. */
static struct cache_flight *new_flight(struct cache_flights *flights, const struct cache_flight_request *request)
{
    const struct cache_tags *tags = request->tags;
    const size_t n_tags = tags != NULL ? tags->n : 0, align = _Alignof(struct cache_flight_tag);
    const size_t type_size = request->type != NULL ? strlen(request->type) + 1 : 0;
    const size_t text_size = sizeof(struct cache_flight) + request->key.size + 1 + type_size;
    const size_t tags_at = (text_size + align - 1) / align * align;
    size_t size = tags_at + n_tags * sizeof(struct cache_flight_tag);
    for (size_t i = 1; i <= n_tags; i++)
        size += tags->keys[i].size;
    struct cache_flight *flight = cache_env_alloc(flights->env, size);
    if (flight == NULL)
        return NULL;
    memset(flight, 0, sizeof *flight);
    flight->flights = flights;
    flight->references = 1;
    flight->key_size = request->key.size;
    memcpy(flight->key, request->key.data, request->key.size);
    flight->key[request->key.size] = '\0';
    if (type_size > 0)
        flight->type = memcpy(flight->key + request->key.size + 1, request->type, type_size);
    flight->tags = (struct cache_flight_tag *)(void *)((char *)flight + tags_at);
    flight->n_tags = n_tags;
    copy_tags(flight, tags, (char *)&flight->tags[n_tags]);
    if (!cache_flight_init_condition(&flight->completed)) {
        cache_env_free(flights->env, flight);
        return NULL;
    }
    return flight;
}

void cache_flight_note_tags(struct cache_flight *flight, const struct cache_tags *tags)
{
    pthread_mutex_lock(&cache_flight_lock);
    for (size_t i = 1; i <= tags->n; i++) {
        struct cache_flight_tag *tag = cache_flight_find_tag(flight, tags->keys[i]);
        if (tag != NULL)
            note_version(tag, &tags->values[i]);
    }
    pthread_mutex_unlock(&cache_flight_lock);
}

/* ---- joining --------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Returns true if this thread is computing the key already, in an outer call. That flight may be invalidated by now. */
static bool computes_already(const struct cache_flights *flights, cache_bytes key)
{
    for (const struct cache_flight *flight = cache_flight_me.computes; flight != NULL; flight = flight->outer)
        if (flight->flights == flights && cache_flight_has_key(flight, key))
            return true;
    return false;
}

/* With the lock held. */
static void set_leader(struct cache_flight *flight)
{
    if (atomic_load(&has_thread_end))
        (void)pthread_setspecific(thread_end, &cache_flight_me);
    flight->leader = &cache_flight_me;
    flight->outer = cache_flight_me.computes;
    cache_flight_me.computes = flight;
}

/* Called with the lock held. Returns false if there is no memory for the table. */
static bool put_in(struct cache_flights *flights, struct cache_flight *flight)
{
    HASH_ADD_KEYPTR(hh, flights->table, flight->key, flight->key_size, flight);
    if (flight->hh.tbl == NULL)
        return false;
    flight->in_table = true;
    link_flight(flights, flight);
    set_leader(flight);
    return true;
}

/* Called with the lock held. Returns true if another process invalidated a tag since the flight began, or since the
 * caller read its version. A version that is not known did not exist then, and is ignored. */
static bool has_other_versions(const struct cache_flight *flight, const struct cache_tags *tags)
{
    for (size_t i = 1; tags != NULL && i <= tags->n; i++) {
        const struct cache_flight_tag *tag = cache_flight_find_tag(flight, tags->keys[i]);
        if (tag != NULL && tag->known && cache_tag_is_version(&tags->values[i]) &&
            memcmp(tag->version, tags->values[i].data, TAG_VERSION_SIZE) != 0)
            return true;
    }
    return false;
}

/* Called with the lock held. Returns the role of a caller that finds a running flight. */
static enum cache_flight_role join_there(const struct cache_flight_request *request, struct cache_flight *there,
                                         struct cache_flight **out)
{
    if (!same_text(there->type, request->type))
        return FLIGHT_ALONE;
    ASSERT(there->references > 0 && there->in_table);
    there->references++;
    *out = there;
    if (!there->is_queued || request->has_value)
        return FLIGHT_FOLLOW;
    there->is_queued = false;
    set_leader(there);
    return FLIGHT_LEAD;
}

enum cache_flight_role cache_flight_join(struct cache_flights *flights, const struct cache_flight_request *request,
                                         struct cache_flight **out)
{
    *out = NULL;
    if (computes_already(flights, request->key))
        return FLIGHT_CYCLE;
    struct cache_flight *mine = new_flight(flights, request);    /* before locking, since most callers will lead */
    struct cache_flight *there = NULL;
    enum cache_flight_role role = FLIGHT_ALONE;
    cache_flights_lock(flights);
    HASH_FIND(hh, flights->table, request->key.data, request->key.size, there);
    if (there != NULL && (request->anew || has_other_versions(there, request->tags))) {
        cache_flight_invalidate(flights, there);
        there = NULL;
    }
    if (there != NULL)
        role = join_there(request, there, out);
    else if (mine != NULL && put_in(flights, mine)) {
        *out = mine;
        mine = NULL;
        role = FLIGHT_LEAD;
    }
    pthread_mutex_unlock(&cache_flight_lock);
    if (mine != NULL)
        free_flight(mine);
    return role;
}

/* ---- following --------------------------------------------------------------------------------------------------- */

/* Called with the lock held. Returns true if the leader of `flight` waits for this thread, directly or through
 * others. */
static bool waits_for_me(const struct cache_flight *flight)
{
    while (flight != NULL) {
        const struct cache_flight_thread *thread = flight->leader != NULL ? flight->leader : flight->runner;
        if (thread == NULL || thread == &cache_flight_me)
            return thread != NULL;
        flight = thread->waits_for;
    }
    return false;
}

/* Called with the lock held, and unlocks. */
static void end_wait(void *arg)
{
    cache_flight_me.waits_for = NULL;
    drop_and_unlock(arg);
}

static void wait_for_outcome(struct cache_flight *flight, uint64_t deadline_ns)
{
    const struct timespec deadline = cache_flight_time(deadline_ns);
    int waited = 0;
    cache_flight_me.waits_for = flight;
    pthread_cleanup_push(end_wait, flight);    /* if the thread is cancelled */
    while (!flight->has_outcome && waited == 0)
        waited = pthread_cond_timedwait(&flight->completed, &cache_flight_lock, &deadline);
    pthread_cleanup_pop(0);
    cache_flight_me.waits_for = NULL;
}

bool cache_flight_wait(struct cache_flight *flight, uint64_t deadline_ns, struct cache_outcome *out, bool *cycle)
{
    pthread_mutex_lock(&cache_flight_lock);
    *cycle = !flight->has_outcome && waits_for_me(flight);
    if (!*cycle) {
        CACHE_PROBE3(wait__begin, flight, &flight->key[0], flight->key_size);
        wait_for_outcome(flight, deadline_ns);
        CACHE_PROBE3(wait__end, flight, &flight->key[0], flight->key_size);
    }
    const bool has_outcome = flight->has_outcome;
    pthread_mutex_unlock(&cache_flight_lock);
    if (has_outcome) {    /* it does not change any more, and its value's owner must not be called under the lock */
        *out = flight->outcome;
        out->value = cache_value_retain(&flight->outcome.value);
        out->explained = flight->message != NULL;
        if (out->explained)
            (void)cache_fail(out->status, "%s", flight->message);
    }
    cache_flight_leave(flight);
    return has_outcome;
}

void cache_flight_retain(struct cache_flight *flight)
{
    pthread_mutex_lock(&cache_flight_lock);
    ASSERT(flight->references > 0);
    flight->references++;
    pthread_mutex_unlock(&cache_flight_lock);
}

void cache_flight_leave(struct cache_flight *flight)
{
    pthread_mutex_lock(&cache_flight_lock);
    drop_and_unlock(flight);
}

/* ---- leading --------------------------------------------------------------------------------------------------- */

/* Called with the lock held. An inner flight ends before the outer ones, but those of one cache_fetch_many end in any
 * order. */
static void unset_leader(struct cache_flight *flight)
{
    struct cache_flight **at = &cache_flight_me.computes;
    while (flight->leader == &cache_flight_me && *at != NULL && *at != flight)
        at = &(*at)->outer;
    if (flight->leader == &cache_flight_me && *at == flight)
        *at = flight->outer;
    flight->leader = NULL;
}

void cache_flight_hand_over(struct cache_flight *flight)
{
    pthread_mutex_lock(&cache_flight_lock);
    unset_leader(flight);
    if (atomic_load(&has_thread_end)) {    /* else nobody would notice that this thread has ended */
        flight->runner = &cache_flight_me;
        flight->next_run = cache_flight_me.runs;
        cache_flight_me.runs = flight;
    }
    pthread_mutex_unlock(&cache_flight_lock);
}

void cache_flight_queue(struct cache_flight *flight)
{
    pthread_mutex_lock(&cache_flight_lock);
    unset_leader(flight);
    flight->is_queued = true;
    pthread_mutex_unlock(&cache_flight_lock);
}

bool cache_flight_begin_queued(struct cache_flight *flight)
{
    pthread_mutex_lock(&cache_flight_lock);
    if (!flight->is_queued) {
        drop_and_unlock(flight);
        return false;
    }
    flight->is_queued = false;
    set_leader(flight);
    pthread_mutex_unlock(&cache_flight_lock);
    return true;
}

/* With the lock held. */
static void set_outcome(struct cache_flight *flight, const struct cache_outcome *outcome, cache_value value,
                        char *message)
{
    flight->outcome = *outcome;
    flight->outcome.value = value;
    flight->message = message;
    flight->has_outcome = true;
    pthread_cond_broadcast(&flight->completed);
}

/* Returns a copy of the leader's message for the callers that wait, or NULL if there is none. */
static char *copy_message(const struct cache_flight *flight, const struct cache_outcome *outcome)
{
    return outcome->explained ? cache_env_strdup(flight->flights->env, cache_last_error()) : NULL;
}

void cache_flight_share(struct cache_flight *flight, const struct cache_outcome *outcome)
{
    /* The owner may belong to a store, so it is not called under the lock. */
    const cache_value value = cache_value_retain(&outcome->value);
    char *message = copy_message(flight, outcome);
    pthread_mutex_lock(&cache_flight_lock);
    set_outcome(flight, outcome, value, message);
    pthread_mutex_unlock(&cache_flight_lock);
}

void cache_flight_close(struct cache_flight *flight)
{
    cache_flights_lock(flight->flights);
    cache_flight_take_out(flight->flights, flight);
    pthread_mutex_unlock(&cache_flight_lock);
}

void cache_flight_complete(struct cache_flight *flight, const struct cache_outcome *outcome)
{
    struct cache_flights *flights = flight->flights;
    cache_value value = cache_value_retain(&outcome->value);
    char *message = copy_message(flight, outcome);
    cache_flights_lock(flights);
    cache_flight_take_out(flights, flight);
    cache_flight_stop_storing(flight);
    unset_leader(flight);
    unset_runner(flight);
    const bool first = !flight->has_outcome;
    if (first)
        set_outcome(flight, outcome, value, message);
    unlink_flight(flights, flight);
    atomic_fetch_add(&flights->n_completed, 1);
    drop_and_unlock(flight);
    if (!first) {
        cache_value_release(&value);
        cache_env_free(flights->env, message);
    }
}

void cache_flight_abandon(struct cache_flight *flight)
{
    const struct cache_outcome nothing = { .status = CACHE_ERR_COMPUTE, .again = true };
    cache_flight_complete(flight, &nothing);
}
