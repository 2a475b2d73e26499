/* files.h - looking at a cache directory from outside. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <stdint.h>

enum { FILES_PATH = 128 };

/* What is in a cache directory beside its meta file and fan-out directories. */
struct files {
    unsigned entries, temp_files, others;
    uint64_t bytes;            /* of the entries */
    char path[FILES_PATH];     /* of the last entry seen */
};

struct files files_look(const char *directory);

/* Call `visit` with the path of each entry's file. */
void files_each(const char *directory, void (*visit)(const char *path));

/* Remove all files and directories below the cache directory, but not its meta file. */
void files_remove_below(const char *directory);

/* The whole file, to be freed; or the test fails. */
char *files_read(const char *path, size_t *size);
void files_write(const char *path, const void *data, size_t size);
int files_exist(const char *path);

/* How many file descriptors this process has open. */
int files_count_descriptors(void);

/* What each test of the store begins with, an empty directory in `path`, and ends with: the directory is removed,
 * and the test fails if a file descriptor was left open, whatever happened meanwhile. */
void files_begin(char *path, size_t size);
void files_end(const char *path);

#endif
