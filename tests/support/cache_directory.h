/* cache_directory.h - gives each test of the filesystem store an empty directory. make_directory and remove_directory
 * are the set-up and tear-down functions of a test. */
#ifndef CACHE_DIRECTORY_H
#define CACHE_DIRECTORY_H

#include "files.h"

static char directory[64];

static inline int make_directory(void **state)
{
    (void)state;
    files_begin(directory, sizeof directory);
    return 0;
}

static inline int remove_directory(void **state)
{
    (void)state;
    files_end(directory);
    return 0;
}

#endif
