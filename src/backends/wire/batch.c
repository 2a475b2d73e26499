/* batch.c - sends requests in one write, and takes their replies in the same order. */
#include "batch.h"

#include "../../hooks.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_PARTS = 64,                    /* the most parts of one write */
    READ_SIZE = 32 * 1024,
    MARK_PATIENCE_MS = 100,            /* for a server that may not support the mark */
    MAX_LATE_READS = 64,               /* after the deadline, of bytes that had come before it */
    NANOSECONDS_IN_MS = 1000000
};

/* Bytes that were received and not taken yet. */
struct held {
    size_t size;
    char bytes[CACHE_MAX_LINE + READ_SIZE];
};

void cache_batch_begin(struct cache_batch *batch)
{
    const struct cache_protocol *protocol = batch->connection->server->config.protocol;
    batch->lost = batch->unsure = batch->mark_taken = false;
    batch->culprit = NULL;
    batch->status = CACHE_OK;
    batch->sending = batch->taking = batch->first;
    batch->part = 0;
    batch->offset = 0;
    batch->mark_size =
        batch->marked && protocol->mark != NULL &&
        atomic_load_explicit(&batch->connection->server->marks, memory_order_relaxed) != CACHE_MARKS_REFUSED
            ? protocol->mark(batch->connection, batch->mark) : 0;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static bool is_sent(const struct cache_batch *batch)
{
    return batch->sending == NULL && batch->offset == batch->mark_size;
}

/* Collects up to MAX_PARTS parts that have not been sent. */
static int next_parts(const struct cache_batch *batch, struct iovec parts[MAX_PARTS])
{
    int n = 0, part = batch->part;
    size_t offset = batch->offset;
    const struct cache_exchange *exchange = batch->sending;
    for (; exchange != NULL && n < MAX_PARTS; exchange = exchange->next, part = 0)
        for (; part < exchange->n_parts && n < MAX_PARTS; part++, offset = 0) {
            char *base = exchange->parts[part].iov_base;
            parts[n++] = (struct iovec){ base + offset, exchange->parts[part].iov_len - offset };
        }
    if (exchange == NULL && n < MAX_PARTS && batch->mark_size > offset)
        parts[n++] = (struct iovec){ (char *)(uintptr_t)batch->mark + offset, batch->mark_size - offset };
    return n;
}

/* Notes that `size` more bytes were sent. */
static void advance(struct cache_batch *batch, size_t size)
{
    while (batch->sending != NULL) {
        struct cache_exchange *exchange = batch->sending;
        if (size > 0)
            exchange->stage = CACHE_EXCHANGE_SENT;
        for (; batch->part < exchange->n_parts; batch->part++, batch->offset = 0) {
            const size_t left = exchange->parts[batch->part].iov_len - batch->offset;
            if (size < left) {
                batch->offset += size;
                return;
            }
            size -= left;
        }
        batch->sending = exchange->next;
        batch->part = 0;
    }
    batch->offset += size;
}

cache_status cache_batch_send_some(struct cache_batch *batch)
{
    while (!is_sent(batch)) {
        struct iovec parts[MAX_PARTS];
        size_t sent = 0;
        const int n = next_parts(batch, parts);
        const cache_status status = cache_wire_send_some(&batch->connection->wire, parts, n, &sent);
        advance(batch, sent);
        if (status != CACHE_OK || sent == 0)
            return status;
    }
    return CACHE_OK;
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

static bool is_taken(const struct cache_batch *batch)
{
    return batch->taking == NULL && (batch->mark_size == 0 || batch->mark_taken);
}

static enum cache_reply take_mark(struct cache_batch *batch, const char *bytes, size_t size, size_t *used)
{
    struct cache_server *server = batch->connection->server;
    const enum cache_reply reply = server->config.protocol->take_mark(batch->connection, bytes, size, used);
    batch->mark_taken = reply == CACHE_REPLY_DONE || reply == CACHE_REPLY_LAST;
    batch->unsure = reply == CACHE_REPLY_BROKEN;
    if (reply == CACHE_REPLY_LAST)
        atomic_store(&server->marks, CACHE_MARKS_REFUSED);
    else if (reply == CACHE_REPLY_DONE && atomic_load(&server->marks) == CACHE_MARKS_UNTRIED)
        atomic_store(&server->marks, CACHE_MARKS_ANSWERED);
    return reply == CACHE_REPLY_LAST ? CACHE_REPLY_DONE : reply;
}

/* Takes the next reply, or the answer to the mark, from the front of the bytes. */
static enum cache_reply take_one(struct cache_batch *batch, const char *bytes, size_t size, size_t *used)
{
    struct cache_exchange *exchange = batch->taking;
    if (exchange == NULL)
        return take_mark(batch, bytes, size, used);
    exchange->status = CACHE_OK;
    struct cache_connection *connection = batch->connection;
    const enum cache_reply reply = exchange->take(exchange, connection->state, bytes, size, used);
    if (reply == CACHE_REPLY_DONE || reply == CACHE_REPLY_LAST) {
        exchange->stage = CACHE_EXCHANGE_TAKEN;
        batch->taking = exchange->next;
    }
    return reply;
}

/* Takes all replies from the held bytes. */
static cache_status take_held(struct cache_batch *batch, struct held *held)
{
    size_t at = 0;
    enum cache_reply reply = CACHE_REPLY_DONE;
    while (reply == CACHE_REPLY_DONE && !is_taken(batch)) {
        size_t used = 0;
        reply = take_one(batch, held->bytes + at, held->size - at, &used);
        at += used;
    }
    held->size -= at;
    memmove(held->bytes, held->bytes + at, held->size);
    if (reply == CACHE_REPLY_LAST) {
        batch->lost = true;
        batch->mark_size = 0;
        return batch->taking == NULL ? CACHE_OK
                                     : cache_fail(CACHE_ERR_CONNECT, "%s: the server closed the connection",
                                                  batch->connection->wire.where);
    }
    if (reply == CACHE_REPLY_BROKEN)
        return batch->taking != NULL && batch->taking->status != CACHE_OK ? batch->taking->status : CACHE_ERR_PROTOCOL;
    if (reply == CACHE_REPLY_MORE && held->size >= CACHE_MAX_LINE)
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: a line of over %d bytes", batch->connection->wire.where,
                          CACHE_MAX_LINE);
    return CACHE_OK;
}

static cache_status read_once(struct cache_batch *batch, struct held *held, bool wait, size_t *size)
{
    const cache_status status =
        cache_wire_read_some(&batch->connection->wire, held->bytes + held->size, READ_SIZE, wait, size);
    held->size += *size;
    return status == CACHE_OK && *size > 0 ? take_held(batch, held) : status;
}

/* A server may refuse a request before it has received all of it, and close the connection. Its reply can still be
 * read. */
static cache_status read_the_last_words(struct cache_batch *batch, struct held *held, cache_status failure)
{
    char message[sizeof batch->first->message];
    size_t size = 1;
    cache_status status = CACHE_OK;
    (void)snprintf(message, sizeof message, "%s", cache_last_error());
    for (int i = 0; i < MAX_LATE_READS && status == CACHE_OK && size > 0 && !is_taken(batch); i++)
        status = read_once(batch, held, false, &size);
    batch->lost = true;
    if (is_taken(batch))
        return CACHE_OK;
    return status == CACHE_ERR_AUTH ? status : cache_fail(failure, "%s", message);
}

/* If all of `timeout` is left, the timeout of the socket is enough. So the usual request needs one send and one
 * recv. */
static cache_status receive(struct cache_batch *batch, struct held *held, uint64_t now, uint64_t deadline)
{
    struct cache_wire *wire = &batch->connection->wire;
    size_t size = 0;
    bool readable = true;
    if (is_sent(batch) && now + (uint64_t)(wire->timeout_ms - 1) * NANOSECONDS_IN_MS < deadline)
        return read_once(batch, held, true, &size);
    const cache_status status = cache_wire_wait(wire, !is_sent(batch), deadline, &readable);
    return status == CACHE_OK && readable ? read_once(batch, held, false, &size) : status;
}

/* Returns true if all replies came, but no answer to the first mark that was ever sent to this server. */
static bool may_lack_marks(const struct cache_batch *batch)
{
    return batch->taking == NULL && !batch->unsure &&
           atomic_load_explicit(&batch->connection->server->marks, memory_order_relaxed) == CACHE_MARKS_UNTRIED;
}

/* After the deadline nothing more is sent. Bytes that have come by then are still read, but their number is limited: a
 * server that never stops sending would hold its caller for ever. */
static cache_status exchange_all(struct cache_batch *batch, struct held *held)
{
    cache_status status = CACHE_OK;
    int late_reads = 0;
    while (status == CACHE_OK && !is_taken(batch)) {
        const uint64_t now = cache_now_ns(), patience = now + MARK_PATIENCE_MS * NANOSECONDS_IN_MS;
        const bool late = now >= batch->deadline;
        if (late && late_reads++ == MAX_LATE_READS)
            return cache_wire_timed_out(&batch->connection->wire);
        status = late ? CACHE_OK : cache_batch_send_some(batch);
        if (status != CACHE_OK)
            return read_the_last_words(batch, held, status);
        status = receive(batch, held, now,
                         may_lack_marks(batch) && patience < batch->deadline ? patience : batch->deadline);
    }
    batch->lost = batch->lost || !is_sent(batch);
    return status;
}

void cache_batch_run(struct cache_batch *batch)
{
    const struct cache_protocol *protocol = batch->connection->server->config.protocol;
    struct held held;
    held.size = 0;
    batch->status = exchange_all(batch, &held);
    if (batch->status != CACHE_OK) {
        batch->lost = true;
        batch->culprit = batch->taking;
        if (may_lack_marks(batch)) {
            atomic_store(&batch->connection->server->marks, CACHE_MARKS_REFUSED);
            batch->status = CACHE_OK;
        } else
            batch->unsure = batch->mark_size > 0;
    }
    /* Bytes after the last reply belong to no request. */
    if (held.size > 0 || (protocol->has_more != NULL && protocol->has_more(batch->connection->state)))
        batch->lost = true;
}
