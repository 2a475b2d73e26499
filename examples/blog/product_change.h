/* product_change.h - the change of a product that a client sends as JSON. */
#ifndef PRODUCT_CHANGE_H
#define PRODUCT_CHANGE_H

#include "db.h"

#include <cjson/cJSON.h>

/* Parses the body of a request. Returns NULL if it is not JSON, or if anything but spaces follows. The caller deletes
 * the result. */
cJSON *product_change_parse(const char *body, size_t size);

/* Reads the change. Returns NULL if it is good, else what is wrong. The change points into `object`. */
const char *product_change_read(const cJSON *object, struct product_change *change);

#endif
