/* directory.c - opens the cache directory, and creates it if it does not exist. If it belongs to somebody else, nothing
 * in it is changed. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int make_path(char *path, mode_t mode)
{
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        const bool made = mkdir(path, mode) == 0;
        const int error = errno;
        if (slash != NULL)
            *slash = '/';
        if (!made && error != EEXIST)
            return error;
        if (slash == NULL)
            return made && chmod(path, mode) != 0 ? errno : 0;
    }
}

static cache_status open_directory(struct fs_store *store)
{
    const int flags = O_RDONLY | O_DIRECTORY;    /* links in the path itself are followed, since the user chose it */
    store->directory = cache_fs_open_at(AT_FDCWD, store->path, flags, 0);
    if (store->directory < 0 && errno == ENOENT) {
        const int error = make_path(store->path, store->directory_mode);
        if (error != 0)
            return cache_fs_fail(store, NULL, error);
        store->directory = cache_fs_open_at(AT_FDCWD, store->path, flags, 0);
    }
    return store->directory >= 0 ? CACHE_OK : cache_fs_fail(store, NULL, errno);
}

cache_status cache_fs_directory_open(struct fs_store *store)
{
    cache_status status = store->directory >= 0 ? CACHE_OK : open_directory(store);
    if (status == CACHE_OK)
        status = cache_fs_meta_open(store);
    if (status == CACHE_OK)
        atomic_store_explicit(&store->ready, true, memory_order_release);
    return status;
}

cache_status cache_fs_directory_retry(struct fs_store *store)
{
    int cancel_state = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&store->opening);
    const cache_status status = atomic_load(&store->ready) ? CACHE_OK : cache_fs_directory_open(store);
    pthread_mutex_unlock(&store->opening);
    pthread_setcancelstate(cancel_state, NULL);
    return status;
}

void cache_fs_directory_close(struct fs_store *store)
{
    cache_fs_meta_close(store);
    if (store->directory >= 0)
        close(store->directory);
}
