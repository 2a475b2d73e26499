/* blog_form.c - reads the blog's forms: the first line is the name of a field, the rest is the body of a form, and also
 * a query. Both are also read as an address to go to, and as the tags of a post. */
#include "fuzz.h"

#include "blog/form.h"
#include "blog/same_origin.h"
#include "blog/tags.h"
#include "blog/utf8.h"
#include "blog/visit.h"

#include <inttypes.h>

/* ---- the same, written in another way ---------------------------------------------------------------------------- */

/* The table of well-formed sequences in the Unicode standard (3-7). Returns the size of the first; 0 if it is none. */
static size_t sequence(const unsigned char *text, uint32_t *code)
{
    static const struct {
        unsigned char first, last, second_first, second_last;
        size_t size;
    } rows[] = {
        { 0x00, 0x7f, 0, 0, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (text[0] < rows[i].first || text[0] > rows[i].last)
            continue;
        *code = rows[i].size == 1 ? text[0] : text[0] & (0x7fu >> rows[i].size);
        for (size_t at = 1; at < rows[i].size; at++) {
            const unsigned char least = at == 1 ? rows[i].second_first : 0x80;
            const unsigned char most = at == 1 ? rows[i].second_last : 0xbf;
            if (text[at] < least || text[at] > most)
                return 0;
            *code = *code << 6 | (text[at] & 0x3f);
        }
        return rows[i].size;
    }
    return 0;
}

/* Control characters, and the marks that turn the direction of writing or end a line. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void check_text(const char *text)
{
    bool well_formed = true, plain = true;
    uint32_t code = 0;
    for (const char *at = text; *at != '\0' && well_formed;) {
        const size_t size = sequence((const unsigned char *)at, &code);
        well_formed = size > 0;
        plain = plain && well_formed && !is_hidden(code);
        at += size;
    }
    FUZZ_CHECK(is_utf8(text) == well_formed);
    FUZZ_CHECK(is_plain_text(text) == plain);
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* What a browser sends for `name` and `value`. To be freed. */
static char *encode(const char *name, const char *value)
{
    char *body = malloc(strlen(name) + 2 + 3 * strlen(value)), *to = body;
    FUZZ_CHECK(body != NULL);
    to += sprintf(to, "%s=", name);
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0'; at++)
        to += sprintf(to, *at == ' ' ? "+" : "%%%02X", *at);
    return body;
}

/* What is read is UTF-8, is no longer than the body, and is read again as it is when it is sent again. */
static void check_field(const char *body, size_t size, const char *name)
{
    char *value = form_field(body, size, name);
    if (value == NULL)
        return;
    FUZZ_CHECK(is_utf8(value) && strlen(value) + strlen(name) + 1 <= size);
    char *sent = encode(name, value), *again = form_field(sent, strlen(sent), name);
    FUZZ_CHECK(again != NULL && strcmp(again, value) == 0);
    free(again);
    free(sent);
    free(value);
}

static void check_trim(const char *text)
{
    static const char blank[] = " \t\r\n";
    char *trimmed = fuzz_copy(text, strlen(text));
    FUZZ_CHECK(form_trim(trimmed) == trimmed && strstr(text, trimmed) != NULL);
    const size_t size = strlen(trimmed), skipped = strspn(text, blank);
    FUZZ_CHECK(size == 0 || (strchr(blank, trimmed[0]) == NULL && strchr(blank, trimmed[size - 1]) == NULL));
    FUZZ_CHECK(strncmp(text + skipped, trimmed, size) == 0 && strspn(text + skipped + size, blank) ==
               strlen(text) - skipped - size);
    free(trimmed);
}

/* ---- where a login leads ----------------------------------------------------------------------------------------- */

/* As browsers read a Location: they skip tabs, line ends, and what is no more than a space in front; a backslash is a
 * slash; and two slashes begin the name of a host. */
static void check_path(const char *path)
{
    const char *safe = safe_path(path);
    char start[2] = "";
    size_t n = 0;
    FUZZ_CHECK(safe == path || strcmp(safe, "/dashboard") == 0);
    for (const char *at = safe; *at != '\0'; at++) {
        FUZZ_CHECK((unsigned char)*at >= ' ' && *at != 0x7f);    /* it becomes a header */
        if (n < sizeof start && (n > 0 || *at != ' '))
            start[n++] = *at == '\\' ? '/' : *at;
    }
    FUZZ_CHECK(start[0] == '/' && start[1] != '/');
}

/* ---- tags -------------------------------------------------------------------------------------------------------- */

/* Tags that were accepted are few, short and plain, and stay as they are if they are typed again. */
static void check_tags(const char *text)
{
    char tags[TAGS_TEXT_MAX + 1], again[TAGS_TEXT_MAX + 1];
    memset(tags, 'x', sizeof tags);
    if (tidy_tags(text, tags) != NULL)
        return;
    FUZZ_CHECK(memchr(tags, '\0', sizeof tags) != NULL && is_utf8(tags));
    size_t n = 0;
    for (const char *at = tags; *at != '\0'; n++) {
        const size_t size = strcspn(at, " ");
        FUZZ_CHECK(size > 0 && size <= TAG_MAX);
        for (size_t i = 0; i < size; i++)
            FUZZ_CHECK((unsigned char)at[i] >= 0x80 ||
                       strchr("abcdefghijklmnopqrstuvwxyz0123456789-", at[i]) != NULL);
        at += size + (at[size] == ' ');
        FUZZ_CHECK(at[0] != '\0' || at[-1] != ' ');
    }
    FUZZ_CHECK(n <= POST_TAGS_MAX);
    FUZZ_CHECK(tidy_tags(tags, again) == NULL && strcmp(tags, again) == 0);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* A page and an id have one spelling each, so that no address has copies in the cache. */
static void check_numbers(const char *query, const char *path)
{
    const cache_request request = { .method = "GET", .path = "/", .query = query };
    const struct visit visit = { .rest = path };
    char spelling[32];
    size_t page = 0;
    int64_t id = 0;
    const bool good = visit_page(&request, &page);
    FUZZ_CHECK(page >= 1 && page <= 10000 && (good || page == 1));
    char *text = form_field(query, strlen(query), "page");
    (void)snprintf(spelling, sizeof spelling, "%zu", page);
    FUZZ_CHECK(good == (text == NULL || strcmp(text, spelling) == 0));
    free(text);
    if (visit_id(&visit, &id)) {
        (void)snprintf(spelling, sizeof spelling, "%" PRId64, id);
        FUZZ_CHECK(id > 0 && strcmp(path, spelling) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = { data, size };
    char *name = fuzz_line(&input), *body = fuzz_copy(input.data, input.size);
    char *exact = malloc(input.size + (input.size == 0));    /* no NUL behind it: a body is not a text */
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, body, input.size);
    check_text(name);
    check_text(body);
    check_trim(body);
    if (strpbrk(name, "=&") == NULL)
        check_field(exact, input.size, name);
    check_field(exact, input.size, "title");
    check_numbers(body, name);
    check_path(name);
    check_path(body);
    check_tags(name);
    check_tags(body);
    free(exact);
    free(body);
    free(name);
    return 0;
}
