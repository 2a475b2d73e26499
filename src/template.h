/* template.h - a compiled template: a list of steps that rendering executes. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include "writer.h"

enum {
    TEMPLATE_MAX_DEPTH = 32,           /* of cached parts in one another */
    TEMPLATE_MAX_ARGUMENTS = 17        /* of a cache tag: the ttl, the name, the vary parts */
};

/* What stands between the commas of a cache tag. */
struct template_argument {
    enum { ARGUMENT_TEXT, ARGUMENT_NUMBER, ARGUMENT_NAME } kind;
    const char *text;                  /* with a NUL once the template is whole */
    size_t size;
};

struct template_step {
    enum {
        STEP_TEXT,                     /* append `text` */
        STEP_VALUE,                    /* append the value of the name `text`, escaped */
        STEP_SAFE_VALUE,               /* the same, as it is */
        STEP_CACHE,                    /* begin a fragment; if it is there, go on behind `end` */
        STEP_END,                      /* its end */
        STEP_DELETE                    /* delete a fragment */
    } kind;
    unsigned line;
    cache_bytes text;
    size_t first, n;                   /* of the arguments */
    size_t end;                        /* of STEP_CACHE: its STEP_END */
};

/* The names and texts of the steps point into `text`, where a NUL stands behind each that a cache tag or a value
 * names. */
struct cache_template {
    char *text;
    struct template_step *steps;
    struct template_argument *arguments;
    size_t n_steps, step_capacity, n_arguments, argument_capacity;
};

/* Seconds: digits, perhaps with a point and more digits, fifteen in all. Returns false if it is something else. */
bool cache_template_seconds(const char *text, size_t size, double *out);

#endif
