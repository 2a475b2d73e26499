/* test_envelope.c - checks what is written before a computed value, and that damaged bytes do no harm. */
#include "test.h"

#include "envelope.h"
#include "tag.h"

static const cache_bytes key = { "libcache:k", 10 };
static const char version[TAG_VERSION_SIZE + 1] = "0123456789abcdef0123456789abcdef";

static void encode(cache_writer *out, cache_bytes payload)
{
    cache_writer tags;
    cache_writer_init(&tags, &cache_allocator_default);
    assert_status(CACHE_OK, cache_envelope_put_tag(&tags, (cache_bytes){ "news", 4 }, version));
    assert_status(CACHE_OK, cache_envelope_put_tag(&tags, (cache_bytes){ "post:7", 6 }, version));
    const struct cache_envelope envelope = {
        .flags = ENVELOPE_NEGATIVE | ENVELOPE_STALE, .stale_ms = 7000, .stale_if_error_ms = 9000, .created_ms = 1000,
        .expires_ms = INT64_C(1) << 40, .cost_us = 12345,
        .type = { "struct product", 14 }, .tags = { tags.data, tags.size }, .payload = payload,
    };
    cache_writer_init(out, &cache_allocator_default);
    assert_status(CACHE_OK, cache_envelope_encode(&envelope, key, out));
    cache_writer_release(&tags);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    cache_writer writer;
    struct cache_envelope read;
    encode(&writer, (cache_bytes){ "pay\0load", 8 });
    assert_true(cache_envelope_decode((cache_bytes){ writer.data, writer.size }, key, &read));
    assert_int_equal(read.flags, ENVELOPE_NEGATIVE | ENVELOPE_STALE);
    assert_int_equal(read.stale_ms, 7000);
    assert_int_equal(read.stale_if_error_ms, 9000);
    assert_int_equal(read.created_ms, 1000);
    assert_true(read.expires_ms == INT64_C(1) << 40);
    assert_int_equal(read.cost_us, 12345);
    assert_int_equal(read.type.size, 14);
    assert_memory_equal(read.type.data, "struct product", 14);
    assert_int_equal(read.payload.size, 8);
    assert_memory_equal(read.payload.data, "pay\0load", 8);
    cache_bytes name;
    const char *now = NULL;
    assert_true(cache_envelope_next_tag(&read.tags, &name, &now));
    assert_memory_equal(name.data, "news", 4);
    assert_memory_equal(now, version, TAG_VERSION_SIZE);
    assert_true(cache_envelope_next_tag(&read.tags, &name, &now));
    assert_int_equal(name.size, 6);
    assert_false(cache_envelope_next_tag(&read.tags, &name, &now));
    cache_writer_release(&writer);
}

static void an_envelope_of_another_key_is_refused(void **state)
{
    (void)state;
    cache_writer writer;
    struct cache_envelope read;
    encode(&writer, (cache_bytes){ "x", 1 });
    const cache_bytes bytes = { writer.data, writer.size };
    assert_false(cache_envelope_decode(bytes, (cache_bytes){ "libcache:j", 10 }, &read));
    assert_false(cache_envelope_decode(bytes, (cache_bytes){ "libcache:", 9 }, &read));
    assert_false(cache_envelope_decode(bytes, (cache_bytes){ "libcache:kk", 11 }, &read));
    cache_writer_release(&writer);
}

/* In a block of exactly its size, so that a sanitizer sees a read past its end. True: it was taken for an envelope. */
static bool decode_alone(const char *data, size_t size)
{
    char *block = malloc(size > 0 ? size : 1);
    assert_non_null(block);
    memcpy(block, data, size);
    struct cache_envelope read;
    const bool taken = cache_envelope_decode((cache_bytes){ block, size }, key, &read);
    if (taken) {    /* then every part lies inside */
        assert_true(read.type.data >= block && read.tags.data == read.type.data + read.type.size);
        assert_true(read.payload.data >= read.tags.data + read.tags.size);
        assert_true(read.payload.data + read.payload.size == block + size);
    }
    free(block);
    return taken;
}

static void an_envelope_cut_short_anywhere_before_its_payload_is_refused(void **state)
{
    (void)state;
    cache_writer writer;
    encode(&writer, (cache_bytes){ "", 0 });
    for (size_t size = 0; size < writer.size; size++)
        assert_false(decode_alone(writer.data, size));
    assert_true(decode_alone(writer.data, writer.size));
    cache_writer_release(&writer);
}

static void damaged_bytes_behind_the_magic_never_lead_outside(void **state)
{
    (void)state;
    cache_writer writer;
    encode(&writer, (cache_bytes){ "payload", 7 });
    char damaged[256];
    assert_true(writer.size <= sizeof damaged);
    unsigned seed = 42;
    for (int round = 0; round < 100000; round++) {
        memcpy(damaged, writer.data, writer.size);
        for (int i = 0; i < 1 + round % 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            damaged[ENVELOPE_MAGIC_SIZE + (seed >> 8) % (writer.size - ENVELOPE_MAGIC_SIZE)] = (char)(seed >> 24);
        }
        (void)decode_alone(damaged, writer.size - (size_t)(round % 7));
    }
    cache_writer_release(&writer);
}

static cache_status compute_double(void *ctx, cache_writer *out)
{
    const long double number = 1;
    (void)ctx;
    return cache_writer_append(out, &number, sizeof number);
}

static void the_payload_is_aligned_as_the_whole_is(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    char name[40] = "k";
    for (size_t size = 1; size < 36; size++) {
        cache_value value;
        memset(name, 'k', size);
        name[size] = '\0';
        for (int turn = 0; turn < 2; turn++) {    /* computed, and read */
            assert_status(CACHE_OK, cache_fetch(cache, name, NULL, compute_double, NULL, &value));
            assert_int_equal((uintptr_t)value.data % _Alignof(max_align_t), 0);
            cache_value_release(&value);
        }
        assert_status(CACHE_OK, cache_get(cache, name, &value));
        assert_int_equal((uintptr_t)value.data % _Alignof(max_align_t), 0);
        cache_value_release(&value);
    }
    cache_close(cache);
}

static bool decodes_with_tags(size_t n)
{
    cache_writer tags, whole;
    struct cache_envelope read;
    cache_writer_init(&tags, &cache_allocator_default);
    cache_writer_init(&whole, &cache_allocator_default);
    for (size_t i = 0; i < n; i++)
        assert_status(CACHE_OK, cache_envelope_put_tag(&tags, (cache_bytes){ "t", 1 }, version));
    const struct cache_envelope envelope = { .tags = { tags.data, tags.size } };
    assert_status(CACHE_OK, cache_envelope_encode(&envelope, key, &whole));
    const bool decodes = cache_envelope_decode((cache_bytes){ whole.data, whole.size }, key, &read);
    cache_writer_release(&whole);
    cache_writer_release(&tags);
    return decodes;
}

static void an_envelope_of_more_tags_than_a_fetch_may_have_is_refused(void **state)
{
    (void)state;
    assert_true(decodes_with_tags(CACHE_MAX_TAGS));
    assert_false(decodes_with_tags(CACHE_MAX_TAGS + 1));
    assert_false(decodes_with_tags(100000));
}

static void a_plain_value_that_looks_like_an_envelope_is_kept_byte_for_byte(void **state)
{
    (void)state;
    cache_t *cache = test_open("memory://");
    char looks[64];
    memset(looks, 0xff, sizeof looks);
    memcpy(looks, cache_envelope_magic, ENVELOPE_MAGIC_SIZE);
    for (size_t size = ENVELOPE_MAGIC_SIZE; size <= sizeof looks; size++) {
        cache_value value;
        assert_status(CACHE_OK, cache_set(cache, "k", looks, size, 60));
        assert_status(CACHE_OK, cache_get(cache, "k", &value));
        assert_int_equal(value.size, size);
        assert_memory_equal(value.data, looks, size);
        cache_value_release(&value);
    }
    cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(an_envelope_of_another_key_is_refused),
        cmocka_unit_test(an_envelope_cut_short_anywhere_before_its_payload_is_refused),
        cmocka_unit_test(damaged_bytes_behind_the_magic_never_lead_outside),
        cmocka_unit_test(the_payload_is_aligned_as_the_whole_is),
        cmocka_unit_test(an_envelope_of_more_tags_than_a_fetch_may_have_is_refused),
        cmocka_unit_test(a_plain_value_that_looks_like_an_envelope_is_kept_byte_for_byte),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
