/* post_forms.c - writing, editing and deleting posts. */
#include "posts.h"

#include "caching.h"
#include "form.h"
#include "html.h"
#include "markdown.h"
#include "respond.h"
#include "tags.h"
#include "throttle.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was typed ---------------------------------------------------------------------------------------------- */

struct typed {
    char *title, *content, *tags;      /* NULL: the field is missing, or broken */
};

static struct typed read_form(const cache_request *request)
{
    return (struct typed){
        form_trim(form_field(request->body, request->body_size, "title")),
        form_trim(form_field(request->body, request->body_size, "content")),
        form_field(request->body, request->body_size, "tags"),
    };
}

static void release(struct typed *typed)
{
    free(typed->title);
    free(typed->content);
    free(typed->tags);
}

/* What is wrong with what was typed, and in which field; `text` is NULL if nothing is. */
struct mistake {
    const char *field, *text;
};

static struct mistake find_mistake(const struct typed *typed, char tags[TAGS_TEXT_MAX + 1])
{
    if (typed->title == NULL || typed->title[0] == '\0')
        return (struct mistake){ "title", "The post needs a title." };
    if (strlen(typed->title) > TITLE_MAX)
        return (struct mistake){ "title", "The title is too long: it has more than 200 bytes." };
    if (!is_plain_text(typed->title))
        return (struct mistake){ "title", "The title has characters in it that cannot be shown." };
    if (typed->content == NULL || typed->content[0] == '\0')
        return (struct mistake){ "content", "The post needs a text." };
    if (strlen(typed->content) > CONTENT_MAX)
        return (struct mistake){ "content", "The text is too long: it has more than 10000 bytes." };
    if (!markdown_is_bounded(typed->content))
        return (struct mistake){ "content", "The text would become far longer as a page: use fewer references." };
    return (struct mistake){ "tags", tidy_tags(typed->tags, tags) };
}

/* ---- the form ---------------------------------------------------------------------------------------------------- */

/* Attributes that tie a field to its hint, and to the mistake in it. */
static void put_ties(cache_writer *out, const char *field, const struct mistake *mistake)
{
    const bool is_wrong = mistake->text != NULL && strcmp(mistake->field, field) == 0;
    (void)cache_writer_printf(out, is_wrong ? " aria-invalid=\"true\" aria-describedby=\"%s-hint error\""
                                            : " aria-describedby=\"%s-hint\"", field);
}

static void put_text(cache_writer *out, const char *text)
{
    html_text(out, text != NULL ? text : "");
}

static cache_status form_page(cache_response *response, int status, const char *title, struct mistake mistake,
                              const struct typed *typed)
{
    const bool is_new = strcmp(title, "New post") == 0;
    cache_writer *out = respond_html(response, status, title, is_new ? "/new-post" : NULL);
    if (mistake.text != NULL)
        (void)cache_writer_printf(out, "<p class=\"error\" role=\"alert\"><a id=\"error\" href=\"#%s\">%s</a></p>\n",
                                  mistake.field, mistake.text);
    /* It is sent to where it came from. */
    (void)cache_writer_printf(out, "<form method=\"post\">\n<div class=\"field\"><label for=\"title\">Title</label>"
                                   "<input id=\"title\" name=\"title\" required maxlength=\"%d\"", TITLE_MAX);
    put_ties(out, "title", &mistake);
    (void)cache_writer_puts(out, " value=\"");
    put_text(out, typed->title);
    (void)cache_writer_printf(out, "\">\n<p class=\"hint\" id=\"title-hint\">One line, up to %d letters.</p></div>\n"
                                   "<div class=\"field\"><label for=\"content\">Text</label>"
                                   "<textarea id=\"content\" name=\"content\" required maxlength=\"%d\"", TITLE_MAX,
                              CONTENT_MAX);
    put_ties(out, "content", &mistake);
    (void)cache_writer_puts(out, ">\n");
    put_text(out, typed->content);
    (void)cache_writer_puts(out, "</textarea>\n<p class=\"hint\" id=\"content-hint\">Markdown: *emphasis*, **strong**, "
                                 "`code`, lists, tables and links.</p></div>\n<div class=\"field\"><label for=\"tags\">"
                                 "Tags</label><input id=\"tags\" name=\"tags\" maxlength=\"150\"");
    put_ties(out, "tags", &mistake);
    (void)cache_writer_puts(out, " value=\"");
    put_text(out, typed->tags);
    (void)cache_writer_puts(out, "\">\n<p class=\"hint\" id=\"tags-hint\">Up to five words, with blanks or commas "
                                 "between them. They may be left out.</p></div>\n<button>Publish</button>\n</form>\n");
    html_end(out);
    return cache_writer_status(out);
}

static cache_status redirect_to_post(cache_response *response, int64_t id)
{
    char location[48];
    (void)snprintf(location, sizeof location, "/post/%" PRId64, id);
    return respond_redirect(response, location);
}

/* On the user's dashboard; it is forgotten there with the post. */
static void note(struct blog *blog, int64_t user, const char *what, const char *title)
{
    char text[sizeof ((struct activity *)NULL)->text];
    (void)snprintf(text, sizeof text, "%s: %s", what, title);
    if (user != 0 && db_add_activity(blog->db, user, text) == CACHE_OK)
        forget_activities(blog, user);
}

/* ---- new --------------------------------------------------------------------------------------------------------- */

cache_status new_post_form(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return form_page(response, 200, "New post", (struct mistake){ NULL, NULL },
                     &(const struct typed){ NULL, NULL, NULL });
}

static cache_status add(struct visit *visit, const struct draft *draft, cache_response *response)
{
    struct blog *blog = visit->blog;
    struct post post;
    const cache_status status = db_add_post(blog->db, draft, visit->user.id, &post);
    if (status != CACHE_OK)
        return status;
    forget_post(blog, NULL, &post);    /* that there was none may be remembered, and every list of posts grows */
    note(blog, visit->user.id, "Published", post.title);
    respond_tell(response, "published");
    return redirect_to_post(response, post.id);
}

/* Who is logged in has no limit but his own patience; NULL: it may be published. */
static const char *may_publish(struct visit *visit, const cache_request *request, cache_status *status)
{
    bool allowed = true;
    *status = visit->user.id != 0 ? CACHE_OK : throttle_post(visit->blog, request, &allowed);
    return allowed ? NULL : "There were too many posts from your address. Try again in ten minutes, or log in.";
}

cache_status new_post(void *ctx, const cache_request *request, cache_response *response)
{
    char tags[TAGS_TEXT_MAX + 1];
    struct typed typed = read_form(request);
    struct mistake mistake = find_mistake(&typed, tags);
    cache_status status = CACHE_OK;
    int code = 400;
    if (mistake.text == NULL) {
        mistake = (struct mistake){ "title", may_publish(ctx, request, &status) };
        code = 429;
    }
    if (status == CACHE_OK)
        status = mistake.text != NULL ? form_page(response, code, "New post", mistake, &typed)
                                      : add(ctx, &(struct draft){ typed.title, typed.content, tags }, response);
    release(&typed);
    return status;
}

/* ---- edit, delete ------------------------------------------------------------------------------------------------ */

/* The post that the visitor may change, from the database: what is cached may be older. True: go on; false: it is
 * answered, with `*status`. */
static bool find_post(struct visit *visit, cache_response *response, struct post *post, cache_status *status)
{
    int64_t id = 0;
    *status = visit_id(visit, &id) ? db_post(visit->blog->db, id, post) : CACHE_MISS;
    if (*status == CACHE_MISS)
        *status = respond_not_found(response);
    else if (*status == CACHE_OK && !may_change(&visit->user, post))
        *status = respond_message(response, 403, "Not your post", "Only its author and the admin may change a post.");
    else
        return *status == CACHE_OK;
    return false;
}

cache_status edit_post_form(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct post post;
    cache_status status = CACHE_OK;
    struct typed typed = { NULL, NULL, NULL };
    (void)request;
    if (!find_post(visit, response, &post, &status))
        return status;
    status = db_post_content(visit->blog->db, post.id, &typed.content);
    if (status == CACHE_MISS)
        return respond_not_found(response);
    if (status != CACHE_OK)
        return status;
    status = form_page(response, 200, "Edit post", (struct mistake){ NULL, NULL },
                       &(const struct typed){ post.title, typed.content, post.tags });
    release(&typed);
    return status;
}

static cache_status change(struct visit *visit, int64_t id, const struct draft *draft, cache_response *response)
{
    struct blog *blog = visit->blog;
    struct post before, after;
    const cache_status status = db_change_post(blog->db, id, draft, &before, &after);
    if (status == CACHE_MISS)
        return respond_not_found(response);
    if (status != CACHE_OK)
        return status;
    forget_post(blog, &before, &after);
    note(blog, visit->user.id, "Edited", after.title);
    respond_tell(response, "edited");
    return redirect_to_post(response, after.id);
}

cache_status edit_post(void *ctx, const cache_request *request, cache_response *response)
{
    char tags[TAGS_TEXT_MAX + 1];
    struct post post;
    cache_status status = CACHE_OK;
    if (!find_post(ctx, response, &post, &status))
        return status;
    struct typed typed = read_form(request);
    const struct mistake mistake = find_mistake(&typed, tags);
    status = mistake.text != NULL ? form_page(response, 400, "Edit post", mistake, &typed)
                                  : change(ctx, post.id, &(struct draft){ typed.title, typed.content, tags }, response);
    release(&typed);
    return status;
}

/* It asks first. */
cache_status delete_post_form(void *ctx, const cache_request *request, cache_response *response)
{
    struct post post;
    cache_status status = CACHE_OK;
    (void)request;
    if (!find_post(ctx, response, &post, &status))
        return status;
    cache_writer *out = respond_html(response, 200, "Delete this post?", NULL);
    (void)cache_writer_puts(out, "<p>The post “");
    html_text(out, post.title);
    (void)cache_writer_printf(out,
                              "” will be gone for good, from every page.</p>\n<form class=\"buttons\" method=\"post\" "
                              "action=\"/delete-post/%" PRId64 "\"><button class=\"danger\">Delete</button>\n"
                              "<a class=\"button quiet\" href=\"/post/%" PRId64 "\">Keep it</a></form>\n",
                              post.id, post.id);
    html_end(out);
    return cache_writer_status(out);
}

cache_status delete_post(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    struct post post;
    cache_status status = CACHE_OK;
    (void)request;
    if (!find_post(visit, response, &post, &status))
        return status;
    status = db_delete_post(visit->blog->db, post.id, &post);
    if (status == CACHE_MISS)
        return respond_not_found(response);
    if (status != CACHE_OK)
        return status;
    forget_post(visit->blog, &post, NULL);
    note(visit->blog, visit->user.id, "Deleted", post.title);
    respond_tell(response, "deleted");
    return respond_redirect(response, "/");
}
