/* db.c - the blog's database: SQLite, opened, its statements prepared when they are first used. */
#include "db_internal.h"

#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATEMENT_MS = 2000, STOPPING_MS = 200, BUSY_MS = 5000, STEPS_BETWEEN_LOOKS = 2000 };

/* ---- connections ------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static cache_status complain(sqlite3 *handle, const char *what)
{
    log_error("database: %s: %s", handle != NULL ? sqlite3_errmsg(handle) : "no connection", what);
    return CACHE_ERR_IO;
}

/* SQLite asks this during a long statement; a number other than 0 ends it. No visitor's question may hold a thread for
 * long, and none may hold up the end of the program. */
static int is_late(void *arg)
{
    const struct db_connection *connection = arg;
    const bool stopping = atomic_load_explicit(&connection->db->stopping, memory_order_relaxed);
    return now_ms() - connection->began > (stopping ? STOPPING_MS : STATEMENT_MS);
}

static bool connect_to(struct db *db, struct db_connection *connection, int flags)
{
    connection->db = db;
    connection->began = now_ms();
    if (sqlite3_open_v2(db->file, &connection->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(connection->handle, BUSY_MS) != SQLITE_OK)
        return false;
    return true;
}

static void disconnect(struct db_connection *connection)
{
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(connection->statements[i]);
    sqlite3_close(connection->handle);
}

/* The end of a thread that has read. */
static void free_reader(void *reader)
{
    disconnect(reader);
    free(reader);
}

static struct db_connection *reader_of_this_thread(struct db *db)
{
    struct db_connection *reader = pthread_getspecific(db->reader);
    if (reader != NULL || (reader = calloc(1, sizeof *reader)) == NULL)
        return reader;
    if (!connect_to(db, reader, SQLITE_OPEN_READONLY) || pthread_setspecific(db->reader, reader) != 0) {
        (void)complain(reader->handle, db->file);
        free_reader(reader);
        return NULL;
    }
    sqlite3_progress_handler(reader->handle, STEPS_BETWEEN_LOOKS, is_late, reader);
    return reader;
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static sqlite3_stmt *statement_of(struct db_connection *connection, enum db_statement which)
{
    sqlite3_stmt **statement = &connection->statements[which];
    atomic_fetch_add_explicit(&connection->db->queries, 1, memory_order_relaxed);
    connection->began = now_ms();
    if (*statement == NULL && sqlite3_prepare_v3(connection->handle, db_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                                 statement, NULL) != SQLITE_OK)
        (void)complain(connection->handle, db_sql[which]);
    return *statement;
}

sqlite3_stmt *db_begin_reading(struct db *db, enum db_statement which)
{
    struct db_connection *reader = reader_of_this_thread(db);
    return reader != NULL ? statement_of(reader, which) : NULL;
}

sqlite3_stmt *db_next(struct db *db, enum db_statement which)
{
    return statement_of(&db->writer, which);
}

sqlite3_stmt *db_begin_writing(struct db *db, enum db_statement which)
{
    pthread_mutex_lock(&db->lock);
    return db_next(db, which);
}

static void reset(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    if (statement != NULL)
        sqlite3_clear_bindings(statement);
}

void db_end(struct db *db, sqlite3_stmt *statement)
{
    struct db_connection *reader = pthread_getspecific(db->reader);
    const bool was_reading = reader != NULL && sqlite3_db_handle(statement) == reader->handle;
    const bool was_writing = statement != NULL && !was_reading;
    reset(statement);
    if (was_writing)
        pthread_mutex_unlock(&db->lock);
}

cache_status db_row(struct db *db, sqlite3_stmt *statement)
{
    const int result = statement != NULL ? sqlite3_step(statement) : SQLITE_MISUSE;
    (void)db;
    if (result == SQLITE_ROW)
        return CACHE_OK;
    if (result == SQLITE_INTERRUPT)
        return CACHE_ERR_TIMEOUT;
    return result == SQLITE_DONE ? CACHE_MISS
                                 : complain(sqlite3_db_handle(statement), statement != NULL ? sqlite3_sql(statement)
                                                                                            : "not prepared");
}

cache_status db_run(struct db *db, sqlite3_stmt *statement)
{
    cache_status status = db_row(db, statement);
    if (status == CACHE_MISS)
        status = CACHE_OK;
    reset(statement);
    return status;
}

cache_status db_run_on_one(struct db *db, sqlite3_stmt *statement)
{
    const cache_status status = db_run(db, statement);
    return status == CACHE_OK && sqlite3_changes(db->writer.handle) == 0 ? CACHE_MISS : status;
}

cache_status db_transaction_begin(struct db *db)
{
    return db_run(db, db_begin_writing(db, BEGIN));
}

cache_status db_transaction_end(struct db *db, cache_status status)
{
    if (status == CACHE_OK)
        status = db_run(db, db_next(db, COMMIT));
    if (!sqlite3_get_autocommit(db->writer.handle))
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
    return sqlite3_exec(db->writer.handle, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The one number that `sql` asks for, or -1. */
static int ask_number(struct db *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int number = -1;
    if (sqlite3_prepare_v2(db->writer.handle, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW)
        number = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    return number;
}

/* What a database held before it was opened: nothing; posts and no users; all but what searches and attempts need. */
enum age { NEW, WITHOUT_USERS, WITHOUT_SEARCH, CURRENT };

static enum age age_of(struct db *db)
{
    const int version = ask_number(db, "PRAGMA user_version");
    if (version > 0)
        return version < 3 ? WITHOUT_SEARCH : CURRENT;
    return ask_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'posts'") > 0 ? WITHOUT_USERS : NEW;
}

static bool make_tables(struct db *db, enum age *age)
{
    static const char index_what_is_there[] =
        "INSERT INTO posts_text (posts_text) VALUES ('rebuild');"
        "INSERT INTO products_text (products_text) VALUES ('rebuild'); DELETE FROM sessions;";
    if (!execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
                     "BEGIN IMMEDIATE;"))
        return false;
    *age = age_of(db);
    return (*age != WITHOUT_USERS || execute(db, db_upgrade)) && execute(db, db_schema) &&
           (*age == CURRENT || *age == NEW || execute(db, index_what_is_there)) && execute(db, "COMMIT");
}

static bool prepare_writer(struct db *db)
{
    bool prepared = true;
    for (int i = 0; prepared && i < STATEMENTS; i++)
        prepared = statement_of(&db->writer, (enum db_statement)i) != NULL;
    return prepared;
}

static cache_status add_samples(struct db *db, enum age age)
{
    cache_status status = CACHE_OK;
    if (age == NEW || age == WITHOUT_USERS)
        status = db_add_sample_users(db);
    if (status == CACHE_OK && (age == NEW || age == WITHOUT_USERS))
        status = db_add_sample_products(db);
    return status == CACHE_OK && age == NEW ? db_add_sample_posts(db) : status;
}

struct db *db_open(const char *file)
{
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL || (db->file = strdup(file)) == NULL || pthread_key_create(&db->reader, free_reader) != 0) {
        free(db != NULL ? db->file : NULL);
        free(db);
        return NULL;
    }
    pthread_mutex_init(&db->lock, NULL);
    enum age age = CURRENT;
    const bool opened = connect_to(db, &db->writer, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) &&
                        make_tables(db, &age) && prepare_writer(db);
    if (!opened)
        (void)complain(db->writer.handle, file);
    if (!opened || add_samples(db, age) != CACHE_OK) {
        db_close(db);
        return NULL;
    }
    atomic_store(&db->queries, 0);
    return db;
}

void db_hurry(struct db *db)
{
    atomic_store(&db->stopping, true);
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    struct db_connection *reader = pthread_getspecific(db->reader);
    if (reader != NULL)    /* all other threads have ended, and closed theirs */
        free_reader(reader);
    pthread_key_delete(db->reader);
    disconnect(&db->writer);
    pthread_mutex_destroy(&db->lock);
    free(db->file);
    free(db);
}
