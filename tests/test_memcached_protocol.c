/* test_memcached_protocol.c - the text protocol of memcached: what is written, and what is read of bytes that may be
 * anything. */
#include "test.h"

#include "backends/memcached/protocol.h"

#define TEXT(text) (cache_bytes){ (text), sizeof(text) - 1 }

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* Of bytes with nothing behind them, so that AddressSanitizer sees a look too far. */
static ptrdiff_t read_exactly(const char *data, size_t size, struct mc_reply *out, char **copy)
{
    *copy = malloc(size > 0 ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, data, size);
    return cache_mc_read_reply(*copy, size, out);
}

static void assert_kind(const char *text, enum mc_kind kind)
{
    struct mc_reply reply;
    char *copy = NULL;
    for (size_t size = 0; size <= strlen(text); size++) {
        const ptrdiff_t used = read_exactly(text, size, &reply, &copy);
        free(copy);
        assert_int_equal(used, size < strlen(text) ? 0 : (ptrdiff_t)size);
    }
    assert_int_equal(reply.kind, kind);
}

static void each_reply_is_told_and_half_of_one_waits_for_the_rest(void **state)
{
    (void)state;
    assert_kind("END\r\n", MC_END);
    assert_kind("STORED\r\n", MC_STORED);
    assert_kind("NOT_STORED\r\n", MC_NOT_STORED);
    assert_kind("EXISTS\r\n", MC_EXISTS);
    assert_kind("NOT_FOUND\r\n", MC_NOT_FOUND);
    assert_kind("DELETED\r\n", MC_DELETED);
    assert_kind("TOUCHED\r\n", MC_TOUCHED);
    assert_kind("ERROR\r\n", MC_ERROR);
    assert_kind("CLIENT_ERROR unauthenticated\r\n", MC_CLIENT_ERROR);
    assert_kind("SERVER_ERROR out of memory\r\n", MC_SERVER_ERROR);
    assert_kind("SERVER_ERROR\r\n", MC_SERVER_ERROR);
    assert_kind("18446744073709551615\r\n", MC_NUMBER);
    assert_kind("9  \r\n", MC_NUMBER);
    assert_kind("VALUE k 0 5\r\na\r\nb!\r\n", MC_VALUE);
    assert_kind("VALUE k 0 0\r\n\r\n", MC_VALUE);
}

static void a_value_comes_with_its_key_flags_and_cas(void **state)
{
    static const char text[] = "VALUE app:\xc3\xa4 4294967295 5 18446744073709551615\r\nEND\r\n\r\nEND\r\n";
    struct mc_reply reply;
    (void)state;
    assert_int_equal(cache_mc_read_reply(text, sizeof text - 1, &reply), sizeof text - 1 - 5);
    assert_int_equal(reply.kind, MC_VALUE);
    assert_int_equal(reply.key.size, 6);
    assert_memory_equal(reply.key.data, "app:\xc3\xa4", 6);
    assert_int_equal(reply.flags, UINT32_MAX);
    assert_true(reply.number == UINT64_MAX);
    assert_int_equal(reply.value.size, 5);
    assert_memory_equal(reply.value.data, "END\r\n", 5);
}

static void what_memcached_does_not_say_is_refused(void **state)
{
    static const char *const wrong[] = {
        "abc\r\n", "\r\n", "\n", "END\n", "END \r\n", "end\r\n", "ENDE\r\n", " END\r\n", "STORED x\r\n",
        "-1\r\n", "+1\r\n", "1x\r\n", " 1\r\n", "1 1\r\n", "18446744073709551616\r\n", "99999999999999999999999\r\n",
        "VALUE\r\n", "VALUE \r\n", "VALUE k\r\n", "VALUE k 0\r\n", "VALUE  0 1\r\nx\r\n", 
        "VALUE k -1 1\r\nx\r\n", "VALUE k 4294967296 1\r\nx\r\n", "VALUE k 0 -1\r\nx\r\n", "VALUE k 0 1x\r\nx\r\n",
        "VALUE k 0 1 2 3\r\nx\r\n", "VALUE k 0 1 x\r\nx\r\n", "VALUE k 0 1 18446744073709551616\r\nx\r\n",
        "VALUE k 0 1\r\nxy\r\n", "VALUE k 0 1\r\nx\nx\r\n", "value k 0 1\r\nx\r\n",
        "VALUE k 0 1073741825\r\n", "VALUE k 0 18446744073709551615\r\n", "VALUE k 0 18446744073709551614\r\nx\r\n",
        "HD\r\n", "VA 1\r\nx\r\n", "-ERR unknown command\r\n", "HTTP/1.1 400 Bad Request\r\n",
    };
    struct mc_reply reply;
    char *copy = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const ptrdiff_t used = read_exactly(wrong[i], strlen(wrong[i]), &reply, &copy);
        free(copy);
        if (used != -1)
            fail_msg("'%s' was taken for a reply", wrong[i]);
    }
}

static void a_key_has_250_bytes_at_most_and_a_line_has_an_end(void **state)
{
    char text[4096];
    struct mc_reply reply;
    (void)state;
    for (int size = 240; size < 400; size++) {
        (void)snprintf(text, sizeof text, "VALUE %0*d 0 1\r\nx\r\n", size, 0);
        assert_true((cache_mc_read_reply(text, strlen(text), &reply) > 0) == (size <= 250));
    }
    memset(text, 'x', sizeof text);
    assert_int_equal(cache_mc_read_reply(text, 2000, &reply), 0);
    assert_int_equal(cache_mc_read_reply(text, sizeof text, &reply), -1);
}

/* Replies with bytes changed, taken out and put in. What is read stays within what was given. */
static void no_bytes_lead_the_reader_astray(void **state)
{
    static const char *const seeds[] = {
        "VALUE libcache:x:key 1279459329 12 77\r\nhello, world\r\nEND\r\n", "VALUE k 0 0\r\n\r\nEND\r\n",
        "123456\r\n", "SERVER_ERROR object too large for cache\r\n", "NOT_STORED\r\n",
    };
    static const char likely[] = "0123456789 \r\nVALUEND-";
    uint64_t random = 42;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char text[128], *copy = NULL;
        const char *seed = seeds[i % 5];
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        for (int changes = 1 + i % 3; changes > 0; changes--) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const size_t at = (size_t)(random >> 33) % size;
            const char byte = random >> 63 ? likely[(random >> 20) % (sizeof likely - 1)] : (char)(random >> 24);
            if (random >> 61 & 1 && size < sizeof text) {
                memmove(text + at + 1, text + at, size++ - at);
                text[at] = byte;
            } else if (random >> 62 & 1 && size > 1)
                memmove(text + at, text + at + 1, --size - at);
            else
                text[at] = byte;
        }
        struct mc_reply reply;
        const ptrdiff_t used = read_exactly(text, size, &reply, &copy);
        assert_true(used >= -1 && used <= (ptrdiff_t)size);
        if (used > 0 && reply.kind == MC_VALUE) {
            assert_true(reply.key.data > copy && reply.key.data + reply.key.size < reply.value.data);
            assert_true(reply.value.data + reply.value.size + 2 == copy + used);
        }
        free(copy);
    }
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

static void commands_are_as_the_protocol_has_them(void **state)
{
    char out[MC_MAX_COMMAND + 1];
    const struct mc_item item = { { "hello", 5 }, 7, 60, 99 };
    (void)state;
    out[cache_mc_write_command(out, "gets", TEXT("k"))] = '\0';
    assert_string_equal(out, "gets k\r\n");
    out[cache_mc_write_store(out, "set", TEXT("k"), &item)] = '\0';
    assert_string_equal(out, "set k 7 60 5\r\n");
    out[cache_mc_write_store(out, "cas", TEXT("k"), &item)] = '\0';
    assert_string_equal(out, "cas k 7 60 5 99\r\n");
    out[cache_mc_write_incr(out, TEXT("k"), UINT64_MAX)] = '\0';
    assert_string_equal(out, "incr k 18446744073709551615\r\n");
    out[cache_mc_write_touch(out, TEXT("k"), 0)] = '\0';
    assert_string_equal(out, "touch k 0\r\n");
}

static void the_longest_command_has_room(void **state)
{
    char key[MC_MAX_WIRE_KEY], out[MC_MAX_COMMAND];
    const struct mc_item item = { { "", SIZE_MAX }, UINT32_MAX, INT32_MAX, UINT64_MAX };
    (void)state;
    memset(key, 'k', sizeof key);
    assert_true(cache_mc_write_store(out, "cas", (cache_bytes){ key, sizeof key }, &item) <= sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reply_is_told_and_half_of_one_waits_for_the_rest),
        cmocka_unit_test(a_value_comes_with_its_key_flags_and_cas),
        cmocka_unit_test(what_memcached_does_not_say_is_refused),
        cmocka_unit_test(a_key_has_250_bytes_at_most_and_a_line_has_an_end),
        cmocka_unit_test(no_bytes_lead_the_reader_astray),
        cmocka_unit_test(commands_are_as_the_protocol_has_them),
        cmocka_unit_test(the_longest_command_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
