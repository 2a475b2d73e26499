/* post_forms.c - writing, editing and deleting posts. */
#include "posts.h"

#include "caching.h"
#include "form.h"
#include "html.h"
#include "markdown.h"
#include "respond.h"
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

static bool is_tag_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c >= 0x80;
}

/* "C, Cache  design" becomes "c cache design": words with a space between two. NULL: they are good; else what is wrong
 * with them. */
static const char *tidy_tags(const char *text, char tags[TAGS_TEXT_MAX + 1])
{
    size_t n = 0, size = 0;
    tags[0] = '\0';
    while (text != NULL && *(text += strspn(text, " ,#\t\r\n")) != '\0') {
        const size_t word = strcspn(text, " ,\t\r\n");
        if (word > TAG_MAX || ++n > POST_TAGS_MAX)
            return "A post has at most 5 tags, of 30 letters each.";
        if (size > 0)
            tags[size++] = ' ';
        for (size_t i = 0; i < word; i++) {
            const char c = text[i];
            tags[size] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
            if (!is_tag_letter((unsigned char)tags[size++]))
                return "A tag is made of letters, digits and hyphens.";
        }
        tags[size] = '\0';
        text += word;
    }
    return is_plain_text(tags) ? NULL : "A tag has characters in it that cannot be shown.";
}

static const char *what_is_wrong(const struct typed *typed, char tags[TAGS_TEXT_MAX + 1])
{
    if (typed->title == NULL || typed->title[0] == '\0')
        return "The post needs a title.";
    if (typed->content == NULL || typed->content[0] == '\0')
        return "The post needs a text.";
    if (strlen(typed->title) > TITLE_MAX)
        return "The title is too long.";
    if (strlen(typed->content) > CONTENT_MAX)
        return "The text is too long.";
    if (!is_plain_text(typed->title))
        return "The title has characters in it that cannot be shown.";
    if (!markdown_is_bounded(typed->content))
        return "The text would become far longer as a page: use fewer references.";
    return tidy_tags(typed->tags, tags);
}

/* ---- the form ---------------------------------------------------------------------------------------------------- */

static void put_value(cache_writer *out, const char *text)
{
    html_text(out, text != NULL ? text : "");
}

static cache_status form_page(cache_response *response, int status, const char *title, const char *error,
                              const struct typed *typed)
{
    cache_writer *out = respond_html(response, status, title);
    if (error != NULL) {
        (void)cache_writer_puts(out, "<p class=\"error\" role=\"alert\">");
        html_text(out, error);
        (void)cache_writer_puts(out, "</p>\n");
    }
    /* It is sent to where it came from. */
    (void)cache_writer_printf(out, "<form method=\"post\">\n"
                                   "<label>Title<input name=\"title\" required maxlength=\"%d\" value=\"", TITLE_MAX);
    put_value(out, typed->title);
    (void)cache_writer_printf(out, "\"></label>\n<label>Text, in Markdown"
                                   "<textarea name=\"content\" required maxlength=\"%d\">\n", CONTENT_MAX);
    put_value(out, typed->content);
    (void)cache_writer_puts(out, "</textarea></label>\n"
                                 "<label>Tags, if any<input name=\"tags\" maxlength=\"150\" value=\"");
    put_value(out, typed->tags);
    (void)cache_writer_puts(out, "\"></label>\n<button>Publish</button>\n</form>\n");
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
    return form_page(response, 200, "New post", NULL, &(const struct typed){ NULL, NULL, NULL });
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
    const char *wrong = what_is_wrong(&typed, tags);
    cache_status status = CACHE_OK;
    int code = 400;
    if (wrong == NULL) {
        wrong = may_publish(ctx, request, &status);
        code = 429;
    }
    if (status == CACHE_OK)
        status = wrong != NULL ? form_page(response, code, "New post", wrong, &typed)
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
        *status = respond_message(response, 403, "Not yours", "Only its author changes a post.");
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
    status = form_page(response, 200, "Edit post", NULL, &(const struct typed){ post.title, typed.content, post.tags });
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
    const char *wrong = what_is_wrong(&typed, tags);
    status = wrong != NULL ? form_page(response, 400, "Edit post", wrong, &typed)
                           : change(ctx, post.id, &(struct draft){ typed.title, typed.content, tags }, response);
    release(&typed);
    return status;
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
    return respond_redirect(response, "/");
}
