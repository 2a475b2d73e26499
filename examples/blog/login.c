/* login.c - logging in and out. */
#include "login.h"

#include "caching.h"
#include "form.h"
#include "html.h"
#include "password.h"
#include "respond.h"
#include "same_origin.h"
#include "session.h"
#include "throttle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MAX = 200 };

/* ---- the form ---------------------------------------------------------------------------------------------------- */

static cache_status form_page(cache_response *response, int status, const char *error, const char *name,
                              const char *next)
{
    const char *invalid = error != NULL ? " aria-invalid=\"true\" aria-describedby=\"error\"" : "";
    cache_writer *out = respond_html(response, status, "Log in", "/login");
    if (error != NULL)
        (void)cache_writer_printf(out, "<p class=\"error\" role=\"alert\" id=\"error\">%s</p>\n", error);
    (void)cache_writer_puts(out, "<form method=\"post\" action=\"/login\">\n"
                                 "<input type=\"hidden\" name=\"next\" value=\"");
    html_text(out, safe_path(next));
    (void)cache_writer_printf(out,
                              "\">\n<div class=\"field\"><label for=\"username\">Name</label><input id=\"username\" "
                              "name=\"username\" required maxlength=\"%d\" autocomplete=\"username\"%s value=\"",
                              USER_NAME_MAX, invalid);
    html_text(out, name != NULL ? name : "");
    (void)cache_writer_printf(out, "\"></div>\n<div class=\"field\"><label for=\"password\">Password</label>"
                                   "<input id=\"password\" type=\"password\" name=\"password\" required "
                                   "maxlength=\"%d\" autocomplete=\"current-password\"%s></div>\n"
                                   "<button>Log in</button>\n</form>\n", PASSWORD_MAX, invalid);
    html_end(out);
    return cache_writer_status(out);
}

cache_status login_form(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx;
    char *next = request->query != NULL ? form_field(request->query, strlen(request->query), "next") : NULL;
    const cache_status status = form_page(response, 200, NULL, NULL, next);
    free(next);
    return status;
}

/* ---- logging in and out ------------------------------------------------------------------------------------------ */

/* CACHE_MISS: there is no such user, or it is another password. */
static cache_status check(struct blog *blog, const char *name, const char *password, struct user *out)
{
    char hash[PASSWORD_HASH_MAX + 1] = NO_PASSWORD;
    cache_status status = db_user_named(blog->db, name, out);
    if (status == CACHE_OK)
        status = db_password_hash(blog->db, out->id, hash);
    if (status < 0)
        return status;
    return password_fits(password, hash) ? CACHE_OK : CACHE_MISS;
}

static cache_status try_login(struct blog *blog, const cache_request *request, const char *name, const char *password,
                              const char *next, cache_response *response)
{
    struct user user;
    bool allowed = false;
    cache_status status = throttle_login(blog, request, name, &allowed);
    if (status == CACHE_OK && !allowed)
        return form_page(response, 429, "Too many attempts failed. Try again in 15 minutes.", name, next);
    if (status == CACHE_OK)
        status = check(blog, name, password, &user);
    if (status == CACHE_MISS)
        return form_page(response, 401, "No user has this name and password.", name, next);
    if (status == CACHE_OK)
        status = session_begin(blog, request, &user, response);
    if (status != CACHE_OK)
        return status;
    throttle_login_succeeded(blog, request, name);
    if (db_add_activity(blog->db, user.id, "Logged in") == CACHE_OK)
        forget_activities(blog, user.id);
    respond_tell(response, "logged-in");
    return respond_redirect(response, safe_path(next));
}

cache_status login(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    char *name = form_field(request->body, request->body_size, "username");
    char *password = form_field(request->body, request->body_size, "password");
    char *next = form_field(request->body, request->body_size, "next");
    const bool whole = name != NULL && password != NULL && name[0] != '\0' && strlen(name) <= USER_NAME_MAX &&
                       strlen(password) <= PASSWORD_MAX;
    const cache_status status = whole ? try_login(visit->blog, request, name, password, next, response)
                                      : form_page(response, 400, "A name and a password are needed.", name, next);
    free(name);
    free(password);
    free(next);
    return status;
}

cache_status logout(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    const cache_status status = session_end(visit->blog, request, response);
    if (status != CACHE_OK)
        return status;
    respond_tell(response, "logged-out");
    return respond_redirect(response, "/");
}
