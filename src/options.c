/* options.c - checks the URL's options against the tables once; stores then read them by name. */
#include "options.h"

#include "time_to_live.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The options of every store. */
static const cache_option common_options[] = {
    { "default_ttl", CACHE_OPTION_SECONDS, .def = "300", .min = 0, .max = 1e10,
      .help = "time to live of CACHE_TTL_DEFAULT; 0 or 'forever': for ever" },
    { "prefix", CACHE_OPTION_TEXT, .def = "libcache:", .min = 0, .max = CACHE_MAX_PREFIX,
      .help = "what every key begins with; another prefix is another cache" },
    { "timeout", CACHE_OPTION_SECONDS, .def = "1", .min = 0.001, .max = 3600,
      .help = "longest wait for one operation" },
    { "connect_timeout", CACHE_OPTION_SECONDS, .def = "1", .min = 0.001, .max = 3600,
      .help = "longest wait for a connection" },
    { "retry_after", CACHE_OPTION_SECONDS, .def = "1", .min = 0.001, .max = 3600,
      .help = "how long a server that is away is left alone before one caller tries it again" },
    { "on_error", CACHE_OPTION_CHOICE, .def = "fail", .choices = "fail|miss",
      .help = "miss: a store that is down looks like one that holds nothing" },
    { 0 },
};

/* The options of every store that several processes share. */
static const cache_option shared_options[] = {
    { "compress", CACHE_OPTION_CHOICE, .def = "off", .choices = "off|lz4|zstd",
      .help = "how values of compress_min bytes and more are compressed" },
    { "compress_min", CACHE_OPTION_BYTES, .def = "1kb", .min = 1, .max = 1 << 30,
      .help = "smaller values are stored as they are" },
    { "seal", CACHE_OPTION_TEXT, .min = 1, .max = 4096,
      .help = "a file with the key that values are encrypted and authenticated with" },
    { "front", CACHE_OPTION_BYTES, .def = "0", .min = 0, .max = 1e15,
      .help = "bytes of this process's memory in front of the store; 0: none" },
    { "front_ttl", CACHE_OPTION_SECONDS, .def = "60", .min = 0.001, .max = 1e9,
      .help = "longest time that the front serves a value; 1 if the store tells no changes" },
    { "front_lag", CACHE_OPTION_SECONDS, .def = "1", .min = 0.001, .max = 1e9,
      .help = "the front serves only if it heard from the store within this time" },
    { "front_check", CACHE_OPTION_SECONDS, .def = "0.0001", .min = 0, .max = 1,
      .help = "how often readers look for changes; 0: at each read" },
    { 0 },
};

static size_t table_size(const cache_option *table)
{
    size_t n = 0;
    while (table != NULL && table[n].name != NULL)
        n++;
    return n;
}

/* ---- one option ---------------------------------------------------------------------------------------------- */

static bool read_integer(const char *text, int base, int64_t *out, const char **rest)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, base);
    *rest = end;
    return errno == 0;
}

static bool read_bytes(const char *text, int64_t *out)
{
    static const struct { const char *name; int shift; } units[] = {
        { "", 0 }, { "b", 0 }, { "k", 10 }, { "kb", 10 }, { "m", 20 }, { "mb", 20 }, { "g", 30 }, { "gb", 30 },
    };
    const char *unit = NULL;
    if (!read_integer(text, 10, out, &unit))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t at = 0;
        while (unit[at] != '\0' && (unit[at] | 0x20) == units[i].name[at])
            at++;
        if (unit[at] == '\0' && units[i].name[at] == '\0') {
            if (*out > (INT64_MAX >> units[i].shift))
                return false;
            *out <<= units[i].shift;
            return true;
        }
    }
    return false;
}

static bool read_seconds(const char *text, double *out)
{
    /* strtod also accepts "inf", "nan", hexadecimal numbers, and the decimal comma of a locale, so these are excluded
     * first. */
    if (strspn(text, "0123456789.") != strlen(text) || text[0] == '\0')
        return false;
    const char *point = strchr(text, '.');
    double value = 0, unit = 1;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '.') {
            if (c != point)
                return false;
        } else if (point == NULL || c < point)
            value = value * 10 + (*c - '0');
        else
            value += (*c - '0') * (unit /= 10);
    }
    *out = value;
    return true;
}

static bool read_bool(const char *text, int64_t *out)
{
    *out = strcmp(text, "on") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *out || strcmp(text, "off") == 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool read_choice(const char *choices, const char *text, int64_t *out)
{
    const size_t size = strlen(text);
    for (*out = 0; choices != NULL; (*out)++) {
        const size_t word = strcspn(choices, "|");
        if (word == size && memcmp(choices, text, size) == 0)
            return true;
        choices = choices[word] == '|' ? choices + word + 1 : NULL;
    }
    return false;
}

static cache_status option_error(const char *scheme, const cache_option *option, const char *must_be, const char *text)
{
    return cache_fail(CACHE_ERR_CONFIG, "%s: option '%s' must be %s, not '%.60s'", scheme, option->name, must_be, text);
}

static cache_status check_range(const char *scheme, const cache_option *option, double value, const char *unit,
                                const char *text)
{
    if (value >= option->min && value <= option->max)
        return CACHE_OK;
    return cache_fail(CACHE_ERR_CONFIG, "%s: option '%s' must be %.15g..%.15g%s, not '%.60s'", scheme, option->name,
                      option->min, option->max, unit, text);
}

/* Convert seconds to milliseconds. For a time to live, 0 means for ever, and so does a time longer than any clock will
 * run. */
static cache_status read_span(const char *scheme, const cache_option *option, const char *text,
                              struct option_value *value)
{
    const bool is_ttl = strcmp(option->name, "default_ttl") == 0;
    double seconds = 0;
    if (!(is_ttl && strcmp(text, "forever") == 0) && !read_seconds(text, &seconds))
        return option_error(scheme, option, is_ttl ? "seconds such as 60 or 0.5, or forever"
                                                   : "seconds such as 60 or 0.5", text);
    const cache_status status = check_range(scheme, option, seconds, " seconds", text);
    value->seconds = seconds;
    return status == CACHE_OK ? cache_ttl_ms(seconds > 0 ? seconds : CACHE_TTL_FOREVER, 0, &value->number) : status;
}

static cache_status read_value(const char *scheme, const cache_option *option, const char *text,
                               struct option_value *value)
{
    const char *rest = "";
    value->text = text;
    switch (option->type) {
    case CACHE_OPTION_INT:
        if (!read_integer(text, 10, &value->number, &rest) || *rest != '\0')
            return option_error(scheme, option, "a whole number", text);
        return check_range(scheme, option, (double)value->number, "", text);
    case CACHE_OPTION_OCTAL:
        if (!read_integer(text, 8, &value->number, &rest) || *rest != '\0')
            return option_error(scheme, option, "an octal number such as 0600", text);
        return check_range(scheme, option, (double)value->number, " (shown in decimal)", text);
    case CACHE_OPTION_BYTES:
        if (!read_bytes(text, &value->number))
            return option_error(scheme, option, "a number of bytes such as 4096 or 64mb", text);
        return check_range(scheme, option, (double)value->number, " bytes", text);
    case CACHE_OPTION_SECONDS:
        return read_span(scheme, option, text, value);
    case CACHE_OPTION_BOOL:
        return read_bool(text, &value->number) ? CACHE_OK : option_error(scheme, option, "on or off", text);
    case CACHE_OPTION_CHOICE:
        return read_choice(option->choices, text, &value->number) ? CACHE_OK
                                                                  : option_error(scheme, option, option->choices, text);
    case CACHE_OPTION_TEXT:
        if ((double)strlen(text) < option->min || (double)strlen(text) > option->max)
            return cache_fail(CACHE_ERR_CONFIG, "%s: option '%s' must have %.0f..%.0f bytes", scheme, option->name,
                              option->min, option->max);
        return CACHE_OK;
    }
    return cache_fail(CACHE_ERR_CONFIG, "%s: option '%s' has an unknown type in the store's table", scheme,
                      option->name);
}

/* ---- all of them --------------------------------------------------------------------------------------------- */

static struct option_value *find(const struct cache_options *options, const char *name)
{
    for (size_t i = 0; i < options->n; i++)
        if (strcmp(options->values[i].option->name, name) == 0)
            return &options->values[i];
    return NULL;
}

const struct option_value *cache_options_find(const struct cache_options *options, const char *name)
{
    return find(options, name);
}

static cache_status read_defaults(const char *scheme, const cache_option *table, struct cache_options *out)
{
    const size_t n = table_size(table);
    for (size_t i = 0; i < n; i++) {
        struct option_value *value = &out->values[out->n++];
        *value = (struct option_value){ .option = &table[i] };
        if (table[i].def != NULL) {
            const cache_status status = read_value(scheme, &table[i], table[i].def, value);
            if (status != CACHE_OK)
                return status;
        }
    }
    return CACHE_OK;
}

static cache_status unknown_option(const struct cache_url *url, const struct cache_url_option *option,
                                   const struct cache_options *known)
{
    char names[400];
    size_t size = 0;
    for (size_t i = 0; i < known->n && size < sizeof names; i++)
        size += (size_t)snprintf(names + size, sizeof names - size, "%s%s", i > 0 ? ", " : "",
                                 known->values[i].option->name);
    return cache_fail(CACHE_ERR_CONFIG, "%s: unknown option '%.60s'; this store takes %s", url->scheme,
                      cache_url_option_shown(option), names);
}

cache_status cache_options_parse(const struct cache_url *url, const cache_backend_ops *ops, struct cache_options *out)
{
    const cache_option *own = ops->options;
    const cache_option *shared = ops->flags & CACHE_BACKEND_LOCAL ? NULL : shared_options;
    const size_t n = table_size(common_options) + table_size(shared) + table_size(own);
    *out = (struct cache_options){ .env = url->env };
    out->values = cache_env_alloc(url->env, n * sizeof *out->values);
    if (out->values == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "%s: out of memory", url->scheme);
    cache_status status = read_defaults(url->scheme, common_options, out);
    if (status == CACHE_OK)
        status = read_defaults(url->scheme, shared, out);
    if (status == CACHE_OK)
        status = read_defaults(url->scheme, own, out);
    for (size_t i = 0; status == CACHE_OK && i < url->n_options; i++) {
        struct option_value *value = find(out, url->options[i].name);
        if (value == NULL)
            status = unknown_option(url, &url->options[i], out);
        else {
            value->set = true;
            status = read_value(url->scheme, value->option, url->options[i].value, value);
        }
    }
    if (status != CACHE_OK)
        cache_options_release(out);
    return status;
}

void cache_options_release(struct cache_options *options)
{
    cache_env_free(options->env, options->values);
    *options = (struct cache_options){ .env = options->env };
}

/* ---- what stores read ---------------------------------------------------------------------------------------- */

int64_t cache_option_int(const cache_backend_config *config, const char *name)
{
    const struct option_value *value = find(config->options, name);
    return value != NULL ? value->number : 0;
}

int64_t cache_option_ms(const cache_backend_config *config, const char *name)
{
    return cache_option_int(config, name);    /* read_value has converted the seconds to milliseconds */
}

const char *cache_option_text(const cache_backend_config *config, const char *name)
{
    const struct option_value *value = find(config->options, name);
    return value != NULL ? value->text : NULL;
}

bool cache_option_is_set(const cache_backend_config *config, const char *name)
{
    const struct option_value *value = find(config->options, name);
    return value != NULL && value->set;
}
