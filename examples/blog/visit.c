/* visit.c - one request on its way to a handler. */
#include "visit.h"

#include "form.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool visit_id(const struct visit *visit, int64_t *id)
{
    char *end = NULL;
    if (visit->rest[0] < '1' || visit->rest[0] > '9')
        return false;
    errno = 0;
    *id = strtoll(visit->rest, &end, 10);
    return errno == 0 && *end == '\0';
}

bool visit_page(const cache_request *request, size_t *page)
{
    enum { PAGES_MAX = 10000 };
    char *text = request->query != NULL ? form_field(request->query, strlen(request->query), "page") : NULL;
    char *end = NULL;
    *page = 1;
    if (text == NULL)
        return true;
    const long number = text[0] >= '1' && text[0] <= '9' ? strtol(text, &end, 10) : 0;
    const bool good = number >= 1 && number <= PAGES_MAX && *end == '\0';
    free(text);
    *page = good ? (size_t)number : 1;
    return good;
}
