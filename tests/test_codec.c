/* test_codec.c - compress and seal as options of a shared store, seen through the public calls. */
#include "test.h"

#include "server.h"

#include <unistd.h>

struct place {
    char directory[64], key_file[128];
};

static void write_key(const struct place *place, const char *text, size_t size)
{
    FILE *file = fopen(place->key_file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

#define HEX_OF(digit) digit digit digit digit digit digit digit digit
static const char key_a[] = HEX_OF("aaaaaaaa") "\n", key_b[] = HEX_OF("bbbbbbbb") "\n",
                  key_b_then_a[] = HEX_OF("bbbbbbbb") "\n" HEX_OF("aaaaaaaa") "\n";

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    test_directory_make(place->directory, sizeof place->directory);
    (void)snprintf(place->key_file, sizeof place->key_file, "%s.key", place->directory);
    write_key(place, key_a, sizeof key_a - 1);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    test_directory_remove(place->directory);
    (void)unlink(place->key_file);
    free(place);
    return 0;
}

/* The place's store, with these options; `%s` in them is the key file. */
static void url_of(const struct place *place, const char *options, char *out, size_t size)
{
    const char *slot = strstr(options, "%s");
    const int before = slot != NULL ? (int)(slot - options) : (int)strlen(options);
    (void)snprintf(out, size, "file://%s/store?%.*s%s%s", place->directory, before, options,
                   slot != NULL ? place->key_file : "", slot != NULL ? slot + 2 : "");
}

static cache_t *open_with(void **state, const char *options)
{
    char url[512];
    url_of(*state, options, url, sizeof url);
    return test_open(url);
}

static const char words[] = "the same words again and again, and then the same words again and again, and so on: "
                            "the same words again and again, and then the same words again and again, and so on: "
                            "the same words again and again, and then the same words again and again, and so on.";

static void processes_with_and_without_compression_read_each_other(void **state)
{
    cache_t *off = open_with(state, ""), *lz4 = open_with(state, "compress=lz4&compress_min=1"),
            *zstd = open_with(state, "compress=zstd&compress_min=1");
    cache_t *all[] = { off, lz4, zstd };
    for (size_t w = 0; w < 3; w++) {
        assert_status(CACHE_OK, cache_set_string(all[w], "text", words, 60));
        for (size_t r = 0; r < 3; r++) {
            assert_text(all[r], "text", words);
            char copy[sizeof words];
            size_t size = 0;
            assert_status(CACHE_OK, cache_get_copy(all[r], "text", copy, sizeof copy, &size));
            assert_int_equal(size, sizeof words - 1);
            assert_memory_equal(copy, words, size);
        }
    }
    for (size_t i = 0; i < 3; i++)
        cache_close(all[i]);
}

static void a_buffer_that_is_too_small_stays_untouched(void **state)
{
    cache_t *cache = open_with(state, "compress=zstd&compress_min=1");
    char copy[sizeof words - 2], before[sizeof copy];
    size_t size = 0;
    memset(copy, 'x', sizeof copy);
    memcpy(before, copy, sizeof copy);
    assert_status(CACHE_OK, cache_set_string(cache, "text", words, 60));
    assert_status(CACHE_ERR_TOO_LARGE, cache_get_copy(cache, "text", copy, sizeof copy, &size));
    assert_int_equal(size, sizeof words - 1);
    assert_memory_equal(copy, before, sizeof copy);
    cache_close(cache);
}

static void many_values_come_back(void **state, const char *options)
{
    cache_t *cache = open_with(state, options);
    char keys[40][16], texts[40][288];
    cache_item items[40];
    const char *names[40];
    cache_value values[40];
    memset(items, 0, sizeof items);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        (void)snprintf(texts[i], sizeof texts[i], "%d %.*s", i, i * 3, words);
        items[i].key = names[i] = keys[i];
        items[i].data = texts[i];
        items[i].size = strlen(texts[i]);
    }
    assert_status(CACHE_OK, cache_set_many(cache, items, 40, 60));
    assert_status(CACHE_OK, cache_get_many(cache, names, 40, values));
    for (int i = 0; i < 40; i++) {
        assert_int_equal(values[i].size, items[i].size);
        assert_string_equal(values[i].data, texts[i]);
        cache_value_release(&values[i]);
    }
    size_t deleted = 0;
    assert_status(CACHE_OK, cache_delete_many(cache, names, 40, &deleted));
    assert_int_equal(deleted, 40);
    cache_close(cache);
}

static void get_many_and_set_many_go_through_the_codec(void **state)
{
    many_values_come_back(state, "compress=lz4&compress_min=1");
    many_values_come_back(state, "seal=%s");
    many_values_come_back(state, "compress=zstd&compress_min=1&seal=%s");
}

static void counters_stay_plain(void **state)
{
    cache_t *sealed = open_with(state, "seal=%s"), *plain = open_with(state, "");
    int64_t number = 0;
    assert_status(CACHE_OK, cache_set_string(sealed, "n", "41", 60));
    assert_status(CACHE_OK, cache_inc(sealed, "n", 1, &number));
    assert_int_equal(number, 42);
    assert_text(sealed, "n", "42");
    assert_text(plain, "n", "42");
    cache_close(sealed);
    cache_close(plain);
}

static void what_is_not_sealed_under_our_key_is_a_miss_and_counted(void **state)
{
    cache_t *plain = open_with(state, ""), *sealed = open_with(state, "seal=%s");
    assert_status(CACHE_OK, cache_set_string(plain, "forged", "admin=1", 60));
    assert_text(sealed, "forged", NULL);
    assert_int_equal(test_counters(sealed).undecodable, 1);

    assert_status(CACHE_OK, cache_set_string(sealed, "secret", "admin=0", 60));
    assert_text(sealed, "secret", "admin=0");
    assert_text(plain, "secret", NULL);    /* without the key it does not open */
    assert_int_equal(test_counters(plain).undecodable, 1);
    cache_close(plain);
    cache_close(sealed);
}

static void keys_are_rotated_by_a_second_line(void **state)
{
    cache_t *old = open_with(state, "seal=%s");
    assert_status(CACHE_OK, cache_set_string(old, "k", "old", 60));
    write_key(*state, key_b_then_a, sizeof key_b_then_a - 1);
    cache_t *both = open_with(state, "seal=%s");
    assert_text(both, "k", "old");
    assert_status(CACHE_OK, cache_set_string(both, "k2", "new", 60));
    write_key(*state, key_b, sizeof key_b - 1);
    cache_t *newest = open_with(state, "seal=%s");
    assert_text(newest, "k2", "new");
    assert_text(newest, "k", NULL);
    cache_close(old);
    cache_close(both);
    cache_close(newest);
}

static cache_status computed(void *ctx, cache_writer *out)
{
    ++*(int *)ctx;
    return cache_writer_puts(out, words);
}

static void fetches_leases_and_tags_work_sealed(void **state)
{
    cache_t *cache = open_with(state, "compress=zstd&compress_min=1&seal=%s");
    const char *const tags[] = { "news" };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    int runs = 0;
    options.ttl = 60;
    options.lock = true;
    options.tags = tags;
    options.n_tags = 1;
    for (int i = 0; i < 3; i++) {
        cache_value value;
        assert_status(CACHE_OK, cache_fetch(cache, "page", &options, computed, &runs, &value));
        assert_string_equal(value.data, words);
        cache_value_release(&value);
    }
    assert_int_equal(runs, 1);
    assert_status(CACHE_OK, cache_invalidate_tag(cache, "news"));
    assert_text(cache, "page", NULL);
    cache_close(cache);
}

static void assert_refused(void **state, const char *options, cache_status expected, const char *word)
{
    char url[512];
    cache_t *cache = NULL;
    url_of(*state, options, url, sizeof url);
    assert_status(expected, cache_open(url, &cache));
    assert_null(cache);
    if (strstr(cache_last_error(), word) == NULL)
        fail_msg("'%s' does not say '%s'", cache_last_error(), word);
}

static void wrong_options_and_key_files_are_refused_by_name(void **state)
{
    assert_refused(state, "compress=gzip", CACHE_ERR_CONFIG, "compress");
    assert_refused(state, "seal=/nowhere/key", CACHE_ERR_IO, "/nowhere/key");
    write_key(*state, "hunter2", 7);
    assert_refused(state, "seal=%s", CACHE_ERR_CONFIG, ".key");
    assert_null(strstr(cache_last_error(), "hunter2"));
    write_key(*state, "", 0);
    assert_refused(state, "seal=%s", CACHE_ERR_CONFIG, ".key");
    cache_t *cache = NULL;
    assert_status(CACHE_ERR_CONFIG, cache_open("memory://?compress=zstd", &cache));
    assert_non_null(strstr(cache_last_error(), "compress"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CODEC_TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
        CODEC_TEST(processes_with_and_without_compression_read_each_other),
        CODEC_TEST(a_buffer_that_is_too_small_stays_untouched),
        CODEC_TEST(get_many_and_set_many_go_through_the_codec),
        CODEC_TEST(counters_stay_plain),
        CODEC_TEST(what_is_not_sealed_under_our_key_is_a_miss_and_counted),
        CODEC_TEST(keys_are_rotated_by_a_second_line),
        CODEC_TEST(fetches_leases_and_tags_work_sealed),
        CODEC_TEST(wrong_options_and_key_files_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
