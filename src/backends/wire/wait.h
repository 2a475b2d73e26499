/* wait.h - deadlines of cache_now_ns, and failures of system calls. */
#ifndef WIRE_WAIT_H
#define WIRE_WAIT_H

#include "../../api.h"

/* Returns the time until the deadline, rounded up, so that a wait of that length does not end too early. */
uint64_t cache_wait_left_ms(uint64_t deadline);

/* Waits until `fd` is ready for one of `events` of poll, and sets `*ready` to those. A signal does not end the wait.
 * Returns CACHE_ERR_TIMEOUT without a message. */
cache_status cache_wait_ready(int fd, short events, uint64_t deadline, short *ready);

/* Returns true if the error means that this process or machine lacks something. It then says nothing about the
 * server. */
bool cache_wait_is_ours(int error);

/* Calls cache_fail with the system's text for `error`. `what` may be NULL. */
cache_status cache_wait_fail(cache_status status, const char *where, const char *what, int error);

#endif
