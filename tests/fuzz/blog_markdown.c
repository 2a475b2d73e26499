/* blog_markdown.c - renders the text of a post, which is Markdown. Whatever it is, its HTML has only harmless tags and
 * addresses, is well nested, and is bounded. */
#include "fuzz.h"

#include "blog/markdown.h"
#include "blog/utf8.h"

#include <ctype.h>
#include <strings.h>

enum { HTML_BOUND = 1024 * 1024, DEPTH = 8192 };

struct tag {
    const char *name, *attributes;     /* names that it may have, with a blank around each */
    bool is_single;                    /* it has no end */
};

static const struct tag allowed[] = {
    { "p", "", false }, { "blockquote", "", false }, { "ul", "", false }, { "ol", " start ", false },
    { "li", "", false }, { "hr", "", true }, { "br", "", true }, { "h2", "", false }, { "h3", "", false },
    { "h4", "", false }, { "h5", "", false }, { "h6", "", false }, { "pre", "", false },
    { "code", " class ", false }, { "table", "", false }, { "thead", "", false }, { "tbody", "", false },
    { "tr", "", false }, { "th", " align ", false }, { "td", " align ", false }, { "em", "", false },
    { "strong", "", false }, { "del", "", false }, { "a", " rel href title ", false },
    { "img", " src alt title ", true },
};

static const struct tag *find_tag(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strlen(allowed[i].name) == size && memcmp(allowed[i].name, name, size) == 0)
            return &allowed[i];
    return NULL;
}

/* At an & that is not an author's: the reference of a character. Returns what is behind it. */
static const char *check_reference(const char *at)
{
    const size_t name = 1 + strspn(at + 1, "#abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    FUZZ_CHECK(name > 1 && at[name] == ';');
    return at + name;
}

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* A browser leaves out blanks and control characters, and takes a backslash for a slash: there must be none. */
static void check_address(const char *address, size_t size, bool is_image)
{
    for (size_t i = 0; i < size; i++)
        FUZZ_CHECK((unsigned char)address[i] > ' ' && address[i] != 0x7f && address[i] != '\\');
    if (is_image)
        FUZZ_CHECK(address[0] == '/' && address[1] != '/');
    const size_t scheme = strcspn(address, ":/?#\"");
    FUZZ_CHECK(address[scheme] != ':' || begins(address, "http:") || begins(address, "https:") ||
               begins(address, "mailto:"));
}

/* Behind a tag's name: its attributes up to the ">". Returns what is behind that. */
static const char *check_attributes(const char *at, const struct tag *tag)
{
    while (*at == ' ') {
        char name[16];
        const size_t size = strcspn(++at, "= >\"");
        FUZZ_CHECK(size > 0 && size < sizeof name - 2 && at[size] == '=' && at[size + 1] == '"');
        (void)snprintf(name, sizeof name, " %.*s ", (int)size, at);
        FUZZ_CHECK(strstr(tag->attributes, name) != NULL);
        const char *value = at + size + 2;
        for (at = value; *at != '"'; at++) {
            FUZZ_CHECK(*at != '\0' && *at != '<' && *at != '>');
            if (*at == '&')
                at = check_reference(at);
        }
        if (strcmp(name, " href ") == 0 || strcmp(name, " src ") == 0)
            check_address(value, (size_t)(at - value), name[1] == 's');
        at++;
    }
    FUZZ_CHECK(*at == '>');
    return at + 1;
}

static bool is_open(const struct tag *const open[], size_t depth, const char *name)
{
    for (size_t i = 0; i < depth; i++)
        if (strcmp(open[i]->name, name) == 0)
            return true;
    return false;
}

static void check_html(const char *html)
{
    static const struct tag *open[DEPTH];
    size_t depth = 0;
    while (*html != '\0') {
        if (*html == '&')
            html = check_reference(html);
        FUZZ_CHECK(*html != '>' && *html != '"');
        if (*html++ != '<')
            continue;
        const bool is_end = *html == '/';
        html += is_end ? 1 : 0;
        const size_t size = strspn(html, "abcdefghijklmnopqrstuvwxyz0123456789");
        const struct tag *tag = find_tag(html, size);
        FUZZ_CHECK(tag != NULL);
        html += size;
        if (is_end) {
            FUZZ_CHECK(*html++ == '>');
            FUZZ_CHECK(depth > 0 && open[--depth] == tag);
        } else {
            html = check_attributes(html, tag);
            FUZZ_CHECK(strcmp(tag->name, "a") != 0 || !is_open(open, depth, "a"));
            FUZZ_CHECK(depth < DEPTH);
            if (!tag->is_single)
                open[depth++] = tag;
        }
    }
    FUZZ_CHECK(depth == 0);
}

static void check_words(const char *words)
{
    for (; *words != '\0'; words++) {
        FUZZ_CHECK(*words != '<' && *words != '>' && *words != '"' && *words != '\'');
        if (*words == '&')
            words = check_reference(words);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    cache_writer *html = cache_writer_new(), *words = cache_writer_new();
    FUZZ_CHECK(html != NULL && words != NULL);
    FUZZ_CHECK(markdown_html(text, html) == CACHE_OK && markdown_words(text, words) == CACHE_OK);
    size_t html_size = 0, words_size = 0;
    const char *page = cache_writer_data(html, &html_size);
    FUZZ_CHECK(html_size <= HTML_BOUND + 6 * size && strlen(page) == html_size);
    check_html(page);
    FUZZ_CHECK(markdown_is_bounded(text) || begins(page, "<pre>"));
    const char *line = cache_writer_data(words, &words_size);
    FUZZ_CHECK(strlen(line) == words_size && words_size <= 8 * size + 8);
    check_words(line);
    if (is_utf8(text))
        FUZZ_CHECK(is_utf8(page) && is_utf8(line));
    cache_writer_free(words);
    cache_writer_free(html);
    free(text);
    return 0;
}
