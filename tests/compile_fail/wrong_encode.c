/* expect: encode_list must be: cache_status encode_list(const struct list *, cache_writer *) */
#include <libcache/cache.h>

struct list {
    int *numbers;
};

static cache_status load(int n, struct list *out)
{
    (void)n;
    out->numbers = 0;
    return CACHE_OK;
}

static cache_status encode_list(struct list *list, int n)
{
    (void)list;
    return n == 0 ? CACHE_OK : CACHE_ERR_COMPUTE;
}

static cache_status decode_list(const void *data, size_t size, struct list *out)
{
    (void)data, (void)size;
    out->numbers = 0;
    return CACHE_OK;
}

CACHE_MEMOIZE_CODEC(get, load, 60, struct list, encode_list, decode_list, (int, n))

int main(void)
{
    return 0;
}
