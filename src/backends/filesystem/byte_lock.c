/* byte_lock.c - locks among processes: one byte of the meta file each. A lock ends with its process.
 * _GNU_SOURCE is for open file description locks: POSIX locks would be lost whenever another handle of this process on
 * the same directory is closed. */
#define _GNU_SOURCE
#include "store.h"

#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

enum { LOCKS_AT = 1 << 20, QUEUE_BEHIND = 1024, FIRST_PAUSE_NS = 20000, LONGEST_PAUSE_NS = 200000 };

static int set_lock(int meta_file, off_t at, short type)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
    return fcntl(meta_file, F_OFD_SETLK, &range) == 0 ? 0 : errno;
}

/* Polls, because the kernel's own wait has no deadline: a process that is stopped would then stop all others. */
static int poll_lock(int meta_file, off_t at, uint64_t deadline)
{
    for (long pause = FIRST_PAUSE_NS;; pause = pause < LONGEST_PAUSE_NS ? pause * 2 : pause) {
        const int error = set_lock(meta_file, at, F_WRLCK);
        if (error != EAGAIN && error != EACCES && error != EINTR)
            return error;
        if (cache_now_ns() >= deadline)
            return ETIMEDOUT;
        nanosleep(&(struct timespec){ 0, pause }, NULL);
    }
}

/* The process that waits next holds a second byte. Without it, a process that locks in a loop would always win. */
int cache_fs_byte_lock(int meta_file, unsigned number, uint64_t deadline)
{
    const off_t lock = LOCKS_AT + (off_t)number, queue = lock + QUEUE_BEHIND;
    int error = poll_lock(meta_file, queue, deadline);
    if (error != 0)
        return error;
    error = poll_lock(meta_file, lock, deadline);
    (void)set_lock(meta_file, queue, F_UNLCK);
    return error;
}

void cache_fs_byte_unlock(int meta_file, unsigned number)
{
    (void)set_lock(meta_file, LOCKS_AT + (off_t)number, F_UNLCK);
}
