/* caching.c - forgetting what is cached when the data changes: caching.h says what and when. */
#include "caching.h"

#include "log.h"
#include "markdown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cache_status load_post_html(struct db *db, int64_t id, char **html)
{
    char *content = NULL;
    cache_status status = db_post_content(db, id, &content);
    if (status != CACHE_OK)
        return status;
    cache_writer *out = cache_writer_new();
    status = out != NULL ? markdown_html(content, out) : CACHE_ERR_NOMEM;
    if (status == CACHE_OK && (*html = strdup(cache_writer_data(out, NULL))) == NULL)
        status = CACHE_ERR_NOMEM;
    cache_writer_free(out);
    free(content);
    return status;
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

/* The store may be away: then what is in it is old until its time is over, and the operator should know. */
static void tell(cache_status status)
{
    if (status < 0)
        log_error("an old page may be shown for a while: %s", cache_last_error());
}

static void invalidate(struct blog *blog, const char *kind, const char *name)
{
    char tag[100];
    (void)snprintf(tag, sizeof tag, "%s%s", kind, name);
    tell(cache_invalidate_tag(blog->cache, tag));
}

static void invalidate_id(struct blog *blog, const char *kind, int64_t id)
{
    char name[24];
    (void)snprintf(name, sizeof name, "%" PRId64, id);
    invalidate(blog, kind, name);
}

/* The pages that list the post. */
static void forget_lists(struct blog *blog, const struct post *post)
{
    char tags[TAGS_TEXT_MAX + 1], *rest = tags;
    memcpy(tags, post->tags, sizeof tags);
    for (const char *tag; (tag = strtok_r(rest, " ", &rest)) != NULL;)
        invalidate(blog, "tag:", tag);
    if (post->author != 0) {
        invalidate(blog, "author:", post->author_name);
        invalidate_id(blog, "author:", post->author);
        invalidate_id(blog, "user:", post->author);
    }
}

void forget_post(struct blog *blog, const struct post *before, const struct post *after)
{
    invalidate_id(blog, "post:", after != NULL ? after->id : before->id);
    if (before != NULL)
        forget_lists(blog, before);
    if (after != NULL)
        forget_lists(blog, after);
    invalidate(blog, "posts", "");
}

void forget_product(struct blog *blog, int64_t id)
{
    invalidate_id(blog, "product:", id);
    invalidate(blog, "products", "");
}

void forget_activities(struct blog *blog, int64_t user)
{
    char id[24];
    (void)snprintf(id, sizeof id, "%" PRId64, user);
    tell(cache_fragment_forget(blog->cache, (const char *const[]){ "recent_activities", id }, 2));
    invalidate(blog, "user:", id);    /* last: the dashboard is made of that fragment */
}

void forget_session(struct blog *blog, const char *id)
{
    invalidate(blog, "session:", id);
}
