/* responses.h - pages as libmicrohttpd sends them. */
#ifndef RESPONSES_H
#define RESPONSES_H

#include "mhd_adapter.h"

/* One thread's: the responses to its latest pages from the cache. */
struct responses;

/* NULL: out of memory. */
struct responses *responses_new(void);
void responses_free(struct responses *responses);    /* NULL: does nothing */

/* Answer with this page. It is the callee's from now on, and released when its last byte is out. `last`: the connection
 * is closed behind it. `responses` may be NULL. MHD_NO: it cannot be sent, and is released. */
enum MHD_Result responses_send(struct responses *responses, struct MHD_Connection *connection, cache_page *page,
                               bool last);

#endif
