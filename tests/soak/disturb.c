/* disturb.c - which store is soaked, and what is done to it next. */
#include "disturb.h"

#include <sys/wait.h>

static char url[SOAK_URL];
static const struct soak_store *store;
static unsigned n_disturbed;

static const struct soak_store *find(const struct soak_store table[], const char *name)
{
    while (table->name != NULL && strcmp(table->name, name) != 0)
        table++;
    return table->name != NULL ? table : NULL;
}

const char *soak_store_start(const char *name)
{
    const struct soak_store *const tables[] = { soak_local, soak_servers, soak_clusters };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && store == NULL; i++)
        store = find(tables[i], name);
    if (store == NULL)
        return NULL;
    store->start(url);
    const size_t size = strlen(url);
    (void)snprintf(url + size, sizeof url - size, "%stimeout=%g&connect_timeout=%g&retry_after=0.1",
                   strchr(url, '?') != NULL ? "&" : "?", SOAK_TIMEOUT_MS / 1e3, SOAK_TIMEOUT_MS / 1e3);
    return url;
}

void soak_store_stop(void)
{
    store->stop();
}

const char *soak_disturb(cache_t *cache)
{
    unsigned n = 0;
    while (store->what[n].run != NULL)
        n++;
    const unsigned i = n_disturbed++ % n;
    if (store->what[i].is_noticed)
        soak_traffic_disturbed(true);
    const char *what = store->what[i].run(cache);
    if (store->what[i].is_noticed)
        soak_traffic_disturbed(false);
    return what;
}

const char *soak_fork(cache_t *cache)
{
    int status = 0;
    (void)cache;
    const double begun = soak_now_ms();
    const pid_t child = soak_traffic_fork();
    assert_int_equal(waitpid(child, &status, 0), child);
    soak_traffic_note_child(status, begun);
    return "a child uses the cache and ends";
}

const char *soak_set_clock_back(cache_t *cache)
{
    (void)cache;
    soak_clock_set_forward(70);
    soak_pause_ms(300);
    soak_clock_set_forward(-70);
    return "the wall clock is ahead by 70 s for 0.3 s";
}
