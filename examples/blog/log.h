/* log.h - what the operator should know: a line each, with time and level, to stderr or a file. */
#ifndef LOG_H
#define LOG_H

#include <libcache/cache.h>

/* Append to `file` from now on. Returns false if it cannot be opened; stderr then says why. The text must stay where it
 * is. Without this call lines go to stderr. */
bool log_open(const char *file);
void log_reopen(void);         /* the file was moved away: go on in a new one of its name */
void log_close(void);

/* Any thread. Of lines that begin alike, in their first 23 bytes, five are written in ten
 * seconds; how many were left out is said later. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

cache_log_fn log_from_cache;   /* for cache_config.log */

#endif
