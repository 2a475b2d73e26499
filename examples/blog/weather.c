/* weather.c - a city's weather, from another service. */
#include "weather.h"

#include "html.h"
#include "respond.h"
#include "utf8.h"
#include "weather_client.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CITY_MAX = 60, DAY = 24 * 3600 };

/* An answer is new for five minutes, and for another it is given while a worker asks for the next. For a day it stands
 * in while the service fails, which the client remembers for some seconds; that there is no such city is remembered for
 * a minute. */
static cache_fetch_options options = {
    .size = sizeof(cache_fetch_options), .ttl = 300, .stale = 60, .stale_if_error = DAY, .negative_ttl = 60,
};

void weather_set_ttl(double seconds)
{
    options.ttl = seconds;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* What the service answers, with the time it was asked. */
static cache_status load_weather(struct weather_client *client, const char *city, char **json)
{
    char *answer = NULL, asked[32];
    struct tm calendar;
    const time_t now = time(NULL);
    const cache_status status = weather_client_ask(client, city, &answer);
    if (status != CACHE_OK)
        return status;
    cJSON *object = cJSON_Parse(answer);
    free(answer);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return CACHE_ERR_PROTOCOL;
    }
    if (gmtime_r(&now, &calendar) != NULL && strftime(asked, sizeof asked, "%Y-%m-%d %H:%M:%S", &calendar) > 0)
        (void)cJSON_AddStringToObject(object, "asked", asked);
    *json = cJSON_PrintUnformatted(object);    /* from malloc, as is expected here */
    cJSON_Delete(object);
    return *json != NULL ? CACHE_OK : CACHE_ERR_NOMEM;
}

CACHE_MEMOIZE_STRING_WITH(get_weather, load_weather, &options, CACHE_SHARED(struct weather_client *, client),
                          (const char *, city))

/* ---- answering --------------------------------------------------------------------------------------------------- */

/* It begins with a letter, and has nothing in it that an address could mean something by. */
static bool is_city(const char *text)
{
    if (text[0] == '\0' || strlen(text) > CITY_MAX || !is_utf8(text))
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        if (!isalpha(c) && c < 0x80 && (at == text || strchr(" .'-", c) == NULL))
            return false;
    }
    return true;
}

static cache_status refuse(cache_response *response, bool as_html, int status, const char *text)
{
    if (as_html)
        return respond_message(response, status, "No weather", text);
    return respond_json_error(response, status, "%s", text);
}

/* What the services of this world call their members, and in which units; any other is shown as it is. */
static const struct { const char *member, *label, *unit; } units[] = {
    { "city", "City", "" }, { "temperature", "Temperature", " °C" }, { "condition", "Sky", "" },
    { "wind", "Wind", " km/h" }, { "asked", "Asked for", "" },
};

static void put_row(cache_writer *out, const cJSON *member)
{
    const char *label = member->string, *unit = "";
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].member, member->string) == 0) {
            label = units[i].label;
            unit = units[i].unit;
        }
    (void)cache_writer_puts(out, "<tr><th scope=\"row\">");
    html_text(out, label);
    (void)cache_writer_puts(out, "</th><td>");
    if (cJSON_IsNumber(member))
        (void)cache_writer_printf(out, "%.15g%s", member->valuedouble, unit);
    else if (strcmp(member->string, "asked") == 0)
        html_time(out, member->valuestring);
    else
        html_text(out, member->valuestring);
    (void)cache_writer_puts(out, "</td></tr>\n");
}

/* A row for each member that is a text or a number. */
static cache_status respond_table(cache_response *response, const char *city, const cJSON *weather)
{
    const char *here = strcmp(city, "Berlin") == 0 ? "/weather/Berlin" : NULL;
    cache_writer *out = respond_html(response, 200, city, here);
    (void)cache_writer_puts(out, "<table>\n<caption>As the weather service told it</caption>\n<tbody>\n");
    for (const cJSON *member = weather->child; member != NULL; member = member->next)
        if (cJSON_IsString(member) || cJSON_IsNumber(member))
            put_row(out, member);
    (void)cache_writer_puts(out, "</tbody></table>\n<p>Other cities: <a href=\"/weather/Oslo\">Oslo</a>, "
                                 "<a href=\"/weather/Lisbon\">Lisbon</a>, <a "
                                 "href=\"/weather/Nairobi\">Nairobi</a>.</p>\n");
    html_end(out);
    return cache_writer_status(out);
}

cache_status weather_page(void *ctx, const cache_request *request, cache_response *response)
{
    struct visit *visit = ctx;
    const bool as_html = respond_wants_html(request);
    char *json = NULL;
    (void)cache_response_set_header(response, "Vary", "Accept");
    if (!is_city(visit->rest))
        return refuse(response, as_html, 400, "That is no name of a city.");
    const cache_status status = get_weather(visit->blog->cache, visit->blog->weather, visit->rest, &json);
    if (status == CACHE_MISS)
        return refuse(response, as_html, 404, "Nobody knows the weather there.");
    if (status != CACHE_OK) {
        (void)cache_response_set_header(response, "Retry-After", "5");
        return refuse(response, as_html, 503, "The weather service does not answer. Try again in a moment.");
    }
    cJSON *weather = cJSON_Parse(json);
    free(json);
    if (weather == NULL)
        return CACHE_ERR_NOMEM;
    if (!as_html)
        return respond_json(response, 200, weather);
    const cache_status answered = respond_table(response, visit->rest, weather);
    cJSON_Delete(weather);
    return answered;
}
