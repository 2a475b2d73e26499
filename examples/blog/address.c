/* address.c - whose request it is. */
#include "address.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void write_v6(const struct in6_addr *v6, char address[ADDRESS_SIZE])
{
    struct in6_addr network = *v6;
    if (IN6_IS_ADDR_V4MAPPED(v6)) {
        (void)inet_ntop(AF_INET, &v6->s6_addr[12], address, ADDRESS_SIZE);
        return;
    }
    memset(&network.s6_addr[8], 0, 8);
    (void)inet_ntop(AF_INET6, &network, address, ADDRESS_SIZE);
}

/* Returns false if the proxy said nothing that is an address. */
static bool read_forwarded(const cache_request *request, char address[ADDRESS_SIZE])
{
    const char *text = request->header(request->lookup_ctx, "X-Forwarded-For");
    struct in_addr v4;
    struct in6_addr v6;
    if (text == NULL)
        return false;
    const char *last = strrchr(text, ',');
    last = last != NULL ? last + 1 : text;
    last += strspn(last, " \t");
    (void)snprintf(address, ADDRESS_SIZE, "%s", last);
    if (inet_pton(AF_INET6, address, &v6) == 1)
        write_v6(&v6, address);
    else
        return inet_pton(AF_INET, address, &v4) == 1;
    return true;
}

void address_of(const cache_request *request, bool behind_proxy, char address[ADDRESS_SIZE])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->lookup_ctx, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *client = info != NULL ? info->client_addr : NULL;
    if (behind_proxy && read_forwarded(request, address))
        return;
    (void)snprintf(address, ADDRESS_SIZE, "unknown");
    if (client != NULL && client->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)client)->sin_addr, address, ADDRESS_SIZE);
    else if (client != NULL && client->sa_family == AF_INET6)
        write_v6(&((const struct sockaddr_in6 *)(const void *)client)->sin6_addr, address);
}

bool address_is_secure(const cache_request *request, bool behind_proxy)
{
    const char *scheme = behind_proxy ? request->header(request->lookup_ctx, "X-Forwarded-Proto") : NULL;
    return scheme != NULL && strcasecmp(scheme, "https") == 0;
}
