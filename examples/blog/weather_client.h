/* weather_client.h - asking a weather service over HTTP, which may be slow, broken or away.
 *
 * The service is asked for URL/CITY, or for the URL with {city} in it replaced, and answers with a JSON object. */
#ifndef WEATHER_CLIENT_H
#define WEATHER_CLIENT_H

#include <libcache/cache.h>

struct weather_client;

/* NULL: no memory. `url` may go. */
struct weather_client *weather_client_new(const char *url);
void weather_client_free(struct weather_client *client);    /* NULL: does nothing */

/* The answer to be freed, as the service gave it. CACHE_MISS: it knows no such city, or refuses this question.
 * CACHE_ERR_CONNECT, _TIMEOUT, _PROTOCOL: it failed; for some seconds then it is not asked again, and the call fails at
 * once. It also does while two other questions are on their way: a slow service must not hold all threads. */
cache_status weather_client_ask(struct weather_client *client, const char *city, char **answer);

#endif
