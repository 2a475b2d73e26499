/* weather_service.h - a small weather service on this machine, so that the blog works without a network.
 *
 * GET /CITY answers {"city": …, "temperature": …, "condition": …, "wind": …}, always the same for a city. Its weather
 * is made up; of Atlantis it knows nothing. */
#ifndef WEATHER_SERVICE_H
#define WEATHER_SERVICE_H

#include <stddef.h>

struct weather_service;

/* Listen on a free port of 127.0.0.1, in a thread of its own. NULL: it cannot be, and stderr says why. */
struct weather_service *weather_service_start(void);
void weather_service_stop(struct weather_service *service);    /* NULL: does nothing */

/* "http://127.0.0.1:PORT" */
const char *weather_service_url(const struct weather_service *service);

#endif
