/* connection.c - the parts of a connection that are specific to Redis: a parser, the login, and the mark after each
 * batch. */
#include "store.h"

#include "hooks.h"
#include "unique.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_ELEMENTS = 1 << 20,            /* of an array: far more than any of our commands returns */
    MARK_DIGITS = 16
};

struct redis_link {
    const cache_env *env;
    redisReader *reader;
    uint64_t mark;                     /* the mark that was sent last */
};

/* ---- replies ----------------------------------------------------------------------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

static _Atomic(void *(*)(const redisReadTask *, array_size)) make_array;    /* hiredis' own */

/* hiredis' own function allocates all elements that a server announces, before the first has come, and frees them one
 * by one. A server that announces nonsense would cost the caller gigabytes, and seconds beyond the timeout. */
static void *make_small_array(const redisReadTask *task, array_size n)
{
    return n <= MAX_ELEMENTS ? atomic_load(&make_array)(task, n) : NULL;
}

cache_status cache_redis_prepare(struct redis_store *store)
{
    redisReader *reader = redisReaderCreate();
    if (reader == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    store->objects = *reader->fn;
    atomic_store(&make_array, store->objects.createArray);
    store->objects.createArray = make_small_array;
    redisReaderFree(reader);
    return CACHE_OK;
}

/* Parse the next whole reply from the bytes that came. */
static enum cache_reply next_reply(struct cache_exchange *exchange, redisReader *reader, redisReply **out)
{
    void *reply = NULL;
    *out = NULL;
    if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
        const char *where = exchange->where;
        exchange->status = reader->err == REDIS_ERR_OOM
            ? cache_fail(CACHE_ERR_NOMEM, "%s: out of memory for a reply", where)
            : cache_fail(CACHE_ERR_PROTOCOL, "%s: %s%s", where, reader->errstr,
                         strstr(reader->errstr, "\\x15") != NULL ? " (this is a TLS port: write rediss://)" : "");
        return CACHE_REPLY_BROKEN;
    }
    *out = reply;
    return reply != NULL ? CACHE_REPLY_DONE : CACHE_REPLY_MORE;
}

static bool has_type(const struct redis_request *request, const redisReply *reply)
{
    static const char letters[] = { [REDIS_REPLY_STRING] = 's', [REDIS_REPLY_NIL] = 'n', [REDIS_REPLY_STATUS] = 'o',
                                    [REDIS_REPLY_INTEGER] = 'i', [REDIS_REPLY_ARRAY] = 'a' };
    if (reply->type == REDIS_REPLY_ERROR)
        return true;
    return reply->type >= 0 && (size_t)reply->type < sizeof letters && letters[reply->type] != '\0' &&
           strchr(request->types, letters[reply->type]) != NULL &&
           (request->values == NULL || reply->elements == request->values->n);
}

static void keep(struct redis_request *request, redisReply *reply)
{
    if (!request->fold) {
        request->replies[request->n_taken++] = reply;
        return;
    }
    const bool used = request->use != NULL && request->use(request, request->n_taken, reply);
    request->n_taken++;
    if (reply->type == REDIS_REPLY_INTEGER)
        request->sum += reply->integer;
    if (!used && reply->type == REDIS_REPLY_ERROR && request->error == NULL)
        request->error = reply;
    else
        freeReplyObject(reply);
}

/* Returns true if this is Redis' answer to a request that it cannot parse, such as a value above proto-max-bulk-len.
 * Redis closes the connection after it. */
static bool is_the_last(const redisReply *reply)
{
    static const char begins[] = "ERR Protocol error";
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, begins, sizeof begins - 1) == 0;
}

enum cache_reply cache_redis_take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                  size_t *used)
{
    struct redis_link *link = state;
    struct redis_request *request = exchange->ctx;
    redisReader *reader = link->reader;
    *used = size;
    if (size > 0 && redisReaderFeed(reader, bytes, size) != REDIS_OK) {
        exchange->status = cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", exchange->where);
        return CACHE_REPLY_BROKEN;
    }
    while (request->n_taken < request->n_replies) {
        redisReply *reply = NULL;
        if (request->values != NULL)
            cache_redis_values_begin(request->values, reader, request->n_taken);
        const enum cache_reply outcome = next_reply(exchange, reader, &reply);
        if (request->values != NULL)
            cache_redis_values_end(request->values, reader);
        if (outcome != CACHE_REPLY_DONE)
            return outcome;
        if (!has_type(request, reply)) {
            exchange->status = cache_redis_unexpected(exchange->where, reply);
            freeReplyObject(reply);
            return CACHE_REPLY_BROKEN;
        }
        const bool last = is_the_last(reply);
        keep(request, reply);
        if (last)
            return CACHE_REPLY_LAST;
    }
    return CACHE_REPLY_DONE;
}

void cache_redis_restart(struct cache_exchange *exchange)
{
    struct redis_request *request = exchange->ctx;
    cache_redis_release(request);
    if (request->values != NULL)
        cache_redis_values_forget(request->values);
    if (request->restart != NULL)
        request->restart(request);
}

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
    enum cache_reply outcome = fed ? next_reply(&exchange, link->reader, &reply) : CACHE_REPLY_BROKEN;
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
const struct cache_protocol cache_redis_master_protocol = {
    .greet = greet, .locate = cache_redis_find_master, .release = release, .has_more = has_more, .mark = put_mark,
    .take_mark = take_mark
};
const struct cache_protocol cache_redis_sentinel_protocol = {
    .greet = greet_sentinel, .release = release, .has_more = has_more
};
