/* greet.c - begins a connection: checks that the server answers, and logs in if the server demands it.
 *
 * Every server and proxy can answer a get, and a server with -Y answers that it wants a login first. Until it has said
 * so, no password is sent, since a server without -Y would store the login as a value. */
#include "store.h"

#include "hooks.h"

#include <stdio.h>
#include <string.h>

struct greeting {
    const struct mc_server *server;
    bool wants_login;
};

static enum cache_reply take_sign(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                  size_t *used)
{
    static const char wants_login[] = "unauthenticated";
    struct greeting *greeting = exchange->ctx;
    const char *where = greeting->server->where;
    struct mc_answer answer;
    struct mc_reply reply;
    enum cache_reply read;
    while ((read = cache_mc_reply_next(exchange, where, state, bytes, size, used, &reply)) == CACHE_REPLY_DONE) {
        greeting->wants_login = reply.kind == MC_CLIENT_ERROR && reply.text.size == sizeof wants_login - 1
            && memcmp(reply.text.data, wants_login, reply.text.size) == 0;
        if (greeting->wants_login && greeting->server->store->password != NULL)
            return CACHE_REPLY_DONE;
        if (reply.kind != MC_VALUE)
            return cache_mc_answer_take(exchange, where, MC_GET, &reply, &answer);
    }
    return read;
}

static enum cache_reply take_login(struct cache_exchange *exchange, void *state, const char *bytes, size_t size,
                                   size_t *used)
{
    const struct greeting *greeting = exchange->ctx;
    const char *where = greeting->server->where;
    struct mc_answer answer;
    struct mc_reply reply;
    const enum cache_reply read = cache_mc_reply_next(exchange, where, state, bytes, size, used, &reply);
    return read == CACHE_REPLY_DONE ? cache_mc_answer_take(exchange, where, MC_SET, &reply, &answer) : read;
}

/* A login is a set of any key, with "user password" as its value. */
static cache_status log_in(struct cache_connection *connection, struct greeting *greeting, uint64_t deadline)
{
    const struct mc_store *store = greeting->server->store;
    char line[64], space[] = " ", end[] = "\r\n";
    const int size = snprintf(line, sizeof line, "set login 0 0 %zu\r\n",
                              strlen(store->user) + 1 + strlen(store->password));
    const struct iovec parts[] = {
        { line, (size_t)size }, { store->user, strlen(store->user) }, { space, 1 },
        { store->password, strlen(store->password) }, { end, 2 },
    };
    struct cache_exchange exchange = { .parts = parts, .n_parts = 5, .take = take_login, .ctx = greeting };
    return cache_connection_call(connection, &exchange, deadline);
}

/* Write a get of the generation. A server that speaks only the binary protocol reads the 24 bytes of a header, finds no
 * valid header, and closes the connection. If it got fewer bytes, it would wait for more. */
static size_t write_question(const struct mc_store *store, char line[MC_MAX_COMMAND])
{
    enum { BINARY_HEADER = 24 };
    struct mc_key key;
    cache_mc_generation_key(store, &key);
    size_t size = cache_mc_write_command(line, "get", cache_mc_name(&key));
    if (size < BINARY_HEADER) {        /* the name has at least ten bytes, so repeating it once is enough */
        line[size - 2] = ' ';
        memcpy(line + size - 1, key.text, key.size);
        memcpy(line + size - 1 + key.size, "\r\n", 2);
        size += 1 + key.size;
    }
    return size;
}

static cache_status greet(struct cache_connection *connection, uint64_t deadline)
{
    struct greeting greeting = { .server = connection->server->config.ctx };
    const struct mc_store *store = greeting.server->store;
    struct mc_reader *reader = cache_env_alloc(store->env, sizeof *reader);
    if (reader == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", greeting.server->where);
    *reader = (struct mc_reader){ .env = store->env };
    connection->state = reader;
    char line[MC_MAX_COMMAND];
    const struct iovec part = { line, write_question(store, line) };
    struct cache_exchange exchange = { .parts = &part, .n_parts = 1, .take = take_sign, .ctx = &greeting };
    const cache_status status = cache_connection_call(connection, &exchange, deadline);
    if (status == CACHE_ERR_CONNECT && store->tls == NULL)
        return cache_fail(status, "%s (does it want TLS, memcacheds://, or SASL, which is not supported?)",
                          cache_last_error());
    return status == CACHE_OK && greeting.wants_login ? log_in(connection, &greeting, deadline) : status;
}

static void release(void *state)
{
    struct mc_reader *reader = state;
    const cache_env *env = reader->env;
    cache_mc_reader_release(reader);
    cache_env_free(env, reader);
}

static bool has_more(const void *state)
{
    return ((const struct mc_reader *)state)->filled > 0;
}

const struct cache_protocol cache_mc_protocol = { .greet = greet, .release = release, .has_more = has_more };
