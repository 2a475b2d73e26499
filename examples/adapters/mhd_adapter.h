/* mhd_adapter.h - libcache in a server that is made with libmicrohttpd. Copy this file, mhd_adapter.c and
 * mhd_strict.c. */
#ifndef MHD_ADAPTER_H
#define MHD_ADAPTER_H

#include <libcache/cache.h>
#include <microhttpd.h>

/* Check a request when its headers have come, before its body is read. `uri` is what MHD_OPTION_URI_LOG_CALLBACK was
 * given. Returns NULL if the request is sound. Otherwise returns a text that says what is wrong: answer with it and
 * `*status`, and close the connection, since nobody knows where the next request begins. libmicrohttpd 0.9.75 accepts
 * requests that two servers may read in two ways; this does not. */
const char *mhd_refuse(struct MHD_Connection *connection, const char *method, const char *version, const char *uri,
                       unsigned *status);

/* Returns true if the connection must be closed behind the answer: the request's body came in chunks, and
 * libmicrohttpd is lenient about where they end. */
bool mhd_must_close(struct MHD_Connection *connection);

/* Fill in the request, without its body and user. It points to the arguments and into the connection. */
void mhd_request(struct MHD_Connection *connection, const char *method, const char *url, const char *uri,
                 cache_request *request);

/* Make a response of the page, for MHD_queue_response and MHD_destroy_response; its body is sent from where the cache
 * keeps it. The page belongs to the response, and `*page` must
 * not be released. Returns NULL if there is no memory; the page is then released. */
struct MHD_Response *mhd_response(cache_page *page);

#endif
