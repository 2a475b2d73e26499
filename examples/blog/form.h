/* form.h - fields of an application/x-www-form-urlencoded body. */
#ifndef FORM_H
#define FORM_H

#include <stddef.h>

/* The decoded field `name`, to be freed; NULL: it is not there, or its encoding is broken, or no memory. */
char *form_field(const char *body, size_t size, const char *name);

#endif
