/* site.h - the blog as the tests meet it: the real program on a free port, asked over sockets. */
#ifndef SITE_H
#define SITE_H

#include "server.h"

struct site {
    struct test_server server;
    char request[100 * 1024];
    char answer[256 * 1024];           /* the last one, with its headers, ended by NUL */
};

/* The passwords that the blog is started with. */
#define ADMIN_PASSWORD "a password for the admin"
#define ADA_PASSWORD   "a password for ada"
#define GRACE_PASSWORD "a password for grace"

/* Its file. */
const char *site_program(void);

/* `extra`: further arguments, NULL-terminated, or NULL. A database of its own, in its directory. */
void site_start(struct site *site, const char *cache_url, const char *const extra[]);

/* The store that a test program is for: "redis" as its argument, else memory. A Redis is started for all of its
 * tests. */
void site_store_choose(int argc, char **argv);
void site_store_release(void);
void site_start_on_store(struct site *site, const char *const extra[]);    /* on a part of it that is empty */

int site_signal_and_wait(struct site *site, int signal);    /* the exit status; -1: it was killed */
void site_stop(struct site *site);    /* SIGTERM must end it with status 0, and its sanitizer have nothing to say */

int site_connect(const struct site *site);
void site_send(int fd, const void *bytes, size_t size);
void site_say(int fd, const char *text);

/* Read until the server closes, and close. A connection that was reset counts as closed. */
const char *site_read_all(struct site *site, int fd);

/* Send bytes as they are, and read all that comes back until the server closes. */
const char *site_talk(struct site *site, const char *bytes);

/* One request, on a connection of its own. `headers`: lines with their ends. */
const char *site_ask(struct site *site, const char *method, const char *path, const char *headers, const char *body);
const char *site_get(struct site *site, const char *path);

/* The header that a user sends who has logged in. */
const char *site_log_in(struct site *site, const char *name, const char *password);

/* A form that is posted, with a user's header or "". */
const char *site_post(struct site *site, const char *path, const char *headers, const char *body);

void assert_has(const char *answer, const char *text);
void assert_has_not(const char *answer, const char *text);
long number_behind(const char *answer, const char *name);

#endif
