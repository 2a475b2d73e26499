/* visit.c - one request on its way to a handler. */
#include "visit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool visit_id(const struct visit *visit, int64_t *id)
{
    char *end = NULL;
    if (visit->rest[0] < '1' || visit->rest[0] > '9')
        return false;
    errno = 0;
    *id = strtoll(visit->rest, &end, 10);
    return errno == 0 && *end == '\0';
}

/* "http://host:port" is the host that the request was sent to. A proxy that speaks TLS keeps the Host header. */
static bool is_our_origin(const char *origin, const char *host)
{
    const char *behind_scheme = strstr(origin, "://");
    return behind_scheme != NULL && host != NULL && strcasecmp(behind_scheme + 3, host) == 0;
}

bool visit_is_from_here(const cache_request *request)
{
    const char *site = request->header(request->lookup_ctx, "Sec-Fetch-Site");
    const char *origin = request->header(request->lookup_ctx, "Origin");
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    return origin == NULL || is_our_origin(origin, request->header(request->lookup_ctx, "Host"));
}
