/* db_products.c - products, and the search through all that is here. */
#include "db_internal.h"

#include <stdlib.h>
#include <string.h>

static void read_product(sqlite3_stmt *row, struct product *out)
{
    memset(out, 0, sizeof *out);
    out->id = sqlite3_column_int64(row, 0);
    out->cents = sqlite3_column_int64(row, 1);
    db_copy_text(out->name, sizeof out->name, row, 2);
    db_copy_text(out->description, sizeof out->description, row, 3);
}

cache_status db_product(struct db *db, int64_t id, struct product *out)
{
    sqlite3_stmt *row = db_begin(db, PRODUCT);
    sqlite3_bind_int64(row, 1, id);
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK)
        read_product(row, out);
    db_end(db, row);
    return status;
}

cache_status db_products(struct db *db, struct product out[], size_t max, size_t *n)
{
    cache_status status = CACHE_OK;
    sqlite3_stmt *row = db_begin(db, PRODUCTS);
    sqlite3_bind_int64(row, 1, (sqlite3_int64)max);
    for (*n = 0; *n < max && (status = db_row(db, row)) == CACHE_OK; ++*n)
        read_product(row, &out[*n]);
    db_end(db, row);
    return status == CACHE_MISS ? CACHE_OK : status;
}

cache_status db_add_product(struct db *db, const struct product *product)
{
    sqlite3_stmt *statement = db_begin(db, ADD_PRODUCT);
    sqlite3_bind_text(statement, 1, product->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, product->description, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, product->cents);
    const cache_status status = db_run(db, statement);
    db_end(db, statement);
    return status;
}

cache_status db_change_product(struct db *db, int64_t id, const struct product_change *change, struct product *after)
{
    sqlite3_stmt *row = db_begin(db, CHANGE_PRODUCT);
    sqlite3_bind_text(row, 1, change->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 2, change->description, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 3, change->cents);
    sqlite3_bind_int64(row, 4, id);
    cache_status status = db_row(db, row);
    if (status == CACHE_OK) {
        read_product(row, after);
        if (db_row(db, row) == CACHE_ERR_IO)    /* the change is complete at the end of the rows */
            status = CACHE_ERR_IO;
    }
    db_end(db, row);
    return status;
}

/* ---- search ------------------------------------------------------------------------------------------------------ */

/* LIKE's pattern for whatever has `text` in it; NULL: no memory. */
static char *pattern_of(const char *text)
{
    char *pattern = malloc(2 * strlen(text) + 3), *to = pattern;
    if (pattern == NULL)
        return NULL;
    *to++ = '%';
    for (; *text != '\0'; *to++ = *text++)
        if (strchr("%_\\", *text) != NULL)
            *to++ = '\\';
    *to++ = '%';
    *to = '\0';
    return pattern;
}

cache_status db_search(struct db *db, const char *text, struct found out[], size_t max, size_t *n)
{
    cache_status status = CACHE_OK;
    char *pattern = pattern_of(text);
    if (pattern == NULL)
        return CACHE_ERR_NOMEM;
    sqlite3_stmt *row = db_begin(db, SEARCH);
    sqlite3_bind_int64(row, 1, (sqlite3_int64)max);
    sqlite3_bind_text(row, 2, pattern, -1, SQLITE_STATIC);
    for (*n = 0; *n < max && (status = db_row(db, row)) == CACHE_OK; ++*n) {
        out[*n].is_product = sqlite3_column_int(row, 0) != 0;
        out[*n].id = sqlite3_column_int64(row, 1);
        db_copy_text(out[*n].title, sizeof out[*n].title, row, 2);
    }
    db_end(db, row);
    free(pattern);
    return status == CACHE_MISS ? CACHE_OK : status;
}
