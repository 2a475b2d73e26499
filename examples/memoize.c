/* memoize.c - wrap a slow function: the second call does not run it, until the result is forgotten. */
#include <libcache/cache.h>

#include <stdio.h>

struct product {
    int id;
    double price;
};

static cache_status load_product(int id, struct product *out)
{
    printf("(asking the database for %d)\n", id);
    *out = (struct product){ id, id * 9.99 };
    return CACHE_OK;
}

CACHE_MEMOIZE(get_product, load_product, 60, struct product, (int, id))

int main(void)
{
    cache_t *cache;
    struct product product;
    if (cache_open("memory://", &cache) != CACHE_OK) {
        fprintf(stderr, "%s\n", cache_last_error());
        return 1;
    }
    for (int i = 0; i < 3; i++)
        if (get_product(cache, 42, &product) == CACHE_OK)
            printf("product %d costs %.2f\n", product.id, product.price);
    get_product_forget(cache, 42);    /* after an update */
    if (get_product(cache, 42, &product) == CACHE_OK)
        printf("product %d costs %.2f again\n", product.id, product.price);
    cache_close(cache);
    return 0;
}
