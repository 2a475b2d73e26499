/* fetch_background.c - recomputes a stale value in the background. */
#include "fetch_internal.h"

#include <string.h>

void cache_fetch_job_free(struct fetch *job)
{
    const cache_env *env = &job->cache->store->env;
    cache_tags_release(job->cache, &job->tags);
    cache_env_free(env, (void *)(uintptr_t)job->options.type);
    if (job->ctx != NULL && job->options.ctx_free != NULL)
        job->options.ctx_free(job->ctx);
    cache_t *cache = job->cache;
    cache_env_free(env, job);
    cache_close(cache);
}

struct fetch *cache_fetch_job_new(const struct fetch *fetch)
{
    const cache_env *env = &fetch->cache->store->env;
    const bool can_copy = fetch->ctx == NULL || (fetch->options.ctx_copy != NULL && fetch->options.ctx_free != NULL);
    if (env->spawn == NULL || !can_copy)
        return NULL;
    struct fetch *job = cache_env_alloc(env, sizeof *job + fetch->key.size + 1);
    cache_t *cache = job != NULL ? cache_handle_copy(fetch->cache) : NULL;
    if (cache == NULL) {
        cache_env_free(env, job);
        return NULL;
    }
    *job = *fetch;
    job->cache = cache;
    job->key.data = memcpy(job + 1, fetch->key.data, fetch->key.size + 1);
    job->options.info = NULL;
    job->options.validate = NULL;    /* its context belongs to the caller, which does not wait */
    job->options.name = NULL;
    job->options.type = fetch->options.type != NULL ? cache_env_strdup(env, fetch->options.type) : NULL;
    job->ctx = fetch->ctx != NULL ? fetch->options.ctx_copy(fetch->ctx) : NULL;
    const cache_status status = cache_tags_init(cache, job->key, fetch->options.tags, fetch->options.n_tags, NULL,
                                                &job->tags);
    if (status != CACHE_OK || (fetch->ctx != NULL && job->ctx == NULL) ||
        (fetch->options.type != NULL && job->options.type == NULL)) {
        cache_fetch_job_free(job);
        return NULL;
    }
    return job;
}

static void free_job(struct fetch **job)
{
    cache_fetch_job_free(*job);
}

static void run_job(void *arg)
{
    CACHE_AT_EXIT(free_job) struct fetch *job = arg;
    struct cache_outcome outcome;
    if (!cache_flight_begin_queued(job->flight))
        return;
    (void)cache_fetch_lead(job, &outcome);
    cache_value_release(&outcome.value);
}

void cache_fetch_job_start(struct fetch *job)
{
    const cache_env *env = &job->cache->store->env;
    cache_flight_queue(job->flight);
    if (!env->spawn(env->spawn_ctx, run_job, job))
        run_job(job);    /* no other thread will; later callers get the new value */
}
