/* doctor.c - the command doctor: opens a URL, tries each promise of its store, and says in plain words what is wrong
 * and what to do.
 *
 * It never harms a cache that is in use. The keys that it writes have random names, are small, live for at most a
 * minute, and are deleted at the end. Nothing else is changed. */
#include "tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_SIZE = 100000, PINGS = 100, MAX_LOOKS = 200 };

struct doctor {
    const struct tool *tool;
    cache_t *cache;
    char name[17];                     /* the beginning of all keys of this run */
    cJSON *checks;                     /* NULL without the option --json */
    int problems;
};

/* ---- what is said ---------------------------------------------------------------------------------------------- */

enum verdict { FINE, NOTE, WRONG };

static void say(struct doctor *doctor, enum verdict verdict, const char *check, const char *advice,
                const char *format, ...)
{
    static const char *const words[] = { "ok", "note", "WRONG" };
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    doctor->problems += verdict == WRONG;
    if (doctor->checks == NULL) {
        (void)printf("%-6s %-8s %s\n", words[verdict], check, text);
        if (advice != NULL)
            (void)printf("                -> %s\n", advice);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(object, "check", check);
    (void)cJSON_AddStringToObject(object, "verdict", words[verdict]);
    (void)cJSON_AddStringToObject(object, "says", text);
    if (advice != NULL)
        (void)cJSON_AddStringToObject(object, "advice", advice);
    (void)cJSON_AddItemToArray(doctor->checks, object);
}

static bool is_of(const struct doctor *doctor, const char *scheme)
{
    return strncmp(doctor->tool->url, scheme, strlen(scheme)) == 0;
}

/* Find the first pair whose text is part of the store's message. */
static const char *advice_by_words(const char *words)
{
    static const struct { const char *said, *advice; } known[] = {
        { "used memory > 'maxmemory'", "The server is full and evicts nothing (maxmemory-policy noeviction). Set "
          "maxmemory-policy to allkeys-lru or allkeys-lfu." },
        { "NOAUTH", "The server wants a password: redis://:PASSWORD@HOST, or redis://USER:PASSWORD@HOST." },
        { "WRONGPASS", "User or password is wrong. Percent-encode what is not a letter or digit in it." },
        { "NOPERM", "The user may not use these commands or keys: widen its rules in the server's ACL." },
        { "LOADING", "The server is still loading its data: wait." },
        { "READONLY", "This server is a replica. Name the master, or the Sentinels: redis+sentinel://." },
        { "MISCONF", "The server cannot write its snapshot: look at its log and disk, or set "
          "stop-writes-on-bgsave-error no." },
        { "onnection refused", "No server listens there: is it running, and is this its port?" },
        { "name was not found", "No machine of this name is known here: look at the spelling and at DNS." },
        { "No route to host", "The network does not reach this address." },
        { "ermission denied", "Run it as the user of the program whose cache it is, or give that user the directory." },
        { "ead-only file system", "The disk is read-only: choose another directory." },
        { "o space left", "The disk is full: free some space, or set max_bytes." },
        { "not a cache", "The directory has files that are not a cache's. Give the URL an empty or a new directory." },
        { "certificate", "Name the authority that signed the server's certificate: ?ca=FILE." },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(words, known[i].said) != NULL)
            return known[i].advice;
    return NULL;
}

static const char *advice_by_status(const struct doctor *doctor, cache_status status)
{
    switch (status) {
    case CACHE_ERR_AUTH:
        return "The server wants a password, or another one: SCHEME://USER:PASSWORD@HOST.";
    case CACHE_ERR_PROTOCOL:
        return is_of(doctor, "redis") ? "What listens on this port does not speak Redis' protocol: is the port right?"
                                      : "What listens on this port does not speak this protocol: is the port right?";
    case CACHE_ERR_TIMEOUT:
        return "The server did not answer in time. It is overloaded or far, a firewall drops what is sent, or it waits "
               "for another protocol (such as TLS). ?timeout=SECONDS gives it longer.";
    case CACHE_ERR_CONNECT:
        return "The server cannot be used: is it running, is the address right, does a firewall let it through, and "
               "does it speak this protocol?";
    case CACHE_ERR_CONFIG:
        return "Correct the URL: docs/backends.md has every store's options.";
    case CACHE_ERR_TOO_LARGE:
        return "Raise the limit (Memcached: -I; memory and files: max_bytes), store smaller values, or ?compress=zstd.";
    default:
        return NULL;
    }
}

static bool went_wrong(struct doctor *doctor, const char *check, cache_status status)
{
    if (status >= 0)
        return false;
    const char *words = cache_last_error()[0] != '\0' ? cache_last_error() : cache_strerror(status);
    const char *advice = advice_by_words(words);
    say(doctor, WRONG, check, advice != NULL ? advice : advice_by_status(doctor, status), "%s", words);
    return true;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static const char *key(const struct doctor *doctor, const char *what, char out[64])
{
    (void)snprintf(out, 64, "libcache-doctor/%s/%s", doctor->name, what);
    return out;
}

static bool holds(const struct doctor *doctor, const char *name, const char *text, size_t size)
{
    cache_value value;
    const bool same = cache_get(doctor->cache, name, &value) == CACHE_OK && value.size == size &&
                      memcmp(value.data, text, size) == 0;
    cache_value_release(&value);
    return same;
}

static void check_values(struct doctor *doctor)
{
    static const char bytes[] = "every\0byte\n\377";
    char name[64];
    key(doctor, "value", name);
    if (went_wrong(doctor, "set", cache_set(doctor->cache, name, bytes, sizeof bytes, 60)))
        return;
    if (is_of(doctor, "null:")) {
        say(doctor, NOTE, "get", "Use another URL to cache something.", "null:// holds nothing: each read is a miss");
        return;
    }
    if (!holds(doctor, name, bytes, sizeof bytes))
        say(doctor, WRONG, "get", "The store may be full and evict at once, or somebody clears it.",
            "what was just set is not there");
    else
        say(doctor, FINE, "get", NULL, "a value comes back as it was set");
    const cache_status again = cache_add(doctor->cache, name, "x", 1, 60);
    if (!went_wrong(doctor, "add", again))
        say(doctor, again == CACHE_NOT_STORED ? FINE : WRONG, "add", NULL, again == CACHE_NOT_STORED
            ? "add leaves what is there" : "add replaced what was there");
    const cache_status gone = cache_delete(doctor->cache, name);
    if (!went_wrong(doctor, "delete", gone))
        say(doctor, gone == CACHE_OK && cache_has(doctor->cache, name) == CACHE_MISS ? FINE : WRONG, "delete", NULL,
            gone == CACHE_OK ? "what is deleted is gone" : "what was set could not be deleted");
}

static void check_counter(struct doctor *doctor)
{
    char name[64];
    int64_t number = 0;
    key(doctor, "counter", name);
    cache_status status = cache_set_string(doctor->cache, name, "40", 60);
    if (status == CACHE_OK)
        status = cache_inc(doctor->cache, name, 2, &number);
    if (went_wrong(doctor, "inc", status))
        return;
    say(doctor, number == 42 ? FINE : WRONG, "inc", NULL, number == 42 ? "counters count" : "40 and 2 were %lld",
        (long long)number);
    (void)cache_delete(doctor->cache, name);
}

/* The clock of the store counts. Memcached's clock has whole seconds, so a value may expire up to one second too
 * early. */
static void check_expiry(struct doctor *doctor)
{
    static const struct timespec pause = { 0, 20000000 };
    const bool has_whole_seconds = is_of(doctor, "memcached");
    const double ttl = has_whole_seconds ? 2 : 0.5;
    char name[64];
    key(doctor, "expiry", name);
    const uint64_t begun_ns = tool_now_ns();
    if (went_wrong(doctor, "expiry", cache_set_string(doctor->cache, name, "x", ttl)))
        return;
    double lived = 0;
    while (cache_has(doctor->cache, name) == CACHE_OK && lived < ttl + 3) {
        (void)nanosleep(&pause, NULL);
        lived = (double)(tool_now_ns() - begun_ns) / 1e9;
    }
    (void)cache_delete(doctor->cache, name);
    const bool is_right = lived > ttl - (has_whole_seconds ? 1.1 : 0.1) && lived < ttl + 2;
    say(doctor, is_right ? FINE : WRONG, "expiry",
        is_right ? NULL : "The clock of the server or of this machine jumps: run NTP on both.",
        "a value for %.1f seconds was gone after %.2f", ttl, lived);
}

static cache_status compute(void *ctx, cache_writer *out)
{
    (void)ctx;
    return cache_writer_puts(out, "computed");
}

static void check_tags(struct doctor *doctor)
{
    char name[64], tag[64];
    const char *const tags[] = { key(doctor, "tag", tag) };
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_value value;
    key(doctor, "fetch", name);
    options.ttl = 60;
    options.tags = tags;
    options.n_tags = 1;
    cache_status status = cache_fetch(doctor->cache, name, &options, compute, NULL, &value);
    cache_value_release(&value);
    const bool was_there = status == CACHE_OK && cache_has(doctor->cache, name) == CACHE_OK;
    if (status == CACHE_OK)
        status = cache_invalidate_tag(doctor->cache, tag);
    if (went_wrong(doctor, "tags", status))
        return;
    const bool is_right = was_there && cache_has(doctor->cache, name) == CACHE_MISS;
    say(doctor, is_right ? FINE : WRONG, "tags", NULL,
        is_right ? "a computed value is stored, and its tag makes it a miss"
                 : "a computed value was not stored, or stayed although its tag was invalidated");
    (void)cache_delete(doctor->cache, name);
}

static void check_size(struct doctor *doctor)
{
    const size_t size = doctor->tool->size > 0 ? doctor->tool->size : DEFAULT_SIZE;
    cache_counters counters;
    if (cache_stats(doctor->cache, &counters) == CACHE_OK && counters.items > 0 && size <= counters.max_bytes &&
        counters.bytes + 2 * size > counters.max_bytes) {
        say(doctor, NOTE, "size", "Raise max_bytes if values are evicted too soon.",
            "not tried: %zu bytes more would evict others' values (%llu of %llu bytes are used)", size,
            (unsigned long long)counters.bytes, (unsigned long long)counters.max_bytes);
        return;
    }
    char name[64];
    char *data = malloc(size);
    if (data == NULL)
        return;
    for (size_t i = 0; i < size; i++)    /* the bytes must not compress */
        data[i] = (char)((i * 2654435761u) >> 13);
    key(doctor, "size", name);
    if (!went_wrong(doctor, "size", cache_set(doctor->cache, name, data, size, 60))) {
        const bool is_there = holds(doctor, name, data, size);
        say(doctor, is_there ? FINE : WRONG, "size", is_there ? NULL : "Raise the store's limits.",
            is_there ? "a value of %zu bytes is taken" : "a value of %zu bytes was taken and is not there", size);
        (void)cache_delete(doctor->cache, name);
    }
    free(data);
}

/* ---- the way there, and who else is there ---------------------------------------------------------------------- */

static void check_round_trip(struct doctor *doctor)
{
    uint64_t took[PINGS];
    char name[64];
    key(doctor, "nothing", name);
    size_t n = 0;
    const uint64_t begun_ns = tool_now_ns();
    while (n < PINGS && tool_now_ns() - begun_ns < 2000000000) {
        const uint64_t before_ns = tool_now_ns();
        if (went_wrong(doctor, "speed", cache_has(doctor->cache, name)))
            return;
        took[n++] = tool_now_ns() - before_ns;
    }
    tool_sort(took, n);
    const double typical_ms = (double)tool_percentile(took, n, 0.5) / 1e6;
    const double worst_ms = (double)took[n - 1] / 1e6;
    const bool is_far = typical_ms > 5;
    say(doctor, is_far ? NOTE : FINE, "speed",
        is_far ? "The server is far: read many keys at once (cache_get_many), or put memory before it (?front=64mb)."
               : NULL,
        "a read takes %.3f ms, the slowest of %zu took %.3f", typical_ms, n, worst_ms);
}

struct clocks {
    struct doctor *doctor;
    double ahead;                      /* in seconds, for the entry that was computed furthest in the future */
    size_t looks;
};

static void look_at_age(void *ctx, const cache_entry *entry)
{
    struct clocks *clocks = ctx;
    if (-entry->age > clocks->ahead)
        clocks->ahead = -entry->age;
}

static void look_at_key(void *ctx, const char *name)
{
    struct clocks *clocks = ctx;
    if (clocks->looks < MAX_LOOKS) {
        clocks->looks++;
        (void)cache_inspect(clocks->doctor->cache, name, look_at_age, clocks);
    }
}

/* Values contain the time of their computation, by the clock of the machine that computed them. This check only
 * reads. */
static void check_clocks(struct doctor *doctor)
{
    struct clocks clocks = { doctor, 0, 0 };
    cache_cursor cursor = { 0 };
    cache_status status = CACHE_OK;
    for (int i = 0; i < 20 && !cursor.done && status == CACHE_OK && clocks.looks < MAX_LOOKS; i++)
        status = cache_keys(doctor->cache, NULL, &cursor, look_at_key, &clocks);
    if (status == CACHE_ERR_UNSUPPORTED)
        say(doctor, NOTE, "clocks", NULL, "not looked at: this store cannot list its keys");
    else if (!went_wrong(doctor, "clocks", status))
        say(doctor, clocks.ahead > 1 ? WRONG : FINE, "clocks",
            clocks.ahead > 1 ? "Run NTP on every machine: values expire too late or too soon otherwise." : NULL,
            clocks.ahead > 1 ? "a machine that stores here has a clock %.1f seconds ahead of this one's"
                             : "none of the values looked at comes from the future", clocks.ahead);
}

/* ---- the visit ------------------------------------------------------------------------------------------------- */

/* Returns the URL with on_error=fail, since a doctor wants to see failures; or NULL if there is no memory. */
static char *url_that_fails(const char *url)
{
    static const char from[] = "on_error=miss", to[] = "on_error=fail";
    char *copy = malloc(strlen(url) + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, url, strlen(url) + 1);
    char *at = strstr(copy, from);
    if (at != NULL && at > copy && (at[-1] == '?' || at[-1] == '&'))
        memcpy(at, to, sizeof to - 1);
    return copy;
}

static void visit(struct doctor *doctor)
{
    char *url = url_that_fails(doctor->tool->url);
    const cache_status status = url != NULL ? cache_open(url, &doctor->cache) : CACHE_ERR_NOMEM;
    free(url);
    if (went_wrong(doctor, "open", status))
        return;
    if (!went_wrong(doctor, "answers", cache_ping(doctor->cache))) {
        say(doctor, FINE, "answers", NULL, "the store can be used");
        check_values(doctor);
    }
    if (doctor->problems == 0 && !is_of(doctor, "null:")) {
        check_counter(doctor);
        check_expiry(doctor);
        check_tags(doctor);
        check_size(doctor);
        check_round_trip(doctor);
        check_clocks(doctor);
    }
    cache_close(doctor->cache);
}

int tool_doctor(const struct tool *tool)
{
    struct doctor doctor = { .tool = tool, .checks = tool->json ? cJSON_CreateArray() : NULL };
    tool_random_name(doctor.name);
    visit(&doctor);
    const int status = doctor.problems > 0 ? TOOL_FAILED : TOOL_FOUND;
    if (tool->json) {
        cJSON *object = cJSON_CreateObject();
        (void)cJSON_AddNumberToObject(object, "problems", doctor.problems);
        (void)cJSON_AddItemToObject(object, "checks", doctor.checks);
        return tool_json_print(object, status);
    }
    if (doctor.problems > 0)
        (void)printf("%d %s wrong\n", doctor.problems, doctor.problems == 1 ? "thing is" : "things are");
    else
        (void)puts("nothing is wrong");
    return status;
}
