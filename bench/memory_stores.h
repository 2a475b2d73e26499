/* memory_stores.h - the stores that bench_memory compares, each behind the same few functions. */
#ifndef MEMORY_STORES_H
#define MEMORY_STORES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_MANY = 100 };             /* keys of one get_many */

/* Nobody gets anything for nothing: each get copies the value into the caller's buffer, each set brings its bytes. */
struct bench_store {
    const char *name;
    void (*open)(size_t value_size);
    bool (*get)(const char *key, char *value, size_t size);
    void (*set)(const char *key, const char *value, size_t size);
    bool (*view)(const char *key, char *value, size_t size);    /* NULL: there is no other way to read */
    bool (*has)(const char *key);                               /* NULL, as the next: it cannot */
    void (*inc)(const char *key);
    bool (*get_many)(const char *const keys[], size_t n, char *value, size_t size);    /* copies each value there */
};

extern const struct bench_store bench_libcache, bench_uthash, bench_glib;
#ifdef BENCH_TBB
extern const struct bench_store bench_tbb;
#endif
#ifdef BENCH_CUCKOO
extern const struct bench_store bench_cuckoo;
#endif

#ifdef __cplusplus
}
#endif

#endif
