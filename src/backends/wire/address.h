/* address.h - the addresses of a host name, and a socket that is connected to one of them. */
#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H

#include "../../api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { CACHE_MAX_ADDRESSES = 16 };

/* The place of a server: a host and a port, or the path of a Unix socket and port 0. */
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

/* Asks the system for all addresses of `place`. IPv6 and IPv4 alternate, and the first is the one that the system
 * prefers. A path is an address itself. The system's lookup of a name may take any time, so do not hold a lock. The
 * message of a failure begins with `where`. */
cache_status cache_addresses_find(const struct cache_place *place, const char *where, struct cache_addresses *out);

/* Connects to the address that answers first, before `deadline` (of cache_now_ns). They are tried in their order. If
 * one is silent for a quarter of a second, the next one is tried in parallel (RFC 8305). The socket has a number above
 * 2, is closed on exec and has keep-alive; `*which` is its address. Sets `*ours` if this process lacked descriptors or
 * memory: the failure then says nothing about the server. */
cache_status cache_addresses_dial(const struct cache_addresses *addresses, const char *where, uint64_t deadline,
                                  int *fd, size_t *which, bool *ours);

bool cache_address_is_equal(const struct cache_address *a, const struct cache_address *b);

/* ---- a name that is asked for again ------------------------------------------------------------------------------ */

/* The addresses of one name, as the last lookup found them. They are looked up again after a minute, and after a
 * connection was lost. If an address can be connected to but does not answer, it is left alone until another one
 * answers or none is left. */
struct cache_resolver {
    struct cache_place place;
    const char *where;
    pthread_mutex_t lock;              /* never held during a lookup */
    struct cache_addresses found;
    size_t good;                       /* the index of the address to begin with, which connected last */
    atomic_uint useless;               /* a bit for each address that is left alone; written under the lock */
    unsigned version;                  /* changes with the set of addresses */
    uint64_t found_at;                 /* of cache_now_ns; 0: not yet */
    bool doubted, looking;
};

/* `place` and `where` must outlive the resolver. */
void cache_resolver_init(struct cache_resolver *resolver, const struct cache_place *place, const char *where);
void cache_resolver_release(struct cache_resolver *resolver);
void cache_resolver_forked(struct cache_resolver *resolver);

/* Returns the addresses that are not left alone, in the order in which to try them. If it is time, this caller looks
 * them up, while others go on with the old ones. If the lookup fails, the old ones stay in use. */
cache_status cache_resolver_get(struct cache_resolver *resolver, struct cache_addresses *out, unsigned *version);

/* Returns the number of addresses of the name, or 0 if it was not looked up yet. */
size_t cache_resolver_count(struct cache_resolver *resolver);

/* cache_resolver_connected notes that a connection to `address` was made. cache_resolver_doubt notes that one was lost,
 * so that the name is looked up before the next one. */
void cache_resolver_connected(struct cache_resolver *resolver, const struct cache_address *address);
void cache_resolver_doubt(struct cache_resolver *resolver);

/* Call this if the server at `address` could be connected to and did not answer, so that it is left alone. Returns true
 * if there is another address, which may answer. */
bool cache_resolver_leave_alone(struct cache_resolver *resolver, const struct cache_address *address);

/* Call this if a request was answered. No address is left alone any longer, since the connections lead to one that
 * answers. */
static inline void cache_resolver_answered(struct cache_resolver *resolver)
{
    if (atomic_load_explicit(&resolver->useless, memory_order_relaxed) != 0)
        atomic_store(&resolver->useless, 0);
}

/* Returns true if the next cache_resolver_get would look the name up, which may take any time. */
bool cache_resolver_is_due(struct cache_resolver *resolver);

/* Looks the name up again once a minute. Returns false if the name no longer has `address`, to which a connection was
 * made when the set had `*version`. */
bool cache_resolver_still_has(struct cache_resolver *resolver, const struct cache_address *address, unsigned *version);

#endif
