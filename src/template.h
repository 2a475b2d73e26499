/* template.h - a compiled template: a list of steps that rendering executes. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include "writer.h"

enum {
    TEMPLATE_MAX_DEPTH = 32,           /* of nested cached parts */
    TEMPLATE_MAX_ARGUMENTS = 17        /* of a cache tag: ttl, name and vary parts */
};

/* One argument of a cache tag, between commas. */
struct template_argument {
    enum { ARGUMENT_TEXT, ARGUMENT_NUMBER, ARGUMENT_NAME } kind;
    const char *text;                  /* ends with NUL once the template is complete */
    size_t size;
};

struct template_step {
    enum {
        STEP_TEXT,                     /* append `text` */
        STEP_VALUE,                    /* append the value of the name `text`, escaped */
        STEP_SAFE_VALUE,               /* the same, not escaped */
        STEP_CACHE,                    /* begin a fragment; if it is cached, continue after `end` */
        STEP_END,                      /* end of the fragment */
        STEP_DELETE                    /* delete a fragment */
    } kind;
    unsigned line;
    cache_bytes text;
    size_t first, n;                   /* the step's arguments */
    size_t end;                        /* for STEP_CACHE: its STEP_END */
};

/* The names and texts of the steps point into `text`. A NUL follows each one that a cache tag or a value names. */
struct cache_template {
    char *text;
    struct template_step *steps;
    struct template_argument *arguments;
    size_t n_steps, step_capacity, n_arguments, argument_capacity;
};

/* Read seconds: digits, perhaps a point and more digits, at most fifteen in all. Returns false if the text is anything
 * else. */
bool cache_template_seconds(const char *text, size_t size, double *out);

#endif
