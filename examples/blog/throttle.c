/* throttle.c - how often an address may try what is dear or dangerous. */
#include "throttle.h"

#include "address.h"
#include "db.h"

#include <stdio.h>

/* A name is counted with the address, so that strangers cannot lock its owner out; and an address over all names, so
 * that it cannot try one password with each. */
enum { LOGIN_SECONDS = 15 * 60, LOGINS_BY_NAME = 10, LOGINS_BY_ADDRESS = 100, POST_SECONDS = 10 * 60 };

static cache_status count(struct blog *blog, const char *kind, const char *who, int seconds, int64_t max, bool *allowed)
{
    int64_t n = 0;
    const cache_status status = db_count_attempt(blog->db, kind, who, seconds, &n);
    *allowed = status == CACHE_OK && n <= max;
    return status;
}

static void name_and_address(struct blog *blog, const cache_request *request, const char *name, char *who, size_t size)
{
    char address[ADDRESS_SIZE];
    address_of(request, blog->behind_proxy, address);
    (void)snprintf(who, size, "%s %s", address, name);
}

cache_status throttle_login(struct blog *blog, const cache_request *request, const char *name, bool *allowed)
{
    char address[ADDRESS_SIZE], who[ADDRESS_SIZE + USER_NAME_MAX + 2];
    address_of(request, blog->behind_proxy, address);
    const cache_status status = count(blog, "login", address, LOGIN_SECONDS, LOGINS_BY_ADDRESS, allowed);
    if (status != CACHE_OK || !*allowed)
        return status;
    name_and_address(blog, request, name, who, sizeof who);
    return count(blog, "login as", who, LOGIN_SECONDS, LOGINS_BY_NAME, allowed);
}

void throttle_login_succeeded(struct blog *blog, const cache_request *request, const char *name)
{
    char address[ADDRESS_SIZE], who[ADDRESS_SIZE + USER_NAME_MAX + 2];
    address_of(request, blog->behind_proxy, address);
    name_and_address(blog, request, name, who, sizeof who);
    (void)db_take_back_attempt(blog->db, "login", address);
    (void)db_forget_attempts(blog->db, "login as", who);
}

cache_status throttle_post(struct blog *blog, const cache_request *request, bool *allowed)
{
    char address[ADDRESS_SIZE];
    *allowed = true;
    if (blog->post_limit == 0)
        return CACHE_OK;
    address_of(request, blog->behind_proxy, address);
    return count(blog, "post", address, POST_SECONDS, blog->post_limit, allowed);
}
