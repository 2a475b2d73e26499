/* db.c - the blog's database: SQLite, opened, its statements prepared, one at a time. */
#include "db_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- statements -------------------------------------------------------------------------------------------------- */

static cache_status complain(struct db *db, const char *what)
{
    fprintf(stderr, "blog: database: %s: %s\n", what, sqlite3_errmsg(db->handle));
    return CACHE_ERR_IO;
}

sqlite3_stmt *db_next(struct db *db, enum db_statement which)
{
    atomic_fetch_add_explicit(&db->queries, 1, memory_order_relaxed);
    return db->statements[which];
}

sqlite3_stmt *db_begin(struct db *db, enum db_statement which)
{
    pthread_mutex_lock(&db->lock);
    return db_next(db, which);
}

void db_end(struct db *db, sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    pthread_mutex_unlock(&db->lock);
}

cache_status db_row(struct db *db, sqlite3_stmt *statement)
{
    const int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return CACHE_OK;
    return result == SQLITE_DONE ? CACHE_MISS : complain(db, sqlite3_sql(statement));
}

cache_status db_run(struct db *db, sqlite3_stmt *statement)
{
    const bool done = sqlite3_step(statement) == SQLITE_DONE;
    const cache_status status = done ? CACHE_OK : complain(db, sqlite3_sql(statement));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

cache_status db_run_on_one(struct db *db, sqlite3_stmt *statement)
{
    const cache_status status = db_run(db, statement);
    return status == CACHE_OK && sqlite3_changes(db->handle) == 0 ? CACHE_MISS : status;
}

cache_status db_transaction_begin(struct db *db)
{
    return db_run(db, db_begin(db, BEGIN));
}

cache_status db_transaction_end(struct db *db, cache_status status)
{
    if (status == CACHE_OK)
        status = db_run(db, db_next(db, COMMIT));
    if (!sqlite3_get_autocommit(db->handle))
        (void)db_run(db, db_next(db, ROLLBACK));
    pthread_mutex_unlock(&db->lock);
    return status;
}

void db_copy_text(char *to, size_t size, sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    (void)snprintf(to, size, "%s", text != NULL ? (const char *)text : "");
}

uint64_t db_queries(const struct db *db)
{
    return atomic_load(&db->queries);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static bool execute(struct db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Before the statements are prepared: the one number that `sql` asks for, or -1. */
static int ask_number(struct db *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int number = -1;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        number = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    return number;
}

enum age { NEW, WITHOUT_USERS, CURRENT };

static bool make_tables(struct db *db, enum age *age)
{
    if (!execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
                     "BEGIN IMMEDIATE;"))
        return false;
    if (ask_number(db, "PRAGMA user_version") > 0)
        *age = CURRENT;
    else if (ask_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'posts'") > 0)
        *age = WITHOUT_USERS;
    else
        *age = NEW;
    return (*age != WITHOUT_USERS || execute(db, db_upgrade)) && execute(db, db_schema) && execute(db, "COMMIT");
}

static bool prepare_statements(struct db *db)
{
    for (size_t i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(db->handle, db_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL) !=
            SQLITE_OK)
            return false;
    return true;
}

struct db *db_open(const char *file)
{
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return NULL;
    pthread_mutex_init(&db->lock, NULL);
    enum age age = CURRENT;
    bool good = sqlite3_open(file, &db->handle) == SQLITE_OK && sqlite3_busy_timeout(db->handle, 5000) == SQLITE_OK &&
                make_tables(db, &age) && prepare_statements(db);
    if (!good)
        (void)complain(db, file);
    if (good && age != CURRENT)
        good = db_add_sample_users(db) == CACHE_OK && db_add_sample_products(db) == CACHE_OK;
    if (good && age == NEW)
        good = db_add_sample_posts(db) == CACHE_OK;
    if (!good) {
        db_close(db);
        return NULL;
    }
    atomic_store(&db->queries, 0);
    return db;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->handle);
    pthread_mutex_destroy(&db->lock);
    free(db);
}
