/* wait.h - deadlines of cache_now_ns, and failures of system calls. */
#ifndef WIRE_WAIT_H
#define WIRE_WAIT_H

#include "../../api.h"

/* What is left until the deadline, rounded up, so that a wait of so long does not end before it. */
uint64_t cache_wait_left_ms(uint64_t deadline);

/* Wait until `fd` is ready for `events` of poll: `*ready` tells for which. Signals do not end it. CACHE_ERR_TIMEOUT,
 * and the message is the caller's to write. */
cache_status cache_wait_ready(int fd, short events, uint64_t deadline, short *ready);

/* An error that says that this process or machine lacks something, and nothing of the other side. */
bool cache_wait_is_ours(int error);

/* cache_fail with the system's words for `error`; `what` may be NULL. */
cache_status cache_wait_fail(cache_status status, const char *where, const char *what, int error);

#endif
