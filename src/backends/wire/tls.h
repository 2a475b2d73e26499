/* tls.h - TLS on a connection, by OpenSSL. Without LIBCACHE_HAVE_TLS, cache_tls_open always fails. */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H

#include "wire.h"

struct cache_tls_config {
    const cache_env *env;
    const char *scheme;                /* "rediss", for messages */
    const char *ca;                    /* a file of trusted certificates; NULL: those of the system */
    const char *cert, *key;            /* files with this side's certificate and its key; both or none */
    const char *server_name;           /* the name in the server's certificate; NULL: the host of the URL */
};

/* Makes the TLS settings of a store. Returns CACHE_ERR_CONFIG if a file is missing or wrong, which the message names,
 * or if this build has no TLS. */
cache_status cache_tls_open(const struct cache_tls_config *config, struct cache_tls **out);
void cache_tls_close(struct cache_tls *tls);

/* Does the handshake on a connected wire. The certificate is always verified, and must contain `host`. */
cache_status cache_tls_begin(struct cache_tls *tls, struct cache_wire *wire, const char *host, uint64_t deadline);
void cache_tls_end(struct cache_wire *wire);

cache_status cache_tls_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent);
cache_status cache_tls_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size);

/* Returns true if OpenSSL holds received bytes, which poll does not see. */
bool cache_tls_has_bytes(const struct cache_wire *wire);

/* Returns the events to poll for. OpenSSL may need to send although the caller wants to read. */
short cache_tls_events(const struct cache_wire *wire, short otherwise);

#endif
