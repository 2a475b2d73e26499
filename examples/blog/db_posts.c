/* db_posts.c - posts and their tags. */
#include "db_internal.h"

#include <stdlib.h>
#include <string.h>

/* In the order of POST_COLUMNS. */
static void read_post(sqlite3_stmt *row, struct post *out)
{
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(row, 0);
    out->views = sqlite3_column_int64(row, 1);
    out->author = sqlite3_column_int64(row, 2);
    db_copy_text(out->author_name, sizeof out->author_name, row, 3);
    db_copy_text(out->created, sizeof out->created, row, 4);
    db_copy_text(out->edited, sizeof out->edited, row, 5);
    db_copy_text(out->title, sizeof out->title, row, 6);
    db_copy_text(out->tags, sizeof out->tags, row, 7);
    db_copy_text(out->beginning, sizeof out->beginning, row, 8);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

cache_status db_post(struct db *db, int64_t id, struct post *out)
{
    sqlite3_stmt *row = db_begin_reading(db, POST);
    sqlite3_bind_int64(row, 1, id);
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK)
        read_post(row, out);
    db_end(db, row);
    return status;
}

cache_status db_post_content(struct db *db, int64_t id, char **content)
{
    sqlite3_stmt *row = db_begin_reading(db, POST_CONTENT);
    sqlite3_bind_int64(row, 1, id);
    cache_status status = db_row(db, row);
    if (status == CACHE_OK && (*content = strdup((const char *)sqlite3_column_text(row, 0))) == NULL)
        status = CACHE_ERR_NOMEM;
    db_end(db, row);
    return status;
}

/* The rest of a list, whose first two parameters are how many and how many not. */
static cache_status read_posts(struct db *db, sqlite3_stmt *row, size_t skip, struct post out[], size_t max, size_t *n)
{
    cache_status status = CACHE_OK;
    sqlite3_bind_int64(row, 1, (sqlite3_int64)max);
    sqlite3_bind_int64(row, 2, (sqlite3_int64)skip);
    for (*n = 0; *n < max && (status = db_row(db, row)) == CACHE_OK; ++*n)
        read_post(row, &out[*n]);
    db_end(db, row);
    return status == CACHE_MISS ? CACHE_OK : status;
}

cache_status db_newest(struct db *db, size_t skip, struct post out[], size_t max, size_t *n)
{
    return read_posts(db, db_begin_reading(db, NEWEST), skip, out, max, n);
}

cache_status db_popular(struct db *db, size_t skip, struct post out[], size_t max, size_t *n)
{
    return read_posts(db, db_begin_reading(db, POPULAR), skip, out, max, n);
}

cache_status db_posts_by(struct db *db, int64_t author, size_t skip, struct post out[], size_t max, size_t *n)
{
    sqlite3_stmt *row = db_begin_reading(db, POSTS_BY);
    sqlite3_bind_int64(row, 3, author);
    return read_posts(db, row, skip, out, max, n);
}

cache_status db_posts_tagged(struct db *db, const char *tag, size_t skip, struct post out[], size_t max, size_t *n)
{
    sqlite3_stmt *row = db_begin_reading(db, POSTS_TAGGED);
    sqlite3_bind_text(row, 3, tag, -1, SQLITE_STATIC);
    return read_posts(db, row, skip, out, max, n);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* With the lock held. */
static cache_status set_tags(struct db *db, int64_t post, const char *tags)
{
    sqlite3_stmt *statement = db_next(db, DELETE_TAGS);
    sqlite3_bind_int64(statement, 1, post);
    cache_status status = db_run(db, statement);
    while (status == CACHE_OK && *tags != '\0') {
        const size_t size = strcspn(tags, " ");
        statement = db_next(db, ADD_TAG);
        sqlite3_bind_int64(statement, 1, post);
        sqlite3_bind_text(statement, 2, tags, (int)size, SQLITE_STATIC);
        status = db_run(db, statement);
        tags += size + strspn(tags + size, " ");
    }
    return status;
}

/* With the lock held. */
static cache_status read_one(struct db *db, int64_t id, struct post *out)
{
    sqlite3_stmt *row = db_next(db, POST);
    sqlite3_bind_int64(row, 1, id);
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK)
        read_post(row, out);
    sqlite3_reset(row);
    return status;
}

cache_status db_add_post(struct db *db, const struct draft *draft, int64_t author, struct post *after)
{
    int64_t id = 0;
    cache_status status = db_transaction_begin(db);
    if (status == CACHE_OK) {
        sqlite3_stmt *statement = db_next(db, ADD_POST);
        sqlite3_bind_text(statement, 1, draft->title, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, draft->content, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, author);
        status = db_run(db, statement);
        id = sqlite3_last_insert_rowid(db->writer.handle);
    }
    if (status == CACHE_OK)
        status = set_tags(db, id, draft->tags);
    if (status == CACHE_OK)
        status = read_one(db, id, after);
    return db_transaction_end(db, status);
}

cache_status db_change_post(struct db *db, int64_t id, const struct draft *draft, struct post *before,
                            struct post *after)
{
    cache_status status = db_transaction_begin(db);
    if (status == CACHE_OK)
        status = read_one(db, id, before);
    if (status == CACHE_OK) {
        sqlite3_stmt *statement = db_next(db, CHANGE_POST);
        sqlite3_bind_text(statement, 1, draft->title, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, draft->content, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, id);
        status = db_run(db, statement);
    }
    if (status == CACHE_OK)
        status = set_tags(db, id, draft->tags);
    if (status == CACHE_OK)
        status = read_one(db, id, after);
    return db_transaction_end(db, status);
}

cache_status db_delete_post(struct db *db, int64_t id, struct post *before)
{
    cache_status status = db_transaction_begin(db);
    if (status == CACHE_OK)
        status = read_one(db, id, before);
    if (status == CACHE_OK) {
        sqlite3_stmt *statement = db_next(db, DELETE_POST);
        sqlite3_bind_int64(statement, 1, id);
        status = db_run(db, statement);
    }
    return db_transaction_end(db, status);
}

cache_status db_add_views(struct db *db, const struct view_count *counts, size_t n)
{
    cache_status status = db_transaction_begin(db);
    for (size_t i = 0; status == CACHE_OK && i < n; i++) {
        sqlite3_stmt *statement = db_next(db, ADD_VIEWS);
        sqlite3_bind_int64(statement, 1, counts[i].n);
        sqlite3_bind_int64(statement, 2, counts[i].post);
        status = db_run(db, statement);
    }
    return db_transaction_end(db, status);
}
