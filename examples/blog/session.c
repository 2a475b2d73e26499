/* session.c - who is logged in. */
#define _GNU_SOURCE    /* getrandom */
#include "session.h"

#include "caching.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* No script reads the cookie, and no form of another site sends it. Behind TLS it should be Secure as well. */
#define COOKIE_NAME "session"
#define COOKIE_ATTRIBUTES "; Path=/; HttpOnly; SameSite=Lax"

/* The cookie's value, if it is one that we could have made. */
static bool read_token(const cache_request *request, char token[SESSION_TOKEN_SIZE + 1])
{
    static const char name[] = COOKIE_NAME "=";
    const char *at = request->header(request->lookup_ctx, "Cookie");
    while (at != NULL && strncmp(at, name, sizeof name - 1) != 0) {
        at = strchr(at, ';');
        if (at != NULL)
            at += 1 + strspn(at + 1, " ");
    }
    if (at == NULL)
        return false;
    at += sizeof name - 1;
    const char *end = at + strspn(at, "0123456789abcdef");
    if (end - at != SESSION_TOKEN_SIZE || (*end != '\0' && *end != ';'))
        return false;
    memcpy(token, at, SESSION_TOKEN_SIZE);
    token[SESSION_TOKEN_SIZE] = '\0';
    return true;
}

cache_status session_user(struct blog *blog, const cache_request *request, struct user *out)
{
    char token[SESSION_TOKEN_SIZE + 1];
    memset(out, 0, sizeof *out);
    if (!read_token(request, token))
        return CACHE_OK;
    const cache_status status = get_session(blog->cache, blog->db, token, out);
    if (status != CACHE_OK)
        memset(out, 0, sizeof *out);
    return status == CACHE_MISS ? CACHE_OK : status;
}

static bool make_token(char token[SESSION_TOKEN_SIZE + 1])
{
    unsigned char random[SESSION_TOKEN_SIZE / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", random[i]);
    return true;
}

cache_status session_begin(struct blog *blog, int64_t user, cache_response *response)
{
    char token[SESSION_TOKEN_SIZE + 1], cookie[200];
    if (!make_token(token))
        return CACHE_ERR_IO;
    const cache_status status = db_add_session(blog->db, token, user);
    if (status != CACHE_OK)
        return status;
    (void)snprintf(cookie, sizeof cookie, COOKIE_NAME "=%s" COOKIE_ATTRIBUTES "; Max-Age=%d", token, SESSION_SECONDS);
    return cache_response_set_header(response, "Set-Cookie", cookie);
}

cache_status session_end(struct blog *blog, const cache_request *request, cache_response *response)
{
    char token[SESSION_TOKEN_SIZE + 1];
    if (read_token(request, token)) {
        const cache_status status = db_delete_session(blog->db, token);
        if (status < 0)
            return status;
        forget_session(blog, token);
    }
    return cache_response_set_header(response, "Set-Cookie", COOKIE_NAME "=" COOKIE_ATTRIBUTES "; Max-Age=0");
}
