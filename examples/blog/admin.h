/* admin.h - the admin's dashboard: what the cache does, as numbers and as a live chart, and buttons that clear it. */
#ifndef ADMIN_H
#define ADMIN_H

#include "visit.h"

cache_handler_fn admin_page, admin_numbers, admin_clear_form, admin_clear;

#endif
