/* access_log.c - lines gathered in a buffer, and one thread that writes it out each second.
 *
 *     2026-11-24T21:41:36.123Z 127.0.0.1 GET /post/1 200 2310 0.412 HIT
 *
 * are the time, the client, method and path, the status, the body's bytes, milliseconds, and X-Cache. */
#include "access_log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, MAX_LINE = 1024, MAX_PATH = 600 };

struct access_log {
    int fd;
    const char *file;                  /* NULL: stdout */
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    time_t second;                     /* the one whose text stands in `time`: the calendar is asked once a second */
    char time[32];
    size_t size;
    char buffer[BUFFER];
};

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* With the lock held. A disk that is full loses lines, and stops nobody. */
static void write_out(struct access_log *log)
{
    size_t at = 0;
    while (at < log->size) {
        const ssize_t n = write(log->fd, log->buffer + at, log->size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    log->size = 0;
}

static void *write_each_second(void *arg)
{
    struct access_log *log = arg;
    struct timespec next;
    pthread_mutex_lock(&log->lock);
    while (!log->stop) {
        clock_gettime(CLOCK_REALTIME, &next);
        next.tv_sec++;
        (void)pthread_cond_timedwait(&log->stopped, &log->lock, &next);
        write_out(log);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

struct access_log *access_log_open(const char *file)
{
    struct access_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return NULL;
    log->file = strcmp(file, "-") != 0 ? file : NULL;
    log->fd = log->file == NULL ? dup(STDOUT_FILENO) : open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->stopped, NULL);
    if (log->fd >= 0 && pthread_create(&log->writer, NULL, write_each_second, log) == 0)
        return log;
    fprintf(stderr, "blog: cannot write the access log to %s: %s\n", file, strerror(errno));
    if (log->fd >= 0)
        close(log->fd);
    free(log);
    return NULL;
}

void access_log_reopen(struct access_log *log)
{
    const int fd = log->file != NULL ? open(log->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640) : -1;
    if (fd < 0)    /* then the old file goes on */
        return;
    pthread_mutex_lock(&log->lock);
    write_out(log);
    close(log->fd);
    log->fd = fd;
    pthread_mutex_unlock(&log->lock);
}

void access_log_close(struct access_log *log)
{
    if (log == NULL)
        return;
    pthread_mutex_lock(&log->lock);
    log->stop = true;
    pthread_cond_signal(&log->stopped);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->writer, NULL);
    write_out(log);
    close(log->fd);
    pthread_cond_destroy(&log->stopped);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

/* ---- a line ------------------------------------------------------------------------------------------------------ */

static const char *address_text(const struct sockaddr *address, char *text, socklen_t size)
{
    const void *bytes = NULL;
    if (address != NULL && address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address != NULL && address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return bytes != NULL && inet_ntop(address->sa_family, bytes, text, size) != NULL ? text : "-";
}

/* Up to the query. What could end the line or the field, or move a terminal's cursor, is shown as \xNN. */
static void path_text(const char *path, char *text, size_t size)
{
    size_t n = 0;
    for (; *path != '\0' && *path != '?' && n + 5 < size; path++) {
        const unsigned char c = (unsigned char)*path;
        if (c > ' ' && c < 0x7f && c != '\\')
            text[n++] = *path;
        else
            n += (size_t)snprintf(text + n, 5, "\\x%02x", c);
    }
    text[n] = '\0';
}

/* With the lock held. */
static const char *second_text(struct access_log *log, time_t second)
{
    struct tm calendar;
    if (second != log->second && gmtime_r(&second, &calendar) != NULL) {
        log->second = second;
        (void)strftime(log->time, sizeof log->time, "%Y-%m-%dT%H:%M:%S", &calendar);
    }
    return log->time;
}

void access_log_add(struct access_log *log, const struct access *access)
{
    char address[INET6_ADDRSTRLEN], path[MAX_PATH], method[16], status[8], rest[MAX_LINE], line[MAX_LINE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    path_text(access->path, path, sizeof path);
    path_text(access->method, method, sizeof method);
    (void)snprintf(status, sizeof status, "%u", access->status);
    (void)snprintf(rest, sizeof rest, "%s %s %s %s %zu %.3f %s",
                   address_text(access->address, address, sizeof address), method, path,
                   access->status != 0 ? status : "-", access->bytes, (double)access->nanoseconds / 1e6,
                   access->verdict != NULL ? access->verdict : "-");
    pthread_mutex_lock(&log->lock);
    const int size = snprintf(line, sizeof line, "%s.%03dZ %s\n", second_text(log, now.tv_sec),
                              (int)(now.tv_nsec / 1000000), rest);
    if (log->size + (size_t)size > BUFFER)
        write_out(log);
    memcpy(log->buffer + log->size, line, (size_t)size);
    log->size += (size_t)size;
    pthread_mutex_unlock(&log->lock);
}
