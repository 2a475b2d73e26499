/* accounts.c - the passwords of the users that the blog begins with. */
#include "accounts.h"

#include "password.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set_password(struct db *db, const struct user *user, const char *password)
{
    char hash[PASSWORD_HASH_MAX + 1];
    if (password_hash(password, hash) && db_set_password_hash(db, user->id, hash) == CACHE_OK)
        return true;
    fprintf(stderr, "blog: the password of %s cannot be set\n", user->name);
    return false;
}

static bool prepare(struct db *db, const char *name, const char *variable, cache_writer *told)
{
    char hash[PASSWORD_HASH_MAX + 1], made[RANDOM_PASSWORD_SIZE + 1];
    const char *password = getenv(variable);
    struct user user;
    cache_status status = db_user_named(db, name, &user);
    if (status == CACHE_MISS)
        return true;
    if (status != CACHE_OK || db_password_hash(db, user.id, hash) != CACHE_OK)
        return false;
    if (password != NULL && password[0] != '\0')
        return password_fits(password, hash) || set_password(db, &user, password);
    if (strcmp(hash, NO_PASSWORD) != 0)
        return true;
    if (!password_random(made) || !set_password(db, &user, made))
        return false;
    (void)cache_writer_printf(told, "Log in as %s with the password %s (%s sets another)\n", name, made, variable);
    return true;
}

bool accounts_prepare(struct db *db, cache_writer *told)
{
    return prepare(db, "admin", "BLOG_ADMIN_PASSWORD", told) && prepare(db, "ada", "BLOG_ADA_PASSWORD", told) &&
           prepare(db, "grace", "BLOG_GRACE_PASSWORD", told);
}
