/* telling_store.h - a store of a few short values that reports its changes, as Redis does. It can be changed from
 * outside, loses its connection on demand, and calls a test in the middle of a get. There is only one. */
#ifndef TELLING_STORE_H
#define TELLING_STORE_H

#include <libcache/backend.h>

#include <pthread.h>

enum { TELLING_ENTRIES = 16, TELLING_CHANGES = 1024 };

extern struct telling_store {
    pthread_mutex_t lock;
    struct { char key[64], value[128]; size_t size; } entries[TELLING_ENTRIES];
    char changes[TELLING_CHANGES][64];
    size_t n_changes;
    bool lost, connected;
    uint64_t heard_ago_ns;
    int64_t left_ms;
    int gets, sets;
    cache_status set_status;
    void (*inside_get)(void);          /* after the value was read, before it is returned */
} stub;

/* For cache_register_backend: the scheme `telling`, and `mute`, whose store reports no changes and no times. */
extern const cache_backend_ops telling_ops, mute_ops;

/* Empties and connects it. It is the set-up function of a test. */
int telling_store_reset(void **state);

/* Changes a value as another process would. */
void change_outside(const char *key, const char *value);

#endif
