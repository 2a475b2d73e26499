/* template_parse.c - compiles the text of a template to steps. */
#include "template.h"

#include "hooks.h"

#include <string.h>

struct parser {
    struct cache_template *made;
    const char *at;
    unsigned line;
    size_t open[TEMPLATE_MAX_DEPTH];   /* the STEP_CACHE steps that are not closed yet */
    size_t depth;
};

/* ---- what is wrong ----------------------------------------------------------------------------------------------- */

static cache_status syntax_error(const struct parser *parser, const char *what)
{
    return cache_fail(CACHE_ERR_INVALID, "template line %u: %s", parser->line, what);
}

/* The same, and quotes the text from here to the end of the line. */
static cache_status syntax_error_here(const struct parser *parser, const char *what)
{
    size_t size = strcspn(parser->at, "\r\n");
    size = size > 20 ? 20 : size;
    if (*parser->at == '\0')
        return cache_fail(CACHE_ERR_INVALID, "template line %u: %s, not the end of the template", parser->line, what);
    return cache_fail(CACHE_ERR_INVALID, "template line %u: %s, not '%.*s'", parser->line, what, (int)size, parser->at);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

/* Make room for one more element in a list that doubles. */
static bool make_room(void **list, size_t n, size_t *capacity, size_t size)
{
    const cache_allocator *allocator = &cache_allocator_default;
    if (n < *capacity)
        return true;
    const size_t more = *capacity > 0 ? 2 * *capacity : 16;
    void *grown = *list != NULL ? allocator->resize(allocator->ctx, *list, more * size)
                                : allocator->alloc(allocator->ctx, more * size);
    if (grown == NULL) {
        (void)cache_fail(CACHE_ERR_NOMEM, "template: out of memory");
        return false;
    }
    *list = grown;
    *capacity = more;
    return true;
}

static cache_status put_step(struct parser *parser, struct template_step step)
{
    struct cache_template *made = parser->made;
    void *list = made->steps;
    if (!make_room(&list, made->n_steps, &made->step_capacity, sizeof step))
        return CACHE_ERR_NOMEM;
    made->steps = list;
    step.line = parser->line;
    made->steps[made->n_steps++] = step;
    return CACHE_OK;
}

static cache_status put_argument(struct parser *parser, struct template_argument argument)
{
    struct cache_template *made = parser->made;
    void *list = made->arguments;
    if (!make_room(&list, made->n_arguments, &made->argument_capacity, sizeof argument))
        return CACHE_ERR_NOMEM;
    made->arguments = list;
    made->arguments[made->n_arguments++] = argument;
    return CACHE_OK;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void advance(struct parser *parser, size_t size)
{
    for (; size > 0; size--, parser->at++)
        parser->line += *parser->at == '\n';
}

static void skip_space(struct parser *parser)
{
    advance(parser, strspn(parser->at, " \t\r\n"));
}

static bool take(struct parser *parser, const char *sign)
{
    const size_t size = strlen(sign);
    if (strncmp(parser->at, sign, size) != 0)
        return false;
    advance(parser, size);
    return true;
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
static const char letters_and_digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

/* Returns the size of a dotted name such as user.id, or 0 if there is none. */
static size_t name_size(const char *at)
{
    size_t size = strspn(at, letters) > 0 ? strspn(at, letters_and_digits) : 0;
    while (size > 0 && at[size] == '.') {
        const size_t more = strspn(at + size + 1, letters_and_digits);
        if (more == 0)
            return 0;
        size += 1 + more;
    }
    return size;
}

bool cache_template_seconds(const char *text, size_t size, double *out)
{
    double number = 0, scale = 1;
    bool fraction = false, digit = false;
    if (size > 16)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' && digit && !fraction) {
            fraction = true;
            digit = false;
            continue;
        }
        if (text[i] < '0' || text[i] > '9')
            return false;
        digit = true;
        scale *= fraction ? 10 : 1;
        number = number * 10 + (text[i] - '0');
    }
    *out = number / scale;
    return digit;
}

/* ---- {{ name }} -------------------------------------------------------------------------------------------------- */

static cache_status parse_value(struct parser *parser)
{
    skip_space(parser);
    struct template_step step = { .kind = STEP_VALUE, .text = { parser->at, name_size(parser->at) } };
    if (step.text.size == 0)
        return syntax_error_here(parser, "a name must follow '{{'");
    advance(parser, step.text.size);
    const cache_status status = put_step(parser, step);
    skip_space(parser);
    if (status == CACHE_OK && take(parser, "|")) {
        skip_space(parser);
        const size_t size = name_size(parser->at);
        if (size != 4 || memcmp(parser->at, "safe", 4) != 0)
            return syntax_error_here(parser, "the only filter is 'safe'");
        advance(parser, size);
        skip_space(parser);
        parser->made->steps[parser->made->n_steps - 1].kind = STEP_SAFE_VALUE;
    }
    if (status == CACHE_OK && !take(parser, "}}"))
        return syntax_error_here(parser, "'}}' must follow the name");
    return status;
}

/* ---- {% cache %} ------------------------------------------------------------------------------------------------- */

static cache_status parse_argument(struct parser *parser)
{
    struct template_argument argument = { .kind = ARGUMENT_NAME, .text = parser->at, .size = name_size(parser->at) };
    const char quote = *parser->at;
    if (quote == '\'' || quote == '"') {
        const char sign[] = { quote, '\n', '\0' };
        argument.kind = ARGUMENT_TEXT;
        argument.text++;
        argument.size = strcspn(argument.text, sign);
        if (argument.text[argument.size] != quote)
            return syntax_error_here(parser, "a text must end in this line with the quote that it began with");
        advance(parser, argument.size + 2);
        return put_argument(parser, argument);
    }
    if (argument.size == 0) {
        double seconds = 0;
        argument.kind = ARGUMENT_NUMBER;
        argument.size = strspn(parser->at, "0123456789.");
        if (argument.size == 0 || !cache_template_seconds(argument.text, argument.size, &seconds))
            return syntax_error_here(parser, "a number, a name or a text in quotes must come here");
    }
    advance(parser, argument.size);
    return put_argument(parser, argument);
}

/* Parse the arguments up to the end of the tag. */
static cache_status parse_arguments(struct parser *parser, size_t *n)
{
    cache_status status = CACHE_OK;
    *n = 0;
    do {
        skip_space(parser);
        if (++*n > TEMPLATE_MAX_ARGUMENTS)
            return syntax_error(parser, "a cache tag has more than 15 vary parts");
        status = parse_argument(parser);
        skip_space(parser);
    } while (status == CACHE_OK && take(parser, ","));
    if (status == CACHE_OK && !take(parser, "%}"))
        return syntax_error_here(parser, "',' or '%}' must come here");
    return status;
}

static bool is_del(const struct template_argument *argument)
{
    return argument->kind == ARGUMENT_TEXT && argument->size == 3 && memcmp(argument->text, "del", 3) == 0;
}

static cache_status parse_cache(struct parser *parser)
{
    struct template_step step = { .kind = STEP_CACHE, .first = parser->made->n_arguments };
    const unsigned line = parser->line;
    cache_status status = parse_arguments(parser, &step.n);
    if (status != CACHE_OK)
        return status;
    const struct template_argument *arguments = parser->made->arguments + step.first;
    const unsigned last = parser->line;
    parser->line = line;    /* an error in the tag as a whole is reported where it begins */
    if (step.n < 2 || arguments[1].kind != ARGUMENT_TEXT || arguments[1].size == 0)
        return syntax_error(parser,
                            "a cache tag needs a ttl and the fragment's name in quotes: {% cache 60, 'name' %}");
    if (is_del(&arguments[0]))
        step.kind = STEP_DELETE;
    else if (arguments[0].kind == ARGUMENT_TEXT)
        return syntax_error(parser, "a ttl is a number of seconds, a name, none, or 'del'");
    else if (parser->depth == TEMPLATE_MAX_DEPTH)
        return syntax_error(parser, "cache tags are nested more than 32 deep");
    else
        parser->open[parser->depth++] = parser->made->n_steps;
    status = put_step(parser, step);
    parser->line = last;
    return status;
}

static cache_status parse_endcache(struct parser *parser)
{
    skip_space(parser);
    if (!take(parser, "%}"))
        return syntax_error_here(parser, "'%}' must follow 'endcache'");
    if (parser->depth == 0)
        return syntax_error(parser, "an 'endcache' without its 'cache' (a 'del' has no end)");
    parser->made->steps[parser->open[--parser->depth]].end = parser->made->n_steps;
    return put_step(parser, (struct template_step){ .kind = STEP_END });
}

static cache_status parse_tag(struct parser *parser)
{
    skip_space(parser);
    const size_t size = name_size(parser->at);
    if (size == 5 && memcmp(parser->at, "cache", 5) == 0) {
        advance(parser, size);
        return parse_cache(parser);
    }
    if (size == 8 && memcmp(parser->at, "endcache", 8) == 0) {
        advance(parser, size);
        return parse_endcache(parser);
    }
    return syntax_error_here(parser, "a tag is 'cache' or 'endcache'");
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static cache_status skip_comment(struct parser *parser)
{
    const char *end = strstr(parser->at, "#}");
    if (end == NULL)
        return syntax_error(parser, "a comment has no '#}'");
    advance(parser, (size_t)(end - parser->at) + 2);
    return CACHE_OK;
}

/* Returns how much text precedes the next sign or the end. */
static size_t text_size(const char *at)
{
    const char *next = at;
    while ((next = strchr(next, '{')) != NULL && strchr("{%#", next[1]) == NULL)
        next++;
    if (next != NULL && next[1] == '\0')    /* a brace at the end, because strchr also finds the NUL */
        next = NULL;
    return next != NULL ? (size_t)(next - at) : strlen(at);
}

static cache_status parse(struct parser *parser)
{
    cache_status status = CACHE_OK;
    while (status == CACHE_OK && *parser->at != '\0') {
        const size_t size = text_size(parser->at);
        if (size > 0) {
            status = put_step(parser, (struct template_step){ .kind = STEP_TEXT, .text = { parser->at, size } });
            advance(parser, size);
        } else if (take(parser, "{{"))
            status = parse_value(parser);
        else if (take(parser, "{%"))
            status = parse_tag(parser);
        else if (take(parser, "{#"))
            status = skip_comment(parser);
    }
    if (status == CACHE_OK && parser->depth > 0) {
        parser->line = parser->made->steps[parser->open[parser->depth - 1]].line;
        return syntax_error(parser, "a 'cache' has no 'endcache'");
    }
    return status;
}

/* Put a NUL after every name and text. The byte there has been read already. */
static void end_words(struct cache_template *made)
{
    for (size_t i = 0; i < made->n_steps; i++)
        if (made->steps[i].kind == STEP_VALUE || made->steps[i].kind == STEP_SAFE_VALUE)
            made->text[made->steps[i].text.data - made->text + (ptrdiff_t)made->steps[i].text.size] = '\0';
    for (size_t i = 0; i < made->n_arguments; i++)
        made->text[made->arguments[i].text - made->text + (ptrdiff_t)made->arguments[i].size] = '\0';
}

cache_status cache_template_compile(const char *text, cache_template **out)
{
    const cache_allocator *allocator = &cache_allocator_default;
    if (out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "template: out is NULL");
    *out = NULL;
    if (text == NULL)
        return cache_fail(CACHE_ERR_INVALID, "template: the text is NULL");
    const size_t size = strlen(text) + 1;
    struct cache_template *made = allocator->alloc(allocator->ctx, sizeof *made);
    char *copy = allocator->alloc(allocator->ctx, size);
    if (made == NULL || copy == NULL) {
        allocator->free(allocator->ctx, copy);
        allocator->free(allocator->ctx, made);
        return cache_fail(CACHE_ERR_NOMEM, "template: out of memory");
    }
    memcpy(copy, text, size);
    *made = (struct cache_template){ .text = copy };
    struct parser parser = { .made = made, .at = copy, .line = 1 };
    const cache_status status = parse(&parser);
    if (status != CACHE_OK) {
        cache_template_free(made);
        return status;
    }
    end_words(made);
    *out = made;
    return CACHE_OK;
}

void cache_template_free(cache_template *compiled)
{
    const cache_allocator *allocator = &cache_allocator_default;
    if (compiled == NULL)
        return;
    allocator->free(allocator->ctx, compiled->arguments);
    allocator->free(allocator->ctx, compiled->steps);
    allocator->free(allocator->ctx, compiled->text);
    allocator->free(allocator->ctx, compiled);
}
