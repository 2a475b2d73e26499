/* db_internal.h - what the parts of the database share: one connection under a lock, statements prepared once. */
#ifndef DB_INTERNAL_H
#define DB_INTERNAL_H

#include "db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum db_statement {
    POST, POST_CONTENT, NEWEST, POPULAR, POSTS_BY, POSTS_TAGGED,
    ADD_POST, CHANGE_POST, DELETE_POST, ADD_TAG, DELETE_TAGS, ADD_VIEWS,
    USER, USER_NAMED, USER_INFO, PASSWORD_HASH, ADD_USER, SET_PASSWORD_HASH,
    ADD_SESSION, SESSION, DELETE_SESSION, DELETE_OLD_SESSIONS, ADD_ACTIVITY, ACTIVITIES,
    PRODUCT, PRODUCTS, ADD_PRODUCT, CHANGE_PRODUCT, SEARCH,
    BEGIN, COMMIT, ROLLBACK, STATEMENTS
};

extern const char *const db_sql[STATEMENTS];    /* in db_sql.c */
extern const char db_schema[], db_upgrade[];

/* A reader of cached pages never comes here; the lock is held for a few statements at a time. */
struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    pthread_mutex_t lock;
    atomic_uint_fast64_t queries;
};

/* The lock is taken, and the statement is ready for its parameters. It is given back by db_end. */
sqlite3_stmt *db_begin(struct db *db, enum db_statement which);
void db_end(struct db *db, sqlite3_stmt *statement);

/* With the lock held: another statement, in a transaction; to be reset by db_run. */
sqlite3_stmt *db_next(struct db *db, enum db_statement which);

/* CACHE_OK: there is a row. CACHE_MISS: there is none, or no more. */
cache_status db_row(struct db *db, sqlite3_stmt *statement);

/* Run one that gives no rows, and reset it. db_run_on_one: CACHE_MISS if the record is not there. */
cache_status db_run(struct db *db, sqlite3_stmt *statement);
cache_status db_run_on_one(struct db *db, sqlite3_stmt *statement);

/* The lock is taken, and a transaction begun; it is committed, or taken back if `status` is not CACHE_OK. */
cache_status db_transaction_begin(struct db *db);
cache_status db_transaction_end(struct db *db, cache_status status);

void db_copy_text(char *to, size_t size, sqlite3_stmt *row, int column);    /* NULL is "" */

/* In db_samples.c. The posts belong to the users. */
cache_status db_add_sample_users(struct db *db);
cache_status db_add_sample_posts(struct db *db);
cache_status db_add_sample_products(struct db *db);

#endif
