/* test_codec_format.c - compressed and sealed values: what is read back, and what is refused. */
#include "test.h"

#include "codec_format.h"
#include "hooks.h"
#include "writer.h"

static cache_env env;
static const cache_bytes key = { "libcache:page", 13 };

static struct cache_codec_format format_of(enum codec_compression compression, int key_byte)
{
    struct cache_codec_format format = { .compression = compression, .compress_min = 100, .env = &env };
    if (key_byte >= 0) {
        format.n_keys = 1;
        memset(format.keys[0], key_byte, CODEC_KEY_SIZE);
    }
    return format;
}

static cache_value encoded(const struct cache_codec_format *format, cache_bytes value)
{
    cache_writer writer;
    cache_value out;
    cache_writer_init(&writer, env.allocator);
    assert_status(CACHE_OK, cache_codec_encode(format, key, value, &writer));
    assert_status(CACHE_OK, cache_writer_take(&writer, &out));
    return out;
}

static cache_status decoded(const struct cache_codec_format *format, cache_bytes place, cache_bytes stored,
                            cache_value *out)
{
    cache_writer writer;
    *out = (cache_value){ NULL, 0, NULL };
    cache_writer_init(&writer, env.allocator);
    const cache_status status = cache_codec_decode(format, place, stored, &writer);
    if (status == CACHE_OK)
        assert_status(CACHE_OK, cache_writer_take(&writer, out));
    else
        assert_int_equal(writer.size, 0);
    cache_writer_release(&writer);
    return status;
}

static void assert_comes_back(const struct cache_codec_format *writes, const struct cache_codec_format *reads,
                              cache_bytes value)
{
    cache_value stored = encoded(writes, value), plain;
    assert_status(CACHE_OK, decoded(reads, key, (cache_bytes){ stored.data, stored.size }, &plain));
    assert_int_equal(plain.size, value.size);
    if (value.size > 0)
        assert_memory_equal(plain.data, value.data, value.size);
    cache_value_release(&plain);
    cache_value_release(&stored);
}

static char text[4000];
static const cache_bytes long_text = { text, sizeof text };

static int set_up(void **state)
{
    (void)state;
    const cache_config config = CACHE_CONFIG_INIT;
    cache_env_init(&env, &config);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "the same words again and again, "[i % 32];
    return 0;
}

static const enum codec_compression compressions[] = { CODEC_PLAIN, CODEC_LZ4, CODEC_ZSTD };

static void every_value_comes_back_in_every_form(void **state)
{
    (void)state;
    const cache_bytes values[] = { { "", 0 }, { "x", 1 }, { "-42", 3 }, long_text, { text, 100 }, { text, 99 },
                                   { "\x94lcz", 4 }, { "\x94lcz and more of it", 18 } };
    for (size_t c = 0; c < 3; c++)
        for (int key_byte = -1; key_byte < 1; key_byte++) {
            struct cache_codec_format format = format_of(compressions[c], key_byte);
            for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
                assert_comes_back(&format, &format, values[v]);
            cache_codec_format_release(&format);
        }
}

static void a_process_without_the_option_reads_compressed_values(void **state)
{
    (void)state;
    struct cache_codec_format off = format_of(CODEC_PLAIN, -1);
    for (size_t c = 1; c < 3; c++) {
        struct cache_codec_format on = format_of(compressions[c], -1);
        assert_comes_back(&on, &off, long_text);
        assert_comes_back(&off, &on, long_text);
        cache_codec_format_release(&on);
    }
    cache_codec_format_release(&off);
}

static void repetitive_text_shrinks_and_short_or_random_values_stay_verbatim(void **state)
{
    (void)state;
    unsigned char noise[2000];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    for (size_t c = 1; c < 3; c++) {
        struct cache_codec_format format = format_of(compressions[c], -1);
        cache_value stored = encoded(&format, long_text);
        assert_true(stored.size < sizeof text / 5);
        cache_value_release(&stored);
        const cache_bytes verbatim[] = { { text, 99 }, { (const char *)noise, sizeof noise } };
        for (size_t i = 0; i < 2; i++) {
            stored = encoded(&format, verbatim[i]);
            assert_int_equal(stored.size, verbatim[i].size);
            assert_memory_equal(stored.data, verbatim[i].data, stored.size);
            cache_value_release(&stored);
        }
        cache_codec_format_release(&format);
    }
}

static void numbers_stay_plain_so_that_they_can_be_counted_with(void **state)
{
    (void)state;
    struct cache_codec_format format = format_of(CODEC_ZSTD, 7);
    cache_value stored = encoded(&format, (cache_bytes){ "-41", 3 });
    assert_int_equal(stored.size, 3);
    assert_memory_equal(stored.data, "-41", 3);
    cache_value_release(&stored);
    cache_codec_format_release(&format);
}

static void a_sealed_value_does_not_show_its_text(void **state)
{
    (void)state;
    struct cache_codec_format format = format_of(CODEC_PLAIN, 7);
    cache_value stored = encoded(&format, (cache_bytes){ "attack at dawn", 14 });
    for (size_t i = 0; i + 6 <= stored.size; i++)
        assert_memory_not_equal((const char *)stored.data + i, "attack", 6);
    cache_value_release(&stored);
    cache_codec_format_release(&format);
}

static void a_changed_bit_anywhere_is_a_miss(void **state)
{
    (void)state;
    struct cache_codec_format format = format_of(CODEC_LZ4, 7);
    cache_value stored = encoded(&format, long_text), plain;
    unsigned char *copy = malloc(stored.size);
    for (size_t bit = 0; bit < stored.size * 8; bit++) {
        memcpy(copy, stored.data, stored.size);
        copy[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_status(CACHE_MISS, decoded(&format, key, (cache_bytes){ (char *)copy, stored.size }, &plain));
    }
    for (size_t size = 1; size < stored.size; size++)    /* nor is a part of it more */
        assert_status(CACHE_MISS, decoded(&format, key, (cache_bytes){ stored.data, size }, &plain));
    free(copy);
    cache_value_release(&stored);
    cache_codec_format_release(&format);
}

static void damage_to_an_unsealed_value_is_survived(void **state)
{
    (void)state;
    for (size_t c = 1; c < 3; c++) {
        struct cache_codec_format format = format_of(compressions[c], -1);
        cache_value stored = encoded(&format, long_text), plain;
        unsigned char *copy = malloc(stored.size);
        for (size_t bit = 0; bit < stored.size * 8; bit++) {
            memcpy(copy, stored.data, stored.size);
            copy[bit / 8] ^= (unsigned char)(1u << (bit % 8));
            (void)decoded(&format, key, (cache_bytes){ (char *)copy, stored.size }, &plain);
            cache_value_release(&plain);
        }
        free(copy);
        cache_value_release(&stored);
        cache_codec_format_release(&format);
    }
}

static void a_value_that_was_moved_to_another_key_is_a_miss(void **state)
{
    (void)state;
    struct cache_codec_format format = format_of(CODEC_PLAIN, 7);
    cache_value stored = encoded(&format, long_text), plain;
    const cache_bytes elsewhere = { "libcache:pagf", 13 };
    assert_status(CACHE_MISS, decoded(&format, elsewhere, (cache_bytes){ stored.data, stored.size }, &plain));
    cache_value_release(&stored);
    cache_codec_format_release(&format);
}

static void what_was_not_sealed_is_not_shown_where_values_are_sealed(void **state)
{
    (void)state;
    struct cache_codec_format sealing = format_of(CODEC_PLAIN, 7), zstd = format_of(CODEC_ZSTD, -1);
    cache_value plain, compressed = encoded(&zstd, long_text);
    assert_status(CACHE_MISS, decoded(&sealing, key, long_text, &plain));
    assert_status(CACHE_MISS, decoded(&sealing, key, (cache_bytes){ compressed.data, compressed.size }, &plain));
    cache_value_release(&compressed);
    cache_codec_format_release(&sealing);
    cache_codec_format_release(&zstd);
}

static void both_keys_of_a_rotation_open_and_the_first_one_seals(void **state)
{
    (void)state;
    struct cache_codec_format old = format_of(CODEC_PLAIN, 7), both = format_of(CODEC_PLAIN, 8),
                              newest = format_of(CODEC_PLAIN, 8);
    both.n_keys = 2;
    memset(both.keys[1], 7, CODEC_KEY_SIZE);
    assert_comes_back(&old, &both, long_text);
    assert_comes_back(&both, &newest, long_text);
    cache_value stored = encoded(&old, long_text), plain;
    assert_status(CACHE_MISS, decoded(&newest, key, (cache_bytes){ stored.data, stored.size }, &plain));
    cache_value_release(&stored);
    cache_codec_format_release(&old);
    cache_codec_format_release(&both);
    cache_codec_format_release(&newest);
}

static void a_few_bytes_that_claim_to_be_gigabytes_are_a_miss(void **state)
{
    (void)state;
    struct cache_codec_format format = format_of(CODEC_ZSTD, -1);
    const uint64_t claims[] = { (uint64_t)1 << 62, CODEC_MAX_COMPRESSED, CODEC_MAX_COMPRESSED + 1, UINT64_MAX };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        for (unsigned char compression = 0; compression <= 3; compression++) {
            unsigned char bytes[CODEC_HEADER_SIZE + 8] = { 0x94, 'l', 'c', 'z', 1, compression };
            for (size_t b = 0; b < 8; b++)
                bytes[8 + b] = (unsigned char)(claims[i] >> (8 * b) & 0xff);
            cache_value plain;
            assert_status(CACHE_MISS, decoded(&format, key, (cache_bytes){ (char *)bytes, sizeof bytes }, &plain));
        }
    cache_codec_format_release(&format);
}

/* A value whose end was lost, in the form that is not compressed. */
static void a_plain_value_with_another_length_than_it_says_is_a_miss(void **state)
{
    (void)state;
    struct cache_codec_format format = format_of(CODEC_PLAIN, -1);
    for (unsigned char claim = 0; claim < 16; claim++) {
        unsigned char bytes[CODEC_HEADER_SIZE + 8] = { 0x94, 'l', 'c', 'z', 1, CODEC_PLAIN, 0, 0, claim };
        cache_value plain;
        assert_status(claim == 8 ? CACHE_OK : CACHE_MISS,
                      decoded(&format, key, (cache_bytes){ (char *)bytes, sizeof bytes }, &plain));
        cache_value_release(&plain);
    }
    cache_codec_format_release(&format);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back_in_every_form),
        cmocka_unit_test(a_plain_value_with_another_length_than_it_says_is_a_miss),
        cmocka_unit_test(a_process_without_the_option_reads_compressed_values),
        cmocka_unit_test(repetitive_text_shrinks_and_short_or_random_values_stay_verbatim),
        cmocka_unit_test(numbers_stay_plain_so_that_they_can_be_counted_with),
        cmocka_unit_test(a_sealed_value_does_not_show_its_text),
        cmocka_unit_test(a_changed_bit_anywhere_is_a_miss),
        cmocka_unit_test(damage_to_an_unsealed_value_is_survived),
        cmocka_unit_test(a_value_that_was_moved_to_another_key_is_a_miss),
        cmocka_unit_test(what_was_not_sealed_is_not_shown_where_values_are_sealed),
        cmocka_unit_test(both_keys_of_a_rotation_open_and_the_first_one_seals),
        cmocka_unit_test(a_few_bytes_that_claim_to_be_gigabytes_are_a_miss),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
