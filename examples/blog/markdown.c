/* markdown.c - md4c, and a look at each address that it writes. */
#include "markdown.h"

#include "html.h"

#include <md4c-html.h>
#include <string.h>
#include <strings.h>

enum { HTML_MAX = 200 * 1024 };

enum { DIALECT = MD_FLAG_NOHTML | MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_PERMISSIVEURLAUTOLINKS };

/* ---- as HTML ----------------------------------------------------------------------------------------------------- */

/* Of an address up to its closing quote: it has no scheme, or one that runs nothing. md4c has resolved entities, and
 * percent-encoded blanks and control characters. */
static bool leads_somewhere_harmless(const char *address)
{
    static const char *const schemes[] = { "http:", "https:", "mailto:" };
    if (address[strcspn(address, ":/?#\"")] != ':')
        return true;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(address, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

/* What is more than HTML_MAX is dropped, and the page with it. */
static void append_html(const MD_CHAR *text, MD_SIZE size, void *ctx)
{
    size_t written = 0;
    (void)cache_writer_data(ctx, &written);
    if (written <= HTML_MAX)
        (void)cache_writer_append(ctx, text, size);
}

static cache_status render(const char *text, cache_writer *html)
{
    if (md_html(text, (MD_SIZE)strlen(text), append_html, html, DIALECT, 0) != 0)
        return CACHE_ERR_NOMEM;    /* the only failure that md4c has */
    return cache_writer_status(html);
}

static bool is_bounded(cache_writer *html)
{
    size_t size = 0;
    (void)cache_writer_data(html, &size);
    return size <= HTML_MAX;
}

/* An image of this site, the only ones that the Content-Security-Policy lets a page load. */
static bool is_image_of_ours(const char *address)
{
    return address[0] == '/' && address[1] != '/';
}

/* The spans that are open at this place. md4c-html 0.4.8 ends some that it never began, for example for an image in the
 * description of another one. Their number is bounded: spans that are nested deeper are left out. */
enum { SPANS_MAX = 64 };

struct spans {
    size_t n;
    const char *open[SPANS_MAX];
};

static const char *const span_names[] = { "a", "em", "strong", "del" };

/* The span of the tag whose name begins at `name`; NULL: it is another tag. */
static const char *span_of(const char *name)
{
    const size_t size = strcspn(name, " >");
    for (size_t i = 0; i < sizeof span_names / sizeof span_names[0]; i++)
        if (strlen(span_names[i]) == size && memcmp(span_names[i], name, size) == 0)
            return span_names[i];
    return NULL;
}

static bool is_in_link(const struct spans *spans)
{
    for (size_t i = 0; i < spans->n; i++)
        if (spans->open[i] == span_names[0])
            return true;
    return false;
}

/* Whether the tag at `html` keeps spans well nested: then it is noted, and is to be written. A block ends all spans. */
static bool take_tag(struct spans *spans, const char *html, cache_writer *out)
{
    const bool is_end = html[1] == '/';
    const char *span = span_of(html + (is_end ? 2 : 1));
    if (span == NULL) {
        const bool is_within = strncmp(html, "<br", 3) == 0 || strncmp(html, "<img", 4) == 0 ||
                               strncmp(html, "<code>", 6) == 0 || strncmp(html, "</code>", 7) == 0;
        while (!is_within && spans->n > 0)
            (void)cache_writer_printf(out, "</%s>", spans->open[--spans->n]);
        return true;
    }
    if (is_end) {
        if (spans->n == 0 || spans->open[spans->n - 1] != span)
            return false;
        spans->n--;
        return true;
    }
    if (spans->n == SPANS_MAX || (span == span_names[0] && is_in_link(spans)))
        return false;
    spans->open[spans->n++] = span;
    return true;
}

/* At md4c's `<img src="…" alt="…">`, an image of another site: a link to it instead, with its words; within a link its
 * words alone, since a link has no link in it. Returns what is behind the tag. */
static const char *put_linked_image(const char *html, bool in_link, cache_writer *out)
{
    const char *address = html + strlen("<img src=\"");
    const size_t address_size = strcspn(address, "\""), size = strcspn(html, ">");
    const char *alt = address + address_size + strlen("\" alt=\"");
    const size_t alt_size = strcspn(alt, "\"");
    if (!in_link) {
        (void)cache_writer_puts(out, "<a rel=\"nofollow\" href=\"");
        if (leads_somewhere_harmless(address))
            (void)cache_writer_append(out, address, address_size);
        else
            (void)cache_writer_puts(out, "#");
        (void)cache_writer_puts(out, "\">");
    }
    (void)cache_writer_puts(out, "Image: ");
    if (alt_size > 0)
        (void)cache_writer_append(out, alt, alt_size);
    else
        (void)cache_writer_puts(out, "without a description");
    if (!in_link)
        (void)cache_writer_puts(out, "</a>");
    return html + size + (html[size] == '>' ? 1 : 0);
}

/* At a tag of md4c's, or at what stands before the first: write it as it is to be, and return what is behind it. */
static const char *put_tag(const char *html, struct spans *spans, cache_writer *out)
{
    static const char link[] = "<a href=\"", image[] = "<img src=\"";
    if (*html == '<' && !take_tag(spans, html, out))
        return html + strcspn(html, ">") + 1;
    if (strncmp(html, image, sizeof image - 1) == 0 && !is_image_of_ours(html + sizeof image - 1))
        return put_linked_image(html, is_in_link(spans), out);
    if (strncmp(html, "<h1>", 4) == 0 || strncmp(html, "</h1>", 5) == 0) {    /* a page has one: the title */
        (void)cache_writer_puts(out, html[1] == '/' ? "</h2>" : "<h2>");
        return html + (html[1] == '/' ? 5 : 4);
    }
    if (strncmp(html, link, sizeof link - 1) != 0)
        return html;
    html += sizeof link - 1;
    (void)cache_writer_puts(out, "<a rel=\"nofollow\" href=\"");
    if (leads_somewhere_harmless(html))
        return html;
    (void)cache_writer_puts(out, "#");
    return html + strcspn(html, "\"");
}

/* Tags in the rendered text are md4c's own: what the author wrote has its < escaped. */
static void copy_with_checked_addresses(const char *html, cache_writer *out)
{
    struct spans spans = { 0 };
    while (*html != '\0') {
        const char *rest = put_tag(html, &spans, out);
        const size_t plain = rest > html ? strcspn(rest, "<") : strcspn(html + 1, "<") + 1;    /* to the next tag */
        (void)cache_writer_append(out, rest, plain);
        html = rest + plain;
    }
}

cache_status markdown_html(const char *text, cache_writer *out)
{
    cache_writer *html = cache_writer_new();
    if (html == NULL)
        return CACHE_ERR_NOMEM;
    cache_status status = render(text, html);
    if (status == CACHE_OK && !is_bounded(html)) {
        (void)cache_writer_puts(out, "<pre>");
        html_text(out, text);
        (void)cache_writer_puts(out, "</pre>\n");
        status = cache_writer_status(out);
    } else if (status == CACHE_OK) {
        copy_with_checked_addresses(cache_writer_data(html, NULL), out);
        status = cache_writer_status(out);
    }
    cache_writer_free(html);
    return status;
}

bool markdown_is_bounded(const char *text)
{
    cache_writer *html = cache_writer_new();
    const bool bounded = html != NULL && render(text, html) == CACHE_OK && is_bounded(html);
    cache_writer_free(html);
    return bounded;
}

/* ---- its words --------------------------------------------------------------------------------------------------- */

struct words {
    cache_writer *out;
    bool after_item;                   /* the last block was an item of a list: a comma separates it from the next one */
    char last;                         /* the last byte of the text so far */
};

static bool ends_with_a_mark(const struct words *words)
{
    return words->last != '\0' && strchr(".,:;!?", words->last) != NULL;
}

static int begin_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    (void)detail;
    struct words *words = ctx;
    if (words->after_item && type == MD_BLOCK_LI)
        (void)cache_writer_puts(words->out, ends_with_a_mark(words) ? " " : ", ");
    words->after_item = false;
    return 0;
}

static int end_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    (void)detail;
    struct words *words = ctx;
    words->after_item = type == MD_BLOCK_LI;
    if (!words->after_item)
        (void)cache_writer_puts(words->out, " ");
    return 0;
}

static int ignore_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail, (void)ctx;
    return 0;
}

static int put_words(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *ctx)
{
    struct words *words = ctx;
    cache_writer *out = words->out;
    if (size > 0)
        words->last = text[size - 1];
    if (type == MD_TEXT_NULLCHAR || type == MD_TEXT_BR || type == MD_TEXT_SOFTBR)
        (void)cache_writer_puts(out, " ");
    else if (type == MD_TEXT_ENTITY)
        (void)cache_writer_append(out, text, size);    /* "&eacute;": letters and digits, as md4c has checked */
    else
        html_bytes(out, text, size);
    return 0;
}

cache_status markdown_words(const char *text, cache_writer *out)
{
    static const MD_PARSER parser = {
        .flags = DIALECT, .enter_block = begin_block, .leave_block = end_block, .enter_span = ignore_span,
        .leave_span = ignore_span, .text = put_words,
    };
    struct words words = { out, false, '\0' };
    return md_parse(text, (MD_SIZE)strlen(text), &parser, &words) == 0 ? cache_writer_status(out) : CACHE_ERR_NOMEM;
}
