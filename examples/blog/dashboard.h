/* dashboard.h - each user's own page. */
#ifndef DASHBOARD_H
#define DASHBOARD_H

#include "visit.h"

/* Read dashboard.html, once for all pages. False: it has a mistake, and stderr says which. */
bool dashboard_prepare(struct blog *blog);

cache_handler_fn dashboard_page;

#endif
