/* mhd_strict.c - what libmicrohttpd lets through, and two servers in a row may read in two ways. */
#include "mhd_adapter.h"

#include <string.h>
#include <strings.h>

enum { MAX_URI = 4096, MAX_HEADERS = 100, MAX_PARAMETERS = 100, MAX_COOKIES = 50 };

struct seen {
    size_t bytes, headers, cookies, hosts, lengths;
    bool is_broken, is_chunked, has_other_coding;
};

static size_t count(const char *text, char c)
{
    size_t n = 0;
    while ((text = strchr(text, c)) != NULL)
        n++, text++;
    return n;
}

static enum MHD_Result look_at(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_size,
                               const char *value, size_t value_size)
{
    struct seen *seen = ctx;
    (void)kind;
    seen->headers++;
    seen->is_broken |= name_size == 0;
    seen->bytes += (size_t)(value - name) + value_size + 2;    /* "Name: value\r\n", as it stands in the buffer */
    for (size_t i = 0; i < name_size; i++)
        seen->is_broken |= (unsigned char)name[i] <= ' ' || strchr("\"(),/:;<=>?@[\\]{}\x7f", name[i]) != NULL;
    for (size_t i = 0; i < value_size; i++)
        seen->is_broken |= ((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == '\x7f';
    if (strcasecmp(name, "Host") == 0) {
        seen->hosts++;
        seen->is_broken |= value[strcspn(value, " \t/?#@\\\"<>")] != '\0';
    }
    seen->lengths += strcasecmp(name, "Content-Length") == 0;
    if (strcasecmp(name, "Cookie") == 0)
        seen->cookies += 1 + count(value, ';');
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        seen->has_other_coding |= seen->is_chunked || strcasecmp(value, "chunked") != 0;
        seen->is_chunked = true;
    }
    return MHD_YES;
}

static const char *say(unsigned *status, unsigned code, const char *text)
{
    *status = code;
    return text;
}

const char *mhd_refuse(struct MHD_Connection *connection, const char *method, const char *version, const char *uri,
                       unsigned *status)
{
    /* libmicrohttpd hides NUL bytes, folded lines, headers without a name and lines that end with a bare LF. They show
     * in the sum: the request line, all headers and the empty line are as long as what was read. */
    struct seen seen = { .bytes = strlen(method) + strlen(uri) + strlen(version) + 6 };
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at, &seen);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *nul = strstr(uri, "%00");
    if (strlen(uri) > MAX_URI || count(uri, '&') >= MAX_PARAMETERS)
        return say(status, MHD_HTTP_URI_TOO_LONG, "The address has more than 4096 bytes, or 100 parameters.\n");
    if (seen.headers > MAX_HEADERS || seen.cookies > MAX_COOKIES)
        return say(status, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                   "The request has more than 100 headers, or 50 cookies.\n");
    if (seen.is_broken || info == NULL || info->header_size != seen.bytes)
        return say(status, MHD_HTTP_BAD_REQUEST, "A line of the request's head is malformed.\n");
    if (seen.hosts > 1 || seen.lengths > 1 || (seen.is_chunked && seen.lengths > 0))
        return say(status, MHD_HTTP_BAD_REQUEST, "The request has two hosts, or two lengths.\n");
    if (seen.is_chunked && strcmp(version, "HTTP/1.1") != 0)
        return say(status, MHD_HTTP_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding.\n");
    if (seen.has_other_coding)
        return say(status, MHD_HTTP_NOT_IMPLEMENTED, "The only Transfer-Encoding here is chunked.\n");
    if (nul != NULL && nul < uri + strcspn(uri, "?"))    /* the path would end there */
        return say(status, MHD_HTTP_BAD_REQUEST, "The address has a NUL byte in it.\n");
    return NULL;
}
