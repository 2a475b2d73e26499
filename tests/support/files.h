/* files.h - looking at a cache directory from outside. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <stdint.h>

enum { FILES_PATH = 128 };

/* What is in a cache directory beside its marker and fan-out directories. */
struct files {
    unsigned entries, drafts, others;
    uint64_t bytes;            /* of the entries */
    char path[FILES_PATH];     /* of the last entry seen */
};

struct files files_look(const char *directory);

/* The whole file, to be freed; or the test fails. */
char *files_read(const char *path, size_t *size);
void files_write(const char *path, const void *data, size_t size);
int files_exist(const char *path);

/* How many file descriptors this process has open. */
int files_descriptors(void);

#endif
