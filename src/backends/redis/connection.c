/* connection.c - the parts of a connection that are specific to Redis: the login, and the mark after each batch. */
#include "store.h"

#include "hooks.h"
#include "unique.h"

#include <stdio.h>
#include <string.h>

enum { MARK_DIGITS = 16 };

redisReader *cache_redis_reader(const struct cache_connection *connection)
{
    const struct redis_link *link = connection->state;
    return link->reader;
}

/* ---- marks ------------------------------------------------------------------------------------------------------- *
 * Redis' replies do not name the command that they answer. So each batch is followed by a PING with a text that is
 * never used twice. If its echo does not follow the replies of the batch, one of them belonged to another request. */

static void format_mark(uint64_t mark, char out[MARK_DIGITS])
{
    for (size_t i = 0; i < MARK_DIGITS; i++, mark >>= 4)
        out[MARK_DIGITS - 1 - i] = "0123456789abcdef"[mark & 15];
}

static size_t put_mark(struct cache_connection *connection, char out[CACHE_MAX_MARK])
{
    static const char head[] = "*2\r\n$4\r\nPING\r\n$16\r\n";
    struct redis_link *link = connection->state;
    const size_t size = sizeof head - 1;
    memcpy(out, head, size);
    format_mark(++link->mark, out + size);
    memcpy(out + size + MARK_DIGITS, "\r\n", 2);
    return size + MARK_DIGITS + 2;
}

static bool is_unknown(const redisReply *reply)
{
    static const char *const begins[] = { "ERR unknown", "ERR wrong number", "NOPERM" };
    if (reply->type == REDIS_REPLY_STATUS)
        return strcmp(reply->str, "PONG") == 0;    /* from a server that ignores the text */
    for (size_t i = 0; reply->type == REDIS_REPLY_ERROR && i < sizeof begins / sizeof begins[0]; i++)
        if (strncmp(reply->str, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static enum cache_reply take_mark(struct cache_connection *connection, const char *bytes, size_t size, size_t *used)
{
    struct redis_link *link = connection->state;
    struct cache_exchange exchange = { .where = connection->wire.where };
    redisReply *reply = NULL;
    char expected[MARK_DIGITS];
    *used = size;
    const bool fed = size == 0 || redisReaderFeed(link->reader, bytes, size) == REDIS_OK;
    enum cache_reply outcome =
        fed ? cache_redis_next_reply(&exchange, link->reader, &reply) : CACHE_REPLY_BROKEN;
    if (outcome == CACHE_REPLY_BROKEN)
        (void)cache_fail(CACHE_ERR_PROTOCOL, "%s: no valid answer to the mark after a request: %s",
                         connection->wire.where, fed ? link->reader->errstr : "out of memory");
    if (outcome != CACHE_REPLY_DONE)
        return outcome;
    format_mark(link->mark, expected);
    const bool is_echo = reply->type == REDIS_REPLY_STRING && reply->len == MARK_DIGITS &&
                         memcmp(reply->str, expected, MARK_DIGITS) == 0;
    if (is_unknown(reply))
        outcome = CACHE_REPLY_LAST;
    else if (!is_echo && reply->type != REDIS_REPLY_ERROR) {    /* errors such as LOADING or BUSY are accepted */
        (void)cache_fail(CACHE_ERR_PROTOCOL, "%s: received the reply to another request", connection->wire.where);
        outcome = CACHE_REPLY_BROKEN;
    }
    freeReplyObject(reply);
    return outcome;
}

/* ---- logging in -------------------------------------------------------------------------------------------------- */

enum step { STEP_AUTH, STEP_SELECT, STEP_NAME, STEP_ROLE, STEP_PING, N_STEPS };

struct greeting {
    const struct redis_store *store;
    const struct redis_login *login;
    bool to_sentinel;
    cache_writer out;
    enum step steps[N_STEPS];
    size_t n;
};

static cache_status put_step(struct greeting *greeting, enum step step, const char *const words[])
{
    greeting->steps[greeting->n++] = step;
    return cache_redis_put_command(&greeting->out, words);
}

/* Write the commands of the login, and note each in `steps`. There is at least one, because a server that hangs still
 * accepts connections. */
static cache_status write_greeting(struct greeting *greeting)
{
    const struct redis_store *store = greeting->store;
    const struct redis_login *login = greeting->login;
    char db[24];
    cache_status status = CACHE_OK;
    (void)snprintf(db, sizeof db, "%lld", (long long)store->db);
    if (login->password != NULL)
        status = put_step(greeting, STEP_AUTH,
                          login->user != NULL
                              ? (const char *const[]){ "AUTH", login->user, login->password, NULL }
                              : (const char *const[]){ "AUTH", login->password, NULL });
    if (store->db != 0 && !greeting->to_sentinel)
        status = put_step(greeting, STEP_SELECT, (const char *const[]){ "SELECT", db, NULL });
    if (store->client_name != NULL && !greeting->to_sentinel && !atomic_load(&store->no_name))
        status = put_step(greeting, STEP_NAME,
                          (const char *const[]){ "CLIENT", "SETNAME", store->client_name, NULL });
    if (store->kind == REDIS_SENTINEL && !greeting->to_sentinel)
        status = put_step(greeting, STEP_ROLE, (const char *const[]){ "ROLE", NULL });
    if (greeting->n == 0 && !greeting->to_sentinel)
        status = put_step(greeting, STEP_PING, (const char *const[]){ "PING", NULL });
    return status;
}

/* Check that the server is a master. If the user may not call ROLE, the Sentinels are believed. */
static cache_status check_role(const char *where, const redisReply *reply)
{
    if (cache_redis_is_refusal(reply))
        return CACHE_OK;
    if (reply->type == REDIS_REPLY_ERROR)
        return cache_redis_error(where, reply->str);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 && reply->element[0]->type == REDIS_REPLY_STRING &&
        strcmp(reply->element[0]->str, "master") == 0)
        return CACHE_OK;
    return cache_fail(CACHE_ERR_CONNECT, "%s: the Sentinels named a server that is not the master", where);
}

/* Returns true if the server rejects the connection. It then sends this error before it has read a command, in place of
 * the first reply. */
static bool turns_away(const char *error)
{
    static const char protected_mode[] = "DENIED", full[] = "ERR max number of clients";
    return strncmp(error, protected_mode, sizeof protected_mode - 1) == 0 || strncmp(error, full, sizeof full - 1) == 0;
}

static cache_status check_step(const struct greeting *greeting, const char *where, enum step step,
                               const redisReply *reply)
{
    const bool error = reply->type == REDIS_REPLY_ERROR;
    if (error && turns_away(reply->str))
        return cache_redis_error(where, reply->str);
    switch (step) {
    case STEP_AUTH:
        /* A server that does not know AUTH repeats its arguments, whole or cut short, and the password must not get
         * into a message. */
        if (error && (strstr(reply->str, "unknown command") != NULL ||
                      strstr(reply->str, greeting->login->password) != NULL))
            return cache_fail(CACHE_ERR_AUTH, "%s: the server refused AUTH", where);
        return error ? cache_fail(CACHE_ERR_AUTH, "%s: %s", where, reply->str) : CACHE_OK;
    case STEP_SELECT:
        return error ? cache_redis_error(where, reply->str) : CACHE_OK;
    case STEP_ROLE:
        return check_role(where, reply);
    default:
        return CACHE_OK;    /* the name only serves CLIENT LIST, and any reply shows that the server is alive */
    }
}

/* A TLS port closes a connection that begins without TLS. A proxy may close one that sends CLIENT SETNAME. */
static cache_status explain_the_end(struct cache_connection *connection, const struct greeting *greeting,
                                    cache_status status)
{
    struct redis_store *store = connection->server->config.ctx;
    bool named = false;
    for (size_t i = 0; i < greeting->n; i++)
        named = named || greeting->steps[i] == STEP_NAME;
    if (status != CACHE_ERR_CONNECT)
        return status;
    if (named && atomic_load(&connection->server->connect_ns) == 0 && !atomic_exchange(&store->no_name, true))
        connection->once_more = true;
    else if (connection->wire.ssl == NULL && store->kind != REDIS_UNIX)
        return cache_fail(status, "%s (is this a TLS port? Then write rediss://)", cache_last_error());
    return status;
}

static cache_status send_greeting(struct cache_connection *connection, const struct greeting *greeting,
                                  uint64_t deadline)
{
    struct redis_request request = { .parts = { { greeting->out.data, greeting->out.size } }, .n_parts = 1,
                                     .n_replies = greeting->n, .types = "snoia" };
    struct cache_exchange exchange = { .parts = request.parts, .n_parts = 1, .take = cache_redis_take,
                                       .ctx = &request };
    cache_status status = cache_connection_call(connection, &exchange, deadline);
    cache_status refused = CACHE_OK;
    for (size_t i = 0; i < request.n_taken && refused == CACHE_OK; i++)
        refused = check_step(greeting, connection->wire.where, greeting->steps[i], request.replies[i]);
    cache_redis_release(&request);
    return refused != CACHE_OK ? refused : explain_the_end(connection, greeting, status);
}

static cache_status log_in(struct cache_connection *connection, bool to_sentinel, uint64_t deadline)
{
    const struct redis_store *store = connection->server->config.ctx;
    struct greeting greeting = { .store = store, .to_sentinel = to_sentinel,
                                 .login = to_sentinel ? &store->sentinel_login : &store->login };
    struct redis_link *link = cache_env_alloc(store->env, sizeof *link);
    if (link == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", connection->wire.where);
    *link = (struct redis_link){ .env = store->env, .reader = redisReaderCreate(), .mark = cache_unique_bits() };
    if (link->reader == NULL) {
        cache_env_free(store->env, link);
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", connection->wire.where);
    }
    link->reader->fn = (redisReplyObjectFunctions *)(uintptr_t)&store->objects;
    connection->state = link;
    cache_writer_init(&greeting.out, cache_env_allocator(store->env));
    cache_status status = write_greeting(&greeting);
    if (status == CACHE_OK && greeting.n > 0)
        status = send_greeting(connection, &greeting, deadline);
    cache_writer_release(&greeting.out);
    return status;
}

static cache_status greet(struct cache_connection *connection, uint64_t deadline)
{
    return log_in(connection, false, deadline);
}

static cache_status greet_sentinel(struct cache_connection *connection, uint64_t deadline)
{
    return log_in(connection, true, deadline);
}

static void release(void *state)
{
    struct redis_link *link = state;
    redisReaderFree(link->reader);
    cache_env_free(link->env, link);
}

static bool has_more(const void *state)
{
    const struct redis_link *link = state;
    return link->reader->pos < link->reader->len;
}

const struct cache_protocol cache_redis_protocol = {
    .greet = greet, .release = release, .has_more = has_more, .mark = put_mark, .take_mark = take_mark
};
const struct cache_protocol cache_redis_sentinel_protocol = {
    .greet = greet_sentinel, .release = release, .has_more = has_more
};
