/* same_origin.c - refuses cross-site requests (CSRF): what another site's page sends changes nothing. */
#include "same_origin.h"

#include "utf8.h"

#include <string.h>
#include <strings.h>

enum { SAFE_PATH_MAX = 500 };

/* "http://host:port" is the host that the request was sent to. A proxy that speaks TLS keeps the Host header. */
static bool is_our_origin(const char *origin, const char *host)
{
    const char *behind_scheme = strstr(origin, "://");
    return behind_scheme != NULL && host != NULL && strcasecmp(behind_scheme + 3, host) == 0;
}

bool is_same_origin(const cache_request *request)
{
    const char *site = request->header(request->lookup_ctx, "Sec-Fetch-Site");
    const char *origin = request->header(request->lookup_ctx, "Origin");
    if (site != NULL)    /* the browser compared the origins itself, and knows no proxy that changes Host */
        return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
    return origin == NULL || is_our_origin(origin, request->header(request->lookup_ctx, "Host"));
}

const char *safe_path(const char *path)
{
    const bool is_safe = path != NULL && path[0] == '/' && path[1] != '/' && strchr(path, '\\') == NULL &&
                         strlen(path) <= SAFE_PATH_MAX && is_plain_text(path);
    return is_safe ? path : "/dashboard";
}
