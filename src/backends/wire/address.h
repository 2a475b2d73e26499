/* address.h - the addresses of a host name, and a socket that is connected to one of them. */
#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H

#include "../../api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { CACHE_MAX_ADDRESSES = 16 };

/* Where a server is: a host and a port, or the path of a Unix socket and port 0. */
struct cache_place {
    const char *host;
    int port;
};

struct cache_address {
    struct sockaddr_storage name;
    socklen_t size;
};

struct cache_addresses {
    struct cache_address at[CACHE_MAX_ADDRESSES];
    size_t n;
};

/* Ask the system for all addresses of `place`: IPv6 and IPv4 in turn, the system's favourite first. A path is an
 * address itself. The look-up of a name is the system's and not bounded: call it under no lock. `where` begins the
 * message of a failure. */
cache_status cache_addresses_find(const struct cache_place *place, const char *where, struct cache_addresses *out);

/* Connect to the first of the addresses that answers before `deadline` (of cache_now_ns). They are tried in their
 * order; where one is silent for a quarter of a second the next is tried beside it (RFC 8305). The socket has a number
 * above 2, is closed on exec, keeps alive, and `*which` is its address. `*ours` is set if this process lacked something
 * (descriptors, memory): then nothing is known of the server. */
cache_status cache_addresses_dial(const struct cache_addresses *addresses, const char *where, uint64_t deadline,
                                  int *fd, size_t *which, bool *ours);

bool cache_address_is_equal(const struct cache_address *a, const struct cache_address *b);

/* ---- a name that is asked for again ------------------------------------------------------------------------------ */

/* The addresses of one name as they were last found. They are looked up again after a minute, and once the old ones are
 * in doubt. Those that connect but are of no use are left alone until another one answers, or none is left. */
struct cache_resolver {
    struct cache_place place;
    const char *where;
    pthread_mutex_t lock;              /* never held during a look-up */
    struct cache_addresses found;
    size_t good;                       /* the index of the one to begin with: the one that connected last */
    atomic_uint useless;               /* a bit for each of those that are left alone; written under the lock */
    unsigned version;                  /* changes with the set of addresses */
    uint64_t found_at;                 /* of cache_now_ns; 0: not yet */
    bool doubted, looking;
};

/* `place` and `where` must outlive the resolver. */
void cache_resolver_init(struct cache_resolver *resolver, const struct cache_place *place, const char *where);
void cache_resolver_release(struct cache_resolver *resolver);
void cache_resolver_forked(struct cache_resolver *resolver);

/* The addresses that are not left alone, in the order in which to try them. If it is time, this caller looks them up,
 * while others go on with the old ones. A look-up that fails leaves the old ones in use. */
cache_status cache_resolver_get(struct cache_resolver *resolver, struct cache_addresses *out, unsigned *version);

/* How many addresses the name has; 0: it was not looked up yet. */
size_t cache_resolver_count(struct cache_resolver *resolver);

/* A connection to `address` was made; or one was lost: look the name up before the next one. */
void cache_resolver_connected(struct cache_resolver *resolver, const struct cache_address *address);
void cache_resolver_doubt(struct cache_resolver *resolver);

/* The server at `address` could be connected to, and did not answer: leave it alone. Returns true if there is another
 * one, which may. */
bool cache_resolver_leave_alone(struct cache_resolver *resolver, const struct cache_address *address);

/* A request was answered: nothing is left alone any longer, since the connections lead to one that answers. */
static inline void cache_resolver_answered(struct cache_resolver *resolver)
{
    if (atomic_load_explicit(&resolver->useless, memory_order_relaxed) != 0)
        atomic_store(&resolver->useless, 0);
}

/* Once a minute: look the name up again. Returns false if a connection to `address`, made when the set had
 * `*version`, leads to where the name no longer does. */
bool cache_resolver_still_has(struct cache_resolver *resolver, const struct cache_address *address, unsigned *version);

#endif
