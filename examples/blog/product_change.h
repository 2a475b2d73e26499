/* product_change.h - the change of a product that a client sends as JSON. */
#ifndef PRODUCT_CHANGE_H
#define PRODUCT_CHANGE_H

#include "db.h"

#include <cjson/cJSON.h>

/* NULL: good; else what is wrong. The change points into `object`. */
const char *product_change_read(const cJSON *object, struct product_change *change);

#endif
