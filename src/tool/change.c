/* change.c - the commands set, add, delete, inc, touch and clear. */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- set and add ----------------------------------------------------------------------------------------------- */

/* Read all of standard input. Returns NULL if it could not be read or memory ran out; errno says which. */
static char *read_input(size_t *size)
{
    size_t room = 65536;
    char *data = malloc(room);
    *size = 0;
    while (data != NULL) {
        *size += fread(data + *size, 1, room - *size, stdin);
        if (*size < room)
            break;
        char *larger = room <= SIZE_MAX / 2 ? realloc(data, room *= 2) : NULL;
        if (larger == NULL)
            free(data);
        data = larger;
    }
    if (data != NULL && ferror(stdin)) {
        free(data);
        data = NULL;
    }
    return data;
}

static int store(const struct tool *tool, const char *name,
                 cache_status (*function)(cache_t *, const char *, const void *, size_t, double))
{
    const char *key = tool->operands[0], *value = tool->n_operands > 1 ? tool->operands[1] : NULL;
    char *input = NULL;
    size_t size = value != NULL ? strlen(value) : 0;
    if (value == NULL && (input = read_input(&size)) == NULL) {
        (void)fprintf(stderr, "libcache: %s: standard input: %s\n", name, strerror(errno));
        return TOOL_FAILED;
    }
    const cache_status status = function(tool->cache, key, value != NULL ? value : input, size, tool->ttl);
    free(input);
    if (status < 0)
        return tool_fail(name, status);
    return status == CACHE_OK ? TOOL_FOUND : TOOL_MISS;
}

int tool_set(const struct tool *tool)
{
    return store(tool, "set", cache_set);
}

int tool_add(const struct tool *tool)
{
    return store(tool, "add", cache_add);
}

/* ---- the others ------------------------------------------------------------------------------------------------ */

int tool_delete(const struct tool *tool)
{
    size_t deleted = 0;
    const size_t n = (size_t)tool->n_operands;
    const cache_status status = cache_delete_many(tool->cache, tool->operands, n, &deleted);
    if (status < 0)
        return tool_fail("delete", status);
    return deleted == n ? TOOL_FOUND : TOOL_MISS;
}

int tool_inc(const struct tool *tool)
{
    int64_t delta = 1, number = 0;
    if (tool->n_operands > 1) {
        char *end = NULL;
        errno = 0;
        const long long given = strtoll(tool->operands[1], &end, 10);
        if (errno != 0 || *end != '\0' || end == tool->operands[1])
            return tool_usage("inc: '%s' is not a whole number", tool->operands[1]);
        delta = given;
    }
    const cache_status status = cache_inc(tool->cache, tool->operands[0], delta, &number);
    if (status < 0)
        return tool_fail("inc", status);
    (void)printf("%" PRId64 "\n", number);
    return TOOL_FOUND;
}

int tool_touch(const struct tool *tool)
{
    const cache_status status = cache_touch(tool->cache, tool->operands[0], tool->ttl);
    if (status < 0)
        return tool_fail("touch", status);
    return status == CACHE_OK ? TOOL_FOUND : TOOL_MISS;
}

int tool_clear(const struct tool *tool)
{
    if (!tool->yes && isatty(STDIN_FILENO)) {
        (void)fputs("Delete every key with this URL's prefix? [y/N] ", stderr);
        const int answer = getchar();
        if (answer != 'y' && answer != 'Y')
            return tool_usage("clear: nothing was deleted");
    }
    const cache_status status = cache_clear(tool->cache);
    return status < 0 ? tool_fail("clear", status) : TOOL_FOUND;
}
