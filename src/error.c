/* error.c - names the statuses, and keeps each thread's last failure. */
#include "cache_internal.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[512];
static _Thread_local unsigned n_failures;

const char *cache_strerror(cache_status status)
{
    switch (status) {
    case CACHE_OK: return "ok";
    case CACHE_MISS: return "miss";
    case CACHE_NOT_STORED: return "not stored";
    case CACHE_ERR_INVALID: return "invalid argument";
    case CACHE_ERR_NOMEM: return "out of memory";
    case CACHE_ERR_CONFIG: return "wrong configuration";
    case CACHE_ERR_IO: return "input/output error";
    case CACHE_ERR_CONNECT: return "cannot connect";
    case CACHE_ERR_TIMEOUT: return "timed out";
    case CACHE_ERR_PROTOCOL: return "protocol error";
    case CACHE_ERR_AUTH: return "authentication failed";
    case CACHE_ERR_TYPE: return "wrong type of value";
    case CACHE_ERR_RANGE: return "number out of range";
    case CACHE_ERR_TOO_LARGE: return "too large";
    case CACHE_ERR_UNSUPPORTED: return "not supported by this store";
    case CACHE_ERR_COMPUTE: return "computation failed";
    }
    return "unknown status";
}

const char *cache_last_error(void)
{
    return last_error;
}

unsigned cache_n_failures(void)
{
    return n_failures;
}

cache_status cache_fail(cache_status status, const char *format, ...)
{
    /* The text is formatted in a buffer first, since an argument may be the last error itself. */
    char text[sizeof last_error];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    n_failures++;
    (void)snprintf(last_error, sizeof last_error, "%s", text);
    return status;
}

const char *cache_version(void)
{
    return CACHE_VERSION;
}
