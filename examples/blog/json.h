/* json.h - records as JSON objects. NULL: no memory. */
#ifndef JSON_H
#define JSON_H

#include "db.h"

#include <cjson/cJSON.h>

cJSON *json_post(const struct post *post);
cJSON *json_product(const struct product *product);
cJSON *json_user(const struct user *user);

/* {"posts": [ … ]}, {"products": [ … ]} */
cJSON *json_posts(const struct post posts[], size_t n);
cJSON *json_products(const struct product products[], size_t n);

/* Adds "next", the URL of the page after this one, or null; returns `object`, which may be NULL. */
cJSON *json_add_next(cJSON *object, const char *path, size_t page, bool has_more);
#define JSON_WRONG_PAGE "page must be a number from 1 to 10000"

#endif
