/* number.h - converts counters to text and back. It defines which texts inc accepts as numbers. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_MAX_SIZE 20             /* "-9223372036854775808" */

/* Parse an optional '-', then digits without a leading zero, within int64. Returns false if the text is anything else,
 * or has anything before or after the number. */
bool cache_number_parse(const char *text, size_t size, int64_t *out);

/* Write the number in decimal, and a NUL. Returns its size without the NUL. */
size_t cache_number_format(int64_t number, char out[NUMBER_MAX_SIZE + 1]);

/* Returns false if the sum does not fit in int64. */
bool cache_number_add(int64_t a, int64_t b, int64_t *sum);

#endif
