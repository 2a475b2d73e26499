/* accounts.h - the passwords of the users that the blog begins with: admin, ada and grace.
 *
 * BLOG_ADMIN_PASSWORD, BLOG_ADA_PASSWORD and BLOG_GRACE_PASSWORD in the environment set them. A user who has none then
 * gets one at random, which is told once. */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "db.h"

/* False: it cannot be, and stderr says why. `told` takes one line for each password that was made. */
bool accounts_prepare(struct db *db, cache_writer *told);

#endif
