/* history.h - what the cache did lately: a thread looks at the counters every other second, and keeps ten minutes. */
#ifndef HISTORY_H
#define HISTORY_H

#include "blog.h"

struct cJSON;
struct history;

struct history *history_start(struct blog *blog);    /* NULL: no memory or no thread */
void history_stop(struct history *history);          /* NULL: does nothing */

/* {"seconds_ago": [ … ], "hits": [ … ], "misses": …, "errors": …, "evictions": …, "db_queries": …, "bytes": …}: the
 * oldest first; the counts are of the two seconds before each. NULL: no memory. */
struct cJSON *history_json(struct history *history);

#endif
