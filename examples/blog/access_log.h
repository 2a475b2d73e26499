/* access_log.h - one line a request, as it was answered. */
#ifndef ACCESS_LOG_H
#define ACCESS_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct access_log;

struct access {
    const struct sockaddr *address;    /* the client's, IPv4 or IPv6; NULL: not known */
    const char *method;
    const char *path;                  /* as it came; the query is left out, since people type secrets into forms */
    unsigned status;                   /* 0: the client went before it was answered */
    size_t bytes;                      /* of the body */
    int64_t nanoseconds;               /* from the request line to the last byte */
    const char *verdict;               /* X-Cache; NULL: none */
};

/* Append to `file`, "-" for stdout; the text must stay where it is. NULL: it cannot be, and stderr says why. */
struct access_log *access_log_open(const char *file);

/* Any thread. Lines are gathered, and written whole: at the latest after a second. */
void access_log_add(struct access_log *log, const struct access *access);

/* Write on to a new file of the same name: the old one was moved away. */
void access_log_reopen(struct access_log *log);

void access_log_close(struct access_log *log);    /* NULL: does nothing */

#endif
