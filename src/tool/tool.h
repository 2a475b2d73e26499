/* tool.h - what the commands of the tool share. The tool uses only the library's public API. */
#ifndef TOOL_H
#define TOOL_H

#include <libcache/cache.h>

#include <cjson/cJSON.h>

/* The exit statuses, for scripts. */
enum { TOOL_FOUND = 0, TOOL_MISS = 1, TOOL_USAGE = 2, TOOL_FAILED = 3 };

enum { TOOL_MAX_OPERANDS = 64 };

struct tool {
    cache_t *cache;                    /* NULL for a command that opens its caches itself */
    const char *url;
    bool json, raw, verbose, yes;
    bool is_terminal;                  /* standard output is a terminal */
    double ttl;                        /* CACHE_TTL_DEFAULT, unless --ttl says otherwise */
    const char *pattern;               /* NULL: every key */
    long count;                        /* --count, for bench */
    size_t size;                       /* --size, for bench and doctor; 0: not given */
    const char *operands[TOOL_MAX_OPERANDS];
    int n_operands;
};

/* Run a command. Returns the exit status. */
typedef int tool_command_fn(const struct tool *tool);

tool_command_fn tool_get, tool_ttl;                                                  /* show.c */
tool_command_fn tool_set, tool_add, tool_delete, tool_inc, tool_touch, tool_clear;   /* change.c */
tool_command_fn tool_keys, tool_stats;                                               /* keys.c */
tool_command_fn tool_copy, tool_bench, tool_doctor;                                  /* in files of their names */

/* main.c */

/* Print on standard error what failed. Returns TOOL_FAILED, or TOOL_USAGE if an argument or the URL is wrong. */
int tool_fail(const char *what, cache_status status);

/* Print on standard error what is wrong with the arguments. Returns TOOL_USAGE. */
int tool_usage(const char *format, ...);

/* keys.c */

/* Returns true if the key matches --pattern. */
bool tool_matches(const struct tool *tool, const char *key);

/* Receives up to some thousand keys of one step. Returns false to end the listing. */
typedef bool tool_keys_fn(void *ctx, const char *const keys[], size_t n);

/* Pass all matching keys to `each`, step by step. `each` may use the cache. */
cache_status tool_each_step(const struct tool *tool, tool_keys_fn *each, void *ctx);

/* json.c */

/* Add the bytes under `name`, or under `name`_base64 if they are not UTF-8 without control characters. */
void tool_json_bytes(cJSON *object, const char *name, const void *data, size_t size);

/* Add seconds: null for CACHE_TTL_FOREVER. */
void tool_json_seconds(cJSON *object, const char *name, double seconds);

/* Print the object in one line, and free it. Returns `status`, or TOOL_FAILED if memory ran out. */
int tool_json_print(cJSON *object, int status);

/* clock.c */

uint64_t tool_now_ns(void);

/* Make sixteen random hexadecimal digits and a NUL, for keys that nobody else uses. */
void tool_random_name(char out[17]);

/* Returns the value that `part` (0.5, 0.99) of the n sorted values do not exceed. */
uint64_t tool_percentile(const uint64_t sorted[], size_t n, double part);
void tool_sort(uint64_t values[], size_t n);

#endif
