/* faults.h - lets system calls fail. The library test_faults precedes libc, so every call of the program and of its
 * libraries goes through it. One chosen call fails once with a chosen errno, or does only half of its work.
 *
 * A scenario is a function that uses a store and checks what it gets. `faults_try_all` runs it once to count its calls,
 * then once for each call and each of its faults. The scenario calls `faults_on` before and `faults_off` after
 * the calls that may fail; only those of the calling thread are counted. */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>

/* Runs the scenario. `fault` says what fails in it, for messages: "pread 3: Input/output error"; or it is NULL. */
typedef void faults_scenario(void *ctx, const char *fault);

/* Returns how many faults were tried. Of calls that are made more often than `each`, the first `each` fail one after
 * the other, and then one in 37. */
unsigned faults_try_all(faults_scenario *scenario, void *ctx, unsigned each);

void faults_on(void);
void faults_off(void);

/* Returns true if the chosen call has failed since the scenario began. */
bool faults_happened(void);

#endif
