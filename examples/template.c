/* template.c - a page from a template, whose expensive part comes from the cache: it asks for nothing that stands
 * there.
 *
 * The functions behind the names are what an application has anyway: here they say when they are asked. */
#include <libcache/cache.h>

#include <stdio.h>
#include <string.h>

struct user {
    int id;
    const char *name;
};

static const char page[] =
    "<h1>Hello, {{ user.name }}</h1>\n"
    "{% cache 60, 'recent_activities', user.id %}"
    "<ul>{{ activities|safe }}</ul>"
    "{% endcache %}\n";

static cache_status put_activities(const struct user *user, cache_writer *out)
{
    printf("(asking the database for %s's activities)\n", user->name);
    return cache_writer_puts(out, "<li>logged in</li><li>wrote a post</li>");
}

static cache_status resolve(void *ctx, const char *name, cache_writer *out)
{
    const struct user *user = ctx;
    if (strcmp(name, "user.id") == 0)
        return cache_writer_printf(out, "%d", user->id);
    if (strcmp(name, "user.name") == 0)
        return cache_writer_puts(out, user->name);
    if (strcmp(name, "activities") == 0)
        return put_activities(user, out);
    return CACHE_MISS;
}

static cache_status show(const cache_template *compiled, cache_t *cache, struct user *user)
{
    cache_writer *out = cache_writer_new();
    const cache_status status = cache_template_render(compiled, cache, resolve, user, out);
    fputs(status == CACHE_OK ? cache_writer_data(out, NULL) : cache_last_error(), stdout);
    cache_writer_free(out);
    return status;
}

int main(void)
{
    struct user ann = { 1, "Ann" }, bob = { 2, "<Bob>" };
    cache_template *compiled = NULL;
    cache_t *cache = NULL;
    if (cache_open("memory://", &cache) != CACHE_OK || cache_template_compile(page, &compiled) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        cache_close(cache);
        return 1;
    }
    cache_status status = CACHE_OK;
    for (int i = 0; status == CACHE_OK && i < 2; i++) {    /* the second time the database is left alone */
        status = show(compiled, cache, &ann);
        if (status == CACHE_OK)
            status = show(compiled, cache, &bob);
    }
    cache_fragment_forget(cache, (const char *const[]){ "recent_activities", "1" }, 2);    /* Ann did something */
    if (status == CACHE_OK)
        status = show(compiled, cache, &ann);
    cache_template_free(compiled);
    cache_close(cache);
    return status == CACHE_OK ? 0 : 1;
}
