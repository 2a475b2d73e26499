/* tls.h - TLS on a connection, by OpenSSL. Without LIBCACHE_HAVE_TLS cache_tls_open refuses, and nothing is encrypted
 * anywhere. */
#ifndef WIRE_TLS_H
#define WIRE_TLS_H

#include "wire.h"

struct cache_tls_config {
    const cache_env *env;
    const char *scheme;                /* "rediss", for messages */
    const char *ca;                    /* a file of certificates that are trusted; NULL: those of the system */
    const char *cert, *key;            /* files of this side's certificate and its key; both or none */
    const char *server_name;           /* whom the server's certificate must name; NULL: the host of the URL */
};

/* One for a store. CACHE_ERR_CONFIG: a file is missing or wrong (the message names it), or this build has no TLS. */
cache_status cache_tls_open(const struct cache_tls_config *config, struct cache_tls **out);
void cache_tls_close(struct cache_tls *tls);

/* The handshake, on a wire that is connected: the certificate is verified, always, and names `host`. */
cache_status cache_tls_begin(struct cache_tls *tls, struct cache_wire *wire, const char *host, uint64_t deadline);
void cache_tls_end(struct cache_wire *wire);

cache_status cache_tls_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent);
cache_status cache_tls_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size);

/* Bytes that came lie in OpenSSL, where poll does not see them. */
bool cache_tls_has_bytes(const struct cache_wire *wire);

/* What to poll for: what OpenSSL waits for, which may be room to send where the caller wants to read. */
short cache_tls_events(const struct cache_wire *wire, short otherwise);

#endif
