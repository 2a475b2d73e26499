/* forked.h - notice that this process is the child of the one that opened the store. */
#ifndef FORKED_H
#define FORKED_H

#include "../api.h"

#include <stdatomic.h>
#include <sys/types.h>

/* `owner` is the process that the store's connections belong to. In a child: run `clean_up(ctx)` in one thread, while the
 * others wait, and make the child their owner. */
void cache_forked_check(_Atomic pid_t *owner, void (*clean_up)(void *ctx), void *ctx);

#endif
