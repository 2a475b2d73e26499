/* db.c - the blog's database: SQLite, one connection under a lock, statements prepared once. */
#include "db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum statement { POST, ADD_POST, NEWEST, POPULAR, ADD_VIEWS, COUNT_POSTS, BEGIN, COMMIT, ROLLBACK, STATEMENTS };

static const char *const sql[STATEMENTS] = {
    [POST] = "SELECT id, views, created, title, content FROM posts WHERE id = ?",
    [ADD_POST] = "INSERT INTO posts (title, content) VALUES (?, ?)",
    [NEWEST] = "SELECT id, views, created, title, content FROM posts ORDER BY id DESC LIMIT ?",
    [POPULAR] = "SELECT id, views, created, title, content FROM posts ORDER BY views DESC, id DESC LIMIT ?",
    [ADD_VIEWS] = "UPDATE posts SET views = views + ? WHERE id = ?",
    [COUNT_POSTS] = "SELECT count(*) FROM posts",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    pthread_mutex_t lock;
    atomic_uint_fast64_t queries;
};

static cache_status complain(struct db *db, const char *what)
{
    fprintf(stderr, "blog: database: %s: %s\n", what, sqlite3_errmsg(db->handle));
    return CACHE_ERR_IO;
}

/* With the lock held. */
static sqlite3_stmt *prepare(struct db *db, enum statement which)
{
    atomic_fetch_add(&db->queries, 1);
    sqlite3_stmt **statement = &db->statements[which];
    if (*statement == NULL && sqlite3_prepare_v2(db->handle, sql[which], -1, statement, NULL) != SQLITE_OK)
        return NULL;
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
    return *statement;
}

/* With the lock held: run one that gives no rows. */
static cache_status run(struct db *db, enum statement which, sqlite3_stmt *statement)
{
    const int result = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    if (statement != NULL)
        sqlite3_reset(statement);
    return result == SQLITE_DONE ? CACHE_OK : complain(db, sql[which]);
}

static void copy_text(char *to, size_t size, sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    (void)snprintf(to, size, "%s", text != NULL ? (const char *)text : "");
}

static void read_post(sqlite3_stmt *row, struct post *out)
{
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(row, 0);
    out->views = sqlite3_column_int64(row, 1);
    copy_text(out->created, sizeof out->created, row, 2);
    copy_text(out->title, sizeof out->title, row, 3);
    copy_text(out->content, sizeof out->content, row, 4);
}

/* ---- posts ------------------------------------------------------------------------------------------------------- */

cache_status db_post(struct db *db, int64_t id, struct post *out)
{
    cache_status status = CACHE_MISS;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *row = prepare(db, POST);
    sqlite3_bind_int64(row, 1, id);
    const int result = sqlite3_step(row);
    if (result == SQLITE_ROW) {
        read_post(row, out);
        status = CACHE_OK;
    } else if (result != SQLITE_DONE)
        status = complain(db, "post");
    sqlite3_reset(row);
    pthread_mutex_unlock(&db->lock);
    return status;
}

cache_status db_add_post(struct db *db, const char *title, const char *content, int64_t *id)
{
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *statement = prepare(db, ADD_POST);
    sqlite3_bind_text(statement, 1, title, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, content, -1, SQLITE_STATIC);
    const cache_status status = run(db, ADD_POST, statement);
    *id = sqlite3_last_insert_rowid(db->handle);
    pthread_mutex_unlock(&db->lock);
    return status;
}

static cache_status list(struct db *db, enum statement which, int n, void (*each)(void *ctx, const struct post *post),
                         void *ctx)
{
    struct post post;
    int result = SQLITE_DONE;
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *row = prepare(db, which);
    sqlite3_bind_int(row, 1, n);
    while ((result = sqlite3_step(row)) == SQLITE_ROW) {
        read_post(row, &post);
        each(ctx, &post);
    }
    const cache_status status = result == SQLITE_DONE ? CACHE_OK : complain(db, sql[which]);
    sqlite3_reset(row);
    pthread_mutex_unlock(&db->lock);
    return status;
}

cache_status db_newest(struct db *db, int n, void (*each)(void *ctx, const struct post *post), void *ctx)
{
    return list(db, NEWEST, n, each, ctx);
}

cache_status db_popular(struct db *db, int n, void (*each)(void *ctx, const struct post *post), void *ctx)
{
    return list(db, POPULAR, n, each, ctx);
}

cache_status db_add_views(struct db *db, const struct view_count *counts, size_t n)
{
    pthread_mutex_lock(&db->lock);
    cache_status status = run(db, BEGIN, prepare(db, BEGIN));
    for (size_t i = 0; status == CACHE_OK && i < n; i++) {
        sqlite3_stmt *statement = prepare(db, ADD_VIEWS);
        sqlite3_bind_int64(statement, 1, counts[i].n);
        sqlite3_bind_int64(statement, 2, counts[i].post);
        status = run(db, ADD_VIEWS, statement);
    }
    if (status == CACHE_OK)
        status = run(db, COMMIT, prepare(db, COMMIT));
    if (status != CACHE_OK && !sqlite3_get_autocommit(db->handle))
        (void)run(db, ROLLBACK, prepare(db, ROLLBACK));
    pthread_mutex_unlock(&db->lock);
    return status;
}

uint64_t db_queries(const struct db *db)
{
    return atomic_load(&db->queries);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, content TEXT NOT NULL,"
    " created TEXT NOT NULL DEFAULT (datetime('now')), views INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX IF NOT EXISTS posts_by_views ON posts (views DESC, id DESC);";

static cache_status add_samples(struct db *db)
{
    static const char *const samples[][2] = {
        { "Why cache at all?", "A page that took forty queries yesterday takes none today." },
        { "One computation, a hundred answers", "When a popular page expires, one request computes it. The others wait, "
                                                "and share the result." },
        { "Stale is better than late", "For a while after its time a page can still be served, while its successor is "
                                       "being made." },
        { "Naming things", "A key is a name. Give each thing one, and put a prefix before it." },
        { "And invalidating them", "Delete a key when what it shows has changed. Everything else expires by itself." },
        { "The cost of a lock", "Two threads that ask for different keys should never wait for each other." },
        { "Eviction", "A cache that is full must let something go. What was read twice is likelier to be read again." },
        { "Where values live", "In memory, in files, in Redis or in Memcached: the program is the same." },
        { "When the server is away", "A cache that hangs is worse than none. A store that is down looks like an empty "
                                     "one." },
        { "Measure", "The hit rate tells you whether it was worth it: see /cache-stats." },
    };
    cache_status status = CACHE_OK;
    int64_t id = 0;
    for (size_t i = 0; status == CACHE_OK && i < sizeof samples / sizeof samples[0]; i++)
        status = db_add_post(db, samples[i][0], samples[i][1], &id);
    return status;
}

static bool is_empty(struct db *db)
{
    sqlite3_stmt *row = prepare(db, COUNT_POSTS);
    const bool empty = row != NULL && sqlite3_step(row) == SQLITE_ROW && sqlite3_column_int64(row, 0) == 0;
    sqlite3_reset(row);
    return empty;
}

struct db *db_open(const char *file)
{
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return NULL;
    pthread_mutex_init(&db->lock, NULL);
    bool good = sqlite3_open(file, &db->handle) == SQLITE_OK && sqlite3_busy_timeout(db->handle, 5000) == SQLITE_OK &&
                sqlite3_exec(db->handle, schema, NULL, NULL, NULL) == SQLITE_OK;
    for (int i = 0; good && i < STATEMENTS; i++)
        good = prepare(db, (enum statement)i) != NULL;
    if (!good)
        (void)complain(db, file);
    if (good && is_empty(db))
        good = add_samples(db) == CACHE_OK;
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
