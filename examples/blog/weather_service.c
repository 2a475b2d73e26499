/* weather_service.c - a small weather service, in libmicrohttpd. */
#include "weather_service.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct weather_service {
    struct MHD_Daemon *daemon;
    char url[40];
};

/* The city's weather as JSON, to be freed with cJSON_free; NULL: no memory. */
static char *weather_of(const char *city)
{
    static const char *const conditions[] = { "sunny", "cloudy", "rain", "fog", "snow", "thunder" };
    unsigned hash = 2166136261u;    /* FNV-1a: any number that the name decides */
    for (const char *at = city; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    cJSON *weather = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(weather, "city", city);
    (void)cJSON_AddNumberToObject(weather, "temperature", (double)(hash % 400) / 10 - 5);
    (void)cJSON_AddStringToObject(weather, "condition", conditions[hash / 400 % 6]);
    (void)cJSON_AddNumberToObject(weather, "wind", (double)(hash / 2400 % 60));
    char *text = cJSON_PrintUnformatted(weather);
    cJSON_Delete(weather);
    return text;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **request)
{
    (void)ctx, (void)version, (void)data, (void)size, (void)request;
    const char *city = url + 1;
    if (strcmp(method, "GET") != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "{\"error\":\"it can only be read\"}");
    if (city[0] == '\0' || strcmp(city, "Atlantis") == 0)
        return send_text(connection, MHD_HTTP_NOT_FOUND, "{\"error\":\"there is no such city\"}");
    char *weather = weather_of(city);
    const enum MHD_Result result = weather != NULL ? send_text(connection, MHD_HTTP_OK, weather) : MHD_NO;
    cJSON_free(weather);
    return result;
}

struct weather_service *weather_service_start(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct weather_service *service = calloc(1, sizeof *service);
    if (service == NULL)
        return NULL;
    service->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
                                       MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT, 50u,
                                       MHD_OPTION_CONNECTION_TIMEOUT, 5u, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        service->daemon != NULL ? MHD_get_daemon_info(service->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (info == NULL) {
        fprintf(stderr, "blog: the weather service cannot listen: %s\n", strerror(errno));
        weather_service_stop(service);
        return NULL;
    }
    (void)snprintf(service->url, sizeof service->url, "http://127.0.0.1:%d", info->port);
    return service;
}

const char *weather_service_url(const struct weather_service *service)
{
    return service->url;
}

void weather_service_stop(struct weather_service *service)
{
    if (service == NULL)
        return;
    if (service->daemon != NULL)
        MHD_stop_daemon(service->daemon);
    free(service);
}
