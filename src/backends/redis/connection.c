/* connection.c - one connection: made, logged in, and bytes moved under a deadline. */
#include "store.h"

#include "hooks.h"
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    READ_SIZE = 32 * 1024,
    NANOSECONDS_IN_MS = 1000000,
    MAX_ELEMENTS = 1 << 20             /* of an array: far more than what is asked for ever brings */
};

/* ---- replies ----------------------------------------------------------------------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

static _Atomic(void *(*)(const redisReadTask *, array_size)) make_array;    /* hiredis' own */

/* It makes room for all elements that a server announces, before one of them has come, and walks through them to free
 * it: one that talks nonsense would cost the caller gigabytes, and seconds beyond the timeout. */
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

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static cache_status lost(const struct redis_store *store, int error)
{
    char text[128] = "";
    const bool described = strerror_r(error, text, sizeof text) == 0;
    return cache_fail(CACHE_ERR_CONNECT, "%s: %s", store->where, described ? text : "the connection was lost");
}

static uint64_t left_ms_until(uint64_t deadline)
{
    const uint64_t now = cache_now_ns();
    return now < deadline ? (deadline - now + NANOSECONDS_IN_MS - 1) / NANOSECONDS_IN_MS : 0;
}

static cache_status wait_for(const struct redis_store *store, int fd, short events, uint64_t deadline, short *ready)
{
    struct pollfd item = { .fd = fd, .events = events };
    for (;;) {
        const uint64_t left_ms = left_ms_until(deadline);
        const int n = poll(&item, 1, (int)left_ms);    /* a timeout is at most an hour */
        *ready = item.revents;
        if (n > 0)
            return CACHE_OK;
        if (n < 0 && errno != EINTR)
            return lost(store, errno);
        if (left_ms == 0)
            return cache_fail(CACHE_ERR_TIMEOUT, "%s: no answer within %lld ms", store->where,
                              (long long)store->timeout_ms);
    }
}

/* Without MSG_DONTWAIT among the flags it waits, for `timeout` at most. */
static cache_status read_some(const struct redis_store *store, redisContext *context, int flags)
{
    char bytes[READ_SIZE];
    const ssize_t n = recv(context->fd, bytes, sizeof bytes, flags);
    if (n == 0)
        return cache_fail(CACHE_ERR_CONNECT, "%s: the server closed the connection", store->where);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? CACHE_OK : lost(store, errno);
    if (redisReaderFeed(context->reader, bytes, (size_t)n) != REDIS_OK)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    return CACHE_OK;
}

cache_status cache_redis_send(const struct redis_store *store, redisContext *context, const char *data, size_t size,
                              uint64_t deadline)
{
    while (size > 0) {
        const ssize_t n = send(context->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return lost(store, errno);
        /* Replies are taken in meanwhile: a server that cannot get rid of them takes no more requests. */
        short ready = 0;
        cache_status status = wait_for(store, context->fd, POLLIN | POLLOUT, deadline, &ready);
        if (status == CACHE_OK && (ready & POLLIN) != 0)
            status = read_some(store, context, MSG_DONTWAIT);
        if (status != CACHE_OK)
            return status;
    }
    return CACHE_OK;
}

/* With the whole of `timeout` left, the socket's own timeout is the deadline: the usual request is one send and one
 * recv. */
static cache_status read_more(const struct redis_store *store, redisContext *context, uint64_t deadline)
{
    if (left_ms_until(deadline) >= (uint64_t)store->timeout_ms)
        return read_some(store, context, 0);
    short ready = 0;
    const cache_status status = wait_for(store, context->fd, POLLIN, deadline, &ready);
    return status == CACHE_OK ? read_some(store, context, MSG_DONTWAIT) : status;
}

cache_status cache_redis_receive(const struct redis_store *store, redisContext *context, uint64_t deadline,
                                 redisReply **out)
{
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(context->reader, &reply) != REDIS_OK)
            return context->reader->err == REDIS_ERR_OOM
                ? cache_fail(CACHE_ERR_NOMEM, "%s: no room for a reply of that size", store->where)
                : cache_fail(CACHE_ERR_PROTOCOL, "%s: %s", store->where, context->reader->errstr);
        if (reply != NULL) {
            *out = reply;
            return CACHE_OK;
        }
        const cache_status status = read_more(store, context, deadline);
        if (status != CACHE_OK)
            return status;
    }
}

bool cache_redis_is_quiet(const redisContext *context)
{
    char byte;
    return recv(context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool cache_redis_has_more(const redisContext *context)
{
    return context->reader->pos < context->reader->len;
}

/* ---- dialing ----------------------------------------------------------------------------------------------------- */

cache_status cache_redis_dial(const struct redis_store *store, const struct redis_address *to, uint64_t deadline,
                              redisContext **out)
{
    const uint64_t now = cache_now_ns();
    const uint64_t left_us = now + NANOSECONDS_IN_MS < deadline ? (deadline - now) / 1000 : 1000;
    const struct timeval left = { (time_t)(left_us / 1000000), (suseconds_t)(left_us % 1000000) };
    redisContext *context = to->port != 0 ? redisConnectWithTimeout(to->host, to->port, left)
                                          : redisConnectUnixWithTimeout(to->host, left);
    if (context == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", store->where);
    if (context->err != 0) {
        cache_status status = CACHE_ERR_CONNECT;
        if (context->err == REDIS_ERR_OOM)
            status = CACHE_ERR_NOMEM;
        else if (cache_now_ns() >= deadline)
            status = CACHE_ERR_TIMEOUT;
        if (store->kind == REDIS_SENTINEL)
            (void)cache_fail(status, "%s: %s:%d: %s", store->where, to->host, to->port, context->errstr);
        else
            (void)cache_fail(status, "%s: %s", store->where, context->errstr);
        redisFree(context);
        return status;
    }
    const struct timeval whole = { (time_t)(store->timeout_ms / 1000), (suseconds_t)(store->timeout_ms % 1000 * 1000) };
    (void)redisEnableKeepAlive(context);
    (void)fcntl(context->fd, F_SETFD, FD_CLOEXEC);
    if (setsockopt(context->fd, SOL_SOCKET, SO_RCVTIMEO, &whole, sizeof whole) != 0) {
        const cache_status status = lost(store, errno);    /* without it a read could wait for ever */
        redisFree(context);
        return status;
    }
    context->reader->fn = (redisReplyObjectFunctions *)(uintptr_t)&store->objects;
    *out = context;
    return CACHE_OK;
}

/* ---- logging in -------------------------------------------------------------------------------------------------- */

enum step { STEP_AUTH, STEP_SELECT, STEP_NAME, STEP_ROLE, N_STEPS };

static cache_status append(cache_writer *out, int size, char *command)
{
    if (size < 0)
        return cache_fail(CACHE_ERR_NOMEM, "redis: out of memory");
    const cache_status status = cache_writer_append(out, command, (size_t)size);
    redisFreeCommand(command);
    return status;
}

/* The commands of the login, and in `steps` which they are. */
static cache_status write_login(const struct redis_store *store, cache_writer *out, enum step steps[N_STEPS], size_t *n)
{
    char *command = NULL;
    cache_status status = CACHE_OK;
    *n = 0;
    if (store->password != NULL) {
        steps[(*n)++] = STEP_AUTH;
        const int size = store->user != NULL ? redisFormatCommand(&command, "AUTH %s %s", store->user, store->password)
                                             : redisFormatCommand(&command, "AUTH %s", store->password);
        status = append(out, size, command);
    }
    if (status == CACHE_OK && store->db != 0) {
        steps[(*n)++] = STEP_SELECT;
        const int size = redisFormatCommand(&command, "SELECT %lld", (long long)store->db);
        status = append(out, size, command);
    }
    if (status == CACHE_OK) {
        steps[(*n)++] = STEP_NAME;
        const int size = redisFormatCommand(&command, "CLIENT SETNAME libcache");
        status = append(out, size, command);
    }
    if (status == CACHE_OK && store->kind == REDIS_SENTINEL) {
        steps[(*n)++] = STEP_ROLE;
        const int size = redisFormatCommand(&command, "ROLE");
        status = append(out, size, command);
    }
    return status;
}

static cache_status check_role(const struct redis_store *store, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 && reply->element[0]->type == REDIS_REPLY_STRING
        && strcmp(reply->element[0]->str, "master") == 0)
        return CACHE_OK;
    return cache_fail(CACHE_ERR_CONNECT, "%s: the sentinels name a server that is not the master now", store->where);
}

/* What a server says to a connection that it does not take, before it has read a command: in place of the first
 * reply. */
static bool turns_away(const char *error)
{
    static const char protected_mode[] = "DENIED", full[] = "ERR max number of clients";
    return strncmp(error, protected_mode, sizeof protected_mode - 1) == 0 || strncmp(error, full, sizeof full - 1) == 0;
}

static cache_status check_step(const struct redis_store *store, enum step step, const redisReply *reply)
{
    const bool error = reply->type == REDIS_REPLY_ERROR;
    if (error && turns_away(reply->str))
        return cache_redis_error(store->where, reply->str);
    switch (step) {
    case STEP_AUTH:
        /* A server that does not know AUTH repeats its arguments in its answer, cut short or not. */
        if (error && (strstr(reply->str, "unknown command") != NULL || strstr(reply->str, store->password) != NULL))
            return cache_fail(CACHE_ERR_AUTH, "%s: the server refused AUTH", store->where);
        return error ? cache_fail(CACHE_ERR_AUTH, "%s: %s", store->where, reply->str) : CACHE_OK;
    case STEP_SELECT:
        return error ? cache_redis_error(store->where, reply->str) : CACHE_OK;
    case STEP_NAME:
        return CACHE_OK;    /* only for those who look at CLIENT LIST: a user who may not set it does without */
    default:
        return error ? cache_redis_error(store->where, reply->str) : check_role(store, reply);
    }
}

static cache_status log_in(const struct redis_store *store, redisContext *context, uint64_t deadline)
{
    enum step steps[N_STEPS];
    size_t n = 0;
    cache_writer out;
    cache_writer_init(&out, cache_env_allocator(store->env));
    cache_status status = write_login(store, &out, steps, &n);
    if (status == CACHE_OK)
        status = cache_redis_send(store, context, out.data, out.size, deadline);
    cache_writer_release(&out);
    for (size_t i = 0; i < n && status == CACHE_OK; i++) {
        redisReply *reply = NULL;
        status = cache_redis_receive(store, context, deadline, &reply);
        if (status == CACHE_OK)
            status = check_step(store, steps[i], reply);
        freeReplyObject(reply);
    }
    if (status == CACHE_OK && cache_redis_has_more(context))
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: more came than the login's replies", store->where);
    return status;
}

static cache_status find_address(struct redis_store *store, uint64_t deadline, struct redis_address *out)
{
    switch (store->kind) {
    case REDIS_SENTINEL:
        return cache_redis_find_master(store, deadline, out);
    case REDIS_UNIX:
        (void)snprintf(out->host, sizeof out->host, "%s", store->name);
        out->port = 0;
        return CACHE_OK;
    default:
        (void)snprintf(out->host, sizeof out->host, "%s", store->hosts[0].name);
        out->port = store->hosts[0].port;
        return CACHE_OK;
    }
}

cache_status cache_redis_connect(struct redis_store *store, uint64_t deadline, redisContext **out)
{
    const uint64_t latest = cache_now_ns() + (uint64_t)store->connect_timeout_ms * NANOSECONDS_IN_MS;
    struct redis_address address;
    if (deadline > latest)
        deadline = latest;
    cache_status status = find_address(store, deadline, &address);
    if (status == CACHE_OK)
        status = cache_redis_dial(store, &address, deadline, out);
    if (status != CACHE_OK)
        return status;
    status = log_in(store, *out, deadline);
    if (status != CACHE_OK)
        redisFree(*out);
    return status;
}
