/* codec.c - decodes compressed and sealed values, and encodes the bytes and decodes them again. The first byte chooses
 * the algorithms. */
#include "fuzz.h"

#include "codec_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const cache_bytes key = { "libcache:page", 13 };
    struct fuzz_input input = { data, size };
    const unsigned choice = fuzz_byte(&input);
    const cache_env env = fuzz_env();
    struct cache_codec_format format = { .compression = (enum codec_compression)(choice % 3), .compress_min = 16,
                                         .n_keys = (choice & 8) != 0 ? 1 : 0, .env = &env };
    char *bytes = malloc(input.size > 0 ? input.size : 1);
    cache_writer stored, plain;
    FUZZ_CHECK(bytes != NULL);
    if (input.size > 0)
        memcpy(bytes, input.data, input.size);
    const cache_bytes value = { bytes, input.size };
    cache_writer_init(&plain, env.allocator);
    const cache_status status = cache_codec_decode(&format, key, value, &plain);
    FUZZ_CHECK(status == CACHE_OK || (status == CACHE_MISS && plain.size == 0));
    cache_writer_release(&plain);

    cache_writer_init(&stored, env.allocator);
    cache_writer_init(&plain, env.allocator);
    FUZZ_CHECK(cache_codec_encode(&format, key, value, &stored) == CACHE_OK);
    FUZZ_CHECK(cache_codec_decode(&format, key, (cache_bytes){ stored.data, stored.size }, &plain) == CACHE_OK);
    FUZZ_CHECK(plain.size == value.size && (value.size == 0 || memcmp(plain.data, value.data, value.size) == 0));
    cache_writer_release(&plain);
    cache_writer_release(&stored);
    cache_codec_format_release(&format);
    free(bytes);
    return 0;
}
