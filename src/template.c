/* template.c - renders a compiled template step by step; each cached part is a fragment. */
#include "template.h"

#include "hooks.h"

#include <string.h>

struct rendering {
    const struct cache_template *template;
    cache_t *cache;
    cache_resolve_fn *resolve;
    void *ctx;
    cache_writer *out;
    cache_fragment open[TEMPLATE_MAX_DEPTH];
    size_t depth;
};

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Append the value of a name to `out`, which may be the page itself. */
static cache_status resolve(const struct rendering *rendering, const char *name, unsigned line, cache_writer *out)
{
    const cache_status status = rendering->resolve(rendering->ctx, name, out);
    if (status > CACHE_OK)
        return cache_fail(CACHE_ERR_INVALID, "template line %u: unknown name '%.100s'", line, name);
    if (status < CACHE_OK)
        return cache_fail(status, "template line %u: '%.100s': %s", line, name, cache_strerror(status));
    return cache_writer_status(out);
}

static cache_status put_escaped(cache_writer *out, const char *text, size_t size)
{
    while (size > 0) {
        size_t plain = 0;
        const char *entity = "";
        for (; plain < size && entity[0] == '\0'; plain++)
            switch (text[plain]) {
            case '&': entity = "&amp;"; break;
            case '<': entity = "&lt;"; break;
            case '>': entity = "&gt;"; break;
            case '"': entity = "&#34;"; break;
            case '\'': entity = "&#39;"; break;
            }
        (void)cache_writer_append(out, text, plain - (entity[0] != '\0'));
        (void)cache_writer_puts(out, entity);
        text += plain;
        size -= plain;
    }
    return cache_writer_status(out);
}

/* Settings of a value, such as its ttl, apply to the page. */
static void pass_on(const cache_writer *from, cache_writer *out)
{
    if (from->no_store)
        cache_writer_no_store(out);
}

static cache_status put_value(const struct rendering *rendering, const struct template_step *step)
{
    if (step->kind == STEP_SAFE_VALUE)
        return resolve(rendering, step->text.data, step->line, rendering->out);
    cache_writer value;
    char buffer[256];
    cache_writer_init_buffer(&value, rendering->out->allocator, buffer, sizeof buffer);
    cache_status status = resolve(rendering, step->text.data, step->line, &value);
    if (status == CACHE_OK)
        status = put_escaped(rendering->out, value.data, value.size);
    pass_on(&value, rendering->out);
    cache_writer_release(&value);
    return status;
}

/* ---- cached parts ------------------------------------------------------------------------------------------------ */

/* Read seconds. As in URLs and in Flask-Caching's templates, 0 means for ever. */
static bool read_seconds(const char *text, size_t size, double *ttl)
{
    if (!cache_template_seconds(text, size, ttl))
        return false;
    if (*ttl == 0)
        *ttl = CACHE_TTL_FOREVER;
    return true;
}

static cache_status read_ttl(const struct rendering *rendering, const struct template_argument *argument, unsigned line,
                             double *ttl)
{
    *ttl = CACHE_TTL_DEFAULT;
    if (argument->kind == ARGUMENT_NUMBER && read_seconds(argument->text, argument->size, ttl))
        return CACHE_OK;
    if (strcmp(argument->text, "none") == 0 || strcmp(argument->text, "None") == 0)
        return CACHE_OK;
    cache_writer value;
    cache_writer_init(&value, rendering->out->allocator);
    cache_status status = resolve(rendering, argument->text, line, &value);
    if (status == CACHE_OK && !read_seconds(cache_writer_data(&value, NULL), value.size, ttl))
        status = cache_fail(CACHE_ERR_INVALID,
                            "template line %u: the ttl '%.100s' must be a number of seconds, not '%.40s'", line,
                            argument->text, cache_writer_data(&value, NULL));
    cache_writer_release(&value);
    return status;
}

/* Write the fragment's name and vary parts into `texts`, one after the other, each with a NUL. */
static cache_status write_parts(const struct rendering *rendering, const struct template_step *step,
                                cache_writer *texts)
{
    cache_status status = CACHE_OK;
    for (size_t i = 1; status == CACHE_OK && i < step->n; i++) {
        const struct template_argument *argument = &rendering->template->arguments[step->first + i];
        const size_t begin = texts->size;
        if (argument->kind == ARGUMENT_NAME)
            status = resolve(rendering, argument->text, step->line, texts);
        else
            status = cache_writer_append(texts, argument->text, argument->size);
        /* If values were cut at a NUL, two different ones could share a fragment. */
        if (status == CACHE_OK && texts->size > begin && memchr(texts->data + begin, '\0', texts->size - begin) != NULL)
            status = cache_fail(CACHE_ERR_INVALID,
                                "template line %u: the value of '%.100s' contains a NUL, which a vary part must not",
                                step->line, argument->text);
        if (status == CACHE_OK)
            status = cache_writer_append(texts, "", 1);
    }
    pass_on(texts, rendering->out);
    return status;
}

static void point_to_parts(const cache_writer *texts, const char *parts[TEMPLATE_MAX_ARGUMENTS], size_t n)
{
    const char *at = texts->data;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        parts[i] = at;
}

/* Sets `*next` to the step to continue with. */
static cache_status begin_part(struct rendering *rendering, const struct template_step *step, size_t *next)
{
    const char *parts[TEMPLATE_MAX_ARGUMENTS];
    cache_fetch_options options = CACHE_FETCH_OPTIONS_INIT;
    cache_writer texts;
    char buffer[256];
    cache_writer_init_buffer(&texts, rendering->out->allocator, buffer, sizeof buffer);
    cache_status status = write_parts(rendering, step, &texts);
    if (status == CACHE_OK && step->kind == STEP_CACHE)
        status = read_ttl(rendering, &rendering->template->arguments[step->first], step->line, &options.ttl);
    if (status == CACHE_OK) {
        const size_t n = step->n - 1;
        point_to_parts(&texts, parts, n);
        if (step->kind == STEP_CACHE) {
            cache_fragment *fragment = &rendering->open[rendering->depth];
            *fragment = cache_fragment_begin(rendering->cache, rendering->out, &options, parts, n);
            if (fragment->running)
                rendering->depth++;
            else
                *next = step->end + 1;
        } else if (rendering->cache != NULL)
            /* A failure of the store is counted, but must not break the page. */
            (void)cache_fragment_forget(rendering->cache, parts, n);
        status = cache_writer_status(rendering->out);
    }
    cache_writer_release(&texts);
    return status;
}

static void end_part(struct rendering *rendering)
{
    cache_fragment *fragment = &rendering->open[--rendering->depth];
    fragment->whole = true;
    cache_fragment_end(fragment);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static cache_status run(struct rendering *rendering)
{
    const struct cache_template *template = rendering->template;
    cache_status status = CACHE_OK;
    for (size_t i = 0; status == CACHE_OK && i < template->n_steps;) {
        const struct template_step *step = &template->steps[i++];
        switch (step->kind) {
        case STEP_TEXT:
            status = cache_writer_append(rendering->out, step->text.data, step->text.size);
            break;
        case STEP_VALUE:
        case STEP_SAFE_VALUE:
            status = put_value(rendering, step);
            break;
        case STEP_CACHE:
        case STEP_DELETE:
            status = begin_part(rendering, step, &i);
            break;
        case STEP_END:
            end_part(rendering);
            status = cache_writer_status(rendering->out);
            break;
        }
    }
    return status;
}

cache_status cache_template_render(const cache_template *compiled, cache_t *cache, cache_resolve_fn *resolve_fn,
                                   void *ctx, cache_writer *out)
{
    if (compiled == NULL || resolve_fn == NULL || out == NULL)
        return cache_fail(CACHE_ERR_INVALID, "template: %s is NULL",
                          compiled == NULL ? "the template" : resolve_fn == NULL ? "resolve" : "out");
    if (cache_writer_status(out) != CACHE_OK)
        return cache_writer_status(out);
    struct rendering rendering;
    rendering.template = compiled;
    rendering.cache = cache;
    rendering.resolve = resolve_fn;
    rendering.ctx = ctx;
    rendering.out = out;
    rendering.depth = 0;
    const size_t begin = out->size;
    const cache_status status = run(&rendering);
    if (status == CACHE_OK)
        return status;
    while (rendering.depth > 0) {
        cache_fragment_fail(out);
        cache_fragment_end(&rendering.open[--rendering.depth]);
    }
    if (out->size > begin)
        cache_writer_undo(out, out->size - begin);
    cache_writer_no_store(out);    /* the page or part around this one is incomplete */
    return status;
}
