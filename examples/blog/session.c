/* session.c - who is logged in. */
#define _GNU_SOURCE    /* getrandom */
#include "session.h"

#include "address.h"
#include "caching.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { TOKEN_SIZE = 32 };

/* No script reads the cookie, and no form of another site sends it. */
#define COOKIE_NAME "session"
/* The user's name, for site.js to show on pages that are the same for all. It opens nothing. */
#define NAME_COOKIE_ATTRIBUTES "; Path=/; SameSite=Lax"
#define COOKIE_ATTRIBUTES "; Path=/; HttpOnly; SameSite=Lax"

/* The cookie's value, if it is one that we could have made. Of several, the first counts, with or without blanks before
 * it: the library reads cookies in the same way. */
static bool read_token(const cache_request *request, char token[TOKEN_SIZE + 1])
{
    static const char name[] = COOKIE_NAME "=";
    const char *at = request->header(request->lookup_ctx, "Cookie");
    while (at != NULL && strncmp(at += strspn(at, " \t;"), name, sizeof name - 1) != 0)
        at = strchr(at, ';');
    if (at == NULL)
        return false;
    at += sizeof name - 1;
    const char *end = at + strspn(at, "0123456789abcdef");
    if (end - at != TOKEN_SIZE || (*end != '\0' && *end != ';'))
        return false;
    memcpy(token, at, TOKEN_SIZE);
    token[TOKEN_SIZE] = '\0';
    return true;
}

/* What the database and the cache know a session by: whoever reads either cannot make a cookie of it. */
static bool hash_token(const char *token, char id[SESSION_ID_SIZE + 1])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(token, strlen(token), hash, &size, EVP_sha256(), NULL) != 1 || size * 2 != SESSION_ID_SIZE)
        return false;
    for (size_t i = 0; i < size; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", hash[i]);
    return true;
}

/* The id of the session that the request's cookie is for. Returns false if it has none. */
static bool read_session(const cache_request *request, char id[SESSION_ID_SIZE + 1])
{
    char token[TOKEN_SIZE + 1];
    return read_token(request, token) && hash_token(token, id);
}

cache_status session_user(struct blog *blog, const cache_request *request, struct user *out)
{
    char id[SESSION_ID_SIZE + 1];
    memset(out, 0, sizeof *out);
    if (!read_session(request, id))
        return CACHE_OK;
    const cache_status status = get_session(blog->cache, blog->db, id, out);
    if (status != CACHE_OK)
        memset(out, 0, sizeof *out);
    return status == CACHE_MISS ? CACHE_OK : status;
}

static bool make_token(char token[TOKEN_SIZE + 1])
{
    unsigned char random[TOKEN_SIZE / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", random[i]);
    return true;
}

cache_status session_begin(struct blog *blog, const cache_request *request, const struct user *user,
                           cache_response *response)
{
    char token[TOKEN_SIZE + 1], id[SESSION_ID_SIZE + 1], cookie[200];
    if (!make_token(token) || !hash_token(token, id))
        return CACHE_ERR_IO;
    const cache_status status = db_add_session(blog->db, id, user->id);
    if (status != CACHE_OK)
        return status;
    (void)snprintf(cookie, sizeof cookie, COOKIE_NAME "=%s" COOKIE_ATTRIBUTES "; Max-Age=%d%s", token, SESSION_SECONDS,
                   address_is_secure(request, blog->behind_proxy) ? "; Secure" : "");
    (void)cache_response_set_header(response, "Set-Cookie", cookie);
    (void)snprintf(cookie, sizeof cookie, "name=%s" NAME_COOKIE_ATTRIBUTES "; Max-Age=%d", user->name, SESSION_SECONDS);
    return cache_response_add_header(response, "Set-Cookie", cookie);
}

cache_status session_end(struct blog *blog, const cache_request *request, cache_response *response)
{
    char id[SESSION_ID_SIZE + 1];
    if (read_session(request, id)) {
        const cache_status status = db_delete_session(blog->db, id);
        if (status < 0)
            return status;
        forget_session(blog, id);
    }
    (void)cache_response_set_header(response, "Set-Cookie", COOKIE_NAME "=" COOKIE_ATTRIBUTES "; Max-Age=0");
    return cache_response_add_header(response, "Set-Cookie", "name=" NAME_COOKIE_ATTRIBUTES "; Max-Age=0");
}
