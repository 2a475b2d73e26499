/* statistics.h - what the cache has done, for people and for programs. */
#ifndef STATISTICS_H
#define STATISTICS_H

#include "visit.h"

cache_handler_fn cache_stats_page, metrics_page, health_page;

#endif
