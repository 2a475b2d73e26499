/* form.h - fields of an application/x-www-form-urlencoded body, or of a query. */
#ifndef FORM_H
#define FORM_H

#include <stddef.h>

/* The decoded field `name`, to be freed. NULL: it is not there, or is broken, or is no UTF-8, or there is no memory. */
char *form_field(const char *body, size_t size, const char *name);

/* Cut white space off the ends, in place; NULL stays NULL. */
char *form_trim(char *text);

#endif
