/* files.h - looks at a cache directory from outside. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <stdint.h>

enum { FILES_PATH = 128 };

/* The contents of a cache directory, except its meta file and the directories of its leaves. */
struct files {
    unsigned entries, temp_files, others;
    uint64_t bytes;            /* of the entries */
    char path[FILES_PATH];     /* of the last entry seen */
};

struct files files_look(const char *directory);

/* Calls `visit` with the path of each entry's file. */
void files_each(const char *directory, void (*visit)(const char *path));

/* Removes all files and directories below the cache directory, but not its meta file. */
void files_remove_below(const char *directory);

/* Returns the contents of a file, which the caller frees. If it cannot be read, the test fails. */
char *files_read(const char *path, size_t *size);
void files_write(const char *path, const void *data, size_t size);
int files_exist(const char *path);

/* Returns how many file descriptors this process has open. */
int files_count_descriptors(void);

/* Each test of the store begins and ends with these. files_begin makes an empty directory, and writes its path to
 * `path`. files_end removes it, and fails the test if a file descriptor was left open. */
void files_begin(char *path, size_t size);
void files_end(const char *path);

#endif
