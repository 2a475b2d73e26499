/* files.c - looking at a cache directory from outside. _GNU_SOURCE for nftw's sake. */
#define _GNU_SOURCE
#include "test.h"

#include "files.h"
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static struct files seen;
static void (*visit_entry)(const char *path);

static int look_at(const char *path, const struct stat *info, int type, struct FTW *where)
{
    const char *name = path + where->base;
    if (type == FTW_D || strcmp(name, ".libcache") == 0)
        return 0;
    if (type == FTW_F && where->level == 3 && strlen(name) == 30) {
        seen.entries++;
        seen.bytes += (uint64_t)info->st_size;
        (void)snprintf(seen.path, sizeof seen.path, "%s", path);
        if (visit_entry != NULL)
            visit_entry(path);
    } else if (strcmp(name, ".tmp") == 0)
        seen.temp_files++;
    else
        seen.others++;
    return 0;
}

struct files files_look(const char *directory)
{
    seen = (struct files){ 0 };
    (void)nftw(directory, look_at, 16, FTW_PHYS);
    return seen;
}

void files_each(const char *directory, void (*visit)(const char *path))
{
    visit_entry = visit;
    (void)files_look(directory);
    visit_entry = NULL;
}

static int remove_below(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type;
    if (where->level > 0 && strcmp(path + where->base, ".libcache") != 0)
        (void)remove(path);    /* it may have gone, or been filled again */
    return 0;
}

void files_remove_below(const char *directory)
{
    (void)nftw(directory, remove_below, 16, FTW_DEPTH | FTW_PHYS);
}

char *files_read(const char *path, size_t *size)
{
    struct stat info;
    const int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    *size = (size_t)info.st_size;
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, *size), *size);
    close(fd);
    return bytes;
}

void files_write(const char *path, const void *data, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        fail_msg("%s: %s", path, strerror(errno));
    close(fd);
}

int files_exist(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

int files_count_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    assert_non_null(stream);
    int n = -3;    /* ".", "..", and the stream's own */
    while (readdir(stream) != NULL)
        n++;
    closedir(stream);
    return n;
}

static int descriptors;

void files_begin(char *path, size_t size)
{
    descriptors = files_count_descriptors();
    test_directory_make(path, size);
}

void files_end(const char *path)
{
    assert_int_equal(files_count_descriptors(), descriptors);
    test_directory_remove(path);
}
