/* weather_client.c - asking a weather service, with libcurl. */
#include "weather_client.h"

#include "log.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECT_MS = 1000, TIMEOUT_MS = 3000, ANSWER_MAX = 64 * 1024, PAUSE_SECONDS = 5, MAX_AT_ONCE = 2 };

struct weather_client {
    _Atomic(int64_t) silent_until;     /* monotonic seconds: the service failed a moment ago */
    atomic_int at_once;                /* questions that are on their way */
    char url[];
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

struct weather_client *weather_client_new(const char *url)
{
    const size_t size = strlen(url) + 1;
    struct weather_client *client = malloc(sizeof *client + size);
    if (client == NULL)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return NULL;
    }
    atomic_init(&client->silent_until, 0);
    atomic_init(&client->at_once, 0);
    memcpy(client->url, url, size);
    return client;
}

void weather_client_free(struct weather_client *client)
{
    if (client == NULL)
        return;
    curl_global_cleanup();
    free(client);
}

/* ---- one question ------------------------------------------------------------------------------------------------ */

/* The service's URL with the city in it, to be freed; NULL: no memory. */
static char *url_of(const struct weather_client *client, CURL *curl, const char *city)
{
    static const char place[] = "{city}";
    char *escaped = curl_easy_escape(curl, city, 0);
    const char *at = strstr(client->url, place);
    const size_t head = at != NULL ? (size_t)(at - client->url) : strcspn(client->url, "?#");
    const size_t size = strlen(client->url) + (escaped != NULL ? strlen(escaped) : 0) + 2;
    char *url = escaped != NULL ? malloc(size) : NULL;
    if (url != NULL && at != NULL)
        (void)snprintf(url, size, "%.*s%s%s", (int)head, client->url, escaped, at + strlen(place));
    else if (url != NULL)
        (void)snprintf(url, size, "%.*s%s%s%s", (int)head, client->url,
                       head > 0 && client->url[head - 1] == '/' ? "" : "/", escaped, client->url + head);
    curl_free(escaped);
    return url;
}

/* libcurl's write function: taking less than it gives ends the transfer. */
static size_t take(char *data, size_t one, size_t size, void *ctx)
{
    cache_writer *answer = ctx;
    size_t taken = 0;
    (void)one;    /* is 1 */
    (void)cache_writer_data(answer, &taken);
    return taken + size <= ANSWER_MAX && cache_writer_append(answer, data, size) == CACHE_OK ? size : 0;
}

static cache_status status_of(CURLcode code, long http)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        return CACHE_ERR_TIMEOUT;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return CACHE_ERR_CONNECT;
    if (code != CURLE_OK)
        return CACHE_ERR_PROTOCOL;
    if (http == 429 || http == 408)    /* these are of the service, every other 4xx is of this one question */
        return CACHE_ERR_PROTOCOL;
    return http == 200 ? CACHE_OK : http >= 400 && http < 500 ? CACHE_MISS : CACHE_ERR_PROTOCOL;
}

static cache_status get(const struct weather_client *client, CURL *curl, const char *city, cache_writer *answer)
{
    char *url = url_of(client, curl, city);
    long http = 0;
    if (url == NULL)
        return CACHE_ERR_NOMEM;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "libcache-blog");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    const cache_status status = status_of(code, http);
    if (status < 0)
        log_error("the weather service failed for %s: %s, status %ld", city, curl_easy_strerror(code), http);
    free(url);
    return status;
}

cache_status weather_client_ask(struct weather_client *client, const char *city, char **answer)
{
    if (now() < atomic_load(&client->silent_until))
        return CACHE_ERR_CONNECT;
    if (atomic_fetch_add(&client->at_once, 1) >= MAX_AT_ONCE) {
        atomic_fetch_sub(&client->at_once, 1);
        return CACHE_ERR_CONNECT;
    }
    CURL *curl = curl_easy_init();
    cache_writer *text = cache_writer_new();
    cache_status status = curl != NULL && text != NULL ? get(client, curl, city, text) : CACHE_ERR_NOMEM;
    if (status < 0)
        atomic_store(&client->silent_until, now() + PAUSE_SECONDS);
    if (status == CACHE_OK && (*answer = strdup(cache_writer_data(text, NULL))) == NULL)
        status = CACHE_ERR_NOMEM;
    cache_writer_free(text);
    curl_easy_cleanup(curl);
    atomic_fetch_sub(&client->at_once, 1);
    return status;
}
