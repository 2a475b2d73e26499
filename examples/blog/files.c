/* files.c - the stylesheet, the icon, the scripts: parts of the program. */
#include "files.h"

#include "admin.js.h"
#include "chart.js.h"
#include "lab.js.h"
#include "site.js.h"
#include "style.css.h"

#include <string.h>

static cache_status send_file(cache_response *response, const char *type, const void *data, size_t size)
{
    (void)cache_response_set_header(response, "Content-Type", type);
    (void)cache_response_set_header(response, "Cache-Control", "max-age=3600");
    return cache_writer_append(cache_response_body(response), data, size);
}

cache_status style_sheet(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return send_file(response, "text/css; charset=utf-8", style_css, sizeof style_css - 1);
}

cache_status admin_script(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return send_file(response, "text/javascript; charset=utf-8", admin_js, sizeof admin_js - 1);
}

cache_status site_script(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return send_file(response, "text/javascript; charset=utf-8", site_js, sizeof site_js - 1);
}

cache_status lab_script(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return send_file(response, "text/javascript; charset=utf-8", lab_js, sizeof lab_js - 1);
}

/* What no crawler need read: it differs by user, or changes all the time. */
cache_status robots(void *ctx, const cache_request *request, cache_response *response)
{
    static const char text[] = "User-agent: *\nDisallow: /admin\nDisallow: /lab\nDisallow: /dashboard\n"
                               "Disallow: /login\nDisallow: /new-post\nDisallow: /edit-post/\nDisallow: /search\n"
                               "Disallow: /metrics\nDisallow: /cache-stats\n";
    (void)ctx, (void)request;
    return send_file(response, "text/plain; charset=utf-8", text, sizeof text - 1);
}

/* Chart.js, as Debian has it: the page asks no other site for it. */
cache_status chart_script(void *ctx, const cache_request *request, cache_response *response)
{
    (void)ctx, (void)request;
    return send_file(response, "text/javascript; charset=utf-8", chart_js, sizeof chart_js - 1);
}

cache_status icon(void *ctx, const cache_request *request, cache_response *response)
{
    static const char svg[] = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">"
                              "<rect width=\"16\" height=\"16\" rx=\"4\" fill=\"#0b6b5d\"/>"
                              "<path d=\"M4 5h8M4 8h8M4 11h5\" stroke=\"#fff\" stroke-width=\"1.6\"/></svg>\n";
    (void)ctx, (void)request;
    return send_file(response, "image/svg+xml", svg, strlen(svg));
}
