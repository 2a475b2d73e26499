/* resolver.c - a name's addresses, looked up again as time passes and connections are lost. */
#include "address.h"

#include "../../hooks.h"

static const uint64_t MINUTE = UINT64_C(60) * 1000000000;

void cache_resolver_init(struct cache_resolver *resolver, const struct cache_place *place, const char *where)
{
    *resolver = (struct cache_resolver){ .place = *place, .where = where };
    pthread_mutex_init(&resolver->lock, NULL);
}

void cache_resolver_release(struct cache_resolver *resolver)
{
    pthread_mutex_destroy(&resolver->lock);
}

void cache_resolver_forked(struct cache_resolver *resolver)
{
    pthread_mutex_init(&resolver->lock, NULL);    /* whoever held the old one is not in this process */
    resolver->looking = false;
}

static bool has(const struct cache_addresses *addresses, const struct cache_address *address)
{
    for (size_t i = 0; i < addresses->n; i++)
        if (cache_address_is_equal(&addresses->at[i], address))
            return true;
    return false;
}

static bool is_same_set(const struct cache_addresses *a, const struct cache_addresses *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (!has(b, &a->at[i]))
            return false;
    return a->n == b->n;
}

/* With the lock held. */
static void keep(struct cache_resolver *resolver, const struct cache_addresses *found)
{
    if (!is_same_set(&resolver->found, found)) {
        resolver->found = *found;
        resolver->good = 0;
        resolver->version++;
    }
}

/* Returns true if the caller is the one who looks. A path is never looked up again. */
static bool is_due(struct cache_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    const bool first = resolver->found_at == 0;
    const bool again = resolver->place.port != 0 && !resolver->looking &&
                       (resolver->doubted || cache_now_ns() - resolver->found_at > MINUTE);
    if (first || again)
        resolver->looking = true;
    pthread_mutex_unlock(&resolver->lock);
    return first || again;
}

static cache_status look(struct cache_resolver *resolver)
{
    struct cache_addresses found;
    const cache_status status = cache_addresses_find(&resolver->place, resolver->where, &found);
    pthread_mutex_lock(&resolver->lock);
    const bool any = resolver->found_at != 0;
    resolver->looking = resolver->doubted = false;
    if (status == CACHE_OK)
        keep(resolver, &found);
    if (status == CACHE_OK || any)
        resolver->found_at = cache_now_ns();
    pthread_mutex_unlock(&resolver->lock);
    return any ? CACHE_OK : status;
}

cache_status cache_resolver_get(struct cache_resolver *resolver, struct cache_addresses *out, size_t *first,
                                unsigned *version)
{
    const cache_status status = is_due(resolver) ? look(resolver) : CACHE_OK;
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&resolver->lock);
    *out = resolver->found;
    *first = resolver->good;
    *version = resolver->version;
    pthread_mutex_unlock(&resolver->lock);
    return CACHE_OK;
}

void cache_resolver_worked(struct cache_resolver *resolver, const struct cache_address *address)
{
    pthread_mutex_lock(&resolver->lock);
    for (size_t i = 0; i < resolver->found.n; i++)
        if (cache_address_is_equal(&resolver->found.at[i], address))
            resolver->good = i;
    pthread_mutex_unlock(&resolver->lock);
}

void cache_resolver_doubt(struct cache_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->doubted = true;
    pthread_mutex_unlock(&resolver->lock);
}

bool cache_resolver_still_has(struct cache_resolver *resolver, const struct cache_address *address, unsigned *version)
{
    if (is_due(resolver))
        (void)look(resolver);
    pthread_mutex_lock(&resolver->lock);
    bool yes = true;
    if (*version != resolver->version) {
        yes = has(&resolver->found, address);
        *version = resolver->version;
    }
    pthread_mutex_unlock(&resolver->lock);
    return yes;
}
