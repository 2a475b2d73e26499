/* error.c - what the error replies of Redis mean. */
#include "store.h"

#include <string.h>

bool cache_redis_spans_slots(const char *text)
{
    static const char word[] = "CROSSSLOT";
    return strncmp(text, word, sizeof word - 1) == 0;
}

bool cache_redis_is_of_a_cluster(const char *text)
{
    return strncmp(text, "MOVED ", 6) == 0 || strncmp(text, "ASK ", 4) == 0 || strncmp(text, "TRYAGAIN", 8) == 0 ||
           cache_redis_spans_slots(text);
}

cache_status cache_redis_error(const char *where, const char *text)
{
    static const struct { const char *begins; cache_status status; } known[] = {
        { "WRONGTYPE", CACHE_ERR_TYPE },
        { "ERR value is not an integer", CACHE_ERR_TYPE },
        { "ERR increment or decrement would overflow", CACHE_ERR_RANGE },
        { "ERR string exceeds maximum", CACHE_ERR_TOO_LARGE },
        { "ERR Protocol error: invalid bulk length", CACHE_ERR_TOO_LARGE },    /* above proto-max-bulk-len */
        { "NOAUTH", CACHE_ERR_AUTH },
        { "WRONGPASS", CACHE_ERR_AUTH },
        { "NOPERM", CACHE_ERR_AUTH },
        { "DENIED", CACHE_ERR_AUTH },    /* protected mode */
        { "OOM", CACHE_ERR_IO },
        { "MISCONF", CACHE_ERR_IO },
        { "READONLY", CACHE_ERR_IO },
        { "NOREPLICAS", CACHE_ERR_IO },
        { "LOADING", CACHE_ERR_CONNECT },
        { "BUSY", CACHE_ERR_CONNECT },
        { "MASTERDOWN", CACHE_ERR_CONNECT },
        { "CLUSTERDOWN", CACHE_ERR_CONNECT },
        { "ERR max number of clients", CACHE_ERR_CONNECT },
        { "ERR DB index is out of range", CACHE_ERR_CONFIG },
    };
    if (cache_redis_is_of_a_cluster(text))
        return cache_fail(CACHE_ERR_PROTOCOL, "%s: %s (this is a node of a cluster: write redis+cluster://)", where,
                          text);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(text, known[i].begins, strlen(known[i].begins)) == 0)
            return known[i].status == CACHE_ERR_TOO_LARGE
                ? cache_fail(CACHE_ERR_TOO_LARGE, "%s: larger than the server takes: %s", where, text)
                : cache_fail(known[i].status, "%s: %s", where, text);
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: %s", where, text);
}

cache_status cache_redis_unexpected(const char *where, const redisReply *reply)
{
    return cache_fail(CACHE_ERR_PROTOCOL, "%s: a reply of an unexpected type (%d)", where, reply->type);
}

bool cache_redis_is_refusal(const redisReply *reply)
{
    static const char unknown[] = "ERR unknown command", no_permission[] = "NOPERM";
    return reply->type == REDIS_REPLY_ERROR && (strncmp(reply->str, unknown, sizeof unknown - 1) == 0 ||
                                                strncmp(reply->str, no_permission, sizeof no_permission - 1) == 0);
}

bool cache_redis_refuses(const char *message)
{
    return strstr(message, ": ERR unknown command") != NULL || strstr(message, ": NOPERM") != NULL;
}
