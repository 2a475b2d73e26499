/* test_filesystem_calls.c - lets system calls fail below the filesystem store. Each call of one scenario fails once
 * with each errno that matters, or does only half of its work. No value is ever wrong, none that was replaced or
 * deleted comes back, nothing stays open, and the cache works afterwards. */
#include "test.h"

#include "faults.h"
#include "files.h"
#include "server.h"

enum { EACH = 25, LARGE = 40000 };

static char directory[64], cache_path[80], url[128];
static const char *fault_now;        /* NULL: nothing fails (any more) */
static const char *run_with = "no fault";

/* What a key may hold. */
struct key {
    const char *name;
    const char *text;                  /* NULL: it must be absent */
    bool may_be_absent;
};

#define must(condition)                                                                                               \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            faults_off();                                                                                             \
            fail_msg("%s: line %d: %s (%s)", run_with, __LINE__, #condition,        \
                     cache_last_error());                                                                             \
        }                                                                                                             \
    } while (0)

/* A failure of ours is one of these; a caller who hears of none was told the truth. */
static bool is_failure(cache_status status)
{
    const bool failed = status < 0;
    must(!failed || (fault_now != NULL && faults_happened() && cache_last_error()[0] != '\0'));
    return failed;
}

/* On a full disk entries make way; a clock that fails makes them expire. */
static bool makes_way(void)
{
    return fault_now != NULL
        && (strstr(fault_now, "No space") != NULL || strstr(fault_now, "quota") != NULL
            || strstr(fault_now, "clock") != NULL);
}

static void get(cache_t *cache, struct key *key)
{
    cache_value value;
    const cache_status status = cache_get(cache, key->name, &value);
    if (status == CACHE_OK)
        must(key->text != NULL && value.size == strlen(key->text) && memcmp(value.data, key->text, value.size) == 0);
    else if (!is_failure(status))
        must(key->text == NULL || key->may_be_absent || makes_way());
    cache_value_release(&value);
}

static void set(cache_t *cache, struct key *key, const char *text)
{
    if (is_failure(cache_set_string(cache, key->name, text, 60)))
        key->may_be_absent = true;
    else {
        key->text = text;
        key->may_be_absent = false;
    }
}

static void delete(cache_t *cache, struct key *key)
{
    if (is_failure(cache_delete(cache, key->name)))
        key->may_be_absent = true;
    else
        key->text = NULL;
}

static void touch(cache_t *cache, struct key *key)
{
    const cache_status status = cache_touch(cache, key->name, 90);
    must(status == CACHE_OK || is_failure(status) || key->text == NULL || key->may_be_absent || makes_way());
}

static void add(cache_t *cache, struct key *key, const char *text)
{
    const cache_status status = cache_add(cache, key->name, text, strlen(text), 60);
    if (status == CACHE_OK) {
        must(key->text == NULL || key->may_be_absent || makes_way());
        key->text = text;
        key->may_be_absent = false;
    } else if (!is_failure(status))
        must(status == CACHE_NOT_STORED && key->text != NULL);
}

/* The counter holds `*number`; one that made way begins again. */
static void inc(cache_t *cache, int64_t *number)
{
    int64_t result = 0;
    if (is_failure(cache_inc(cache, "n", 1, &result)))
        return;
    must(result == *number + 1 || (makes_way() && result == 1));
    *number = result;
}

static void note_key(void *ctx, const char *key)
{
    (void)key;
    ++*(int *)ctx;
}

static void list(cache_t *cache, int least)
{
    cache_cursor cursor = { 0 };
    int seen = 0;
    while (!cursor.done)
        if (is_failure(cache_keys(cache, "", &cursor, note_key, &seen)))
            return;
    must(seen >= least || makes_way());
}

static void clear(cache_t *cache, struct key *keys, size_t n)
{
    const bool failed = is_failure(cache_clear(cache));
    for (size_t i = 0; i < n; i++) {
        keys[i].may_be_absent = true;
        if (!failed)
            keys[i].text = NULL;
    }
}

static char large[LARGE + 1];

/* Returns NULL if the cache could not be opened, for which there must be a reason. */
static cache_t *open_again(void)
{
    cache_t *cache = NULL;
    if (is_failure(cache_open(url, &cache)))
        must(cache == NULL);
    return cache;
}

static void use(struct key *keys, int64_t *number)
{
    cache_t *cache = open_again();
    if (cache == NULL)
        return;
    set(cache, &keys[0], "first");
    get(cache, &keys[0]);
    set(cache, &keys[0], large);
    get(cache, &keys[0]);
    touch(cache, &keys[0]);
    get(cache, &keys[0]);
    set(cache, &keys[1], "second");
    add(cache, &keys[1], "other");
    get(cache, &keys[1]);
    inc(cache, number);
    inc(cache, number);
    delete(cache, &keys[1]);
    get(cache, &keys[1]);
    add(cache, &keys[1], "added");
    const cache_status has = cache_has(cache, "one");
    list(cache, keys[0].may_be_absent || keys[1].may_be_absent ? 0 : 2);
    (void)is_failure(cache_ping(cache));
    must(has == CACHE_OK || is_failure(has) || keys[0].may_be_absent || makes_way());
    cache_close(cache);
}

/* With nothing that fails any more. */
static void assert_works(struct key *keys, int64_t number)
{
    cache_t *cache = test_open(url);
    char text[24] = "";
    get(cache, &keys[0]);
    get(cache, &keys[1]);
    const cache_status status = cache_get_copy(cache, "n", text, sizeof text - 1, NULL);
    must(status == CACHE_OK ? strtoll(text, NULL, 10) == number : number == 0 || makes_way());
    fault_now = NULL;
    for (int i = 0; i < 2; i++) {
        set(cache, &keys[i], i == 0 ? large : "again");
        get(cache, &keys[i]);
    }
    const struct files files = files_look(cache_path);
    must(test_counters(cache).items == files.entries && test_counters(cache).bytes == files.bytes);
    must(files.temp_files == 0 && files.others == 0);
    clear(cache, keys, 2);
    must(files_look(cache_path).entries == 0 && test_counters(cache).items == 0);
    cache_close(cache);
}

static void one_run(void *ctx, const char *fault)
{
    struct key keys[] = { { "one", NULL, false }, { "two", NULL, false } };
    int64_t number = 0;
    const int descriptors = files_count_descriptors();
    (void)ctx;
    fault_now = fault;
    run_with = fault != NULL ? fault : "no fault";
    test_directory_make(directory, sizeof directory);
    (void)snprintf(cache_path, sizeof cache_path, "%s/made", directory);    /* by the library: that can fail, too */
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:", cache_path);
    faults_on();
    use(keys, &number);
    faults_off();
    must(files_count_descriptors() == descriptors);
    assert_works(keys, number);
    test_directory_remove(directory);
}

static void whatever_call_fails_no_value_is_wrong_and_the_cache_works_afterwards(void **state)
{
    (void)state;
    memset(large, 'l', LARGE);
    print_message("%u faults\n", faults_try_all(one_run, NULL, EACH));
}

/* In a directory with entries, since a clear of an empty one removes nothing. */
static void one_clear(void *ctx, const char *fault)
{
    struct key keys[] = { { "one", NULL, false }, { "two", NULL, false } };
    int64_t number = 0;
    const int descriptors = files_count_descriptors();
    (void)ctx;
    fault_now = NULL;
    run_with = fault != NULL ? fault : "no fault";
    test_directory_make(directory, sizeof directory);
    (void)snprintf(cache_path, sizeof cache_path, "%s/made", directory);    /* by the library: that can fail, too */
    (void)snprintf(url, sizeof url, "file://%s?prefix=t:", cache_path);
    use(keys, &number);
    fault_now = fault;
    cache_t *cache = test_open(url);
    faults_on();
    clear(cache, keys, 2);
    faults_off();
    cache_close(cache);
    must(files_count_descriptors() == descriptors);
    fault_now = NULL;
    cache = test_open(url);
    get(cache, &keys[0]);
    get(cache, &keys[1]);
    must(cache_clear(cache) == CACHE_OK && files_look(cache_path).entries == 0 && test_counters(cache).items == 0);
    cache_close(cache);
    test_directory_remove(directory);
}

static void a_clear_in_which_a_call_fails_says_so_or_has_removed_everything(void **state)
{
    (void)state;
    memset(large, 'l', LARGE);
    print_message("%u faults\n", faults_try_all(one_clear, NULL, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_call_fails_no_value_is_wrong_and_the_cache_works_afterwards),
        cmocka_unit_test(a_clear_in_which_a_call_fails_says_so_or_has_removed_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
