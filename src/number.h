/* number.h - converts counters to text and back: says what inc accepts as a number. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_MAX_SIZE 20             /* "-9223372036854775808" */

/* An optional '-', then digits without a leading zero, within int64; nothing before or behind. */
bool cache_number_parse(const char *text, size_t size, int64_t *out);

/* Write the decimal and a NUL; how many bytes it has without it. */
size_t cache_number_format(int64_t number, char out[NUMBER_MAX_SIZE + 1]);

/* Returns false if the sum leaves int64. */
bool cache_number_add(int64_t a, int64_t b, int64_t *sum);

#endif
