/* site.h - the blog as the tests meet it: the real program on a free port, asked over sockets. */
#ifndef SITE_H
#define SITE_H

#include "server.h"

struct site {
    struct test_server server;
    char answer[256 * 1024];           /* the last one, with its headers, ended by NUL */
};

/* `extra`: further arguments, NULL-terminated, or NULL. A database of its own, in its directory. */
void site_start(struct site *site, const char *cache_url, const char *const extra[]);
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

void assert_has(const char *answer, const char *text);
long number_behind(const char *answer, const char *name);

#endif
