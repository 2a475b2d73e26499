/* lookups.h - questions that are answered in JSON: a search, who a user is, what is in a post. Each is cached in a way
 * of its own, as in the tutorial that this follows. */
#ifndef LOOKUPS_H
#define LOOKUPS_H

#include "visit.h"

cache_handler_fn search_page, user_page, user_info_page, data_page;

#endif
