/* test_flight_order.c - checks that the change wins if a key changes while it is computed. */
#include "gate.h"

/* ---- invalidation beats a computation that began before it ------------------------------------------------------- */

enum change { DELETE, SET, ADD, CLEAR, DELETE_MANY };

static void make(cache_t *cache, enum change change)
{
    const char *keys[] = { "k" };
    switch (change) {
    case DELETE: assert_status(CACHE_MISS, cache_delete(cache, "k")); break;
    case SET: assert_status(CACHE_OK, cache_set_string(cache, "k", "set", 60)); break;
    case ADD: assert_status(CACHE_OK, cache_add(cache, "k", "set", 3, 60)); break;
    case CLEAR: assert_status(CACHE_OK, cache_clear(cache)); break;
    case DELETE_MANY: assert_status(CACHE_OK, cache_delete_many(cache, keys, 1, NULL)); break;
    }
}

static void what_changes_a_key_keeps_a_running_computation_from_being_stored(void **state)
{
    (void)state;
    for (enum change change = DELETE; change <= DELETE_MANY; change++) {
        cache_t *cache = open_fake();
        struct gate gate = { 0 };
        struct caller leader;
        start_inside(&leader, cache, &gate);
        make(cache, change);
        atomic_store(&gate.open, true);
        finish(&leader, CACHE_OK, "v1");    /* who waited has an answer all the same */
        assert_text(cache, "k", change == SET || change == ADD ? "set" : NULL);
        cache_close(cache);
    }
}

static void who_comes_after_a_delete_does_not_join_the_old_computation(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    char text[16];
    start_inside(&leader, cache, &gate);
    assert_status(CACHE_MISS, cache_delete(cache, "k"));
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    assert_string_equal(text, "quick");
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    assert_text(cache, "k", "quick");    /* and the old one does not replace the new one */
    cache_close(cache);
}

static void another_key_is_not_disturbed(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    start_inside(&leader, cache, &gate);
    assert_status(CACHE_MISS, cache_delete(cache, "kk"));
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    assert_text(cache, "k", "v1");
    cache_close(cache);
}

static void a_delete_in_the_instant_before_the_store_wins(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    char text[16];
    fake_store_hook(delete_before_set, cache);
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    fake_store_hook(NULL, NULL);
    assert_text(cache, "k", NULL);
    cache_close(cache);
}

/* ---- a change during the store ---------------------------------------------------------------------------------- */

/* While the result of "k" is stored, another thread changes the key: its call must not end before the store does. */
struct changer {
    pthread_t thread;
    cache_t *cache;
    enum change change;
    bool started;
    atomic_bool returned, returned_early;
};

static void *change_key(void *arg)
{
    struct changer *changer = arg;
    const char *keys[] = { "k" };
    const cache_item item = { .key = "k", .data = "set", .size = 3 };
    switch (changer->change) {
    case DELETE: (void)cache_delete(changer->cache, "k"); break;
    case SET: (void)cache_set_string(changer->cache, "k", "set", 60); break;
    case ADD: (void)cache_set_many(changer->cache, &item, 1, 60); break;
    case CLEAR: (void)cache_clear(changer->cache); break;
    case DELETE_MANY: (void)cache_delete_many(changer->cache, keys, 1, NULL); break;
    }
    atomic_store(&changer->returned, true);
    return NULL;
}

static bool is_key(cache_bytes key)
{
    return key.size == strlen(KEY) && memcmp(key.data, KEY, key.size) == 0;
}

static void change_during_set(void *ctx, enum fake_op op, cache_bytes key)
{
    struct changer *changer = ctx;
    if (op != FAKE_SET || !is_key(key) || changer->started)
        return;
    changer->started = true;
    assert_int_equal(pthread_create(&changer->thread, NULL, change_key, changer), 0);
    for (int i = 0; i < 50 && !atomic_load(&changer->returned); i++)
        nap();
    atomic_store(&changer->returned_early, atomic_load(&changer->returned));
}

static void a_change_waits_for_a_store_that_is_under_way_and_comes_after_it(void **state)
{
    (void)state;
    for (enum change change = DELETE; change <= DELETE_MANY; change++) {
        cache_t *cache = open_fake();
        struct changer changer = { .cache = cache, .change = change };
        char text[16];
        fake_store_hook(change_during_set, &changer);
        assert_status(CACHE_OK, fetch_text(cache, NULL, text));
        pthread_join(changer.thread, NULL);
        fake_store_hook(NULL, NULL);
        assert_false(changer.returned_early);
        assert_text(cache, "k", change == SET || change == ADD ? "set" : NULL);
        cache_close(cache);
    }
}

/* A second computation that began after the first was invalidated must not be stored before it. */
struct overtaker {
    struct caller caller;
    cache_t *cache;
    bool started;
};

static cache_status newer(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "newer");
}

static void compute_during_set(void *ctx, enum fake_op op, cache_bytes key)
{
    struct overtaker *overtaker = ctx;
    if (op != FAKE_SET || !is_key(key) || overtaker->started)
        return;
    overtaker->started = true;
    overtaker->caller = (struct caller){ .cache = overtaker->cache, .key = "k", .compute = newer,
                                         .options = CACHE_FETCH_OPTIONS_INIT };
    overtaker->caller.options.force = true;
    assert_int_equal(pthread_create(&overtaker->caller.thread, NULL, call, &overtaker->caller), 0);
    for (int i = 0; i < 50 && fake_store_calls(FAKE_SET) == 1; i++)
        nap();
}

static void stores_of_one_key_are_in_the_order_of_their_computations(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct overtaker overtaker = { .cache = cache };
    char text[16];
    fake_store_hook(compute_during_set, &overtaker);
    assert_status(CACHE_OK, fetch_text(cache, NULL, text));
    finish(&overtaker.caller, CACHE_OK, "newer");
    fake_store_hook(NULL, NULL);
    assert_text(cache, "k", "newer");
    cache_close(cache);
}

/* ---- those who wait need not wait for the store ----------------------------------------------------------------- */

/* While the result is stored, another thread fetches the key. */
struct visitor {
    struct caller caller;
    cache_t *cache;
    int64_t later_ms;                  /* by which time goes on before */
    bool started;
    atomic_bool returned;
    bool returned_during_store;
};

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    (void)call(&visitor->caller);
    atomic_store(&visitor->returned, true);
    return NULL;
}

static void visit_during_set(void *ctx, enum fake_op op, cache_bytes key)
{
    struct visitor *visitor = ctx;
    if (op != FAKE_SET || !is_key(key) || visitor->started)
        return;
    visitor->started = true;
    now_ms += visitor->later_ms;
    visitor->caller = (struct caller){ .cache = visitor->cache, .key = "k", .compute = newer,
                                       .options = CACHE_FETCH_OPTIONS_INIT };
    assert_int_equal(pthread_create(&visitor->caller.thread, NULL, visit, visitor), 0);
    for (int i = 0; i < 2000 && !atomic_load(&visitor->returned); i++)
        nap();
    visitor->returned_during_store = atomic_load(&visitor->returned);
}

static void visit_a_store_after(int64_t later_ms, const char *expected)
{
    cache_t *cache = open_fake();
    struct visitor visitor = { .cache = cache, .later_ms = later_ms };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    char text[16];
    options.ttl = 10;
    fake_store_hook(visit_during_set, &visitor);
    assert_status(CACHE_OK, fetch_text(cache, &options, text));
    finish(&visitor.caller, CACHE_OK, expected);
    fake_store_hook(NULL, NULL);
    assert_true(visitor.returned_during_store);
    cache_close(cache);
}

static void a_result_is_shared_before_it_is_stored(void **state)
{
    (void)state;
    visit_a_store_after(0, "quick");
}

static void a_shared_result_past_its_ttl_is_computed_anew(void **state)
{
    (void)state;
    visit_a_store_after(20000, "newer");
}

/* ---- tags ------------------------------------------------------------------------------------------------------- */

static const char *const tags[] = { "t" };

static cache_fetch_options tagged(void)
{
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    options.tags = tags;
    options.n_tags = 1;
    options.wait = 0.05;
    return options;
}

struct beginner {
    struct caller caller;
    struct gate gate;
    cache_t *cache;
    bool started;
};

static void start_tagged_inside(struct beginner *beginner)
{
    beginner->started = true;
    beginner->caller = (struct caller){ .cache = beginner->cache, .key = "k", .compute = through_gate,
                                        .ctx = &beginner->gate, .options = tagged() };
    assert_int_equal(pthread_create(&beginner->caller.thread, NULL, call, &beginner->caller), 0);
    while (atomic_load(&beginner->gate.inside) == 0)
        nap();
}

static void begin_before_the_version_is_written(void *ctx, enum fake_op op, cache_bytes key)
{
    struct beginner *beginner = ctx;
    if (op == FAKE_SET && fake_key_ends(key, "tag/t") && !beginner->started)
        start_tagged_inside(beginner);
}

static void end_beginner(struct beginner *beginner)
{
    char text[16];
    const cache_fetch_options options = tagged();
    assert_status(CACHE_OK, fetch_text(beginner->cache, &options, text));    /* it does not wait for the old one */
    assert_string_equal(text, "quick");
    atomic_store(&beginner->gate.open, true);
    finish(&beginner->caller, CACHE_OK, "v1");
    assert_text(beginner->cache, "k", "quick");
}

static void who_comes_after_a_tags_invalidation_does_not_join_what_began_in_the_middle_of_it(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct beginner beginner = { .cache = cache };
    fake_store_hook(begin_before_the_version_is_written, &beginner);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "t"));
    fake_store_hook(NULL, NULL);
    end_beginner(&beginner);
    cache_close(cache);
}

static void who_comes_after_a_tags_invalidation_in_another_process_does_not_join_the_old_computation(void **state)
{
    (void)state;
    cache_t *cache = open_fake(), *other = test_open_with_clock("fake://", &now_ms);
    struct beginner beginner = { .cache = cache };
    start_tagged_inside(&beginner);
    assert_status(CACHE_OK, cache_invalidate_tag(other, "t"));
    end_beginner(&beginner);
    cache_close(other);
    cache_close(cache);
}

static void a_key_without_the_tag_is_not_disturbed(void **state)
{
    (void)state;
    cache_t *cache = open_fake();
    struct gate gate = { 0 };
    struct caller leader;
    start_inside(&leader, cache, &gate);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "t"));
    atomic_store(&gate.open, true);
    finish(&leader, CACHE_OK, "v1");
    assert_text(cache, "k", "v1");
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(what_changes_a_key_keeps_a_running_computation_from_being_stored),
        cmocka_unit_test(who_comes_after_a_delete_does_not_join_the_old_computation),
        cmocka_unit_test(another_key_is_not_disturbed),
        cmocka_unit_test(a_delete_in_the_instant_before_the_store_wins),
        cmocka_unit_test(a_change_waits_for_a_store_that_is_under_way_and_comes_after_it),
        cmocka_unit_test(stores_of_one_key_are_in_the_order_of_their_computations),
        cmocka_unit_test(a_result_is_shared_before_it_is_stored),
        cmocka_unit_test(a_shared_result_past_its_ttl_is_computed_anew),
        cmocka_unit_test(who_comes_after_a_tags_invalidation_does_not_join_what_began_in_the_middle_of_it),
        cmocka_unit_test(who_comes_after_a_tags_invalidation_in_another_process_does_not_join_the_old_computation),
        cmocka_unit_test(a_key_without_the_tag_is_not_disturbed),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
