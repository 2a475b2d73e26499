/* fuzz.h - what every fuzz target begins with.
 *
 * A target is one function over bytes that may be anything. It must not touch memory outside them, must not leak, and
 * checks what must hold for every input. libFuzzer calls it with inputs of its own (scripts/fuzz), the test fuzz_seeds
 * with the seeds and simple changes of them. */
#ifndef FUZZ_H
#define FUZZ_H

#include "hooks.h"
#include "writer.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It stays where NDEBUG is defined, too. */
#define FUZZ_CHECK(condition)                                                              \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            (void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

/* The next byte; 0 at the end. */
static inline unsigned fuzz_byte(struct fuzz_input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

/* A copy in a block of its size, so that AddressSanitizer sees a look too far, with a NUL behind it. To be freed. */
static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    FUZZ_CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

/* The next line, without its end, as a text. At the end of the input it is empty. To be freed. */
static inline char *fuzz_line(struct fuzz_input *input)
{
    const uint8_t *end = input->size > 0 ? memchr(input->data, '\n', input->size) : NULL;
    const size_t size = end != NULL ? (size_t)(end - input->data) : input->size;
    char *line = fuzz_copy(input->data, size);
    const size_t taken = end != NULL ? size + 1 : size;
    if (taken > 0)
        input->data += taken;
    input->size -= taken;
    return line;
}

static inline cache_env fuzz_env(void)
{
    const cache_config config = CACHE_CONFIG_INIT;
    cache_env env;
    cache_env_init(&env, &config);
    return env;
}

#endif
