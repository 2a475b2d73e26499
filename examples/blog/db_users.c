/* db_users.c - users, their sessions, and what they did. */
#include "db_internal.h"

#include <string.h>

/* In the order of USER_COLUMNS. */
static void read_user(sqlite3_stmt *row, struct user *out)
{
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(row, 0);
    out->is_admin = sqlite3_column_int(row, 1) != 0;
    db_copy_text(out->name, sizeof out->name, row, 2);
    db_copy_text(out->joined, sizeof out->joined, row, 3);
}

static cache_status read_one_user(struct db *db, sqlite3_stmt *row, struct user *out)
{
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK)
        read_user(row, out);
    db_end(db, row);
    return status;
}

/* Run a change that gives no rows. */
static cache_status run_and_end(struct db *db, sqlite3_stmt *statement)
{
    const cache_status status = db_run_on_one(db, statement);
    db_end(db, statement);
    return status;
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

cache_status db_user(struct db *db, int64_t id, struct user *out)
{
    sqlite3_stmt *row = db_begin_reading(db, USER);
    sqlite3_bind_int64(row, 1, id);
    return read_one_user(db, row, out);
}

cache_status db_user_named(struct db *db, const char *name, struct user *out)
{
    sqlite3_stmt *row = db_begin_reading(db, USER_NAMED);
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    return read_one_user(db, row, out);
}

cache_status db_user_info(struct db *db, int64_t id, struct user_info *out)
{
    sqlite3_stmt *row = db_begin_reading(db, USER_INFO);
    sqlite3_bind_int64(row, 1, id);
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK) {
        memset(out, 0, sizeof *out);
        read_user(row, &out->user);
        out->posts = sqlite3_column_int64(row, 4);
        out->views = sqlite3_column_int64(row, 5);
    }
    db_end(db, row);
    return status;
}

cache_status db_password_hash(struct db *db, int64_t user, char hash[PASSWORD_HASH_MAX + 1])
{
    sqlite3_stmt *row = db_begin_reading(db, PASSWORD_HASH);
    sqlite3_bind_int64(row, 1, user);
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK)
        db_copy_text(hash, PASSWORD_HASH_MAX + 1, row, 0);
    db_end(db, row);
    return status;
}

cache_status db_add_user(struct db *db, const char *name, const char *password_hash, bool is_admin, int64_t *id)
{
    sqlite3_stmt *statement = db_begin_writing(db, ADD_USER);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, password_hash, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 3, is_admin);
    const cache_status status = db_row(db, statement) == CACHE_MISS ? CACHE_OK : CACHE_ERR_IO;
    *id = sqlite3_last_insert_rowid(db->writer.handle);
    db_end(db, statement);
    return status;
}

cache_status db_set_password_hash(struct db *db, int64_t user, const char *password_hash)
{
    sqlite3_stmt *statement = db_begin_writing(db, SET_PASSWORD_HASH);
    sqlite3_bind_text(statement, 1, password_hash, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, user);
    return run_and_end(db, statement);
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

cache_status db_add_session(struct db *db, const char *id, int64_t user)
{
    cache_status status = db_transaction_begin(db);
    if (status == CACHE_OK)
        status = db_run(db, db_next(db, DELETE_OLD_SESSIONS));
    if (status == CACHE_OK) {
        sqlite3_stmt *statement = db_next(db, ADD_SESSION);
        sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, user);
        sqlite3_bind_int(statement, 3, SESSION_SECONDS);
        status = db_run(db, statement);
    }
    return db_transaction_end(db, status);
}

cache_status db_session(struct db *db, const char *id, struct user *out)
{
    sqlite3_stmt *row = db_begin_reading(db, SESSION);
    sqlite3_bind_text(row, 1, id, -1, SQLITE_STATIC);
    return read_one_user(db, row, out);
}

cache_status db_delete_session(struct db *db, const char *id)
{
    sqlite3_stmt *statement = db_begin_writing(db, DELETE_SESSION);
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    return run_and_end(db, statement);
}

/* ---- activities -------------------------------------------------------------------------------------------------- */

cache_status db_add_activity(struct db *db, int64_t user, const char *text)
{
    sqlite3_stmt *statement = db_begin_writing(db, ADD_ACTIVITY);
    sqlite3_bind_int64(statement, 1, user);
    sqlite3_bind_text(statement, 2, text, -1, SQLITE_STATIC);
    return run_and_end(db, statement);
}

cache_status db_activities(struct db *db, int64_t user, struct activity out[], size_t max, size_t *n)
{
    cache_status status = CACHE_OK;
    sqlite3_stmt *row = db_begin_reading(db, ACTIVITIES);
    sqlite3_bind_int64(row, 1, (sqlite3_int64)max);
    sqlite3_bind_int64(row, 2, user);
    for (*n = 0; *n < max && (status = db_row(db, row)) == CACHE_OK; ++*n) {
        db_copy_text(out[*n].at, sizeof out[*n].at, row, 0);
        db_copy_text(out[*n].text, sizeof out[*n].text, row, 1);
    }
    db_end(db, row);
    return status == CACHE_MISS ? CACHE_OK : status;
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

cache_status db_count_attempt(struct db *db, const char *kind, const char *who, int seconds, int64_t *n)
{
    cache_status status = db_transaction_begin(db);
    if (status == CACHE_OK)
        status = db_run(db, db_next(db, DELETE_OLD_ATTEMPTS));
    if (status == CACHE_OK) {
        sqlite3_stmt *row = db_next(db, COUNT_ATTEMPT);
        sqlite3_bind_text(row, 1, kind, -1, SQLITE_STATIC);
        sqlite3_bind_text(row, 2, who, -1, SQLITE_STATIC);
        sqlite3_bind_int(row, 3, seconds);
        status = db_row(db, row);
        *n = sqlite3_column_int64(row, 0);
        if (status == CACHE_MISS)    /* it always gives its row */
            status = CACHE_ERR_IO;
        if (status == CACHE_OK)
            status = db_run(db, row);
    }
    return db_transaction_end(db, status);
}

static cache_status change_attempts(struct db *db, enum db_statement which, const char *kind, const char *who)
{
    sqlite3_stmt *statement = db_begin_writing(db, which);
    sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, who, -1, SQLITE_STATIC);
    return run_and_end(db, statement);
}

cache_status db_take_back_attempt(struct db *db, const char *kind, const char *who)
{
    return change_attempts(db, TAKE_BACK_ATTEMPT, kind, who);
}

cache_status db_forget_attempts(struct db *db, const char *kind, const char *who)
{
    return change_attempts(db, FORGET_ATTEMPTS, kind, who);
}
