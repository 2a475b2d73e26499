/* test_front.c - the memory in front of a shared store: what it serves, and what it must not serve. Most tests use a
 * store that tells its changes and that they can change from outside. */
#define _GNU_SOURCE                    /* syscall */
#include "test.h"

#include "hooks.h"
#include "server.h"
#include "telling_store.h"
#include "times.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A front that looks for changes at each read. */
static const char url[] = "telling://?prefix=p:&front=1mb&front_check=0";

static int gets(void)
{
    const int n = stub.gets;
    stub.gets = 0;
    return n;
}

/* ---- what it serves -------------------------------------------------------------------------------------------- */

static void the_second_read_does_not_ask_the_store(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    change_outside("p:k", "v");
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    for (int i = 0; i < 5; i++)
        assert_text(cache, "k", "v");
    assert_int_equal(gets(), 0);
    assert_int_equal(test_counters(cache).front_hits, 5);
    assert_int_equal(test_counters(cache).hits, 6);
    cache_close(cache);
}

static void without_the_option_every_read_asks_the_store(void **state)
{
    (void)state;
    cache_t *cache = test_open("telling://?prefix=p:");
    change_outside("p:k", "v");
    assert_text(cache, "k", "v");
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 2);
    cache_close(cache);
}

static void a_value_is_not_served_past_the_stores_own_time(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    cache_t *cache = test_open_with_clock(url, &now);
    stub.left_ms = 500;
    change_outside("p:k", "v");
    assert_text(cache, "k", "v");
    now += 499;
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    now += 2;
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    cache_close(cache);
}

static void nothing_is_served_past_front_ttl(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    cache_t *cache = test_open_with_clock("telling://?prefix=p:&front=1mb&front_check=0&front_ttl=2", &now);
    stub.left_ms = 0;    /* for ever */
    change_outside("p:k", "v");
    assert_text(cache, "k", "v");
    now += 1999;
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    now += 2;
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    cache_close(cache);
}

static void a_store_that_tells_no_changes_is_asked_once_a_second(void **state)
{
    (void)state;
    _Atomic int64_t now = 1000;
    cache_t *cache = test_open_with_clock("mute://?prefix=p:&front=1mb", &now);
    change_outside("p:k", "old");
    assert_text(cache, "k", "old");
    change_outside("p:k", "new");
    now += 999;
    assert_text(cache, "k", "old");
    now += 2;
    assert_text(cache, "k", "new");
    assert_int_equal(gets(), 2);
    cache_close(cache);
}

/* ---- changes --------------------------------------------------------------------------------------------------- */

static void a_change_by_another_process_is_seen(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    change_outside("p:k", "old");
    assert_text(cache, "k", "old");
    change_outside("p:k", "new");
    assert_text(cache, "k", "new");
    cache_close(cache);
}

static void every_own_write_is_seen_whatever_it_returned(void **state)
{
    (void)state;
    for (int mute = 0; mute < 2; mute++) {
        cache_t *cache = test_open(mute ? "mute://?prefix=p:&front=1mb" : url);
        int64_t number = 0;
        assert_status(CACHE_OK, cache_set_string(cache, "k", "1", 60));
        assert_text(cache, "k", "1");
        assert_status(CACHE_OK, cache_set_string(cache, "k", "2", 60));
        assert_text(cache, "k", "2");
        assert_status(CACHE_OK, cache_inc(cache, "k", 5, &number));
        assert_text(cache, "k", "7");
        stub.set_status = CACHE_ERR_TIMEOUT;
        assert_status(CACHE_ERR_TIMEOUT, cache_set_string(cache, "k", "8", 60));
        stub.set_status = CACHE_OK;
        assert_text(cache, "k", "8");
        assert_status(CACHE_OK, cache_delete(cache, "k"));
        assert_text(cache, "k", NULL);
        assert_status(CACHE_OK, cache_add(cache, "k", "9", 1, 60));
        assert_text(cache, "k", "9");
        assert_status(CACHE_OK, cache_clear(cache));
        assert_text(cache, "k", NULL);
        cache_close(cache);
    }
}

static cache_t *racing;

static void change_while_the_value_is_on_its_way(void)
{
    change_outside("p:k", "new");
    assert_text(racing, "other", NULL);    /* a read, which hears of the change */
}

static void a_fill_loses_against_a_change_that_overtook_it(void **state)
{
    (void)state;
    racing = test_open(url);
    change_outside("p:k", "old");
    stub.inside_get = change_while_the_value_is_on_its_way;
    assert_text(racing, "k", "old");    /* it was read before the change */
    assert_text(racing, "k", "new");
    assert_text(racing, "k", "new");
    assert_int_equal(test_counters(racing).front_refused, 1);
    cache_close(racing);
}

static void write_while_the_value_is_on_its_way(void)
{
    assert_status(CACHE_OK, cache_set_string(racing, "k", "new", 60));
}

static void a_fill_loses_against_an_own_write_that_overtook_it(void **state)
{
    (void)state;
    racing = test_open("mute://?prefix=p:&front=1mb");
    change_outside("p:k", "old");
    stub.inside_get = write_while_the_value_is_on_its_way;
    assert_text(racing, "k", "old");
    assert_text(racing, "k", "new");
    cache_close(racing);
}

static void lose_the_connection_while_the_value_is_on_its_way(void)
{
    change_outside("p:k", "new");
    stub.n_changes = 0;                    /* nobody is told */
    stub.lost = true;
    assert_text(racing, "other", NULL);
}

static void a_fill_from_before_a_lost_connection_is_not_kept(void **state)
{
    (void)state;
    racing = test_open(url);
    change_outside("p:k", "old");
    stub.inside_get = lose_the_connection_while_the_value_is_on_its_way;
    assert_text(racing, "k", "old");
    assert_text(racing, "k", "new");
    cache_close(racing);
}

/* ---- when the store is not heard ------------------------------------------------------------------------------- */

static void a_lost_connection_empties_the_front(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    change_outside("p:k", "old");
    assert_text(cache, "k", "old");
    change_outside("p:k", "new");
    stub.n_changes = 0;
    stub.lost = true;
    assert_text(cache, "k", "new");
    cache_close(cache);
}

static void without_a_connection_nothing_is_served_or_kept(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    stub.connected = false;
    change_outside("p:k", "v");
    assert_text(cache, "k", "v");
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 2);
    stub.connected = true;
    assert_text(cache, "k", "v");
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    cache_close(cache);
}

static void a_store_that_was_not_heard_for_front_lag_is_asked(void **state)
{
    (void)state;
    cache_t *cache = test_open("telling://?prefix=p:&front=1mb&front_check=0&front_lag=5");
    change_outside("p:k", "v");
    assert_text(cache, "k", "v");
    stub.heard_ago_ns = UINT64_C(4900000000);
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    stub.heard_ago_ns = UINT64_C(5100000000);
    assert_text(cache, "k", "v");
    assert_int_equal(gets(), 1);
    cache_close(cache);
}

/* ---- fetch, many, fork ------------------------------------------------------------------------------------------ */

static cache_status computed(void *ctx, cache_writer *out)
{
    ++*(int *)ctx;
    return cache_writer_puts(out, "page");
}

static void a_fetch_with_tags_and_lease_is_served_and_invalidated(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    const char *const tags[] = { "news" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.ttl = 60;
    options.lock = true;
    options.tags = tags;
    options.n_tags = 1;
    int runs = 0;
    cache_value value;
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            (void)gets();
        assert_status(CACHE_OK, cache_fetch(cache, "page", &options, computed, &runs, &value));
        cache_value_release(&value);
    }
    assert_int_equal(runs, 1);
    assert_int_equal(gets(), 0);    /* value and tag came from the front */
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "news"));
    assert_status(CACHE_OK, cache_fetch(cache, "page", &options, computed, &runs, &value));
    cache_value_release(&value);
    assert_int_equal(runs, 2);
    cache_close(cache);
}

/* Reads for so long, as fast as it can. After some 30 ms reads do without the clock, where the machine allows it. */
static void read_for_ms(cache_t *cache, uint64_t ms)
{
    cache_value value;
    for (const uint64_t end = cache_now_ns() + ms * 1000000; cache_now_ns() < end;)
        if (cache_get(cache, "k", &value) == CACHE_OK)
            cache_value_release(&value);
}

static void a_change_is_seen_once_ten_times_front_check_have_passed(void **state)
{
    (void)state;
    cache_t *cache = test_open("telling://?prefix=p:&front=1mb");
    change_outside("p:k", "v");
    read_for_ms(cache, 60);
    (void)gets();
    for (int i = 0; i < 100; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        change_outside("p:k", text);
        test_pause_ms(1);
        assert_text(cache, "k", text);
        read_for_ms(cache, 1);
    }
    cache_close(cache);
}

static void a_value_that_is_read_all_the_time_is_not_served_past_its_time(void **state)
{
    (void)state;
    cache_t *cache = test_open("telling://?prefix=p:&front=1mb");
    change_outside("p:k", "v");
    read_for_ms(cache, 60);
    stub.left_ms = 30;
    change_outside("p:k", "w");
    test_pause_ms(1);
    assert_text(cache, "k", "w");
    (void)gets();
    read_for_ms(cache, 31);
    assert_text(cache, "k", "w");
    assert_true(gets() > 0);
    cache_close(cache);
}

static atomic_long slept;              /* seconds */

/* In place of the C library's, for the library under test, too. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long status = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_BOOTTIME)
        now->tv_sec += atomic_load(&slept);
    return (int)status;
}

static void what_was_held_before_the_machine_slept_is_not_served_after(void **state)
{
    (void)state;
    cache_t *cache = test_open("telling://?prefix=p:&front=1mb&front_lag=3600");
    change_outside("p:k", "old");
    assert_text(cache, "k", "old");
    read_for_ms(cache, 60);
    change_outside("p:k", "new");
    stub.n_changes = 0;                /* the word of it went to a machine that slept */
    assert_text(cache, "k", "old");
    atomic_fetch_add(&slept, 10);
    test_pause_ms(1);                       /* ten times front_check */
    assert_text(cache, "k", "new");
    atomic_store(&slept, 0);
    cache_close(cache);
}

static void no_key_of_a_user_is_taken_for_an_internal_one(void **state)
{
    static const char *const keys[] = { "\001lease/k", "a\001lease/k", "a\001b" };
    static const char *const stored[] = { "p:\001\001lease/k", "p:a\001lease/k", "p:a\001b" };
    (void)state;
    cache_t *cache = test_open(url);
    cache_value out[3];
    for (int i = 0; i < 3; i++)
        change_outside(stored[i], "v");
    for (int round = 0; round < 2; round++) {    /* a batch says no times, so plain values of it are not kept */
        assert_status(CACHE_OK, cache_get_many(cache, keys, 3, out));
        assert_int_equal(gets(), 3);
        for (int i = 0; i < 3; i++)
            cache_value_release(&out[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_text(cache, keys[i], "v");
        assert_int_equal(gets(), 1);
        assert_text(cache, keys[i], "v");
        assert_int_equal(gets(), 0);
    }
    cache_close(cache);
}

static void many_keys_come_from_both(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    const char *keys[12];
    char names[12][16], values[12][16];
    for (int i = 0; i < 12; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%d", i);
        (void)snprintf(values[i], sizeof values[i], "v%d", i);
        keys[i] = names[i];
        char whole[24];
        (void)snprintf(whole, sizeof whole, "p:%s", names[i]);
        change_outside(whole, values[i]);
        if (i % 2 == 0)
            assert_text(cache, names[i], values[i]);
    }
    for (int i = 0; i < 12; i += 2)    /* hear of all changes before */
        assert_text(cache, names[i], values[i]);
    (void)gets();
    cache_value out[12];
    assert_status(CACHE_OK, cache_get_many(cache, keys, 12, out));
    assert_int_equal(gets(), 6);
    for (int i = 0; i < 12; i++) {
        assert_string_equal(out[i].data, values[i]);
        cache_value_release(&out[i]);
    }
    cache_close(cache);
}

static void the_child_of_a_fork_hears_for_itself(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    change_outside("p:k", "old");
    assert_text(cache, "k", "old");
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        change_outside("p:k", "new");
        stub.n_changes = 0;    /* told to the parent's connection alone */
        cache_value value;
        const bool good = cache_get(cache, "k", &value) == CACHE_OK && strcmp(value.data, "new") == 0;
        _exit(good ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cache_close(cache);
}

static void a_store_in_this_process_takes_no_front(void **state)
{
    (void)state;
    cache_t *cache = NULL;
    assert_status(CACHE_ERR_CONFIG, cache_open("memory://?front=1mb", &cache));
    assert_non_null(strstr(cache_last_error(), "front"));
}

/* ---- files: versions in place of messages ------------------------------------------------------------------------ */

static void a_front_of_files_sees_each_change_of_another_process_at_once(void **state)
{
    (void)state;
    char directory[64], text[160];
    test_directory_make(directory, sizeof directory);
    (void)snprintf(text, sizeof text, "file://%s/store?front=1mb", directory);
    cache_t *cache = test_open(text), *other = test_open(text);    /* two opens share nothing but the files */
    for (int i = 0; i < 200; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        assert_status(CACHE_OK, cache_set_string(other, "k", value, 60));
        assert_text(cache, "k", value);
        assert_text(cache, "k", value);
    }
    assert_int_equal(test_counters(cache).front_hits, 200);
    assert_status(CACHE_OK, cache_delete(other, "k"));
    assert_text(cache, "k", NULL);
    assert_status(CACHE_OK, cache_set_string(other, "k", "", 60));    /* an empty value is one, too */
    assert_text(cache, "k", "");
    assert_text(cache, "k", "");
    assert_status(CACHE_OK, cache_clear(other));
    assert_text(cache, "k", NULL);
    cache_close(cache);
    cache_close(other);
    test_directory_remove(directory);
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

enum { READERS = 4, ROUNDS = 20000, KEYS = 4 };

static atomic_int acknowledged[KEYS];
static atomic_bool done;
static atomic_int stale_reads, reads;

static void *write_rising_numbers(void *ctx)
{
    (void)ctx;
    for (int i = 1; i <= ROUNDS; i++) {
        char key[16], value[16];
        (void)snprintf(key, sizeof key, "p:n%d", i % KEYS);
        (void)snprintf(value, sizeof value, "%d", i);
        change_outside(key, value);
        atomic_store(&acknowledged[i % KEYS], i);
    }
    atomic_store(&done, true);
    return NULL;
}

static void *read_numbers(void *ctx)
{
    for (unsigned i = 0; !atomic_load(&done); i++) {
        char key[16], value[16] = "";
        const int before = atomic_load(&acknowledged[i % KEYS]);
        (void)snprintf(key, sizeof key, "n%u", i % KEYS);
        size_t size = 0;
        if (cache_get_copy(ctx, key, value, sizeof value - 1, &size) == CACHE_OK) {
            value[size] = '\0';
            atomic_fetch_add(&stale_reads, atoi(value) < before);
            atomic_fetch_add(&reads, 1);
        }
    }
    return NULL;
}

static void no_read_gets_a_value_that_was_overwritten_before_it_began(void **state)
{
    (void)state;
    cache_t *cache = test_open(url);
    pthread_t writer, readers[READERS];
    atomic_store(&done, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_numbers, cache), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_rising_numbers, NULL), 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&stale_reads), 0);
    assert_true(atomic_load(&reads) > 0);
    cache_close(cache);
}

/* The stores do not tell of this removal, so the front goes on serving the value. */
static void has_asks_the_store_itself(void **state)
{
    static const char *const urls[] = { url, "mute://?prefix=p:&front=1mb" };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        cache_t *cache = test_open(urls[i]), *other = test_open("telling://?prefix=p:");
        change_outside("p:k", "v");
        assert_text(cache, "k", "v");
        assert_status(CACHE_OK, cache_has(cache, "k"));
        assert_status(CACHE_OK, cache_delete(other, "k"));
        assert_text(cache, "k", "v");
        assert_status(CACHE_MISS, cache_has(cache, "k"));
        cache_close(other);
        cache_close(cache);
    }
}

struct heard {
    cache_event_type types[4];
    int n;
};

static void hear(void *ctx, const cache_event *event)
{
    struct heard *heard = ctx;
    assert_true(heard->n < 4);
    heard->types[heard->n++] = event->type;
}

static void has_is_one_event_a_hit_or_a_miss(void **state)
{
    struct heard heard = { .n = 0 };
    cache_config config = CACHE_CONFIG_INIT;
    cache_t *cache = NULL;
    (void)state;
    config.url = "telling://?prefix=p:&front=1mb";
    config.event = hear;
    config.event_ctx = &heard;
    assert_status(CACHE_OK, cache_open_config(&config, &cache));
    change_outside("p:k", "v");
    assert_status(CACHE_OK, cache_has(cache, "k"));
    assert_status(CACHE_MISS, cache_has(cache, "nothing"));
    assert_int_equal(heard.n, 2);
    assert_int_equal(heard.types[0], CACHE_EVENT_HIT);
    assert_int_equal(heard.types[1], CACHE_EVENT_MISS);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define FRONT_TEST(name) cmocka_unit_test_setup(name, telling_store_reset)
        FRONT_TEST(the_second_read_does_not_ask_the_store),
        FRONT_TEST(without_the_option_every_read_asks_the_store),
        FRONT_TEST(a_value_is_not_served_past_the_stores_own_time),
        FRONT_TEST(nothing_is_served_past_front_ttl),
        FRONT_TEST(a_store_that_tells_no_changes_is_asked_once_a_second),
        FRONT_TEST(a_change_by_another_process_is_seen),
        FRONT_TEST(every_own_write_is_seen_whatever_it_returned),
        FRONT_TEST(a_fill_loses_against_a_change_that_overtook_it),
        FRONT_TEST(a_fill_loses_against_an_own_write_that_overtook_it),
        FRONT_TEST(a_fill_from_before_a_lost_connection_is_not_kept),
        FRONT_TEST(a_lost_connection_empties_the_front),
        FRONT_TEST(without_a_connection_nothing_is_served_or_kept),
        FRONT_TEST(a_store_that_was_not_heard_for_front_lag_is_asked),
        FRONT_TEST(a_fetch_with_tags_and_lease_is_served_and_invalidated),
        FRONT_TEST(a_change_is_seen_once_ten_times_front_check_have_passed),
        FRONT_TEST(a_value_that_is_read_all_the_time_is_not_served_past_its_time),
        FRONT_TEST(what_was_held_before_the_machine_slept_is_not_served_after),
        FRONT_TEST(no_key_of_a_user_is_taken_for_an_internal_one),
        FRONT_TEST(many_keys_come_from_both),
        FRONT_TEST(has_asks_the_store_itself),
        FRONT_TEST(has_is_one_event_a_hit_or_a_miss),
        FRONT_TEST(the_child_of_a_fork_hears_for_itself),
        FRONT_TEST(a_store_in_this_process_takes_no_front),
        FRONT_TEST(a_front_of_files_sees_each_change_of_another_process_at_once),
        FRONT_TEST(no_read_gets_a_value_that_was_overwritten_before_it_began),
    };
    if (cache_register_backend(&telling_ops) != CACHE_OK || cache_register_backend(&mute_ops) != CACHE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
