/* memcached.c - reads replies of Memcached. The first byte is the size of the pieces in which they come: the result
 * must be the same as in one piece. The same bytes are read as a record of generations. */
#include "fuzz.h"

#include "backends/memcached/protocol.h"
#include "backends/memcached/record.h"

enum { MOST_LEFT = 256 };

struct seen {
    size_t n, bytes;
    uint64_t hash;
    bool nonsense;
};

static void look(struct seen *seen, const struct mc_reply *reply)
{
    const cache_bytes parts[] = { reply->key, reply->value, reply->text };
    seen->n++;
    seen->hash = seen->hash * 31 + (uint64_t)reply->kind;
    for (size_t i = 0; i < 3; i++) {
        const unsigned char *data = (const unsigned char *)parts[i].data;
        seen->bytes += parts[i].size;
        for (size_t j = 0; j < parts[i].size; j++)
            seen->hash = seen->hash * 31 + data[j];
    }
}

static struct seen read_whole(const char *bytes, size_t size)
{
    struct seen seen = { 0 };
    struct mc_reply reply = { 0 };
    ptrdiff_t used = 0;
    for (size_t at = 0; at < size; at += (size_t)used) {
        used = cache_mc_read_reply(bytes + at, size - at, &reply);
        FUZZ_CHECK(used <= (ptrdiff_t)(size - at));
        seen.nonsense = used < 0;
        if (used <= 0)
            break;
        look(&seen, &reply);
    }
    return seen;
}

/* As the connection does: what is left comes again, with the next piece behind it. */
static struct seen read_in_pieces(const char *bytes, size_t size, size_t piece)
{
    const cache_env env = fuzz_env();
    struct mc_reader reader = { .env = &env };
    struct seen seen = { 0 };
    size_t at = 0, end = 0;
    while (end < size && !seen.nonsense) {
        end = size - end < piece ? size : end + piece;
        for (bool more = true; more && at < end;) {
            /* A block of exactly what has come, so that AddressSanitizer sees a look too far. */
            char *come = malloc(end - at);
            size_t used = 0;
            struct mc_reply reply = { 0 };
            FUZZ_CHECK(come != NULL);
            memcpy(come, bytes + at, end - at);
            const enum mc_read read = cache_mc_reader_next(&reader, come, end - at, MOST_LEFT, &used, &reply);
            FUZZ_CHECK(used <= end - at && read != MC_READ_NOMEM);
            if (read == MC_READ_REPLY)
                look(&seen, &reply);
            at += used;
            seen.nonsense = read == MC_READ_NONSENSE;
            more = read == MC_READ_REPLY;
            free(come);
        }
    }
    FUZZ_CHECK(reader.capacity <= 2 * size + 32 * 1024);
    cache_mc_reader_rest(&reader);
    cache_mc_reader_release(&reader);
    return seen;
}

/* What is written of a record reads as the record, and has room. */
static void check_record(cache_bytes text)
{
    static struct mc_record record, again;
    static char written[MC_MAX_RECORD];
    if (!cache_mc_record_read(text, &record))
        return;
    FUZZ_CHECK(record.id > 0 && record.n <= MC_MAX_PARTS);
    const size_t size = cache_mc_record_write(&record, written);
    FUZZ_CHECK(size <= sizeof written);
    FUZZ_CHECK(cache_mc_record_read((cache_bytes){ written, size }, &again));
    FUZZ_CHECK(again.id == record.id && again.n == record.n);
    for (size_t i = 0; i < record.n; i++)
        FUZZ_CHECK(again.parts[i].hash == record.parts[i].hash && again.parts[i].id == record.parts[i].id);
    FUZZ_CHECK(cache_mc_record_find(&record, text) <= cache_mc_record_latest(&record));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = { data, size };
    const size_t piece = 1 + fuzz_byte(&input);
    char *bytes = fuzz_copy(input.data, input.size);
    const struct seen whole = read_whole(bytes, input.size), pieces = read_in_pieces(bytes, input.size, piece);
    FUZZ_CHECK(whole.n == pieces.n && whole.bytes == pieces.bytes && whole.hash == pieces.hash);
    FUZZ_CHECK(whole.nonsense == pieces.nonsense);
    check_record((cache_bytes){ bytes, input.size });
    free(bytes);
    return 0;
}
