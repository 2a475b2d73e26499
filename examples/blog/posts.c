/* posts.c - pages that show posts. */
#include "posts.h"

#include "caching.h"
#include "html.h"
#include "markdown.h"
#include "respond.h"
#include "view_counter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MORE_POSTS = 5 };

bool may_change(const struct user *user, const struct post *post)
{
    return user->id != 0 && (user->is_admin || post->author == 0 || post->author == user->id);
}

/* ---- parts of pages ---------------------------------------------------------------------------------------------- */

/* "by ada, 2026-11-24, edited …; #tag" */
static void put_about(cache_writer *out, const struct post *post)
{
    char tags[TAGS_TEXT_MAX + 1], *rest = tags;
    memcpy(tags, post->tags, sizeof tags);
    (void)cache_writer_puts(out, "<div class=\"about\">");
    if (post->author != 0)    /* names and tags have neither spaces nor what need be escaped */
        (void)cache_writer_printf(out, "by <a href=\"/author/%s\">%s</a>, ", post->author_name, post->author_name);
    html_time(out, post->created);
    if (post->edited[0] != '\0') {
        (void)cache_writer_puts(out, ", edited ");
        html_time(out, post->edited);
    }
    for (const char *tag; (tag = strtok_r(rest, " ", &rest)) != NULL;)
        (void)cache_writer_printf(out, " <a class=\"tag\" href=\"/tag/%s\">#%s</a>", tag, tag);
    (void)cache_writer_puts(out, "</div>\n");
}

static void put_title(cache_writer *out, const struct post *post)
{
    (void)cache_writer_printf(out, "<h2><a href=\"/post/%" PRId64 "\">", post->id);
    html_text(out, post->title);
    (void)cache_writer_puts(out, "</a></h2>\n");
}

/* What was cut off at a certain character ends behind a word instead, and says that it goes on. */
static void put_beginning(cache_writer *out, const struct post *post)
{
    char text[sizeof post->beginning];
    size_t characters = 0, end = 0;
    memcpy(text, post->beginning, sizeof text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        characters += ((unsigned char)text[i] & 0xc0) != 0x80;
        if (text[i] == ' ' || text[i] == '\n')
            end = i;
    }
    const bool is_cut = characters >= BEGINNING_CHARACTERS && end > 0;
    if (is_cut)
        text[end] = '\0';
    (void)cache_writer_puts(out, "<p>");
    (void)markdown_words(text, out);
    (void)cache_writer_puts(out, is_cut ? " …</p>\n" : "</p>\n");
}

/* A list of posts, each with the beginning of its text, its author and tags. */
static void put_summaries(cache_writer *out, const struct post posts[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_puts(out, "<article>");
        put_title(out, &posts[i]);
        put_beginning(out, &posts[i]);
        put_about(out, &posts[i]);
        (void)cache_writer_puts(out, "</article>\n");
    }
    if (n == 0)
        (void)cache_writer_puts(out, "<p>There are no posts.</p>\n");
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* One page of a list: one post more than it shows is asked for, to know whether there is another page. */
struct list {
    size_t page, skip, n;
    bool has_more;
    struct post posts[LISTED_POSTS + 1];
};

/* Returns false if the query asks for no page of a list. */
static bool begin_list(const cache_request *request, struct list *list)
{
    list->n = 0;
    if (!visit_page(request, &list->page))
        return false;
    list->skip = (list->page - 1) * LISTED_POSTS;
    return true;
}

/* Returns false if there are no posts on the page, and it is not the first. */
static bool end_list(struct list *list)
{
    list->has_more = list->n > LISTED_POSTS;
    if (list->has_more)
        list->n = LISTED_POSTS;
    return list->n > 0 || list->page == 1;
}

static cache_status list_page(cache_response *response, const char *title, const char *here, struct list *list)
{
    if (!end_list(list))
        return respond_not_found(response);
    cache_writer *out = respond_html(response, 200, title, here);
    put_summaries(out, list->posts, list->n);
    html_pages(out, list->page, list->has_more, "Newer posts", "Older posts");
    html_end(out);
    return cache_writer_status(out);
}

cache_status home_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct list list;
    if (!begin_list(request, &list))
        return respond_not_found(response);
    const cache_status status = db_newest(visit->blog->db, list.skip, list.posts, LISTED_POSTS + 1, &list.n);
    return status == CACHE_OK ? list_page(response, "Newest posts", "/", &list) : status;
}

cache_status popular_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct list list;
    if (!begin_list(request, &list))
        return respond_not_found(response);
    const cache_status status = db_popular(visit->blog->db, list.skip, list.posts, LISTED_POSTS + 1, &list.n);
    if (status != CACHE_OK)
        return status;
    if (!end_list(&list))
        return respond_not_found(response);
    cache_writer *out = respond_html(response, 200, "Most viewed", "/popular");
    for (size_t i = 0; i < list.n; i++) {
        const struct post *post = &list.posts[i];
        (void)cache_writer_puts(out, "<article>");
        put_title(out, post);
        (void)cache_writer_printf(out, "<div class=\"about\">%" PRId64 " view%s</div></article>\n", post->views,
                                  post->views == 1 ? "" : "s");
    }
    html_pages(out, list.page, list.has_more, "More viewed", "Less viewed");
    html_end(out);
    return cache_writer_status(out);
}

cache_status author_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct list list;
    struct user author;
    char title[USER_NAME_MAX + 20];
    int64_t id = 0;
    if (!begin_list(request, &list))
        return respond_not_found(response);
    cache_status status = visit_id(visit, &id) ? db_user(visit->blog->db, id, &author)
                                               : db_user_named(visit->blog->db, visit->rest, &author);
    if (status == CACHE_MISS)
        return respond_not_found(response);
    if (status == CACHE_OK)
        status = db_posts_by(visit->blog->db, author.id, list.skip, list.posts, LISTED_POSTS + 1, &list.n);
    if (status != CACHE_OK)
        return status;
    (void)snprintf(title, sizeof title, "Posts by %s", author.name);
    return list_page(response, title, NULL, &list);
}

cache_status tag_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct list list;
    char title[TAG_MAX + 20];
    if (!begin_list(request, &list))
        return respond_not_found(response);
    const cache_status status = db_posts_tagged(visit->blog->db, visit->rest, list.skip, list.posts, LISTED_POSTS + 1,
                                                &list.n);
    if (status != CACHE_OK)
        return status;
    if (list.n == 0)
        return respond_not_found(response);
    (void)snprintf(title, sizeof title, "#%s", visit->rest);
    return list_page(response, title, NULL, &list);
}

/* ---- one post ---------------------------------------------------------------------------------------------------- */

static void put_buttons(cache_writer *out, int64_t id)
{
    (void)cache_writer_printf(out,
                              "<p class=\"buttons\"><a class=\"button quiet\" href=\"/edit-post/%" PRId64 "\">Edit</"
                                                                                                          "a>\n"
                              "<a class=\"button danger\" href=\"/delete-post/%" PRId64 "\">Delete</a></p>\n",
                              id, id);
}

/* Writes nothing if `post` is the author's only one. */
static cache_status put_others_by(cache_writer *out, struct db *db, const struct post *post)
{
    struct post posts[MORE_POSTS + 1];
    size_t n = 0, n_others = 0;
    const cache_status status = db_posts_by(db, post->author, 0, posts, MORE_POSTS + 1, &n);
    for (size_t i = 0; i < n && n_others < MORE_POSTS; i++) {
        if (posts[i].id == post->id)
            continue;
        if (n_others++ == 0)
            (void)cache_writer_printf(out, "<aside aria-labelledby=\"more\">\n<h2 id=\"more\">More by %s</h2>\n<ul>\n",
                                      post->author_name);
        (void)cache_writer_printf(out, "<li><a href=\"/post/%" PRId64 "\">", posts[i].id);
        html_text(out, posts[i].title);
        (void)cache_writer_puts(out, "</a></li>\n");
    }
    if (n_others > 0)
        (void)cache_writer_puts(out, "</ul>\n</aside>\n");
    return status;
}

static void put_more_by_author(cache_writer *out, struct blog *blog, const struct post *post)
{
    char tag[USER_NAME_MAX + 10], id[24];
    (void)snprintf(tag, sizeof tag, "author:%s", post->author_name);
    (void)snprintf(id, sizeof id, "%" PRId64, post->id);
    CACHE_FRAGMENT_TAGGED(blog->cache, out, 60, (tag), "more_by", post->author_name, id) {
        if (put_others_by(out, blog->db, post) != CACHE_OK)
            cache_fragment_fail(out);    /* the page does without */
    }
}

/* Who is logged in may find buttons on it: then it is made for him, of cached parts. All others share one. */
cache_status post_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct blog *blog = visit->blog;
    struct post post;
    char *html = NULL;
    int64_t id = 0;
    (void)request;
    if (!visit_id(visit, &id))
        return respond_not_found(response);
    cache_status status = get_post(blog->cache, blog->db, id, &post);
    if (status == CACHE_OK)
        status = get_post_html(blog->cache, blog->db, id, &html);
    if (status == CACHE_MISS)
        return respond_not_found(response);
    if (status != CACHE_OK)
        return status;
    cache_writer *out = respond_html(response, 200, post.title, NULL);
    put_about(out, &post);
    (void)cache_writer_puts(out, "<div class=\"text\">\n");
    (void)cache_writer_puts(out, html);
    (void)cache_writer_puts(out, "</div>\n");
    if (may_change(&visit->user, &post))
        put_buttons(out, id);
    if (post.author != 0)
        put_more_by_author(out, blog, &post);
    html_end(out);
    free(html);
    return cache_writer_status(out);
}

void count_page_view(const struct visit *visit)
{
    int64_t id = 0;
    if (visit_id(visit, &id))
        view_counter_add(visit->blog->views, id);
}
