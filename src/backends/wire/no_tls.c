/* no_tls.c - replaces tls.c in a build without OpenSSL. */
#include "tls.h"

cache_status cache_tls_open(const struct cache_tls_config *config, struct cache_tls **out)
{
    *out = NULL;
    return cache_fail(CACHE_ERR_CONFIG,
                      "%s: this build of libcache has no TLS (LIBCACHE_TLS): "
                      "use a tunnel on this machine (stunnel, spiped)",
                      config->scheme);
}

void cache_tls_close(struct cache_tls *tls)
{
    (void)tls;
}

cache_status cache_tls_begin(struct cache_tls *tls, struct cache_wire *wire, const char *host, uint64_t deadline)
{
    (void)tls, (void)host, (void)deadline;
    return cache_fail(CACHE_ERR_CONFIG, "%s: this build of libcache has no TLS", wire->where);
}

void cache_tls_end(struct cache_wire *wire)
{
    (void)wire;
}

cache_status cache_tls_send_some(struct cache_wire *wire, const struct iovec parts[], int n, size_t *sent)
{
    (void)parts, (void)n, (void)sent;
    return cache_fail(CACHE_ERR_CONFIG, "%s: this build of libcache has no TLS", wire->where);
}

cache_status cache_tls_read_some(struct cache_wire *wire, char *out, size_t capacity, bool wait, size_t *size)
{
    (void)out, (void)capacity, (void)wait, (void)size;
    return cache_fail(CACHE_ERR_CONFIG, "%s: this build of libcache has no TLS", wire->where);
}

bool cache_tls_has_bytes(const struct cache_wire *wire)
{
    (void)wire;
    return false;
}

short cache_tls_events(const struct cache_wire *wire, short otherwise)
{
    (void)wire;
    return otherwise;
}
