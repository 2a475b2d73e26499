/* log.c - lines for the operator. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KINDS = 32, AT_ONCE = 5, SECONDS = 10, KIND_BYTES = 24, MAX_LINE = 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *log_file;
static int log_fd = STDERR_FILENO;

/* How often a kind of line came lately. Two kinds that share a place push each other out, and are written. */
static struct kind {
    char text[KIND_BYTES];
    time_t since;
    unsigned n;
} kinds[KINDS];

static int open_file(const char *file)
{
    return open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

bool log_open(const char *file)
{
    const int fd = open_file(file);
    if (fd < 0) {
        fprintf(stderr, "blog: cannot write the log to %s: %s\n", file, strerror(errno));
        return false;
    }
    log_file = file;
    log_fd = fd;
    return true;
}

void log_reopen(void)
{
    pthread_mutex_lock(&lock);
    const int fd = log_file != NULL ? open_file(log_file) : -1;
    if (fd >= 0) {
        close(log_fd);
        log_fd = fd;
    }
    pthread_mutex_unlock(&lock);
}

void log_close(void)
{
    if (log_file != NULL)
        close(log_fd);
    log_file = NULL;
    log_fd = STDERR_FILENO;
}

/* With the lock held: one line, whole. Control characters in it would be lines of their own, or worse. */
static void write_line(const char *level, const char *text)
{
    char line[MAX_LINE + 64], when[32] = "";
    struct timespec now;
    struct tm calendar;
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &calendar) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &calendar);
    (void)snprintf(line, sizeof line, "%s.%03dZ blog: %s: %s", when, (int)(now.tv_nsec / 1000000), level, text);
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    const size_t size = strlen(line);
    line[size] = '\n';
    if (write(log_fd, line, size + 1) < 0)
        return;    /* a disk that is full loses lines, and stops nobody */
}

/* With the lock held: whether a line of this kind is to be written. What was left out before is said first. */
static bool may_write(const char *level, const char *kind)
{
    unsigned hash = 5381;
    char text[KIND_BYTES], left_out[80];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof text, "%s", kind);
    for (const char *at = text; *at != '\0'; at++)
        hash = hash * 33 + (unsigned char)*at;
    struct kind *found = &kinds[hash % KINDS];
    if (strcmp(found->text, text) != 0 || now.tv_sec - found->since >= SECONDS) {
        if (found->n > AT_ONCE) {
            (void)snprintf(left_out, sizeof left_out, "%u more lines began with '%s'", found->n - AT_ONCE, found->text);
            write_line(level, left_out);
        }
        memcpy(found->text, text, sizeof text);
        found->since = now.tv_sec;
        found->n = 0;
    }
    return ++found->n <= AT_ONCE;
}

static void write_limited(const char *level, const char *text)
{
    pthread_mutex_lock(&lock);
    if (may_write(level, text))
        write_line(level, text);
    pthread_mutex_unlock(&lock);
}

void log_error(const char *format, ...)
{
    char text[MAX_LINE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_limited("error", text);
}

void log_info(const char *format, ...)
{
    char text[MAX_LINE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_limited("info", text);
}

void log_from_cache(void *ctx, cache_log_level level, const char *message)
{
    static const char *const levels[] = { "error", "warning", "info" };
    char text[MAX_LINE];
    (void)ctx;
    (void)snprintf(text, sizeof text, "cache: %s", message);
    write_limited(levels[level <= CACHE_LOG_INFO ? level : CACHE_LOG_INFO], text);
}
