/* visit.c - one request on its way to a handler. */
#include "visit.h"

#include <errno.h>
#include <stdlib.h>

bool visit_id(const struct visit *visit, int64_t *id)
{
    char *end = NULL;
    if (visit->rest[0] < '1' || visit->rest[0] > '9')
        return false;
    errno = 0;
    *id = strtoll(visit->rest, &end, 10);
    return errno == 0 && *end == '\0';
}
