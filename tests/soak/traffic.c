/* traffic.c - threads that use one cache in all ways, and judge each value.
 *
 * A value is its key, a number that grows with each change of the key, and bytes that follow from the two, so that a
 * value that is torn, of another key, or from before a confirmed change is seen. A key of `own` is changed by one
 * thread and read by all; what a fetch computes is the present number of a source that all threads change. */
#include "soak.h"

#include "traffic.h"

#include <sys/wait.h>
#include <time.h>

enum { MAX_THREADS = 16, OWN = 24, FETCHED = 16, TAGGED = 16, TAGS = 4, MANY = 8, FEW = 4 };
enum { MOST = 3000, HUGE_SIZE = 60000 };

/* What a reader may get of a key: a number from `floor` to `sent`, or nothing. */
struct source {
    atomic_uint floor, sent;
};

static struct source own[MAX_THREADS][OWN], fetched[FETCHED], tagged[TAGS];
static cache_t *cache;
static bool is_one_by_one;             /* a _many call is as many calls of the store, each with its own timeout */
static pthread_t threads[MAX_THREADS];
static unsigned n_threads;
static atomic_bool stop_now, is_disturbed;
static _Atomic double calm_from;       /* ms */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* of the report */
static struct soak_report report;

/* What is judged at the end, when it is known how late the machine was. */
enum { MOST_SUSPECTS = 10000 };
struct suspect {
    double begun, ended;
    double waited_ms;                  /* for a processor, in the call or shortly before */
    const char *of;                    /* which kind of call */
    char text[sizeof report.first_failure];
};
static struct suspect failures[MOST_SUSPECTS], long_calls[MOST_SUSPECTS], outdated[MOST_SUSPECTS];
static size_t n_failures, n_long_calls, n_outdated;

static void raise_floor(atomic_uint *floor, unsigned to)
{
    unsigned old = atomic_load(floor);
    while (old < to && !atomic_compare_exchange_weak(floor, &old, to))
        continue;
}

/* ---- calm -------------------------------------------------------------------------------------------------------- */

void soak_traffic_disturbed(bool yes)
{
    if (yes)
        is_disturbed = true;
    else {
        calm_from = soak_now_ms() + SOAK_GRACE_MS;
        is_disturbed = false;
    }
}

static bool was_calm(double since)
{
    return !is_disturbed && since >= calm_from;
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

#define WRONG_FORMAT "%s: '%s' is %u, from %u to %u"

static void note_wrong(unsigned long *counter, const char *what, const char *key, unsigned got,
                       const struct source *source)
{
    pthread_mutex_lock(&lock);
    if (++*counter == 1 && report.first_wrong[0] == '\0')
        (void)snprintf(report.first_wrong, sizeof report.first_wrong, WRONG_FORMAT, what, key, got,
                       atomic_load(&source->floor), atomic_load(&source->sent));
    pthread_mutex_unlock(&lock);
}

/* With the lock held. */
static void note_suspect(struct suspect suspects[MOST_SUSPECTS], size_t *n, const char *of, double begun,
                         double waited_ms)
{
    if (*n == MOST_SUSPECTS)
        return;
    struct suspect *suspect = &suspects[(*n)++];
    suspect->begun = begun;
    suspect->ended = soak_now_ms();
    suspect->waited_ms = waited_ms;
    suspect->of = of;
    (void)snprintf(suspect->text, sizeof suspect->text, "%s", cache_last_error());
}

static void note_outdated(const char *key, unsigned got, const struct source *source)
{
    pthread_mutex_lock(&lock);
    const size_t at = n_outdated;
    note_suspect(outdated, &n_outdated, "a read", soak_now_ms(), 0);
    if (n_outdated > at)
        (void)snprintf(outdated[at].text, sizeof outdated[at].text, WRONG_FORMAT, "an outdated value", key, got,
                       atomic_load(&source->floor), atomic_load(&source->sent));
    pthread_mutex_unlock(&lock);
}

/* Where the machine was late at that time or shortly before, nobody knows whose fault it was that a call had no time:
 * it may have waited for another thread, or for the server. */
static bool is_judged(const struct suspect *call)
{
    enum { BEFORE_MS = 1000, AFTER_MS = 500, LATE_MS = 100 };
    return call->waited_ms + soak_lag_between(call->begun - BEFORE_MS, call->ended + AFTER_MS) < LATE_MS;
}

/* A change that was given up still reaches the server. If the machine was late by much of the grace at once, such a
 * change may have come after one that was confirmed later. */
static bool is_outdated_judged(const struct suspect *value)
{
    enum { BEFORE_MS = 30000 };
    return soak_longest_lag_between(value->begun - BEFORE_MS, value->ended) < SOAK_GRACE_MS / 2.0;
}

static void judge_suspects(void)
{
    report.calm_failures = report.too_long = report.stale = 0;
    for (const struct suspect *value = outdated; value < outdated + n_outdated; value++)
        if (is_outdated_judged(value) && report.stale++ == 0)
            memcpy(report.first_wrong, value->text, sizeof value->text);
    for (const struct suspect *call = failures; call < failures + n_failures; call++)
        if (is_judged(call) && report.calm_failures++ == 0)
            memcpy(report.first_failure, call->text, sizeof report.first_failure);
    for (const struct suspect *call = long_calls; call < long_calls + n_long_calls; call++)
        if (is_judged(call) && report.too_long++ == 0)
            (void)snprintf(report.first_long, sizeof report.first_long, "%s took %.0f ms, %.0f ms before the end",
                           call->of, call->ended - call->begun, soak_now_ms() - call->ended);
}

/* How long this thread waited for a processor in its last calls; what is asked seldom costs little. */
static double waited_lately_ms(bool is_asked)
{
    enum { LOOK_EACH = 64 };
    static _Thread_local double before_ms;
    static _Thread_local unsigned n;
    if (!is_asked && n++ % LOOK_EACH != 0)
        return 0;
    const double now = soak_waited_ms(), lately = now - before_ms;
    before_ms = now;
    return lately;
}

/* Count a call that began at `begun`. Returns true if it succeeded. */
static bool note_call_of(const char *of, cache_status status, double begun, int most_calls)
{
    const double took = (soak_now_ms() - begun) / most_calls;
    const bool calm = was_calm(begun);
    const double waited = waited_lately_ms(took > SOAK_TIMEOUT_MS || (calm && status < 0));
    pthread_mutex_lock(&lock);
    report.calls++;
    if (took > report.longest_ms)
        report.longest_ms = took;
    if (status < 0) {
        report.failures++;
        if (calm)
            note_suspect(failures, &n_failures, of, begun, waited);
    }
    if (took > SOAK_TIMEOUT_MS + SOAK_SPARE_MS)
        note_suspect(long_calls, &n_long_calls, of, begun, waited);
    pthread_mutex_unlock(&lock);
    return status >= 0;
}

#define note_call(status, begun, most_calls) note_call_of(__func__, status, begun, most_calls)

struct soak_report soak_traffic_report(void)
{
    pthread_mutex_lock(&lock);
    if (stop_now)
        judge_suspects();
    const struct soak_report copy = report;
    pthread_mutex_unlock(&lock);
    return copy;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static unsigned mix(unsigned x)
{
    x = (x ^ x >> 16) * 0x7feb352dU;
    x = (x ^ x >> 15) * 0x846ca68bU;
    return x ^ x >> 16;
}

static size_t make_text(char out[HUGE_SIZE], const char *key, unsigned number)
{
    const unsigned seed = mix(number * 31 + (unsigned)key[0] * 7 + (unsigned)key[strlen(key) - 1]);
    const size_t head = (size_t)snprintf(out, HUGE_SIZE, "%s|%u|", key, number);
    const size_t size = head + (seed % 64 == 0 ? HUGE_SIZE - head : seed % MOST);
    for (size_t i = head; i < size; i++)
        out[i] = (char)(seed + i * 7);
    return size;
}

/* A value that was read by a call that began when `floor` was the least that may be seen. */
static void judge(const char *key, const cache_value *value, unsigned floor, const struct source *source)
{
    static _Thread_local char expected[HUGE_SIZE];
    const char *text = value->data;
    const size_t length = strlen(key);
    unsigned number = 0;
    if (value->size <= length || memcmp(text, key, length) != 0 || text[length] != '|') {
        note_wrong(&report.foreign, "another key's value", key, 0, source);
        return;
    }
    number = (unsigned)strtoul(text + length + 1, NULL, 10);
    if (make_text(expected, key, number) != value->size || memcmp(expected, text, value->size) != 0)
        note_wrong(&report.torn, "a torn value", key, number, source);
    else if (number > atomic_load(&source->sent))
        note_wrong(&report.foreign, "a value that nobody sent", key, number, source);
    else if (number < floor)
        note_outdated(key, number, source);
}

/* ---- keys that one thread changes -------------------------------------------------------------------------------- */

static void own_name(char key[32], unsigned thread, unsigned i)
{
    (void)snprintf(key, 32, "own %u %u", thread, i);
}

/* After a change by the only thread that makes any. What it sent is the least that may be seen if it was confirmed. */
static void note_change(struct source *source, bool confirmed, double begun, unsigned least)
{
    if (confirmed && was_calm(begun))
        raise_floor(&source->floor, least);
}

static void change_own(unsigned thread, unsigned i, unsigned kind)
{
    static _Thread_local char text[HUGE_SIZE];
    struct source *source = &own[thread][i];
    char key[32];
    own_name(key, thread, i);
    const unsigned number = atomic_fetch_add(&source->sent, 1) + 1;
    const size_t size = make_text(text, key, number);
    const double begun = soak_now_ms();
    if (kind == 0) {
        const cache_status status = cache_delete(cache, key);
        note_change(source, note_call(status, begun, 1), begun, number);
    } else if (kind == 1) {
        const cache_status status = cache_add(cache, key, text, size, 60);
        note_change(source, note_call(status, begun, 1) && status == CACHE_OK, begun, number);
    } else {
        const cache_status status = cache_set(cache, key, text, size, 60);
        note_change(source, note_call(status, begun, 1), begun, number);
    }
}

static void read_own(unsigned thread, unsigned i)
{
    char key[32];
    cache_value value;
    own_name(key, thread, i);
    const unsigned floor = atomic_load(&own[thread][i].floor);
    const double begun = soak_now_ms();
    const cache_status status = cache_get(cache, key, &value);
    if (note_call(status, begun, 1) && status == CACHE_OK)
        judge(key, &value, floor, &own[thread][i]);
    cache_value_release(&value);
}

/* It changes no value, whoever does it. */
static void touch_own(unsigned thread, unsigned i)
{
    char key[32];
    own_name(key, thread, i);
    const double begun = soak_now_ms();
    (void)note_call(cache_touch(cache, key, 60), begun, 1);
}

static void read_many(unsigned thread, unsigned first)
{
    char names[MANY][32];
    const char *keys[MANY];
    unsigned floors[MANY];
    cache_value values[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        own_name(names[i], thread, (first + i) % OWN);
        keys[i] = names[i];
        floors[i] = atomic_load(&own[thread][(first + i) % OWN].floor);
    }
    const double begun = soak_now_ms();
    (void)note_call(cache_get_many(cache, keys, MANY, values), begun, is_one_by_one ? MANY : 1);
    for (unsigned i = 0; i < MANY; i++) {
        if (values[i].data != NULL)
            judge(keys[i], &values[i], floors[i], &own[thread][(first + i) % OWN]);
        cache_value_release(&values[i]);
    }
}

static void change_many(unsigned thread, unsigned first)
{
    static _Thread_local char texts[MANY][HUGE_SIZE];
    char names[MANY][32];
    unsigned numbers[MANY];
    cache_item items[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        own_name(names[i], thread, (first + i) % OWN);
        numbers[i] = atomic_fetch_add(&own[thread][(first + i) % OWN].sent, 1) + 1;
        items[i] = (cache_item){ names[i], texts[i], make_text(texts[i], names[i], numbers[i]) };
    }
    const double begun = soak_now_ms();
    const bool confirmed = note_call(cache_set_many(cache, items, MANY, 60), begun, is_one_by_one ? MANY : 1);
    for (unsigned i = 0; i < MANY; i++)
        note_change(&own[thread][(first + i) % OWN], confirmed, begun, numbers[i]);
}

static void delete_many(unsigned thread, unsigned first)
{
    char names[MANY][32];
    const char *keys[MANY];
    unsigned numbers[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        own_name(names[i], thread, (first + i) % OWN);
        keys[i] = names[i];
        numbers[i] = atomic_fetch_add(&own[thread][(first + i) % OWN].sent, 1) + 1;
    }
    const double begun = soak_now_ms();
    const cache_status status = cache_delete_many(cache, keys, MANY, NULL);
    const bool confirmed = note_call(status, begun, is_one_by_one ? MANY : 1);
    for (unsigned i = 0; i < MANY; i++)
        note_change(&own[thread][(first + i) % OWN], confirmed, begun, numbers[i]);
}

/* ---- keys that are computed -------------------------------------------------------------------------------------- */

struct work {
    const char *key;
    struct source *source;
};

static cache_status compute(void *ctx, cache_writer *out)
{
    static _Thread_local char text[HUGE_SIZE];
    const struct work *work = ctx;
    return cache_writer_append(out, text, make_text(text, work->key, atomic_load(&work->source->sent)));
}

static void fetch(const char *key, struct source *source, const char *tag, bool locked)
{
    cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
    struct work work = { key, source };
    cache_value value;
    how.ttl = 60;
    how.lock = locked;
    how.lock_ttl = 0.5;    /* a lock that was lost with its server holds nobody up for long */
    how.tags = &tag;
    how.n_tags = tag != NULL;
    const unsigned floor = atomic_load(&source->floor);
    const double begun = soak_now_ms();
    const cache_status status = cache_fetch(cache, key, &how, compute, &work, &value);
    if (note_call(status, begun, 3) && status == CACHE_OK)
        judge(key, &value, floor, source);
    cache_value_release(&value);
}

static void fetched_name(char key[32], unsigned i)
{
    (void)snprintf(key, 32, "fetched %u", i);
}

static cache_status compute_many(void *ctx, cache_missing missing[], size_t n)
{
    const unsigned *first = ctx;
    for (size_t i = 0; i < n; i++) {
        struct work work = { missing[i].key, &fetched[(*first + missing[i].index) % FETCHED] };
        missing[i].status = compute(&work, missing[i].out);
    }
    return CACHE_OK;
}

static void fetch_many(unsigned first)
{
    cache_fetch_options how = CACHE_FETCH_OPTIONS_INIT;
    char names[FEW][32];
    const char *keys[FEW];
    unsigned floors[FEW];
    cache_value values[FEW];
    how.ttl = 60;
    for (unsigned i = 0; i < FEW; i++) {
        fetched_name(names[i], (first + i) % FETCHED);
        keys[i] = names[i];
        floors[i] = atomic_load(&fetched[(first + i) % FETCHED].floor);
    }
    const double begun = soak_now_ms();
    const cache_status status = cache_fetch_many(cache, keys, FEW, &how, compute_many, &first, values);
    (void)note_call(status, begun, is_one_by_one ? 3 * FEW : 3);
    for (unsigned i = 0; i < FEW; i++) {
        if (values[i].data != NULL)
            judge(keys[i], &values[i], floors[i], &fetched[(first + i) % FETCHED]);
        cache_value_release(&values[i]);
    }
}

static void fetch_any(unsigned i)
{
    char key[32];
    fetched_name(key, i);
    fetch(key, &fetched[i], NULL, i % 4 == 0);
}

static void forget_fetched(unsigned i)
{
    char key[32];
    fetched_name(key, i);
    const unsigned number = atomic_fetch_add(&fetched[i].sent, 1) + 1;
    const double begun = soak_now_ms();
    note_change(&fetched[i], note_call(cache_delete(cache, key), begun, 1), begun, number);
}

static void fetch_tagged(unsigned i)
{
    char key[32], tag[32];
    (void)snprintf(key, sizeof key, "tagged %u", i);
    (void)snprintf(tag, sizeof tag, "tag %u", i % TAGS);
    fetch(key, &tagged[i % TAGS], tag, false);
}

static void forget_tag(unsigned i)
{
    char tag[32];
    (void)snprintf(tag, sizeof tag, "tag %u", i);
    const unsigned number = atomic_fetch_add(&tagged[i].sent, 1) + 1;
    const double begun = soak_now_ms();
    note_change(&tagged[i], note_call(cache_invalidate_tag(cache, tag), begun, 1), begun, number);
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

/* A counter of this thread alone. It begins anew when the store lost it; else it grows by one. */
static void count(unsigned thread, int64_t *last, double *last_begun, int64_t *sent)
{
    char key[32];
    int64_t result = 0;
    (void)snprintf(key, sizeof key, "counter %u", thread);
    const double begun = soak_now_ms();
    ++*sent;
    if (!note_call(cache_inc(cache, key, 1, &result), begun, 1)) {
        *last = -1;
        return;
    }
    const bool known = *last >= 0 && was_calm(*last_begun);
    if (result < 1 || result > *sent || (known && result != *last + 1 && result != 1)) {
        const struct source is = { 0, (unsigned)*last };
        note_wrong(&report.torn, "a counter", key, (unsigned)result, &is);
    }
    *last = result;
    *last_begun = begun;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

struct user {
    unsigned self, random;
    int64_t last, sent;                /* of its counter */
    double last_begun;
};

static void use_once(struct user *user)
{
    const unsigned self = user->self, random = user->random = mix(user->random + 0x9e3779b9U);
    const unsigned kind = random % 100, i = (random >> 8) % OWN, other = (random >> 16) % n_threads;
    if (kind < 25)
        read_own(self, i);
    else if (kind < 40)
        read_own(other, i);
    else if (kind < 54)
        change_own(self, i, 2);
    else if (kind < 57)
        change_own(self, i, kind == 55);
    else if (kind < 59)
        touch_own(other, i);
    else if (kind < 63)
        read_many(other, i);
    else if (kind < 65)
        change_many(self, i);
    else if (kind < 66)
        delete_many(self, i);
    else if (kind < 76)
        fetch_any(i % FETCHED);
    else if (kind < 78)
        fetch_many(i);
    else if (kind < 81)
        forget_fetched(i % FETCHED);
    else if (kind < 92)
        fetch_tagged(i % TAGGED);
    else if (kind < 94)
        forget_tag(i % TAGS);
    else
        count(self, &user->last, &user->last_begun, &user->sent);
}

static void *use(void *arg)
{
    const unsigned self = (unsigned)(uintptr_t)arg;
    struct user user = { .self = self, .random = self * 977 + 1, .last = -1 };
    while (!stop_now) {
        traffic_enter();
        use_once(&user);
        traffic_leave();
    }
    return NULL;
}

void soak_traffic_start(cache_t *with, unsigned n)
{
    cache = with;
    is_one_by_one = strncmp(cache_url(cache), "file:", 5) == 0;
    n_threads = n < MAX_THREADS ? n : MAX_THREADS;
    stop_now = false;
    for (unsigned i = 0; i < n_threads; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)(uintptr_t)i), 0);
}

void soak_traffic_stop(void)
{
    stop_now = true;
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
}

/* ---- a child ----------------------------------------------------------------------------------------------------- */

enum { CHILD_IS_WELL, CHILD_GOT_A_WRONG_VALUE, CHILD_HAD_A_FAILURE };

/* It knows no floors any more: its parent goes on. What it fetches is its own, and nobody else changes it. */
static int use_in_child(void)
{
    struct source guest = { 0, 1 };
    pthread_mutex_init(&lock, NULL);    /* a thread that is not in this process may hold it */
    report = (struct soak_report){ .calls = 0 };
    n_failures = n_long_calls = n_outdated = 0;
    stop_now = true;
    for (unsigned thread = 0; thread < n_threads; thread++)
        for (unsigned i = 0; i < OWN; i++) {
            own[thread][i].floor = 0;
            own[thread][i].sent = UINT32_MAX;
        }
    for (unsigned i = 0; i < OWN * n_threads; i++) {
        read_own(i % n_threads, i / n_threads);
        fetch("guest", &guest, NULL, i % 2 == 0);
    }
    const struct soak_report all = soak_traffic_report();
    if (all.first_wrong[0] != '\0' || all.first_failure[0] != '\0')
        (void)fprintf(stderr, "child: %s %s\n", all.first_wrong, all.first_failure);
    if (all.torn + all.foreign + all.stale > 0)
        return CHILD_GOT_A_WRONG_VALUE;
    return all.calm_failures + all.too_long > 0 ? CHILD_HAD_A_FAILURE : CHILD_IS_WELL;
}

pid_t soak_traffic_fork(void)
{
    enum { MOST_SECONDS = 60 };
    const pid_t child = traffic_fork();
    if (child == 0) {
        (void)alarm(MOST_SECONDS);
        _exit(use_in_child());
    }
    return child;
}

/* A child has no watch for lag, so its parent judges its failures as one. */
void soak_traffic_note_child(int status, double begun_ms)
{
    pthread_mutex_lock(&lock);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_HAD_A_FAILURE) {
        const size_t at = n_failures;
        note_suspect(failures, &n_failures, "a child", begun_ms, 0);
        if (n_failures > at)
            (void)snprintf(failures[at].text, sizeof failures[at].text, "a call of a child");
    } else if (status != 0) {
        report.torn++;
        (void)snprintf(report.first_wrong, sizeof report.first_wrong, "a child ended with status %#x",
                       (unsigned)status);
    }
    pthread_mutex_unlock(&lock);
}
