/* weather.h - a city's weather, from another service: cached longer than that service lives. */
#ifndef WEATHER_H
#define WEATHER_H

#include "visit.h"

/* How long an answer counts as new: 300 seconds unless this is called, before any page is served. */
void weather_set_ttl(double seconds);

/* HTML for browsers, JSON for others. */
cache_handler_fn weather_page;

#endif
