/* wait.c - deadlines, and failures of system calls. */
#include "wait.h"

#include "../../hooks.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

enum { NANOSECONDS_IN_MS = 1000000 };

uint64_t cache_wait_left_ms(uint64_t deadline)
{
    const uint64_t now = cache_now_ns();
    const uint64_t left = now < deadline ? (deadline - now + NANOSECONDS_IN_MS - 1) / NANOSECONDS_IN_MS : 0;
    return left < INT_MAX ? left : INT_MAX;
}

cache_status cache_wait_ready(int fd, short events, uint64_t deadline, short *ready)
{
    struct pollfd item = { .fd = fd, .events = events };
    for (;;) {
        const uint64_t left_ms = cache_wait_left_ms(deadline);
        const int n = poll(&item, 1, (int)left_ms);
        *ready = item.revents;
        if (n > 0)
            return CACHE_OK;
        if (left_ms == 0)
            return CACHE_ERR_TIMEOUT;
    }
}

bool cache_wait_is_ours(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

cache_status cache_wait_fail(cache_status status, const char *where, const char *what, int error)
{
    char text[128] = "";
    const bool described = strerror_r(error, text, sizeof text) == 0;
    return cache_fail(status, "%s: %s%s%s", where, what != NULL ? what : "", what != NULL ? ": " : "",
                      described ? text : "the connection was lost");
}
