/* api.h - includes the public headers so that their functions are exported. All other symbols stay hidden. The pragma
 * is here so that the public headers need no compiler extension. */
#ifndef API_H
#define API_H

#pragma GCC visibility push(default)
#include <libcache/backend.h>
#include <libcache/cache.h>
#pragma GCC visibility pop

/* Inside the library, the compiler checks the formats. */
cache_status cache_fail(cache_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cache_memo_tag(cache_memo_key *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
cache_status cache_writer_printf(cache_writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));
cache_status cache_tag_list_add(cache_tag_list *tags, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cache_env_log(const cache_env *env, cache_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
