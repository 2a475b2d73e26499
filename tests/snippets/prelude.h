/* What the C in the guides takes for granted: the program around it. */
#include <libcache/backend.h>
#include <libcache/cache.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct product {
    int id;
    double price;
};

struct user {
    int id;
    const char *name;
};

typedef struct sqlite3 sqlite3;

cache_status load_product(int id, struct product *out);
cache_status load_report(sqlite3 *db, int year, double *out);
cache_status load_greeting(const char *name, char **out);
cache_status list_products(void *ctx, cache_writer *out);
cache_status put_activities(const struct user *user, cache_writer *out);
void write_list(cache_writer *out, int user);
struct connection;
struct server;
void send_page(struct connection *connection, const cache_page *page);
cache_status render_products(void *ctx, const cache_request *request, cache_writer *out);
cache_handler_fn dispatch;
bool is_preview(void *ctx, const cache_request *request);
bool is_good(void *ctx, const cache_response *response);

cache_open_fn list_open;
cache_close_fn list_close;
cache_get_fn list_get;
cache_set_fn list_set;
cache_remove_fn list_remove;
cache_inc_fn list_inc;
cache_clear_fn list_clear;
cache_touch_fn list_touch;
extern const cache_backend_ops list_store_ops;

/* In scope of snippets that are statements. */
struct scope {
    cache_t *cache;
    cache_writer *out;
    const cache_request *request;
    sqlite3 *db;
    struct user *user;
    const char *text;
    int id;
    const cache_backend_config *config;
};
