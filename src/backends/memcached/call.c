/* call.c - sends one command about one key, takes its replies, and returns its outcome. */
#include "store.h"

#include "hooks.h"

#include <string.h>

enum { SMALL_VALUE = 1024 };           /* including the CR LF after it */

#define ANSWER(kind) (1u << MC_##kind)

const struct mc_command cache_mc_commands[] = {
    [MC_GET] = { "get", true, false, ANSWER(END) },
    [MC_GETS] = { "gets", true, false, ANSWER(END) },
    [MC_SET] = { "set", true, true, ANSWER(STORED) },
    [MC_ADD] = { "add", false, true, ANSWER(STORED) | ANSWER(NOT_STORED) | ANSWER(EXISTS) },
    [MC_CAS] = { "cas", false, true, ANSWER(STORED) | ANSWER(NOT_STORED) | ANSWER(EXISTS) | ANSWER(NOT_FOUND) },
    [MC_DELETE] = { "delete", true, false, ANSWER(DELETED) | ANSWER(NOT_FOUND) },
    [MC_INCR] = { "incr", false, false, ANSWER(NUMBER) | ANSWER(NOT_FOUND) },
    [MC_TOUCH] = { "touch", true, true, ANSWER(TOUCHED) | ANSWER(NOT_FOUND) },
};

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static bool begins(cache_bytes text, const char *with)
{
    return text.size >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

/* Keep the text of the server, as much as fits. Control characters are replaced. */
static void keep_text(cache_bytes from, char *out, size_t capacity)
{
    const size_t size = from.size < capacity - 1 ? from.size : capacity - 1;
    for (size_t i = 0; i < size; i++)
        out[i] = (unsigned char)from.data[i] < ' ' || from.data[i] == 0x7f ? '?' : from.data[i];
    out[size] = '\0';
}

static enum cache_reply refuse(struct cache_exchange *exchange, const char *where, enum mc_verb verb,
                               const struct mc_reply *reply, const struct mc_answer *answer)
{
    if (begins(reply->text, "unauthenticated") || begins(reply->text, "authentication failure"))
        exchange->status = cache_fail(CACHE_ERR_AUTH, "%s: %s", where, answer->text);
    else if (reply->kind == MC_CLIENT_ERROR || reply->kind == MC_ERROR)
        exchange->status = cache_fail(CACHE_ERR_PROTOCOL, "%s: the server refused the command '%s': %s", where,
                                      cache_mc_commands[verb].text, answer->text);
    else
        exchange->status = cache_fail(CACHE_ERR_PROTOCOL, "%s: received the answer to another command", where);
    return CACHE_REPLY_BROKEN;
}

enum cache_reply cache_mc_answer_take(struct cache_exchange *exchange, const char *where, enum mc_verb verb,
                                      const struct mc_reply *reply, struct mc_answer *out)
{
    out->kind = reply->kind;
    if ((cache_mc_commands[verb].answers & 1u << reply->kind) != 0)
        return CACHE_REPLY_DONE;
    keep_text(reply->text, out->text, sizeof out->text);
    if (reply->kind == MC_SERVER_ERROR)
        return CACHE_REPLY_DONE;
    if (verb == MC_INCR && reply->kind == MC_CLIENT_ERROR && begins(reply->text, "cannot increment")) {
        out->kind = MC_NOT_FOUND;      /* it was a number when we read it, and has become a text since */
        return CACHE_REPLY_DONE;
    }
    return refuse(exchange, where, verb, reply, out);
}

static cache_status too_large(const char *where, const struct mc_answer *answer, size_t value_size)
{
    return cache_fail(CACHE_ERR_TOO_LARGE,
                      "%s: a value of %zu bytes: %s: an item has at most 1048576 bytes unless the server runs with -I",
                      where, value_size, answer->text);
}

cache_status cache_mc_answer_status(const char *where, const struct mc_answer *answer, size_t value_size)
{
    switch (answer->kind) {
    case MC_STORED: case MC_DELETED: case MC_TOUCHED: case MC_NUMBER:
        return CACHE_OK;
    case MC_END: case MC_NOT_FOUND:
        return CACHE_MISS;
    case MC_NOT_STORED: case MC_EXISTS:
        return CACHE_NOT_STORED;
    default:
        if (strncmp(answer->text, "object too large", strlen("object too large")) == 0)
            return too_large(where, answer, value_size);
        return cache_fail(CACHE_ERR_IO, "%s: %s", where, answer->text);
    }
}

/* ---- replies on a connection ------------------------------------------------------------------------------------- */

enum cache_reply cache_mc_reply_next(struct cache_exchange *exchange, const char *where, void *state,
                                     const char *bytes, size_t size, size_t *used, struct mc_reply *out)
{
    size_t n = 0;
    const enum mc_read read = cache_mc_reader_next(state, bytes + *used, size - *used, CACHE_MAX_LINE, &n, out);
    *used += n;
    if (read == MC_READ_REPLY)
        return CACHE_REPLY_DONE;
    if (read == MC_READ_MORE)
        return CACHE_REPLY_MORE;
    if (read == MC_READ_NOMEM)
        exchange->status = cache_fail(CACHE_ERR_NOMEM, "%s: out of memory for a value", where);
    else
        exchange->status = cache_fail(CACHE_ERR_PROTOCOL, "%s: received something that is not a reply of memcached",
                                      where);
    return CACHE_REPLY_BROKEN;
}

static bool is_wanted(const struct mc_call *call, const struct mc_reply *item)
{
    const struct mc_key *wire = &call->place->wire;
    return (call->verb == MC_GET || call->verb == MC_GETS) && !call->found && item->key.size == wire->size
        && memcmp(item->key.data, wire->text, wire->size) == 0;
}

static enum cache_reply take(struct cache_exchange *exchange, void *state, const char *bytes, size_t size, size_t *used)
{
    struct mc_call *call = exchange->ctx;
    const char *where = call->place->server->where;
    struct mc_reply reply;
    enum cache_reply read;
    while ((read = cache_mc_reply_next(exchange, where, state, bytes, size, used, &reply)) == CACHE_REPLY_DONE) {
        if (reply.kind != MC_VALUE) {
            call->number = reply.number;
            cache_mc_reader_rest(state);
            return cache_mc_answer_take(exchange, where, call->verb, &reply, &call->answer);
        }
        if (!is_wanted(call, &reply)) {
            exchange->status = cache_fail(CACHE_ERR_PROTOCOL, "%s: received a value that was not requested", where);
            return CACHE_REPLY_BROKEN;
        }
        call->found = true;
        call->taken = call->take(call->ctx, &reply);
    }
    return read;
}

static void forget(struct mc_call *call)
{
    if (call->found && call->restart != NULL)
        call->restart(call->ctx);
    call->found = false;
}

static void restart(struct cache_exchange *exchange)
{
    forget(exchange->ctx);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* Write everything that goes before the value, if there is one. Returns its size. */
static size_t write_head(const struct mc_call *call, char head[MC_MAX_VALUE_HEAD])
{
    const struct mc_key *wire = &call->place->wire;
    const char *text = cache_mc_commands[call->verb].text;
    if (call->item != NULL)
        return cache_mc_write_value_head(head, text, wire, call->key, call->item);
    if (call->verb == MC_INCR)
        return cache_mc_write_incr(head, cache_mc_name(wire), call->number);
    if (call->verb == MC_TOUCH)
        return cache_mc_write_touch(head, cache_mc_name(wire), (int64_t)call->number);
    return cache_mc_write_command(head, text, cache_mc_name(wire));
}

/* A small value is copied after the head, since the system sends one piece faster than three. */
static int write_parts(const struct mc_call *call, char head[MC_MAX_VALUE_HEAD + SMALL_VALUE], struct iovec parts[3])
{
    static char end[] = "\r\n";
    size_t size = write_head(call, head);
    parts[0] = (struct iovec){ head, size };
    if (call->item == NULL)
        return 1;
    const cache_bytes value = call->item->value;
    if (value.size <= SMALL_VALUE - sizeof end) {
        if (value.size > 0)
            memcpy(head + size, value.data, value.size);
        memcpy(head + size + value.size, end, sizeof end);
        parts[0].iov_len = size + value.size + 2;
        return 1;
    }
    parts[1] = (struct iovec){ (void *)(uintptr_t)value.data, value.size };
    parts[2] = (struct iovec){ end, 2 };
    return 3;
}

cache_status cache_mc_call(struct mc_call *call)
{
    char head[MC_MAX_VALUE_HEAD + SMALL_VALUE];
    struct iovec parts[3];
    struct mc_server *server = call->place->server;
    struct cache_exchange exchange = { .parts = parts, .n_parts = write_parts(call, head, parts),
                                       .repeatable = cache_mc_commands[call->verb].repeatable,
                                       .overwrites = cache_mc_commands[call->verb].overwrites, .take = take,
                                       .restart = restart, .ctx = call };
    call->found = false;
    cache_status status = cache_server_call(&server->link, &exchange, call->deadline);
    if (status == CACHE_OK)
        status = cache_mc_answer_status(server->where, &call->answer, call->item != NULL ? call->item->value.size : 0);
    if (status != CACHE_MISS || !call->found) {
        forget(call);
        return status;
    }
    if (call->taken < 0)    /* another thread may have taken the reply, and then the message is in that thread */
        return cache_fail(call->taken, "%s: the value could not be copied to the caller: %s", server->where,
                          cache_strerror(call->taken));
    return call->taken;
}
