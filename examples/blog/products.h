/* products.h - products, as pages and JSON: a list and one of them, changed by an update. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "visit.h"

enum { LISTED_PRODUCTS = 20 };

cache_handler_fn products_page, product_page, update_product;

#endif
