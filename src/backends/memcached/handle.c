/* handle.c - one connection: made, asked whether it is alive, closed, its failures in words. */
#include "store.h"

#include "hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    NANOSECONDS_IN_MS = 1000000,
    NOT_LOOKED_FOR = -1, NOT_TO_BE_TOLD = -2,    /* as a descriptor */
    NEVER = 1 << 30                    /* libmemcached's own breaker counts whole seconds, one handle alone: ours does
                                        * it */
};

static bool set(memcached_st *memc, memcached_behavior_t behavior, int64_t value)
{
    return memcached_success(memcached_behavior_set(memc, behavior, (uint64_t)value));
}

cache_status cache_mc_handle_make(struct mc_server *server, struct mc_handle *handle)
{
    memcached_st *memc = memcached_create(NULL);
    if (memc == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", server->where);
    const bool good = set(memc, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1)
        && set(memc, MEMCACHED_BEHAVIOR_TCP_KEEPALIVE, 1)
        && set(memc, MEMCACHED_BEHAVIOR_SERVER_TIMEOUT_LIMIT, NEVER)
        && set(memc, MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, NEVER)
        && memcached_success(memcached_server_add(memc, server->host, (in_port_t)server->port));
    if (!good || memcached_result_create(memc, &handle->result) == NULL) {
        memcached_free(memc);
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", server->where);
    }
    handle->memc = memc;
    handle->connected = handle->used = false;
    handle->descriptor = NOT_LOOKED_FOR;
    return CACHE_OK;
}

void cache_mc_handle_disconnect(struct mc_handle *handle)
{
    (void)set(handle->memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, 0);    /* no wait for a last word */
    memcached_quit(handle->memc);
    handle->connected = false;
    handle->descriptor = NOT_LOOKED_FOR;
}

void cache_mc_handle_free(struct mc_handle *handle)
{
    if (handle->memc == NULL)
        return;
    cache_mc_handle_disconnect(handle);
    memcached_result_free(&handle->result);
    memcached_free(handle->memc);
    handle->memc = NULL;
}

int64_t cache_mc_handle_limit(struct mc_handle *handle, uint64_t deadline)
{
    const uint64_t now = cache_now_ns();
    const int64_t left = now < deadline ? (int64_t)((deadline - now + NANOSECONDS_IN_MS - 1) / NANOSECONDS_IN_MS) : 0;
    (void)set(handle->memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, left);    /* 0 fails at once */
    return left;
}

bool cache_mc_handle_has_more(struct mc_handle *handle)
{
    memcached_return_t rc = MEMCACHED_SUCCESS;
    handle->result.count = 1;    /* else it says NOTFOUND to whatever came */
    return memcached_fetch_result(handle->memc, &handle->result, &rc) != NULL || rc != MEMCACHED_END;
}

/* A read of the generation, which every server and proxy knows how to answer: a request of its own, so that each wait
 * (connecting, asking, and then the caller's request) has what is left of the deadline. */
memcached_return_t cache_mc_handle_connect(const struct mc_server *server, struct mc_handle *handle, uint64_t deadline)
{
    struct mc_key key;
    const char *text = key.text;
    const int64_t left = cache_mc_handle_limit(handle, deadline), most = server->store->connect_timeout_ms;
    (void)set(handle->memc, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, left < most ? left : most);
    cache_mc_generation_key(server->store, &key);
    memcached_return_t rc = memcached_mget(handle->memc, &text, &key.size, 1);
    if (rc != MEMCACHED_SUCCESS)
        return rc;
    (void)cache_mc_handle_limit(handle, deadline);
    while (memcached_fetch_result(handle->memc, &handle->result, &rc) != NULL)
        continue;
    rc = memcached_last_error(handle->memc);
    if (rc == MEMCACHED_SUCCESS && cache_mc_handle_has_more(handle))
        rc = MEMCACHED_PROTOCOL_ERROR;
    handle->connected = rc == MEMCACHED_SUCCESS;
    if (handle->connected)
        (void)cache_mc_handle_limit(handle, deadline);
    return rc;
}

bool cache_mc_handle_is_quiet(const struct mc_server *server, struct mc_handle *handle)
{
    char byte;
    if (handle->descriptor == NOT_LOOKED_FOR) {
        const int found = cache_mc_descriptor(handle, server->port);
        handle->descriptor = found >= 0 ? found : NOT_TO_BE_TOLD;
    }
    return handle->descriptor == NOT_TO_BE_TOLD
        || (recv(handle->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
            (errno == EAGAIN || errno == EWOULDBLOCK));
}

/* ---- failures -------------------------------------------------------------------------------------------------- */

static cache_status status_of_errno(int error)
{
    switch (error) {
    case ETIMEDOUT:
        return CACHE_ERR_TIMEOUT;
    case ENOMEM:
        return CACHE_ERR_NOMEM;
    case ECONNREFUSED: case ECONNRESET: case ECONNABORTED: case ENOTCONN: case EPIPE:
    case EHOSTUNREACH: case ENETUNREACH:
    case EHOSTDOWN: case ENETDOWN: case EADDRNOTAVAIL:
        return CACHE_ERR_CONNECT;
    default:
        return CACHE_ERR_IO;
    }
}

static cache_status status_of(memcached_return_t rc, int error)
{
    switch (rc) {
    case MEMCACHED_SUCCESS: case MEMCACHED_STORED: case MEMCACHED_DELETED: case MEMCACHED_END: case MEMCACHED_BUFFERED:
        return CACHE_OK;
    case MEMCACHED_NOTFOUND:
        return CACHE_MISS;
    case MEMCACHED_NOTSTORED: case MEMCACHED_DATA_EXISTS:
        return CACHE_NOT_STORED;
    case MEMCACHED_TIMEOUT:
        return CACHE_ERR_TIMEOUT;
    case MEMCACHED_E2BIG:
        return CACHE_ERR_TOO_LARGE;
    case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
        return CACHE_ERR_NOMEM;
    case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
        return CACHE_ERR_IO;
    case MEMCACHED_AUTH_FAILURE: case MEMCACHED_AUTH_PROBLEM:
        return CACHE_ERR_AUTH;
    case MEMCACHED_HOST_LOOKUP_FAILURE: case MEMCACHED_CONNECTION_FAILURE: case MEMCACHED_NO_SERVERS:
    case MEMCACHED_WRITE_FAILURE: case MEMCACHED_READ_FAILURE: case MEMCACHED_PARTIAL_READ: case MEMCACHED_SOME_ERRORS:
    case MEMCACHED_SERVER_MARKED_DEAD: case MEMCACHED_SERVER_TEMPORARILY_DISABLED: case MEMCACHED_FAILURE:
        return error != 0 ? status_of_errno(error) : CACHE_ERR_CONNECT;
    case MEMCACHED_ERRNO:
        return status_of_errno(error);
    default:
        return CACHE_ERR_PROTOCOL;
    }
}

/* What the server itself said stands in the middle of "(0x55…) SERVER ERROR, text,  host: …". */
static void explain(const struct mc_server *server, const struct mc_handle *handle, memcached_return_t rc, int error,
                    char *out, size_t size)
{
    const char *text = memcached_last_error_message(handle->memc);
    if (error != 0) {
        char buffer[64] = "";
        (void)strerror_r(error, buffer, sizeof buffer);
        (void)snprintf(out, size, "%s", buffer);
    } else if ((rc == MEMCACHED_SERVER_ERROR || rc == MEMCACHED_CLIENT_ERROR) && text != NULL
               && strstr(text, ") ") != NULL) {
        text = strstr(text, ") ") + 2;
        const char *end = strstr(text, ",  host:");
        (void)snprintf(out, size, "%.*s", end != NULL ? (int)(end - text) : (int)strlen(text), text);
    } else if (rc == MEMCACHED_TIMEOUT)
        (void)snprintf(out, size, "no answer within %lld ms", (long long)server->store->timeout_ms);
    else
        (void)snprintf(out, size, "%s", memcached_strerror(handle->memc, rc));
}

cache_status cache_mc_handle_status(const struct mc_server *server, const struct mc_handle *handle,
                                    memcached_return_t rc)
{
    const int error = memcached_fatal(rc) ? memcached_last_error_errno(handle->memc) : 0;
    const cache_status status = status_of(rc, error);
    if (status >= 0)
        return status;
    char text[256];
    explain(server, handle, rc, error, text, sizeof text);
    const bool wants_login = rc == MEMCACHED_CLIENT_ERROR && strstr(text, "unauthenticated") != NULL;
    return cache_fail(wants_login ? CACHE_ERR_AUTH : status, "%s: %s", server->where, text);
}
