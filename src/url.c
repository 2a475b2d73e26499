/* url.c - parses and prints the URL of a cache. */
#include "url.h"

#include "hex.h"

#include <stdlib.h>
#include <string.h>

/* Decode %41 to A, in place. `what` names the part in the message. The message never shows the text, which may be a
 * password. */
static cache_status percent_decode(char *text, const char *what)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        const int high = cache_hex_digit(from[1]);
        const int low = high < 0 ? -1 : cache_hex_digit(from[2]);
        if (low < 0)
            return cache_fail(CACHE_ERR_CONFIG, "url: %s: '%%' must be followed by two hexadecimal digits", what);
        if (high == 0 && low == 0)
            return cache_fail(CACHE_ERR_CONFIG, "url: %s: %%00 is not allowed", what);
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return CACHE_OK;
}

/* Cut `text` at the first `c`. Returns the part after it, or NULL. */
static char *cut(char *text, char c)
{
    char *at = strchr(text, c);
    if (at == NULL)
        return NULL;
    *at = '\0';
    return at + 1;
}

static size_t count(const char *text, char c)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

static cache_status parse_scheme(struct cache_url *url, char *text, char **rest)
{
    char *end = strstr(text, "://");
    if (end == NULL)
        return cache_fail(CACHE_ERR_CONFIG, "url: no scheme: it must begin with memory://, file://, redis://, …");
    *end = '\0';
    for (char *c = text; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '+'))
            return cache_fail(CACHE_ERR_CONFIG, "url: a scheme may contain only letters, digits and '+'");
    }
    url->scheme = text;
    *rest = end + 3;
    return CACHE_OK;
}

static cache_status parse_host(char *text, cache_host *host)
{
    char *port = NULL;
    if (text[0] == '[') {
        char *after = cut(++text, ']');
        if (after == NULL || (after[0] != '\0' && after[0] != ':'))
            return cache_fail(CACHE_ERR_CONFIG, "url: host '[%s': write an IPv6 address as [::1] or [::1]:port",
                              text);
        port = after[0] == ':' ? after + 1 : NULL;
    } else
        port = cut(text, ':');
    if (text[0] == '\0')
        return cache_fail(CACHE_ERR_CONFIG, "url: a host name is empty");
    *host = (cache_host){ .name = text, .port = 0 };
    if (port != NULL) {
        const size_t size = strlen(port);
        const long number = size >= 1 && size <= 5 && strspn(port, "0123456789") == size ? strtol(port, NULL, 10) : 0;
        if (number < 1 || number > 65535)
            return cache_fail(CACHE_ERR_CONFIG, "url: a port must be a number of 1..65535");
        host->port = (int)number;
    }
    return percent_decode(text, "host");
}

/* Cut off the spaces around a host in a list. */
static char *trim(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == ' ')
        text[--size] = '\0';
    return text + strspn(text, " ");
}

static cache_status parse_hosts(struct cache_url *url, char *text)
{
    if (text[0] == '\0')
        return CACHE_OK;
    url->hosts = cache_env_alloc(url->env, (count(text, ',') + 1) * sizeof *url->hosts);
    if (url->hosts == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "url: out of memory");
    for (char *next; text != NULL; text = next) {
        next = cut(text, ',');
        const cache_status status = parse_host(trim(text), &url->hosts[url->n_hosts]);
        if (status != CACHE_OK)
            return status;
        url->n_hosts++;
    }
    return CACHE_OK;
}

static cache_status parse_authority(struct cache_url *url, char *text)
{
    /* Use the last '@'. A password that was not encoded may contain one, and must not become part of a host's name. */
    char *at = strrchr(text, '@');
    if (at != NULL) {
        *at = '\0';
        char *password = cut(text, ':');
        url->user = text[0] != '\0' ? text : NULL;
        url->password = password;
        cache_status status = url->user != NULL ? percent_decode(url->user, "user") : CACHE_OK;
        if (status == CACHE_OK && password != NULL)
            status = percent_decode(password, "password");
        if (status != CACHE_OK)
            return status;
        text = at + 1;
    }
    return parse_hosts(url, text);
}

const char *cache_url_option_shown(const struct cache_url_option *option)
{
    return option->hidden ? "(part of the password? Write '&' in it as %26)" : option->name;
}

static cache_status parse_options(struct cache_url *url, char *text)
{
    url->options = cache_env_alloc(url->env, (count(text, '&') + 1) * sizeof *url->options);
    if (url->options == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "url: out of memory");
    bool hidden = false;
    for (char *next; text != NULL; text = next) {
        next = cut(text, '&');
        if (text[0] == '\0')
            continue;
        const struct cache_url_option option = { text, cut(text, '='), hidden };
        const char *shown = cache_url_option_shown(&option);
        cache_status status = percent_decode(text, "an option's name");
        if (status == CACHE_OK && option.value == NULL)
            status = cache_fail(CACHE_ERR_CONFIG, "url: option '%s' has no value: write %s=…", shown, shown);
        if (status == CACHE_OK)
            status = percent_decode(option.value, shown);
        if (status != CACHE_OK)
            return status;
        for (size_t i = 0; i < url->n_options; i++)
            if (strcmp(url->options[i].name, text) == 0)
                return cache_fail(CACHE_ERR_CONFIG, "url: option '%s' is given twice", shown);
        url->options[url->n_options++] = option;
        hidden = hidden || strcmp(text, "password") == 0;
    }
    return CACHE_OK;
}

/* "user:pa?ss@host", cut at the '?', looks like a host with a port. It is refused here, before a message shows the
 * rest. */
static bool cut_a_password(const char *authority, const char *rest)
{
    return rest != NULL && strchr(authority, ':') != NULL && strchr(authority, '@') == NULL
        && rest[strcspn(rest, "@=")] == '@';
}

static cache_status parse(struct cache_url *url, char *text, char *path_room)
{
    char *rest = NULL;
    cache_status status = parse_scheme(url, text, &rest);
    if (status != CACHE_OK)
        return status;
    char *options = cut(rest, '?');
    char *slash = strchr(rest, '/');
    if (slash != NULL) {
        /* The path keeps its '/', but the authority needs a NUL in the same place. So the path is copied elsewhere. */
        url->path = strcpy(path_room, slash);
        *slash = '\0';
    }
    if (cut_a_password(rest, options) || cut_a_password(rest, url->path))
        return cache_fail(CACHE_ERR_CONFIG, "url: '/' and '?' in a user or password must be percent-encoded");
    status = parse_authority(url, rest);
    if (status == CACHE_OK)
        status = percent_decode(url->path, "path");
    if (status == CACHE_OK && options != NULL)
        status = parse_options(url, options);
    return status;
}

cache_status cache_url_parse(const cache_env *env, const char *text, struct cache_url *url)
{
    const size_t size = strlen(text) + 1;
    *url = (struct cache_url){ .env = env };
    url->memory = cache_env_alloc(env, 2 * size);
    if (url->memory == NULL)
        return cache_fail(CACHE_ERR_NOMEM, "url: out of memory");
    memcpy(url->memory, text, size);
    url->path = url->memory + size;
    url->path[0] = '\0';
    const cache_status status = parse(url, url->memory, url->path);
    if (status != CACHE_OK)
        cache_url_release(url);
    return status;
}

void cache_url_release(struct cache_url *url)
{
    cache_env_free(url->env, url->options);
    cache_env_free(url->env, url->hosts);
    cache_env_free(url->env, url->memory);    /* contains the password, so it is freed as soon as the store is open */
    *url = (struct cache_url){ .env = url->env };
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void cache_url_encode(cache_writer *out, const char *text, const char *keep)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL || strchr(keep, *text) != NULL)
            (void)cache_writer_append(out, text, 1);
        else
            (void)cache_writer_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

cache_status cache_url_escape(const char *text, const char *keep, char *buf, size_t cap)
{
    if (text == NULL || (buf == NULL && cap > 0))
        return cache_fail(CACHE_ERR_INVALID, "url_escape: %s is NULL", text == NULL ? "text" : "buf");
    cache_writer out;
    cache_writer_init(&out, &cache_allocator_default);
    cache_url_encode(&out, text, keep != NULL ? keep : "");
    cache_status status = cache_writer_status(&out);
    if (status == CACHE_OK && out.size + 1 > cap)
        status = cache_fail(CACHE_ERR_TOO_LARGE, "url_escape: the text becomes %zu bytes with its NUL, the buffer has "
                            "%zu", out.size + 1, cap);
    if (status == CACHE_OK)
        memcpy(buf, cache_writer_data(&out, NULL), out.size + 1);
    cache_writer_release(&out);
    return status;
}

/* Returns true if the option's name says that it is a secret of a store, today or in a later version. */
static bool is_secret(const struct cache_url_option *option)
{
    static const char *const words[] = { "password", "secret", "token", "key", "seal" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(option->name, words[i]) != NULL)
            return true;
    return option->hidden;
}

static void print_host(cache_writer *out, const cache_host *host)
{
    const bool is_ipv6 = strchr(host->name, ':') != NULL;
    (void)cache_writer_puts(out, is_ipv6 ? "[" : "");
    cache_url_encode(out, host->name, ":");
    (void)cache_writer_puts(out, is_ipv6 ? "]" : "");
    if (host->port != 0)
        (void)cache_writer_printf(out, ":%d", host->port);
}

cache_status cache_url_print(const struct cache_url *url, char **out)
{
    cache_writer text;
    cache_writer_init(&text, url->env->allocator);
    (void)cache_writer_printf(&text, "%s://", url->scheme);
    if (url->user != NULL) {
        cache_url_encode(&text, url->user, "");
        (void)cache_writer_puts(&text, "@");
    }
    for (size_t i = 0; i < url->n_hosts; i++) {
        (void)cache_writer_puts(&text, i > 0 ? "," : "");
        print_host(&text, &url->hosts[i]);
    }
    cache_url_encode(&text, url->path, "/:");
    char separator = '?';
    for (size_t i = 0; i < url->n_options; i++) {
        if (is_secret(&url->options[i]))
            continue;
        (void)cache_writer_printf(&text, "%c%s=", separator, url->options[i].name);
        cache_url_encode(&text, url->options[i].value, "/:");
        separator = '&';
    }
    const cache_status status = cache_writer_status(&text);
    *out = status == CACHE_OK ? cache_env_strdup(url->env, cache_writer_data(&text, NULL)) : NULL;
    cache_writer_release(&text);
    return *out != NULL ? CACHE_OK : cache_fail(CACHE_ERR_NOMEM, "open: out of memory");
}
