/* nomem.h - a scenario that uses each function of a cache once, while the allocator fails at its n-th call. It never
 * crashes, leaks, or gives a wrong value or loses an old one; and every failure is CACHE_ERR_NOMEM. */
#ifndef NOMEM_H
#define NOMEM_H

#include "test.h"

/* Runs it with an allocator that fails after `until_failure` calls, once or `for_good`. Returns true if the scenario
 * ended before that. */
bool nomem_run(const char *url, long until_failure, bool for_good);

/* Runs it for each call of the allocator, in both ways. */
void nomem_survives(const char *url);

#endif
