/* test_sha256.c - checks SHA-256 with the examples of FIPS 180-4, and with texts that end at every place of a block. */
#include "test.h"

#include "sha256.h"

static void assert_hash(const void *data, size_t size, const char *expected)
{
    char hash[SHA256_HEX_SIZE + 1];
    cache_sha256_hex(data, size, hash);
    assert_string_equal(hash, expected);
}

static void hashes_are_those_of_the_standard(void **state)
{
    (void)state;
    static char many[1000000];
    assert_hash(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(many, 'a', sizeof many);
    assert_hash(many, sizeof many, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* The hash of the hashes of "", "a", "aa", … up to 200 letters, which sha256sum gives too. */
static void a_text_may_end_anywhere_in_a_block(void **state)
{
    (void)state;
    static char all[201 * SHA256_HEX_SIZE + 1];
    char text[200];
    memset(text, 'a', sizeof text);
    for (size_t size = 0; size <= sizeof text; size++)
        cache_sha256_hex(text, size, all + size * SHA256_HEX_SIZE);
    assert_hash(all, sizeof all - 1, "eb555248bd20c7831e511d4461b42c9b084e3a64b44d57b00051172f8afe03ff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_standard),
        cmocka_unit_test(a_text_may_end_anywhere_in_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
