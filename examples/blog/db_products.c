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
    sqlite3_stmt *row = db_begin_reading(db, PRODUCT);
    sqlite3_bind_int64(row, 1, id);
    const cache_status status = db_row(db, row);
    if (status == CACHE_OK)
        read_product(row, out);
    db_end(db, row);
    return status;
}

cache_status db_products(struct db *db, size_t skip, struct product out[], size_t max, size_t *n)
{
    cache_status status = CACHE_OK;
    sqlite3_stmt *row = db_begin_reading(db, PRODUCTS);
    sqlite3_bind_int64(row, 1, (sqlite3_int64)max);
    sqlite3_bind_int64(row, 2, (sqlite3_int64)skip);
    for (*n = 0; *n < max && (status = db_row(db, row)) == CACHE_OK; ++*n)
        read_product(row, &out[*n]);
    db_end(db, row);
    return status == CACHE_MISS ? CACHE_OK : status;
}

cache_status db_add_product(struct db *db, const struct product *product)
{
    sqlite3_stmt *statement = db_begin_writing(db, ADD_PRODUCT);
    sqlite3_bind_text(statement, 1, product->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, product->description, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, product->cents);
    const cache_status status = db_run(db, statement);
    db_end(db, statement);
    return status;
}

cache_status db_change_product(struct db *db, int64_t id, const struct product_change *change, struct product *after)
{
    sqlite3_stmt *row = db_begin_writing(db, CHANGE_PRODUCT);
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

enum { WORDS_MAX = 8 };

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* FTS5's question for the first words of `text`: each must be there, the last may go on: "two" "wor" *. It is made of
 * letters in quotes alone, so that nothing in the text is an operator. NULL: no memory. "": there is no word. */
static char *question_of(const char *text)
{
    char *question = malloc(4 * strlen(text) + 4), *to = question;
    for (size_t n = 0; question != NULL && *text != '\0' && n < WORDS_MAX; n++) {
        while (*text != '\0' && !is_letter((unsigned char)*text))
            text++;
        if (*text == '\0')
            break;
        *to++ = '"';
        while (is_letter((unsigned char)*text))
            *to++ = *text++;
        *to++ = '"';
        *to++ = ' ';
    }
    if (question != NULL) {
        if (to > question)
            *to++ = '*';
        *to = '\0';
    }
    return question;
}

cache_status db_search(struct db *db, const char *text, struct found out[], size_t max, size_t *n)
{
    cache_status status = CACHE_OK;
    char *question = question_of(text);
    *n = 0;
    if (question == NULL || question[0] == '\0') {
        const bool is_empty = question != NULL;
        free(question);
        return is_empty ? CACHE_OK : CACHE_ERR_NOMEM;
    }
    sqlite3_stmt *row = db_begin_reading(db, SEARCH);
    sqlite3_bind_int64(row, 1, (sqlite3_int64)max);
    sqlite3_bind_text(row, 2, question, -1, SQLITE_STATIC);
    for (*n = 0; *n < max && (status = db_row(db, row)) == CACHE_OK; ++*n) {
        out[*n].is_product = sqlite3_column_int(row, 0) != 0;
        out[*n].id = sqlite3_column_int64(row, 1);
        db_copy_text(out[*n].title, sizeof out[*n].title, row, 2);
    }
    db_end(db, row);
    free(question);
    return status == CACHE_MISS ? CACHE_OK : status;
}
