/* db.h - the blog's database, and the records that it hands out.
 *
 * Any thread. CACHE_OK; CACHE_MISS: there is no such record; CACHE_ERR_TIMEOUT: a question took more than two seconds;
 * CACHE_ERR_IO: the database failed, and the log says how. A thread that asks has a connection of its own until it
 * ends. Records are structs without pointers, so that CACHE_MEMOIZE stores them as they are. */
#ifndef DB_H
#define DB_H

#include <libcache/cache.h>

struct db;

/* Open, create the tables and, the first time, what db_samples.c says. NULL: it cannot be, and the log says why. */
struct db *db_open(const char *file);
void db_close(struct db *db);    /* when all other threads that used it have ended; NULL: does nothing */

/* The program is about to stop: long questions end soon. */
void db_hurry(struct db *db);

/* How many statements were run: what the cache is there to save. */
uint64_t db_queries(const struct db *db);

/* ---- posts ------------------------------------------------------------------------------------------------------- */

enum { TITLE_MAX = 200, CONTENT_MAX = 10000, TAG_MAX = 30, POST_TAGS_MAX = 5, USER_NAME_MAX = 32 };    /* bytes, tags */

enum { TAGS_TEXT_MAX = POST_TAGS_MAX * (TAG_MAX + 1), BEGINNING_CHARACTERS = 300,
       BEGINNING_MAX = 4 * BEGINNING_CHARACTERS, TIME_MAX = 24 };

struct post {
    int64_t id, views, author;                  /* author 0: nobody */
    char author_name[USER_NAME_MAX + 1];
    char created[TIME_MAX], edited[TIME_MAX];   /* edited "": never */
    char title[TITLE_MAX + 1];
    char tags[TAGS_TEXT_MAX + 1];               /* in order, with a space between two */
    char beginning[BEGINNING_MAX + 1];          /* of the text, which is Markdown: its first 300 characters */
};

/* A post as its author writes it. */
struct draft {
    const char *title, *content, *tags;         /* tags as in struct post */
};

cache_status db_post(struct db *db, int64_t id, struct post *out);
cache_status db_post_content(struct db *db, int64_t id, char **content);    /* to be freed */

/* Up to `max` posts to `out`, after the first `skip`; `*n` is how many. Newest first, but the most viewed first in
 * db_popular. */
cache_status db_newest(struct db *db, size_t skip, struct post out[], size_t max, size_t *n);
cache_status db_popular(struct db *db, size_t skip, struct post out[], size_t max, size_t *n);
cache_status db_posts_by(struct db *db, int64_t author, size_t skip, struct post out[], size_t max, size_t *n);
cache_status db_posts_tagged(struct db *db, const char *tag, size_t skip, struct post out[], size_t max, size_t *n);

/* `before` and `after` are the post on both sides of the change: what is cached of either is to be forgotten. */
cache_status db_add_post(struct db *db, const struct draft *draft, int64_t author, struct post *after);
cache_status db_change_post(struct db *db, int64_t id, const struct draft *draft, struct post *before,
                            struct post *after);
cache_status db_delete_post(struct db *db, int64_t id, struct post *before);

/* Add to posts' view counts, all in one transaction. */
struct view_count {
    int64_t post, n;
};
cache_status db_add_views(struct db *db, const struct view_count *counts, size_t n);

/* ---- users ------------------------------------------------------------------------------------------------------- */

enum { PASSWORD_HASH_MAX = 383, SESSION_ID_SIZE = 64, SESSION_SECONDS = 7 * 24 * 3600 };

struct user {
    int64_t id;                                 /* 0: nobody */
    bool is_admin;
    char name[USER_NAME_MAX + 1];
    char joined[TIME_MAX];
};

struct user_info {
    struct user user;
    int64_t posts, views;                       /* views of all the posts */
};

cache_status db_user(struct db *db, int64_t id, struct user *out);
cache_status db_user_named(struct db *db, const char *name, struct user *out);
cache_status db_user_info(struct db *db, int64_t id, struct user_info *out);

/* What a user who cannot log in has in place of a password's hash: the sample users, until somebody gives them one. */
#define NO_PASSWORD "*"

cache_status db_password_hash(struct db *db, int64_t user, char hash[PASSWORD_HASH_MAX + 1]);
cache_status db_add_user(struct db *db, const char *name, const char *password_hash, bool is_admin, int64_t *id);
cache_status db_set_password_hash(struct db *db, int64_t user, const char *password_hash);

/* Who has the session, for SESSION_SECONDS. Its `id` is a hash of what the cookie holds. Sessions whose time is over
 * are dropped when one is added. */
cache_status db_add_session(struct db *db, const char *id, int64_t user);
cache_status db_session(struct db *db, const char *id, struct user *out);
cache_status db_delete_session(struct db *db, const char *id);

/* Count an attempt of this kind by somebody: `*n` is how many there were in the `seconds` since the first. On an error
 * it must be refused: what cannot be counted cannot be limited. */
cache_status db_count_attempt(struct db *db, const char *kind, const char *who, int seconds, int64_t *n);
cache_status db_take_back_attempt(struct db *db, const char *kind, const char *who);    /* the latest */
cache_status db_forget_attempts(struct db *db, const char *kind, const char *who);

struct activity {
    char at[TIME_MAX];
    char text[TITLE_MAX + 40];
};

/* What a user did lately, the latest first. */
cache_status db_add_activity(struct db *db, int64_t user, const char *text);
cache_status db_activities(struct db *db, int64_t user, struct activity out[], size_t max, size_t *n);

/* ---- products ---------------------------------------------------------------------------------------------------- */

enum { PRODUCT_NAME_MAX = 100, DESCRIPTION_MAX = 500 };

struct product {
    int64_t id, cents;
    char name[PRODUCT_NAME_MAX + 1];
    char description[DESCRIPTION_MAX + 1];
};

cache_status db_product(struct db *db, int64_t id, struct product *out);
cache_status db_products(struct db *db, size_t skip, struct product out[], size_t max, size_t *n);
cache_status db_add_product(struct db *db, const struct product *product);

/* What is to become of a product; NULL and NO_PRICE leave it as it is. */
enum { NO_PRICE = -1 };
struct product_change {
    const char *name, *description;
    int64_t cents;
};
cache_status db_change_product(struct db *db, int64_t id, const struct product_change *change, struct product *after);

/* ---- search ------------------------------------------------------------------------------------------------------ */

struct found {
    bool is_product;                            /* else a post */
    int64_t id;
    char title[TITLE_MAX + 1];
};

/* Posts and products that have all the words of `text`, of which the last may be the beginning of one. */
cache_status db_search(struct db *db, const char *text, struct found out[], size_t max, size_t *n);

#endif
