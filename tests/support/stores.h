/* stores.h - runs one table of tests on a store in the process, and on one that processes share.
 *
 *     return test_on_stores(tests, sizeof tests / sizeof tests[0]);
 *
 * Each test runs twice, as "name [memory]" and "name [redis]", the latter on a server that is started for the
 * program. */
#ifndef STORES_H
#define STORES_H

#include "test.h"

int test_on_stores(const struct CMUnitTest tests[], size_t n);

/* Opens the store on which the test runs. It is empty, since each call uses another prefix. `config` may have hooks, or
 * be NULL. */
cache_t *test_store_open(void **state, const cache_config *config);

/* Returns true if processes share the store. Then test_store_open_again opens it as another process would, with its
 * contents. */
bool test_store_is_shared(void **state);
cache_t *test_store_open_again(void **state, const cache_config *config);

#endif
