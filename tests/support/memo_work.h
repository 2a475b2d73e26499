/* memo_work.h - what the tests of memoized functions share: functions to memoize, which count their calls. */
#ifndef MEMO_WORK_H
#define MEMO_WORK_H

#include "stores.h"

struct product {
    int id;
    double price;
    char name[32];
};

static int computed;

static inline cache_status load_product(int id, struct product *out)
{
    computed++;
    if (id < 0)
        return CACHE_ERR_COMPUTE;
    if (id == 0)
        return CACHE_MISS;
    *out = (struct product){ .id = id, .price = id * 1.5 };
    (void)snprintf(out->name, sizeof out->name, "product %d", id);
    return CACHE_OK;
}

static inline cache_status load_answer(int *out)
{
    computed++;
    *out = 42;
    return CACHE_OK;
}

struct list {
    size_t n;
    int *numbers;
};

static inline cache_status load_list(int n, struct list *out)
{
    computed++;
    out->n = (size_t)n;
    out->numbers = malloc((size_t)n * sizeof *out->numbers);
    for (int i = 0; i < n; i++)
        out->numbers[i] = i * i;
    return CACHE_OK;
}

static inline cache_status encode_list(const struct list *list, cache_writer *out)
{
    return cache_writer_append(out, list->numbers, list->n * sizeof *list->numbers);
}

static inline cache_status decode_list(const void *data, size_t size, struct list *out)
{
    out->n = size / sizeof *out->numbers;
    out->numbers = malloc(size);
    memcpy(out->numbers, data, size);
    return CACHE_OK;
}

#endif
