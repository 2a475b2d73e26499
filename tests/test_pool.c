/* test_pool.c - slots of connections: bounded, waited for, handed over in turn. */
#include "test.h"

#include "backends/pool.h"
#include "hooks.h"

#include <sched.h>

enum { SECOND = 1000000000 };

static cache_env env;

static void pool_open(struct cache_pool *pool, int n)
{
    const cache_config config = CACHE_CONFIG_INIT;
    cache_env_init(&env, &config);
    assert_status(CACHE_OK, cache_pool_init(pool, &env, n, "test"));
}

static void the_lowest_free_slot_is_taken(void **state)
{
    struct cache_pool pool;
    (void)state;
    pool_open(&pool, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cache_pool_take(&pool, 0), i);
    assert_int_equal(cache_pool_take(&pool, cache_now_ns() + SECOND / 100), -1);
    cache_pool_give_back(&pool, 1);
    assert_int_equal(cache_pool_take(&pool, 0), 1);
    cache_pool_release(&pool);
}

static void *take_one(void *ctx)
{
    return (void *)(intptr_t)cache_pool_take(ctx, cache_now_ns() + (uint64_t)60 * SECOND);
}

static void one_who_waits_gets_the_slot_before_who_gave_it_back_asks_again(void **state)
{
    struct cache_pool pool;
    pthread_t thread;
    void *slot = NULL;
    (void)state;
    pool_open(&pool, 1);
    assert_int_equal(cache_pool_take(&pool, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, take_one, &pool), 0);
    while (atomic_load(&pool.waiting) == 0)
        sched_yield();
    cache_pool_give_back(&pool, 0);
    assert_int_equal(cache_pool_take(&pool, 0), -1);
    pthread_join(thread, &slot);
    assert_int_equal((intptr_t)slot, 0);
    cache_pool_give_back(&pool, 0);
    assert_int_equal(cache_pool_take(&pool, 0), 0);
    cache_pool_release(&pool);
}

static atomic_int inside, most, refused;

static void *take_turns(void *ctx)
{
    for (int i = 0; i < 5000; i++) {
        const int slot = cache_pool_take(ctx, cache_now_ns() + (uint64_t)60 * SECOND);
        if (slot < 0) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        const int now = atomic_fetch_add(&inside, 1) + 1;
        if (now > atomic_load(&most))
            atomic_store(&most, now);
        if (i % 16 == 0)
            sched_yield();
        atomic_fetch_sub(&inside, 1);
        cache_pool_give_back(ctx, slot);
    }
    return NULL;
}

static void no_more_threads_than_slots_are_at_work_and_none_is_forgotten(void **state)
{
    struct cache_pool pool;
    pthread_t threads[8];
    (void)state;
    pool_open(&pool, 3);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &pool), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(refused, 0);
    assert_in_range(most, 1, 3);
    assert_int_equal(pool.waiting, 0);
    assert_null(pool.first);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cache_pool_take(&pool, 0), i);
    cache_pool_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_free_slot_is_taken),
        cmocka_unit_test(one_who_waits_gets_the_slot_before_who_gave_it_back_asks_again),
        cmocka_unit_test(no_more_threads_than_slots_are_at_work_and_none_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
