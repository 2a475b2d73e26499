/* tags.h - the tags of a post, as they are typed. */
#ifndef TAGS_H
#define TAGS_H

#include "db.h"

/* "C, Cache  design" becomes "c cache design": words with a space between two. NULL: they are good; else what is wrong
 * with them. `text` may be NULL. */
const char *tidy_tags(const char *text, char tags[TAGS_TEXT_MAX + 1]);

#endif
