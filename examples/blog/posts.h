/* posts.h - pages that show posts, and forms that change them. */
#ifndef POSTS_H
#define POSTS_H

#include "visit.h"

enum { LISTED_POSTS = 10 };

cache_handler_fn home_page, popular_page, author_page, tag_page, post_page;                     /* posts.c */
cache_handler_fn new_post_form, new_post, edit_post_form, edit_post, delete_post_form, delete_post;  /* post_forms.c */

/* The visit's post was shown to somebody. */
void count_page_view(const struct visit *visit);

/* The author may change a post, and the admin any; one that nobody signed is everybody's who is logged in. */
bool may_change(const struct user *user, const struct post *post);

#endif
