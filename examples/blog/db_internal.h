/* db_internal.h - what the parts of the database share: one connection that writes, under a lock, and one that reads
 * for each thread. Readers neither wait for the writer nor for each other (SQLite's WAL). */
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
    COUNT_ATTEMPT, TAKE_BACK_ATTEMPT, FORGET_ATTEMPTS, DELETE_OLD_ATTEMPTS,
    PRODUCT, PRODUCTS, ADD_PRODUCT, CHANGE_PRODUCT, SEARCH,
    BEGIN, COMMIT, ROLLBACK, STATEMENTS
};

extern const char *const db_sql[STATEMENTS];    /* in db_sql.c */
extern const char db_schema[], db_upgrade[];

/* One connection. Only one thread uses it at a time, and `deadline` ends what takes too long. */
struct db_connection {
    struct db *db;
    sqlite3 *handle;
    int64_t began;                     /* when its current statement began: monotonic milliseconds */
    sqlite3_stmt *statements[STATEMENTS];    /* NULL: not prepared yet */
};

struct db {
    struct db_connection writer;
    pthread_mutex_t lock;              /* over the writer */
    pthread_key_t reader;              /* each thread's own connection */
    char *file;
    atomic_bool stopping;
    atomic_uint_fast64_t queries;
};

/* A statement that is ready for its parameters, and goes back with db_end. The writer is locked between the two; a
 * reader is the thread's own. A reading statement is NULL if it could not be prepared: every function here takes that,
 * and db_row then fails. */
sqlite3_stmt *db_begin_reading(struct db *db, enum db_statement which);
sqlite3_stmt *db_begin_writing(struct db *db, enum db_statement which);
void db_end(struct db *db, sqlite3_stmt *statement);

/* With the writer's lock held: another statement of a transaction. db_run resets it. */
sqlite3_stmt *db_next(struct db *db, enum db_statement which);

/* CACHE_OK: there is a row. CACHE_MISS: there is none, or no more. CACHE_ERR_TIMEOUT: it took too long. */
cache_status db_row(struct db *db, sqlite3_stmt *statement);

/* Run one that gives no rows, and reset it. db_run_on_one: CACHE_MISS if the record is not there. */
cache_status db_run(struct db *db, sqlite3_stmt *statement);
cache_status db_run_on_one(struct db *db, sqlite3_stmt *statement);

/* The lock is taken, and a transaction begun; it is committed, or rolled back if `status` is not CACHE_OK. */
cache_status db_transaction_begin(struct db *db);
cache_status db_transaction_end(struct db *db, cache_status status);

void db_copy_text(char *to, size_t size, sqlite3_stmt *row, int column);    /* NULL is "" */

/* In db_samples.c. The posts belong to the users. */
cache_status db_add_sample_users(struct db *db);
cache_status db_add_sample_posts(struct db *db);
cache_status db_add_sample_products(struct db *db);

#endif
