/* address.h - whose request it is, as far as limits are concerned. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <libcache/cache.h>

enum { ADDRESS_SIZE = 48 };

/* Write the client's address; of IPv6 the first 64 bits, since who has one address has all that begin so. With
 * `behind_proxy` it is the last one in X-Forwarded-For, which the proxy has added. `request` must be as the HTTP server
 * made it. */
void address_of(const cache_request *request, bool behind_proxy, char address[ADDRESS_SIZE]);

/* Returns true if the client speaks TLS to a proxy in front of the server. */
bool address_is_secure(const cache_request *request, bool behind_proxy);

#endif
