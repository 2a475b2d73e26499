/* test_blog_shared.c - checks two blogs on one store and one database, as behind a load balancer: what one of them
 * changes, the other shows at once. The blog also starts and serves on every store that processes can share. */
#include "test.h"

#include "redis_cluster.h"
#include "site.h"

#include <time.h>

static struct site here, there;

static void start_both(const char *cache_url)
{
    char db[128];
    site_start(&here, cache_url, NULL);
    (void)snprintf(db, sizeof db, "%s/blog.db", here.server.directory);
    const char *const extra[] = { "--db", db, NULL };
    site_start(&there, cache_url, extra);
}

static void warm(struct site *site, const char *path)
{
    (void)site_get(site, path);
    assert_has(site_get(site, path), "X-Cache: HIT");
}

static void assert_they_share(const char *cache_url)
{
    start_both(cache_url);
    warm(&here, "/");
    assert_has(site_get(&there, "/"), "X-Cache: HIT");    /* what one computed, the other has */
    const char *ada = site_log_in(&here, "ada", ADA_PASSWORD);
    assert_has(site_post(&here, "/new-post", ada, "title=Seen+everywhere&content=Text&tags=shared"), "303 See Other");
    assert_has(site_get(&there, "/"), "Seen everywhere");
    warm(&here, "/");
    warm(&there, "/");
    assert_has(site_get(&there, "/post/11"), "Seen everywhere");
    /* And the other way, by a session that was begun on the first. */
    assert_has(site_post(&there, "/new-post", ada, "title=Seen+back+here&content=Text&tags=shared"), "303 See Other");
    assert_has(site_get(&here, "/"), "Seen back here");
    assert_has(site_get(&here, "/tag/shared"), "Seen everywhere");
    assert_has(site_get(&here, "/tag/shared"), "Seen back here");
    site_stop(&there);
    site_stop(&here);
}

static void two_blogs_on_one_redis_see_each_others_changes(void **state)
{
    struct test_server redis = { .pid = 0 };
    char url[128];
    (void)state;
    test_server_start_redis(&redis, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis.port);
    assert_they_share(url);
    (void)snprintf(url, sizeof url, "redis+unix://%s?db=3&prefix=unix:", redis.socket);
    assert_they_share(url);
    test_server_stop(&redis);
}

/* With a memory in front, a change is seen elsewhere once Redis' word of it has arrived: usually at once, and never
 * later than front_lag, a second. */
static void assert_shows_soon(struct site *site, const char *path, const char *text)
{
    for (int i = 0; strstr(site_get(site, path), text) == NULL; i++) {
        if (i == 150)
            fail_msg("%s does not show '%s' after more than a second", path, text);
        nanosleep(&(const struct timespec){ 0, 10 * 1000 * 1000 }, NULL);
    }
}

static void assert_fronts_hear_of_changes(const char *cache_url)
{
    start_both(cache_url);
    const char *ada = site_log_in(&here, "ada", ADA_PASSWORD);
    for (int i = 0; i < 5; i++) {
        char form[80], title[32];
        (void)snprintf(title, sizeof title, "Written as number %d", i);
        (void)snprintf(form, sizeof form, "title=Written+as+number+%d&content=Text&tags=front", i);
        struct site *writer = i % 2 == 0 ? &here : &there, *reader = i % 2 == 0 ? &there : &here;
        warm(reader, "/");
        warm(reader, "/");    /* the second one comes from the memory in front */
        assert_has(site_post(writer, "/new-post", ada, form), "303 See Other");
        assert_has(site_get(writer, "/"), title);    /* at once where it was written */
        assert_shows_soon(reader, "/", title);
    }
    site_stop(&there);
    site_stop(&here);
}

static void two_blogs_with_a_front_see_each_others_changes_within_its_lag(void **state)
{
    struct test_server redis = { .pid = 0 };
    char url[128];
    (void)state;
    test_server_start_redis(&redis, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d?front=8mb", redis.port);
    assert_fronts_hear_of_changes(url);
    test_server_stop(&redis);
}

static void two_blogs_with_a_front_before_a_cluster_do_too(void **state)
{
    struct test_cluster cluster;
    char url[128];
    (void)state;
    test_cluster_start(&cluster);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d,127.0.0.1:%d?front=8mb", cluster.nodes[0].port,
                   cluster.nodes[1].port);
    assert_they_share(url);
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d?prefix=second:&front=8mb", cluster.nodes[2].port);
    assert_fronts_hear_of_changes(url);
    test_cluster_stop(&cluster);
}

static void two_blogs_on_two_memcached_see_each_others_changes(void **state)
{
    struct test_server servers[2] = { { .pid = 0 }, { .pid = 0 } };
    char url[128];
    (void)state;
    for (int i = 0; i < 2; i++)
        test_server_start_memcached(&servers[i], NULL);
    (void)snprintf(url, sizeof url, "memcached://127.0.0.1:%d,127.0.0.1:%d", servers[0].port, servers[1].port);
    assert_they_share(url);
    for (int i = 0; i < 2; i++)
        test_server_stop(&servers[i]);
}

static void two_blogs_on_one_directory_see_each_others_changes(void **state)
{
    char directory[64], url[128];
    (void)state;
    test_directory_make(directory, sizeof directory);
    (void)snprintf(url, sizeof url, "file://%s/cache", directory);
    assert_they_share(url);
    test_directory_remove(directory);
}

/* A cache is no part of what a blog needs: pages are computed, and none says that it could not be cached. */
static void a_blog_whose_redis_is_away_serves_all_the_same(void **state)
{
    struct test_server redis = { .pid = 0 };
    char url[128];
    (void)state;
    test_server_start_redis(&redis, NULL);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis.port);
    site_start(&here, url, NULL);
    warm(&here, "/");
    test_server_kill(&redis);
    for (int i = 0; i < 5; i++) {
        assert_has(site_get(&here, "/"), "200 OK");
        assert_has(here.answer, "Measure");
        assert_has(site_get(&here, "/post/1"), "200 OK");
    }
    site_stop(&here);
    test_server_stop(&redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_blogs_on_one_redis_see_each_others_changes),
        cmocka_unit_test(two_blogs_with_a_front_see_each_others_changes_within_its_lag),
        cmocka_unit_test(two_blogs_with_a_front_before_a_cluster_do_too),
        cmocka_unit_test(two_blogs_on_two_memcached_see_each_others_changes),
        cmocka_unit_test(two_blogs_on_one_directory_see_each_others_changes),
        cmocka_unit_test(a_blog_whose_redis_is_away_serves_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
