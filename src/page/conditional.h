/* conditional.h - conditional requests: when "304 Not Modified" answers one. */
#ifndef CONDITIONAL_H
#define CONDITIONAL_H

#include "page_codec.h"

/* Returns true if the request has this page already: by If-None-Match, else by If-Modified-Since. */
bool cache_page_is_not_modified(const struct stored_page *stored, const cache_request *request);

#endif
