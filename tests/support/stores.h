/* stores.h - one table of tests, run on a store in the process and on one that processes share.
 *
 *     return test_on_stores(tests, sizeof tests / sizeof tests[0]);
 *
 * Each test runs twice, as "name [memory]" and "name [redis]", the latter on a server that is started for the
 * program. */
#ifndef STORES_H
#define STORES_H

#include "test.h"

int test_on_stores(const struct CMUnitTest tests[], size_t n);

/* The store that the test runs on, empty: each call gives a prefix of its own. `config` may have hooks set; NULL:
 * none. */
cache_t *test_store_open(void **state, const cache_config *config);

/* True if processes share it; then it can be opened again as another process would, with what is in it. */
bool test_store_is_shared(void **state);
cache_t *test_store_open_again(void **state, const cache_config *config);

#endif
