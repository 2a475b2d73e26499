/* test_sentinel.c - a real Sentinel with a master and a replica: writes go on when the master is demoted, and when it
 * dies. */
#include "test.h"

#include "server.h"
#include "times.h"

#include <hiredis/hiredis.h>
#include <time.h>

static struct test_server master, replica, sentinel;

/* Ask `port` until its answer contains `word`. */
static void wait_for(int port, const char *command, const char *word)
{
    const double begun = test_seconds();
    bool seen = false;
    while (!seen) {
        redisContext *context = redisConnect("127.0.0.1", port);
        redisReply *reply = context->err == 0 ? redisCommand(context, command) : NULL;
        seen = reply != NULL && reply->str != NULL && strstr(reply->str, word) != NULL;
        freeReplyObject(reply);
        redisFree(context);
        if (test_seconds() - begun > 30)
            fail_msg("%s on port %d does not say %s", command, port, word);
        if (!seen)
            nanosleep(&(const struct timespec){ 0, 20 * 1000 * 1000 }, NULL);
    }
}

static int start(void **state)
{
    (void)state;
    char port[8];
    test_server_start_redis(&master, NULL);
    (void)snprintf(port, sizeof port, "%d", master.port);
    const char *extra[] = { "--replicaof", "127.0.0.1", port, NULL };
    test_server_start_redis(&replica, extra);
    test_server_start_sentinel(&sentinel, master.port);
    wait_for(replica.port, "INFO replication", "master_link_status:up");
    wait_for(sentinel.port, "INFO sentinel", "slaves=1");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_server_stop(&sentinel);
    test_server_stop(&replica);
    test_server_stop(&master);
    return 0;
}

static cache_t *open_service(const char *service)
{
    char url[128];
    /* The first one named is not there: the next is asked. */
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/%s/0?retry_after=0.1&timeout=1",
                   test_free_port(), sentinel.port, service);
    return test_open(url);
}

/* Write until it succeeds; how long that took. */
static double write_goes_on(cache_t *cache, const char *text)
{
    const double begun = test_seconds();
    while (cache_set_string(cache, "k", text, 60) != CACHE_OK) {
        if (test_seconds() - begun > 20)
            fail_msg("no write for 20 s: %s", cache_last_error());
        nanosleep(&(const struct timespec){ 0, 10 * 1000 * 1000 }, NULL);
    }
    assert_text(cache, "k", text);
    return test_seconds() - begun;
}

static void a_service_that_nobody_knows_is_named(void **state)
{
    (void)state;
    cache_t *cache = open_service("nobody");
    assert_status(CACHE_ERR_CONFIG, cache_set_string(cache, "k", "v", 60));
    assert_non_null(strstr(cache_last_error(), "nobody"));
    cache_close(cache);
}

static void writes_go_on_when_the_master_is_demoted_and_when_it_dies(void **state)
{
    (void)state;
    cache_t *cache = open_service("blog");
    (void)write_goes_on(cache, "before");
    wait_for(replica.port, "GET libcache:k", "before");
    redisContext *context = redisConnect("127.0.0.1", sentinel.port);
    freeReplyObject(redisCommand(context, "SENTINEL FAILOVER blog"));
    redisFree(context);
    wait_for(replica.port, "INFO replication", "role:master");
    wait_for(master.port, "INFO replication", "role:slave");    /* until then it takes writes that it loses */
    const double demoted = write_goes_on(cache, "demoted");
    wait_for(replica.port, "GET libcache:k", "demoted");
    wait_for(master.port, "INFO replication", "master_link_status:up");
    wait_for(sentinel.port, "INFO sentinel", "status=ok");
    test_server_kill(&replica);
    const double died = write_goes_on(cache, "died");
    wait_for(master.port, "GET libcache:k", "died");
    print_message("demoted: %.2f s, died: %.2f s until a write went on\n", demoted, died);
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_nobody_knows_is_named),
        cmocka_unit_test(writes_go_on_when_the_master_is_demoted_and_when_it_dies),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
