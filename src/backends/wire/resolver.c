/* resolver.c - keeps the addresses of a name, and looks them up again after some time or a lost connection. */
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
    pthread_mutex_init(&resolver->lock, NULL);    /* the thread that held it is in the parent */
    resolver->looking = false;
}

/* The index of `address`; how many there are, if it is none of them. */
static size_t index_of(const struct cache_addresses *addresses, const struct cache_address *address)
{
    size_t i = 0;
    while (i < addresses->n && !cache_address_is_equal(&addresses->at[i], address))
        i++;
    return i;
}

static bool has(const struct cache_addresses *addresses, const struct cache_address *address)
{
    return index_of(addresses, address) < addresses->n;
}

static bool is_same_set(const struct cache_addresses *a, const struct cache_addresses *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (!has(b, &a->at[i]))
            return false;
    return a->n == b->n;
}

/* Called with the lock held. */
static void keep(struct cache_resolver *resolver, const struct cache_addresses *found)
{
    if (is_same_set(&resolver->found, found))
        return;
    const size_t good =
        resolver->good < resolver->found.n ? index_of(found, &resolver->found.at[resolver->good]) : found->n;
    resolver->found = *found;
    resolver->good = good < found->n ? good : 0;
    atomic_store(&resolver->useless, 0);
    resolver->version++;
}

/* Called with the lock held. A path is never looked up again. */
static bool is_due(const struct cache_resolver *resolver)
{
    return resolver->found_at == 0 || (resolver->place.port != 0 && !resolver->looking &&
                                       (resolver->doubted || cache_now_ns() - resolver->found_at > MINUTE));
}

bool cache_resolver_is_due(struct cache_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    const bool due = is_due(resolver);
    pthread_mutex_unlock(&resolver->lock);
    return due;
}

/* Returns true if this caller must look the name up. */
static bool begin_to_look(struct cache_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    const bool due = is_due(resolver);
    resolver->looking = resolver->looking || due;
    pthread_mutex_unlock(&resolver->lock);
    return due;
}

static cache_status look_up(struct cache_resolver *resolver)
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

cache_status cache_resolver_get(struct cache_resolver *resolver, struct cache_addresses *out, unsigned *version)
{
    const cache_status status = begin_to_look(resolver) ? look_up(resolver) : CACHE_OK;
    if (status != CACHE_OK)
        return status;
    pthread_mutex_lock(&resolver->lock);
    const struct cache_addresses *found = &resolver->found;
    const unsigned useless = atomic_load(&resolver->useless);
    out->n = 0;
    for (size_t i = 0; i < found->n; i++) {
        const size_t at = (resolver->good + i) % found->n;
        if ((useless & 1u << at) == 0)
            out->at[out->n++] = found->at[at];
    }
    *version = resolver->version;
    pthread_mutex_unlock(&resolver->lock);
    return CACHE_OK;
}

size_t cache_resolver_count(struct cache_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    const size_t n = resolver->found.n;
    pthread_mutex_unlock(&resolver->lock);
    return n;
}

void cache_resolver_connected(struct cache_resolver *resolver, const struct cache_address *address)
{
    pthread_mutex_lock(&resolver->lock);
    const size_t i = index_of(&resolver->found, address);
    if (i < resolver->found.n)
        resolver->good = i;
    pthread_mutex_unlock(&resolver->lock);
}

bool cache_resolver_leave_alone(struct cache_resolver *resolver, const struct cache_address *address)
{
    pthread_mutex_lock(&resolver->lock);
    const size_t n = resolver->found.n, i = index_of(&resolver->found, address);
    const unsigned all = (1u << n) - 1;
    unsigned useless = all;            /* where nothing could be connected to, all were tried */
    if (i < n) {
        useless = atomic_load(&resolver->useless) | 1u << i;
        resolver->good = (i + 1) % n;
    }
    const bool others = useless != all;
    atomic_store(&resolver->useless, others ? useless : 0);
    pthread_mutex_unlock(&resolver->lock);
    return others;
}

void cache_resolver_doubt(struct cache_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->doubted = true;
    pthread_mutex_unlock(&resolver->lock);
}

bool cache_resolver_still_has(struct cache_resolver *resolver, const struct cache_address *address, unsigned *version)
{
    if (begin_to_look(resolver))
        (void)look_up(resolver);
    pthread_mutex_lock(&resolver->lock);
    bool yes = true;
    if (*version != resolver->version) {
        yes = has(&resolver->found, address);
        *version = resolver->version;
    }
    pthread_mutex_unlock(&resolver->lock);
    return yes;
}
