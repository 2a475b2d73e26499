/* number.c - reads counters as text. What is read as a number must be written the same way. */
#include "fuzz.h"

#include "number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size), digits[NUMBER_MAX_SIZE + 1];
    int64_t number = 0, sum = 0;
    if (cache_number_parse(text, size, &number)) {
        FUZZ_CHECK(cache_number_format(number, digits) == size);
        FUZZ_CHECK(memcmp(digits, text, size) == 0);
        FUZZ_CHECK(cache_number_add(number, 1, &sum) == (number != INT64_MAX));
        FUZZ_CHECK(cache_number_add(number, -1, &sum) == (number != INT64_MIN));
    }
    free(text);
    return 0;
}
