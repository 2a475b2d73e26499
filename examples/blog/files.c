/* files.c - the stylesheet and the scripts, which are parts of the program. */
#include "files.h"

#include "style.h"

cache_status style_sheet(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    (void)cache_response_set_header(response, "Content-Type", "text/css; charset=utf-8");
    (void)cache_response_set_header(response, "Cache-Control", "max-age=3600");
    return cache_writer_append(cache_response_body(response), style_css, sizeof style_css);
}
