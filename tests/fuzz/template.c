/* template.c - compiles a template. What compiles can be rendered, with and without a cache. With at most one cached
 * block it prints the same each time. Several blocks may have one name and different bodies; they share their text if
 * there is a cache. */
#include "fuzz.h"

#include "libcache/template.h"

static cache_status resolve(void *ctx, const char *name, cache_writer *out)
{
    (void)ctx;
    if (strcmp(name, "missing") == 0)
        return CACHE_MISS;
    if (strcmp(name, "ttl") == 0)
        return cache_writer_puts(out, "60");
    return cache_writer_printf(out, "<%s>", name);
}

static bool has_several_blocks(const char *text)
{
    const char *end = strstr(text, "endcache");
    return end != NULL && strstr(end + 1, "endcache") != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cache_env env = fuzz_env();
    char *text = fuzz_copy(data, size);
    cache_template *compiled = NULL;
    const cache_status status = cache_template_compile(text, &compiled);
    FUZZ_CHECK(status == CACHE_OK || status == CACHE_ERR_INVALID);
    FUZZ_CHECK((status == CACHE_OK) == (compiled != NULL));
    const bool shares = has_several_blocks(text);
    free(text);
    if (compiled != NULL) {
        cache_t *cache = NULL;
        cache_writer plain, first, second;
        FUZZ_CHECK(cache_open("memory://", &cache) == CACHE_OK);
        cache_writer_init(&plain, env.allocator);
        cache_writer_init(&first, env.allocator);
        cache_writer_init(&second, env.allocator);
        const cache_status without = cache_template_render(compiled, NULL, resolve, NULL, &plain);
        const cache_status with = cache_template_render(compiled, cache, resolve, NULL, &first);
        FUZZ_CHECK(shares || (without == with && plain.size == first.size));
        if (with == CACHE_OK) {
            FUZZ_CHECK(cache_template_render(compiled, cache, resolve, NULL, &second) == CACHE_OK);
            FUZZ_CHECK(shares || (second.size == first.size &&
                                  (first.size == 0 || !memcmp(first.data, second.data, first.size))));
        }
        cache_writer_release(&second);
        cache_writer_release(&first);
        cache_writer_release(&plain);
        cache_close(cache);
        cache_template_free(compiled);
    }
    return 0;
}
