/* envelope.c - reads what precedes a computed value. The first byte is the size of the key, which follows. What can be
 * read must be the same after it is written again. */
#include "fuzz.h"

#include "envelope.h"

/* Every tag can be read, or the run of tags is not used up. */
static void read_tags(cache_bytes tags)
{
    cache_bytes name;
    const char *version = NULL;
    for (size_t i = 0; cache_envelope_next_tag(&tags, &name, &version); i++) {
        char *copy = fuzz_copy(version, TAG_VERSION_SIZE);
        free(copy);
        free(fuzz_copy(name.data, name.size));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = { data, size };
    const cache_env env = fuzz_env();
    size_t key_size = fuzz_byte(&input);
    if (key_size > input.size)
        key_size = input.size;
    char *key = fuzz_copy(input.data, key_size);
    const size_t left = input.size - key_size;
    char *bytes = malloc(left > 0 ? left : 1);
    FUZZ_CHECK(bytes != NULL);
    if (left > 0)
        memcpy(bytes, input.data + key_size, left);
    struct cache_envelope envelope;
    if (cache_envelope_is(bytes, left) &&
        cache_envelope_decode((cache_bytes){ bytes, left }, (cache_bytes){ key, key_size }, &envelope)) {
        cache_writer out, tags;
        read_tags(envelope.tags);
        free(fuzz_copy(envelope.payload.data, envelope.payload.size));
        free(fuzz_copy(envelope.type.data, envelope.type.size));
        cache_writer_init(&out, env.allocator);
        cache_writer_init(&tags, env.allocator);
        FUZZ_CHECK(cache_envelope_encode(&envelope, (cache_bytes){ key, key_size }, &out) == CACHE_OK);
        struct cache_envelope again;
        FUZZ_CHECK(cache_envelope_decode((cache_bytes){ out.data, out.size }, (cache_bytes){ key, key_size }, &again));
        FUZZ_CHECK(again.flags == envelope.flags && again.expires_ms == envelope.expires_ms);
        FUZZ_CHECK(again.payload.size == envelope.payload.size && again.tags.size == envelope.tags.size);
        cache_writer_release(&tags);
        cache_writer_release(&out);
    }
    free(bytes);
    free(key);
    return 0;
}
