/* blog_request.c - reads the headers that the blog looks at, one per line: Cookie, X-Forwarded-For, Origin, Host,
 * Sec-Fetch-Site. This file replaces the functions of the database and of libmicrohttpd that are called. */
#include "fuzz.h"

#include "blog/address.h"
#include "blog/caching.h"
#include "blog/same_origin.h"
#include "blog/session.h"
#include "page/http_rules.h"
#include "sha256.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <strings.h>

static char asked[SESSION_ID_SIZE + 1];    /* the session that was looked for; "": none */

cache_status db_session(struct db *db, const char *id, struct user *out)
{
    (void)db;
    FUZZ_CHECK(strlen(id) == SESSION_ID_SIZE && asked[0] == '\0');
    memcpy(asked, id, sizeof asked);
    out->id = 7;
    return CACHE_OK;
}

cache_status db_add_session(struct db *db, const char *id, int64_t user)
{
    (void)db, (void)id, (void)user;
    return CACHE_ERR_UNSUPPORTED;
}

cache_status db_delete_session(struct db *db, const char *id)
{
    (void)db, (void)id;
    return CACHE_ERR_UNSUPPORTED;
}

void forget_session(struct blog *blog, const char *id)
{
    (void)blog, (void)id;
}

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
                                                        enum MHD_ConnectionInfoType type, ...)
{
    (void)connection, (void)type;
    return NULL;
}

struct headers {
    char *cookie, *forwarded, *origin, *host, *site;
};

/* An empty line is a header that was not sent. */
static const char *header(void *ctx, const char *name)
{
    const struct headers *headers = ctx;
    const char *value = strcmp(name, "Cookie") == 0 ? headers->cookie
                        : strcmp(name, "X-Forwarded-For") == 0 ? headers->forwarded
                        : strcmp(name, "Origin") == 0 ? headers->origin
                        : strcmp(name, "Host") == 0 ? headers->host
                        : strcmp(name, "Sec-Fetch-Site") == 0 ? headers->site : "";
    return value[0] != '\0' ? value : NULL;
}

/* Only the first cookie "session" counts, and it is 32 hexadecimal digits. The library's parser, which a view that
 * varies by a cookie uses, must find the same: else one user's page could be kept for another. */
static void check_session(const cache_request *request, const struct headers *headers)
{
    struct blog blog = { 0 };
    struct user user;
    cache_bytes value = { "", 0 };
    char id[SHA256_HEX_SIZE + 1];
    asked[0] = '\0';
    FUZZ_CHECK(session_user(&blog, request, &user) == CACHE_OK);
    FUZZ_CHECK(user.id == (asked[0] != '\0' ? 7 : 0));
    const bool there = cache_http_find_cookie(headers->cookie, "session", &value);
    const bool is_token = there && value.size == 32 && strspn(value.data, "0123456789abcdef") == 32;
    FUZZ_CHECK(is_token == (asked[0] != '\0'));
    cache_sha256_hex(value.data, value.size, id);
    FUZZ_CHECK(!is_token || strcmp(id, asked) == 0);
}

/* A client has one name, however its address is written; all addresses of an IPv6 network have that name. */
static void check_address(const cache_request *request, struct headers *headers)
{
    char name[ADDRESS_SIZE], again[ADDRESS_SIZE];
    struct in6_addr v6;
    struct in_addr v4;
    address_of(request, false, name);
    FUZZ_CHECK(strcmp(name, "unknown") == 0);    /* what a client sends does not count without a proxy */
    address_of(request, true, name);
    if (strcmp(name, "unknown") == 0)
        return;
    const bool is_v6 = inet_pton(AF_INET6, name, &v6) == 1;
    FUZZ_CHECK(is_v6 || inet_pton(AF_INET, name, &v4) == 1);
    char neighbour[ADDRESS_SIZE + 16] = "", *forwarded = headers->forwarded;
    if (is_v6) {
        static const unsigned char zero[8];
        FUZZ_CHECK(memcmp(&v6.s6_addr[8], zero, sizeof zero) == 0);
        memset(&v6.s6_addr[8], 0xa5, sizeof zero);
        FUZZ_CHECK(inet_ntop(AF_INET6, &v6, neighbour, sizeof neighbour) != NULL);
    } else
        (void)snprintf(neighbour, sizeof neighbour, "9.9.9.9, ::ffff:%s", name);
    headers->forwarded = neighbour;
    address_of(request, true, again);
    headers->forwarded = forwarded;
    FUZZ_CHECK(strcmp(name, again) == 0);
}

/* A page of another site is never taken for one of ours. */
static void check_origin(const cache_request *request, const struct headers *headers)
{
    if (!is_same_origin(request))
        return;
    FUZZ_CHECK(strcmp(headers->site, "cross-site") != 0 && strcmp(headers->site, "same-site") != 0);
    if (headers->site[0] != '\0' || headers->origin[0] == '\0')
        return;    /* the browser compared the origins itself; a page cannot forge Sec-Fetch-Site */
    const size_t origin = strlen(headers->origin), host = strlen(headers->host);
    FUZZ_CHECK(host > 0 && origin > host + 2);
    FUZZ_CHECK(strcasecmp(headers->origin + origin - host, headers->host) == 0);
    FUZZ_CHECK(strncmp(headers->origin + origin - host - 3, "://", 3) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = { data, size };
    struct headers headers;
    headers.cookie = fuzz_line(&input);
    headers.forwarded = fuzz_line(&input);
    headers.origin = fuzz_line(&input);
    headers.host = fuzz_line(&input);
    headers.site = fuzz_line(&input);
    const cache_request request = { .method = "GET", .path = "/", .header = header, .lookup_ctx = &headers };
    check_session(&request, &headers);
    check_address(&request, &headers);
    check_origin(&request, &headers);
    free(headers.site);
    free(headers.host);
    free(headers.origin);
    free(headers.forwarded);
    free(headers.cookie);
    return 0;
}
