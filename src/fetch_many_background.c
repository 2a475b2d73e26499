/* fetch_many_background.c - recomputes the old values of a cache_fetch_many in the background, all in one call of the
 * caller's function. */
#include "fetch_many_internal.h"

#include <string.h>

/* A call of its own, which outlives the caller's: it has its own handle, keys, tags and context. */
struct job {
    struct many many;
    void (*ctx_free)(void *ctx);
    const char *names[];               /* their texts and the type follow them */
};

/* Leaves or abandons the flights that have not ended. */
static void job_free(struct job *job)
{
    const cache_env *env = &job->many.cache->store->env;
    cache_t *cache = job->many.cache;
    cache_many_abandon(&job->many);
    cache_many_release(&job->many);
    if (job->many.ctx != NULL && job->ctx_free != NULL)
        job->ctx_free(job->many.ctx);
    cache_env_free(env, job);
    cache_close(cache);
}

static void free_job(struct job **job)
{
    job_free(*job);
}

static void run_job(void *arg)
{
    CACHE_AT_EXIT(free_job) struct job *job = arg;
    for (size_t i = 0; i < job->many.n; i++) {
        struct entry *entry = &job->many.entries[i];
        entry->role = ROLE_COMPUTES;
        if (cache_flight_begin_queued(entry->fetch.flight))
            continue;
        entry->fetch.flight = NULL;    /* a caller without an old value has taken it over */
        entry->role = ROLE_FOUND;
    }
    cache_many_lead(&job->many);
}

/* Collects the old values that this call would compute in `many->indices`. */
static size_t find_old(struct many *many)
{
    size_t n = 0;
    for (size_t i = 0; i < many->n; i++) {
        const struct entry *entry = &many->entries[i];
        if (entry->role == ROLE_COMPUTES && entry->fetch.flight != NULL &&
            (entry->reading.found == FOUND_EARLY || entry->reading.found == FOUND_STALE))
            many->indices[n++] = i;
    }
    return n;
}

static const char *put_text(char **at, const char *text)
{
    const size_t size = strlen(text) + 1;
    const char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

/* Copies the texts to the end of the struct, and sets `*type`. */
static struct job *copy_texts(const struct many *many, size_t n, const char **type)
{
    const char *old_type = many->entries[0].fetch.options.type;
    size_t size = sizeof(struct job) + n * sizeof(char *) + (old_type != NULL ? strlen(old_type) + 1 : 0);
    for (size_t k = 0; k < n; k++)
        size += strlen(many->names[many->indices[k]]) + 1;
    struct job *job = cache_env_alloc(&many->cache->store->env, size);
    if (job == NULL)
        return NULL;
    *job = (struct job){ .many = { .n = n, .compute = many->compute, .names = job->names } };
    char *at = (char *)&job->names[n];
    for (size_t k = 0; k < n; k++)
        job->names[k] = put_text(&at, many->names[many->indices[k]]);
    *type = old_type != NULL ? put_text(&at, old_type) : NULL;
    return job;
}

static cache_status init_job(struct job *job, const struct many *many, const char *type)
{
    cache_fetch_options options = many->entries[0].fetch.options;
    options.type = type;
    options.info = NULL;
    options.validate = NULL;    /* its context belongs to the caller, which does not wait */
    cache_status status = cache_keys_make(job->many.cache, job->names, job->many.n, &job->many.keys);
    if (status == CACHE_OK)
        status = cache_many_init(&job->many, &options);
    if (status == CACHE_OK && many->ctx != NULL) {
        job->ctx_free = options.ctx_free;
        job->many.ctx = options.ctx_copy(many->ctx);
        status = job->many.ctx != NULL ? CACHE_OK : CACHE_ERR_NOMEM;
    }
    return status;
}

/* Returns NULL if there can be no job: this call then computes. */
static struct job *job_new(const struct many *many, size_t n)
{
    const cache_fetch_options *options = &many->entries[0].fetch.options;
    const bool can_copy = many->ctx == NULL || (options->ctx_copy != NULL && options->ctx_free != NULL);
    const char *type = NULL;
    if (many->cache->store->env.spawn == NULL || !can_copy)
        return NULL;
    struct job *job = copy_texts(many, n, &type);
    cache_t *cache = job != NULL ? cache_handle_copy(many->cache) : NULL;
    if (cache == NULL) {
        cache_env_free(&many->cache->store->env, job);
        return NULL;
    }
    job->many.cache = cache;
    if (init_job(job, many, type) == CACHE_OK)
        return job;
    job_free(job);
    return NULL;
}

/* The job leads the flight from now on. With `soft_timeout` this call follows it. */
static void hand_over(const struct many *many, struct entry *entry, struct entry *of_job)
{
    struct cache_flight *flight = entry->fetch.flight;
    of_job->fetch.flight = flight;
    of_job->fetch.is_present = entry->fetch.is_present;
    entry->fetch.flight = NULL;
    entry->role = ROLE_FOUND;
    if (many->soft_deadline_ns != 0 && entry->reading.found == FOUND_STALE) {
        cache_flight_retain(flight);
        entry->follows = flight;
        entry->role = ROLE_FOLLOWS;
    }
    cache_flight_queue(flight);
}

void cache_many_start_background(struct many *many)
{
    const cache_env *env = &many->cache->store->env;
    const size_t n = env->spawn != NULL ? find_old(many) : 0;
    struct job *job = n > 0 ? job_new(many, n) : NULL;
    if (job == NULL)
        return;
    for (size_t k = 0; k < n; k++)
        hand_over(many, &many->entries[many->indices[k]], &job->many.entries[k]);
    if (!env->spawn(env->spawn_ctx, run_job, job))
        run_job(job);    /* no other thread will */
}
