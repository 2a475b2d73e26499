/* conditional.h - decides whether "304 Not Modified" answers a conditional request. */
#ifndef CONDITIONAL_H
#define CONDITIONAL_H

#include "page_codec.h"

/* Returns true if the client already has this page, according to If-None-Match, or else If-Modified-Since. */
bool cache_page_is_not_modified(const struct stored_page *stored, const cache_request *request);

#endif
