/* login.c - logging in and out. */
#include "login.h"

#include "caching.h"
#include "form.h"
#include "html.h"
#include "password.h"
#include "respond.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MAX = 200, MAX_FAILURES = 10 };

/* ---- the form ---------------------------------------------------------------------------------------------------- */

/* Where to go when logged in: a path of ours, never another site. */
static const char *safe_path(const char *path)
{
    return path != NULL && path[0] == '/' && path[1] != '/' && strpbrk(path, "\\\r\n\t") == NULL ? path : "/dashboard";
}

static cache_status form_page(cache_response *response, int status, const char *error, const char *name,
                              const char *next)
{
    cache_writer *out = respond_html(response, status, "Log in");
    if (error != NULL)
        (void)cache_writer_printf(out, "<p class=\"error\" role=\"alert\">%s</p>\n", error);
    (void)cache_writer_puts(out, "<form method=\"post\" action=\"/login\">\n"
                                 "<input type=\"hidden\" name=\"next\" value=\"");
    html_text(out, safe_path(next));
    (void)cache_writer_printf(out, "\">\n<label>Name<input name=\"username\" required maxlength=\"%d\" "
                                   "autocomplete=\"username\" value=\"", USER_NAME_MAX);
    html_text(out, name != NULL ? name : "");
    (void)cache_writer_printf(out, "\"></label>\n<label>Password<input type=\"password\" name=\"password\" required "
                                   "maxlength=\"%d\" autocomplete=\"current-password\"></label>\n"
                                   "<button>Log in</button>\n</form>\n", PASSWORD_MAX);
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

/* Attempts that failed are counted in the cache, by user, for the default time to live: guessing takes long. */
static bool may_try(struct blog *blog, const char *key)
{
    int64_t failures = 0;
    return cache_inc(blog->cache, key, 0, &failures) != CACHE_OK || failures < MAX_FAILURES;
}

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

static cache_status try_login(struct blog *blog, const char *name, const char *password, const char *next,
                              cache_response *response)
{
    char key[USER_NAME_MAX + 20];
    struct user user;
    (void)snprintf(key, sizeof key, "login-failures/%s", name);
    if (!may_try(blog, key))
        return form_page(response, 429, "Too many attempts failed. Try again in some minutes.", name, next);
    cache_status status = check(blog, name, password, &user);
    if (status == CACHE_MISS) {
        (void)cache_inc(blog->cache, key, 1, NULL);
        return form_page(response, 401, "No user has this name and password.", name, next);
    }
    if (status == CACHE_OK)
        status = session_begin(blog, user.id, response);
    if (status != CACHE_OK)
        return status;
    (void)cache_delete(blog->cache, key);
    if (db_add_activity(blog->db, user.id, "Logged in") == CACHE_OK)
        forget_activities(blog, user.id);
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
    const cache_status status = whole ? try_login(visit->blog, name, password, next, response)
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
    return status == CACHE_OK ? respond_redirect(response, "/") : status;
}
