/* content.c - finds out what a directory without a valid meta file contains. If its files are those of a cache, the
 * cache is created again. If there is anything else in it, it belongs to somebody else. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static enum fs_content entry_file(int leaf, const char *name)
{
    static const char magic[8] = "libcache";
    char begins[sizeof magic];
    if (!cache_fs_is_entry_name(name))
        return strcmp(name, FS_TEMP_FILE) == 0 ? FS_EMPTY : FS_FOREIGN;
    const int fd = cache_fs_open_at(leaf, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return errno == ENOENT ? FS_EMPTY : errno == ELOOP || errno == ENXIO ? FS_FOREIGN : FS_UNREADABLE;
    const ssize_t n = cache_fs_read_at(fd, begins, sizeof begins, 0);
    cache_fs_close(fd);
    return n == (ssize_t)sizeof begins && memcmp(begins, magic, sizeof magic) == 0 ? FS_ORPHANS : FS_FOREIGN;
}

/* Check `depth` levels of directories with names of one digit, and entries in the lowest. It is enough to find one
 * entry of a leaf, since nothing else has such names in such places. */
static enum fs_content look_into(int directory, int depth)
{
    const int fd = cache_fs_open_at(directory, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        if (fd >= 0)
            cache_fs_close(fd);
        return FS_UNREADABLE;
    }
    enum fs_content found = FS_EMPTY;
    const struct dirent *entry = NULL;
    for (errno = 0; found <= FS_ORPHANS && (entry = readdir(stream)) != NULL; errno = 0) {
        const char *name = entry->d_name;
        enum fs_content here = FS_FOREIGN;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (depth == 2 && strcmp(name, FS_META_FILE) == 0))
            continue;
        if (depth == 0)
            here = found == FS_ORPHANS && cache_fs_is_entry_name(name) ? FS_ORPHANS : entry_file(directory, name);
        else if (cache_fs_is_digit(name)) {
            const int next = cache_fs_open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
            here = next >= 0                             ? look_into(next, depth - 1)
                 : errno == ENOTDIR || errno == ELOOP ? FS_FOREIGN
                                                         : FS_UNREADABLE;
            if (next >= 0)
                cache_fs_close(next);
        }
        found = here > found ? here : found;
    }
    if (entry == NULL && errno != 0 && found <= FS_ORPHANS)
        found = FS_UNREADABLE;
    const int error = errno;
    closedir(stream);
    errno = error;
    return found;
}

enum fs_content cache_fs_directory_content(const struct fs_store *store)
{
    return look_into(store->directory, 2);
}
