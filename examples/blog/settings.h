/* settings.h - the command line. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "http.h"

struct settings {
    struct http_options http;
    const char *cache_url, *db_file;
    const char *log_file;              /* NULL: stderr */
    bool behind_proxy;
    long post_limit;
    const char *weather_url;           /* NULL: the service on this machine */
    double weather_ttl;
};

/* -1: go on; else the exit status, since all is said. */
int settings_read(int argc, char **argv, struct settings *settings);

#endif
