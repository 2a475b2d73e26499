/* conditional.c - decides whether "304 Not Modified" answers a conditional request. */
#include "conditional.h"

#include "request.h"

/* RFC 9110 section 13.2.2: If-Modified-Since counts only if there is no If-None-Match. */
bool cache_page_is_not_modified(const struct stored_page *stored, const cache_request *request)
{
    if (stored->status != 200 || !cache_request_reads(request))
        return false;
    const char *none_match = cache_request_header(request, "If-None-Match");
    if (none_match != NULL)
        return cache_http_none_match(none_match, stored->etag);
    if (stored->last_modified == NULL)
        return false;
    const char *since = cache_request_header(request, "If-Modified-Since");
    int64_t theirs = 0, ours = 0;
    return since != NULL && cache_http_read_date(since, &theirs) &&
           cache_http_read_date(stored->last_modified, &ours) && ours <= theirs;
}
