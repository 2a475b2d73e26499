/* products.c - products, as pages for browsers and as JSON. Anybody may update them, as in the tutorial that this
 * follows: a shop would ask who. */
#include "products.h"

#include "caching.h"
#include "html.h"
#include "json.h"
#include "product_change.h"
#include "respond.h"
#include "throttle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void put_price(cache_writer *out, const struct product *product)
{
    (void)cache_writer_printf(out, "<span class=\"price\">%" PRId64 ".%02d €</span>", product->cents / 100,
                              (int)(product->cents % 100));
}

static cache_status respond_list(cache_response *response, const struct product products[], size_t n, size_t page,
                                 bool has_more)
{
    if (n == 0 && page > 1)
        return respond_not_found(response);
    cache_writer *out = respond_html(response, 200, "Products", "/products");
    for (size_t i = 0; i < n; i++) {
        (void)cache_writer_printf(out, "<article><h2><a href=\"/product/%" PRId64 "\">", products[i].id);
        html_text(out, products[i].name);
        (void)cache_writer_puts(out, "</a></h2>\n<p>");
        html_text(out, products[i].description);
        (void)cache_writer_puts(out, "</p>\n");
        put_price(out, &products[i]);
        (void)cache_writer_puts(out, "</article>\n");
    }
    html_pages(out, page, has_more, "Back", "More products");
    (void)cache_writer_puts(out, "<p class=\"about\">The same <a href=\"/products.json");
    if (page > 1)
        (void)cache_writer_printf(out, "?page=%zu", page);
    (void)cache_writer_puts(out, "\">as JSON</a>.</p>\n");
    html_end(out);
    return cache_writer_status(out);
}

/* One product more than the page shows is asked for, to know whether there is another page. */
cache_status products_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    const bool as_html = respond_wants_html(request);
    size_t n = 0, page = 1;
    if (!visit_page(request, &page))
        return as_html ? respond_not_found(response) : respond_json_error(response, 400, JSON_WRONG_PAGE);
    struct product *products = malloc((LISTED_PRODUCTS + 1) * sizeof *products);
    if (products == NULL)
        return CACHE_ERR_NOMEM;
    cache_status status = db_products(visit->blog->db, (page - 1) * LISTED_PRODUCTS, products, LISTED_PRODUCTS + 1, &n);
    const bool has_more = n > LISTED_PRODUCTS;
    if (has_more)
        n = LISTED_PRODUCTS;
    if (status == CACHE_OK && as_html)
        status = respond_list(response, products, n, page, has_more);
    else if (status == CACHE_OK)
        status = respond_json(response, 200, json_add_next(json_products(products, n), request->path, page, has_more));
    free(products);
    return status;
}

static cache_status no_such_product(cache_response *response, int64_t id)
{
    return respond_json_error(response, 404, "there is no product %" PRId64, id);
}

static cache_status respond_product(cache_response *response, const struct product *product)
{
    cache_writer *out = respond_html(response, 200, product->name, NULL);
    (void)cache_writer_puts(out, "<p>");
    html_text(out, product->description);
    (void)cache_writer_puts(out, "</p>\n<p>");
    put_price(out, product);
    (void)cache_writer_printf(out, "</p>\n<p class=\"about\"><a href=\"/products\">All products</a>, or this one "
                                   "<a href=\"/product/%" PRId64 ".json\">as JSON</a>.</p>\n", product->id);
    html_end(out);
    return cache_writer_status(out);
}

/* "7" or "7.json" */
static bool read_id(const struct visit *visit, int64_t *id)
{
    char text[32];
    struct visit plain = *visit;
    const size_t size = strlen(visit->rest);
    if (size >= sizeof text || size < 5 || strcmp(visit->rest + size - 5, ".json") != 0)
        return visit_id(visit, id);
    memcpy(text, visit->rest, size - 5);
    text[size - 5] = '\0';
    plain.rest = text;
    return visit_id(&plain, id);
}

cache_status product_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    const bool as_html = respond_wants_html(request);
    struct product product;
    int64_t id = 0;
    (void)cache_response_set_header(response, "Vary", "Accept");
    if (!read_id(visit, &id))
        return as_html ? respond_not_found(response)
                       : respond_json_error(response, 400, "a product's id is a number above 0");
    const cache_status status = get_product(visit->blog->cache, visit->blog->db, id, &product);
    if (status == CACHE_MISS)
        return as_html ? respond_not_found(response) : no_such_product(response, id);
    if (status != CACHE_OK)
        return status;
    return as_html ? respond_product(response, &product) : respond_json(response, 200, json_product(&product));
}

/* ---- updating ---------------------------------------------------------------------------------------------------- */

static cache_status update(struct blog *blog, int64_t id, const cJSON *body, cache_response *response)
{
    struct product_change change;
    struct product product;
    const char *wrong = product_change_read(body, &change);
    if (wrong != NULL)
        return respond_json_error(response, 400, "%s", wrong);
    const cache_status status = db_change_product(blog->db, id, &change, &product);
    if (status == CACHE_MISS)
        return no_such_product(response, id);
    if (status != CACHE_OK)
        return status;
    forget_product(blog, id);
    return respond_json(response, 200, json_product(&product));
}

cache_status update_product(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    int64_t id = 0;
    if (!visit_id(visit, &id))
        return respond_json_error(response, 400, "a product's id is a number above 0");
    bool allowed = false;
    const cache_status counted = throttle_post(visit->blog, request, &allowed);
    if (counted != CACHE_OK)
        return counted;
    if (!allowed)
        return respond_json_error(response, 429, "too many updates from your address: try again in ten minutes");
    cJSON *body = product_change_parse(request->body, request->body_size);
    const cache_status status = update(visit->blog, id, body, response);
    cJSON_Delete(body);
    return status;
}
