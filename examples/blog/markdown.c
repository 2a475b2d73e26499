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

/* Tags in the rendered text are md4c's own: what the author wrote has its < escaped. */
static void copy_with_checked_addresses(const char *html, cache_writer *out)
{
    static const struct { const char *tag, *instead; } attributes[] = {
        { "<a href=\"", "<a rel=\"nofollow\" href=\"" }, { "<img src=\"", "<img src=\"" },
    };
    while (*html != '\0') {
        const size_t plain = strcspn(html + 1, "<") + 1;    /* to the next tag */
        size_t skip = 0;
        for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
            if (strncmp(html, attributes[i].tag, strlen(attributes[i].tag)) == 0) {
                skip = strlen(attributes[i].tag);
                (void)cache_writer_puts(out, attributes[i].instead);
                if (!leads_somewhere_harmless(html + skip)) {
                    (void)cache_writer_puts(out, "#");
                    skip += strcspn(html + skip, "\"");
                }
            }
        (void)cache_writer_append(out, html + skip, plain - skip);
        html += plain;
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

static int ignore_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail, (void)ctx;
    return 0;
}

static int end_block(MD_BLOCKTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail;
    (void)cache_writer_puts(ctx, " ");
    return 0;
}

static int ignore_span(MD_SPANTYPE type, void *detail, void *ctx)
{
    (void)type, (void)detail, (void)ctx;
    return 0;
}

static int put_words(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE size, void *ctx)
{
    if (type == MD_TEXT_NULLCHAR || type == MD_TEXT_BR || type == MD_TEXT_SOFTBR)
        (void)cache_writer_puts(ctx, " ");
    else if (type == MD_TEXT_ENTITY)
        (void)cache_writer_append(ctx, text, size);    /* "&eacute;": letters and digits, as md4c has checked */
    else
        html_bytes(ctx, text, size);
    return 0;
}

cache_status markdown_words(const char *text, cache_writer *out)
{
    static const MD_PARSER parser = {
        .flags = DIALECT, .enter_block = ignore_block, .leave_block = end_block, .enter_span = ignore_span,
        .leave_span = ignore_span, .text = put_words,
    };
    return md_parse(text, (MD_SIZE)strlen(text), &parser, out) == 0 ? cache_writer_status(out) : CACHE_ERR_NOMEM;
}
