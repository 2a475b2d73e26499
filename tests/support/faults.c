/* faults.c - see faults.h. Each wrapper asks `take` whether it is its turn to fail, and else calls the real function.
 * _GNU_SOURCE for RTLD_NEXT. */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include "faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SHORT = -1, MOST_FAULTS = 7, STEP = 37 };

#define EACH_CALL(X)                                                                                                  \
    X(openat, EMFILE, ENOSPC, EACCES, EIO, EINTR)                                                                     \
    X(openat2, EMFILE, ENOSYS, EACCES, EIO, EINTR)                                                                    \
    X(read, EIO, EINTR, SHORT)                                                                                        \
    X(pread, EIO, EINTR, SHORT)                                                                                       \
    X(write, EIO, ENOSPC, EPIPE, EINTR, SHORT)                                                                        \
    X(pwrite, EIO, ENOSPC, EINTR, SHORT)                                                                              \
    X(writev, EIO, ENOSPC, EDQUOT, EINTR, SHORT)                                                                      \
    X(renameat, EIO, ENOSPC, EACCES)                                                                                  \
    X(unlinkat, EIO, EACCES)                                                                                          \
    X(mkdir, ENOSPC, EACCES)                                                                                          \
    X(mkdirat, ENOSPC, EACCES, EMLINK)                                                                                \
    X(ftruncate, EIO, ENOSPC)                                                                                         \
    X(fsync, EIO, ENOSPC, EINTR)                                                                                      \
    X(lseek, EIO)                                                                                                     \
    X(fstat, EIO)                                                                                                     \
    X(fstatat, EIO, EACCES)                                                                                           \
    X(fchmod, EPERM)                                                                                                  \
    X(futimens, EPERM)                                                                                                \
    X(fcntl, EINTR, ENOLCK, EAGAIN)                                                                                   \
    X(fdopendir, ENOMEM)                                                                                              \
    X(readdir, EIO)                                                                                                   \
    X(mmap, ENOMEM, EAGAIN)                                                                                           \
    X(close, EIO, EINTR)                                                                                              \
    X(getentropy, ENOSYS)                                                                                             \
    X(clock_gettime, EINVAL)                                                                                          \
    X(socket, EMFILE, ENOBUFS, EAFNOSUPPORT)                                                                          \
    X(connect, ECONNREFUSED, EINTR, EAGAIN, ENETUNREACH, ETIMEDOUT, EADDRNOTAVAIL)                                    \
    X(send, EPIPE, ECONNRESET, EINTR, EAGAIN, ENOBUFS, SHORT)                                                         \
    X(sendmsg, EPIPE, ECONNRESET, EINTR, EAGAIN, ENOBUFS, SHORT)                                                      \
    X(recv, ECONNRESET, ETIMEDOUT, EINTR, EAGAIN, ENOMEM, SHORT)                                                      \
    X(poll, EINTR, ENOMEM)                                                                                            \
    X(setsockopt, ENOMEM, ENOPROTOOPT)                                                                                \
    X(getsockopt, ENOBUFS)                                                                                            \
    X(pthread_create, EAGAIN)                                                                                        \
    X(getaddrinfo, -EAI_AGAIN, -EAI_FAIL, -EAI_NONAME, -EAI_MEMORY, -EAI_SYSTEM)

#define AS_NUMBER(name, ...) call_##name,
enum call { EACH_CALL(AS_NUMBER) CALLS };

static const struct {
    const char *name;
    int faults[MOST_FAULTS];           /* ends with 0 */
} table[CALLS] = {
#define AS_ROW(name, ...) [call_##name] = { #name, { __VA_ARGS__ } },
    EACH_CALL(AS_ROW)
};

static _Thread_local bool on;
static _Thread_local unsigned made[CALLS];
static _Thread_local struct {
    enum call call;
    unsigned number;                   /* counted from 1; 0: nothing fails */
    int fault;
    bool happened;
} chosen;

/* Count a call. Returns 0, SHORT, or the errno that it is to fail with. */
static int take(enum call call)
{
    if (!on || call == CALLS)
        return 0;
    if (++made[call] != chosen.number || chosen.call != call)
        return 0;
    chosen.happened = true;
    return chosen.fault;
}

static size_t shortened(int fault, size_t size)
{
    return fault == SHORT && size > 1 ? size / 2 : size;
}

/* `real`: the function of this name that comes next, in libc. */
#define REAL(type, ...)                                                                                               \
    static type (*real)(__VA_ARGS__);                                                                                 \
    if (real == NULL)                                                                                                 \
        *(void **)&real = dlsym(RTLD_NEXT, __func__)

#define FAIL_IF_CHOSEN(call, result)                                                                                  \
    const int fault = take(call);                                                                                     \
    if (fault > 0) {                                                                                                  \
        errno = fault;                                                                                                \
        return result;                                                                                                \
    }

/* ---- files ------------------------------------------------------------------------------------------------------- */

int openat(int at, const char *path, int flags, ...)
{
    REAL(int, int, const char *, int, ...);
    FAIL_IF_CHOSEN(call_openat, -1)
    va_list args;
    va_start(args, flags);
    const mode_t mode = va_arg(args, mode_t);
    va_end(args);
    return real(at, path, flags, mode);
}

long syscall(long number, ...)
{
    REAL(long, long, ...);
    FAIL_IF_CHOSEN(number == SYS_openat2 ? call_openat2 : CALLS, -1)
    long arg[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(args, long);
    va_end(args);
    return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

ssize_t read(int fd, void *to, size_t size)
{
    REAL(ssize_t, int, void *, size_t);
    FAIL_IF_CHOSEN(call_read, -1)
    return real(fd, to, shortened(fault, size));
}

ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    REAL(ssize_t, int, void *, size_t, off_t);
    FAIL_IF_CHOSEN(call_pread, -1)
    return real(fd, to, shortened(fault, size), at);
}

ssize_t write(int fd, const void *from, size_t size)
{
    REAL(ssize_t, int, const void *, size_t);
    FAIL_IF_CHOSEN(call_write, -1)
    return real(fd, from, shortened(fault, size));
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    REAL(ssize_t, int, const void *, size_t, off_t);
    FAIL_IF_CHOSEN(call_pwrite, -1)
    return real(fd, from, shortened(fault, size), at);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(ssize_t, int, const struct iovec *, int);
    FAIL_IF_CHOSEN(call_writev, -1)
    const struct iovec half = { parts->iov_base, shortened(fault, parts->iov_len) };
    return fault == SHORT ? real(fd, &half, 1) : real(fd, parts, n);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    REAL(int, int, const char *, int, const char *);
    FAIL_IF_CHOSEN(call_renameat, -1)
    return real(from_at, from, to_at, to);
}

int unlinkat(int at, const char *path, int flags)
{
    REAL(int, int, const char *, int);
    FAIL_IF_CHOSEN(call_unlinkat, -1)
    return real(at, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, const char *, mode_t);
    FAIL_IF_CHOSEN(call_mkdir, -1)
    return real(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    REAL(int, int, const char *, mode_t);
    FAIL_IF_CHOSEN(call_mkdirat, -1)
    return real(at, path, mode);
}

int ftruncate(int fd, off_t size)
{
    REAL(int, int, off_t);
    FAIL_IF_CHOSEN(call_ftruncate, -1)
    return real(fd, size);
}

int fsync(int fd)
{
    REAL(int, int);
    FAIL_IF_CHOSEN(call_fsync, -1)
    return real(fd);
}

off_t lseek(int fd, off_t at, int whence)
{
    REAL(off_t, int, off_t, int);
    FAIL_IF_CHOSEN(call_lseek, -1)
    return real(fd, at, whence);
}

int fstat(int fd, struct stat *info)
{
    REAL(int, int, struct stat *);
    FAIL_IF_CHOSEN(call_fstat, -1)
    return real(fd, info);
}

int fstatat(int at, const char *restrict path, struct stat *restrict info, int flags)
{
    REAL(int, int, const char *, struct stat *, int);
    FAIL_IF_CHOSEN(call_fstatat, -1)
    return real(at, path, info, flags);
}

int fchmod(int fd, mode_t mode)
{
    REAL(int, int, mode_t);
    FAIL_IF_CHOSEN(call_fchmod, -1)
    return real(fd, mode);
}

int futimens(int fd, const struct timespec times[2])
{
    REAL(int, int, const struct timespec *);
    FAIL_IF_CHOSEN(call_futimens, -1)
    return real(fd, times);
}

int fcntl(int fd, int command, ...)
{
    REAL(int, int, int, ...);
    FAIL_IF_CHOSEN(call_fcntl, -1)
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return real(fd, command, arg);
}

DIR *fdopendir(int fd)
{
    REAL(DIR *, int);
    FAIL_IF_CHOSEN(call_fdopendir, NULL)
    return real(fd);
}

struct dirent *readdir(DIR *stream)
{
    REAL(struct dirent *, DIR *);
    FAIL_IF_CHOSEN(call_readdir, NULL)
    return real(stream);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    REAL(void *, void *, size_t, int, int, int, off_t);
    FAIL_IF_CHOSEN(call_mmap, MAP_FAILED)
    return real(at, size, protection, flags, fd, offset);
}

/* The descriptor is closed all the same, as Linux does it. */
int close(int fd)
{
    REAL(int, int);
    const int fault = take(call_close), result = real(fd);
    if (fault <= 0)
        return result;
    errno = fault;
    return -1;
}

/* ---- clocks, random numbers, threads ----------------------------------------------------------------------------- */

int getentropy(void *to, size_t size)
{
    REAL(int, void *, size_t);
    FAIL_IF_CHOSEN(call_getentropy, -1)
    return real(to, size);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(int, clockid_t, struct timespec *);
    FAIL_IF_CHOSEN(call_clock_gettime, -1)
    return real(clock, now);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *arg)
{
    REAL(int, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    const int fault = take(call_pthread_create);    /* it returns its errno */
    return fault > 0 ? fault : real(thread, attributes, body, arg);
}

/* Its errors are negative numbers of their own; what EAI_SYSTEM leaves in errno is a lack of descriptors. */
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict list)
{
    REAL(int, const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const int fault = take(call_getaddrinfo);
    errno = fault == -EAI_SYSTEM ? EMFILE : errno;
    return fault > 0 ? -fault : real(node, service, hints, list);
}

/* ---- sockets ----------------------------------------------------------------------------------------------------- */

int socket(int domain, int type, int protocol)
{
    REAL(int, int, int, int);
    FAIL_IF_CHOSEN(call_socket, -1)
    return real(domain, type, protocol);
}

/* glibc declares the address as a transparent union, which ISO C has not. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    REAL(int, int, const struct sockaddr *, socklen_t);
    FAIL_IF_CHOSEN(call_connect, -1)
    return real(fd, address, size);
}
#pragma GCC diagnostic pop

ssize_t send(int fd, const void *from, size_t size, int flags)
{
    REAL(ssize_t, int, const void *, size_t, int);
    FAIL_IF_CHOSEN(call_send, -1)
    return real(fd, from, shortened(fault, size), flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(ssize_t, int, const struct msghdr *, int);
    FAIL_IF_CHOSEN(call_sendmsg, -1)
    struct iovec half = *message->msg_iov;
    half.iov_len = shortened(fault, half.iov_len);
    const struct msghdr first = { .msg_iov = &half, .msg_iovlen = 1 };
    return real(fd, fault == SHORT ? &first : message, flags);
}

ssize_t recv(int fd, void *to, size_t size, int flags)
{
    REAL(ssize_t, int, void *, size_t, int);
    FAIL_IF_CHOSEN(call_recv, -1)
    return real(fd, to, shortened(fault, size), flags);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    REAL(int, int, int, int, const void *, socklen_t);
    FAIL_IF_CHOSEN(call_setsockopt, -1)
    return real(fd, level, option, value, size);
}

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size)
{
    REAL(int, int, int, int, void *, socklen_t *);
    FAIL_IF_CHOSEN(call_getsockopt, -1)
    return real(fd, level, option, value, size);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    REAL(int, struct pollfd *, nfds_t, int);
    FAIL_IF_CHOSEN(call_poll, -1)
    return real(fds, n, timeout);
}

/* ---- the driver -------------------------------------------------------------------------------------------------- */

void faults_on(void)
{
    on = true;
}

void faults_off(void)
{
    on = false;
}

bool faults_happened(void)
{
    return chosen.happened;
}

static void run(faults_scenario *scenario, void *ctx, enum call call, unsigned number, int fault)
{
    char name[80];
    memset(made, 0, sizeof made);
    chosen.call = call;
    chosen.number = number;
    chosen.fault = fault;
    chosen.happened = false;
    (void)snprintf(name, sizeof name, "%s %u: %s", table[call].name, number,
                   fault == SHORT ? "does half" : call == call_getaddrinfo ? gai_strerror(-fault) : strerror(fault));
    scenario(ctx, number > 0 ? name : NULL);
    on = false;
}

unsigned faults_try_all(faults_scenario *scenario, void *ctx, unsigned each)
{
    unsigned counts[CALLS], tried = 0;
    run(scenario, ctx, 0, 0, 0);
    memcpy(counts, made, sizeof counts);
    for (enum call call = 0; call < CALLS; call++)
        for (unsigned number = 1; number <= counts[call]; number += number <= each ? 1 : STEP)
            for (const int *fault = table[call].faults; *fault != 0; fault++, tried++)
                run(scenario, ctx, call, number, *fault);
    return tried;
}
