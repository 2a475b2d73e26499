/* settings.c - the command line. */
#include "settings.h"

#include <libcache/version.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: blog [OPTION]…\n"
    "  --port N        listen on this port (8080); 0: any that is free\n"
    "  --bind ADDR     listen on this address, IPv4 or IPv6 (127.0.0.1)\n"
    "  --cache URL     where pages are cached (memory://?max_bytes=64mb)\n"
    "  --db FILE       the SQLite database (blog.db)\n"
    "  --threads N     threads that serve requests (2)\n"
    "  --weather-url U a weather service, asked for U/CITY or for U with {city} in it replaced (one of its own)\n"
    "  --weather-ttl S seconds that its answers count as new (300)\n"
    "  --access-log F  a line for each request to this file, - for stdout, or off (off)\n"
    "  --log F         what goes wrong, with time and level, to this file (stderr); SIGHUP reopens both logs\n"
    "  --time-limit S  seconds that a client may take to send a request, or to take its answer (30)\n"
    "  --per-address N connections that one address may hold (500); 0: any number\n"
    "  --post-limit N  posts and updates that an address may send in ten minutes without a user's name (300); 0: any\n"
    "  --behind-proxy  the client's address is the last of X-Forwarded-For, and X-Forwarded-Proto tells of TLS\n"
    "  --version       show the version\n"
    "  --help          show this\n"
    "BLOG_ADMIN_PASSWORD, BLOG_ADA_PASSWORD and BLOG_GRACE_PASSWORD in the environment set the users' passwords;\n"
    "a user without one gets a password at the first start, which is printed once.\n";

/* False: it is said what is wrong. */
static bool read_number(const char *name, const char *text, long min, long max, long *out)
{
    char *end = NULL;
    *out = strtol(text, &end, 10);
    if (end != text && *end == '\0' && *out >= min && *out <= max)
        return true;
    fprintf(stderr, "blog: --%s must be %ld..%ld, not '%s'\n", name, min, max, text);
    return false;
}

static bool read_weather_url(const char *text, const char **out)
{
    *out = text;
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0)
        return true;
    fprintf(stderr, "blog: --weather-url must begin with http:// or https://, not '%s'\n", text);
    return false;
}

/* The option `which`, whose argument is optarg. */
static bool take_option(int which, struct settings *settings)
{
    long number = 0;
    switch (which) {
    case 'p':
        if (!read_number("port", optarg, 0, 65535, &number))
            return false;
        settings->http.port = (int)number;
        return true;
    case 't':
        if (!read_number("threads", optarg, 1, 256, &number))
            return false;
        settings->http.threads = (unsigned)number;
        return true;
    case 'l':
        if (!read_number("time-limit", optarg, 1, 3600, &number))
            return false;
        settings->http.time_limit = (double)number;
        return true;
    case 'w':
        if (!read_number("weather-ttl", optarg, 1, 86400, &number))
            return false;
        settings->weather_ttl = (double)number;
        return true;
    case 'i':
        if (!read_number("per-address", optarg, 0, 1000, &number))
            return false;
        settings->http.per_address = (unsigned)number;
        return true;
    case 'm': return read_number("post-limit", optarg, 0, 1000000, &settings->post_limit);
    case 'x': settings->behind_proxy = true; return true;
    case 'g': settings->log_file = optarg; return true;
    case 'u': return read_weather_url(optarg, &settings->weather_url);
    case 'a': settings->http.access_log = strcmp(optarg, "off") != 0 ? optarg : NULL; return true;
    case 'b': settings->http.bind = optarg; return true;
    case 'c': settings->cache_url = optarg; return true;
    case 'd': settings->db_file = optarg; return true;
    default: fputs(usage, stderr); return false;
    }
}

int settings_read(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },        { "bind", required_argument, NULL, 'b' },
        { "cache", required_argument, NULL, 'c' },       { "db", required_argument, NULL, 'd' },
        { "threads", required_argument, NULL, 't' },     { "access-log", required_argument, NULL, 'a' },
        { "time-limit", required_argument, NULL, 'l' },  { "weather-url", required_argument, NULL, 'u' },
        { "weather-ttl", required_argument, NULL, 'w' }, { "log", required_argument, NULL, 'g' },
        { "per-address", required_argument, NULL, 'i' }, { "post-limit", required_argument, NULL, 'm' },
        { "behind-proxy", no_argument, NULL, 'x' },      { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (option == 'v') {
            printf("blog %s\n", cache_version());
            return 0;
        }
        if (!take_option(option, settings))
            return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "blog: unexpected '%s'\n%s", argv[optind], usage);
        return 2;
    }
    return -1;
}
