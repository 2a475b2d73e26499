/* db_samples.c - what is in the blog at its first start. */
#include "db_internal.h"

cache_status db_add_sample_users(struct db *db)
{
    static const char *const names[] = { "admin", "ada", "grace" };
    cache_status status = CACHE_OK;
    int64_t id = 0;
    for (size_t i = 0; status == CACHE_OK && i < sizeof names / sizeof names[0]; i++)
        status = db_add_user(db, names[i], NO_PASSWORD, i == 0, &id);
    return status;
}

cache_status db_add_sample_posts(struct db *db)
{
    static const struct draft posts[] = {
        { "Why cache at all?", "A page that took forty queries yesterday takes *none* today.\n\n"
          "> There are only two hard things: naming things, and invalidating them.\n\n"
          "The rest of this blog is about both.",
          "basics" },
        { "One computation, a hundred answers", "When a popular page expires, **one** request computes it. The others "
          "wait, and share the result.\n\n1. A hundred ask.\n2. One computes.\n3. A hundred are answered.",
          "stampede threads" },
        { "Stale is better than late", "For a while after its time a page can still be served, while its successor is "
          "being made.\n\nSee `stale` and `stale_if_error`.", "expiry" },
        { "Naming things", "A key is a name. Give each thing one, and put a prefix before it:\n\n"
          "    memory://?prefix=v2:\n\nA new prefix is a new version of everything.", "basics keys" },
        { "And invalidating them", "Delete a key when what it shows has changed; or store what belongs together under "
          "a **tag**, and drop the tag.\n\nEverything else expires by itself.", "keys tags" },
        { "The cost of a lock", "Two threads that ask for different keys should never wait for each other.",
          "threads" },
        { "Eviction", "A cache that is full must let something go. What was read twice is likelier to be read again.",
          "memory" },
        { "Where values live", "The program is the same, wherever they are:\n\n"
          "- in memory\n- in files\n- in Redis\n- in Memcached", "basics memory" },
        { "When the server is away",
          "A cache that hangs is worse than none. A store that is down looks like an empty one.",
          "errors" },
        { "Measure", "The hit rate tells you whether it was worth it: see [the statistics](/cache-stats).", "basics" },
    };
    struct user authors[2];
    struct post post;
    cache_status status = db_user_named(db, "ada", &authors[0]);
    if (status == CACHE_OK)
        status = db_user_named(db, "grace", &authors[1]);
    for (size_t i = 0; status == CACHE_OK && i < sizeof posts / sizeof posts[0]; i++)
        status = db_add_post(db, &posts[i], authors[i % 2].id, &post);
    return status;
}

cache_status db_add_sample_products(struct db *db)
{
    static const struct product products[] = {
        { 0, 1250, "Mug", "Holds what is hot." },
        { 0, 890, "Notebook", "For what is not worth a database." },
        { 0, 4900, "Lamp", "Shines until its time is over, and somewhat longer." },
        { 0, 2400, "Umbrella", "Ready before the rain is." },
        { 0, 15900, "Chair", "One sits, the others wait." },
    };
    cache_status status = CACHE_OK;
    for (size_t i = 0; status == CACHE_OK && i < sizeof products / sizeof products[0]; i++)
        status = db_add_product(db, &products[i]);
    return status;
}
