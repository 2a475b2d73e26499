/* test_unload.c - checks that a program can load the library as a plugin, use it in threads that go on, and unload it.
 * Nothing of it is left that such a thread would call when it ends, or that a fork would call. */
#include "test.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 20 };

/* What the program calls, found by name, as a plugin's host does. */
struct library {
    void *handle;
    cache_t *cache;
    cache_status (*open)(const char *url, cache_t **out);
    void (*close)(cache_t *cache);
    cache_status (*fetch)(cache_t *cache, const char *key, const cache_fetch_options *options,
                          cache_compute_fn *compute, void *ctx, cache_value *out);
    cache_status (*get)(cache_t *cache, const char *key, cache_value *out);
    cache_status (*append)(cache_writer *writer, const void *data, size_t size);
    void (*release)(cache_value *value);
};

static void *symbol(void *handle, const char *name)
{
    void *found = dlsym(handle, name);
    if (found == NULL)
        fail_msg("%s: %s", name, dlerror());
    return found;
}

static struct library load(void)
{
    struct library library = { .handle = dlopen(LIBRARY_PATH, RTLD_NOW | RTLD_LOCAL) };
    if (library.handle == NULL)
        fail_msg("%s", dlerror());
    /* POSIX says that a pointer from dlsym may be stored so. */
    *(void **)&library.open = symbol(library.handle, "cache_open");
    *(void **)&library.close = symbol(library.handle, "cache_close");
    *(void **)&library.fetch = symbol(library.handle, "cache_fetch");
    *(void **)&library.get = symbol(library.handle, "cache_get");
    *(void **)&library.append = symbol(library.handle, "cache_writer_append");
    *(void **)&library.release = symbol(library.handle, "cache_value_release");
    assert_status(CACHE_OK, library.open("memory://?max_items=100", &library.cache));
    return library;
}

struct user {
    pthread_t thread;
    const struct library *library;
    sem_t used, unloaded;
};

static cache_status compute(void *ctx, cache_writer *out)
{
    return ((const struct user *)ctx)->library->append(out, "value", 5);
}

/* Uses all that leaves something in a thread: a read, a view and a computation; and ends after the library is gone. */
static void *use(void *arg)
{
    struct user *user = arg;
    const struct library *library = user->library;
    cache_value value;
    char key[32];
    (void)snprintf(key, sizeof key, "key %p", arg);
    bool good = library->fetch(library->cache, key, NULL, compute, user, &value) == CACHE_OK;
    library->release(&value);
    good = good && library->get(library->cache, key, &value) == CACHE_OK;
    library->release(&value);
    sem_post(&user->used);
    sem_wait(&user->unloaded);
    return good ? arg : NULL;
}

static void start(struct user *user, const struct library *library)
{
    user->library = library;
    assert_int_equal(sem_init(&user->used, 0, 0), 0);
    assert_int_equal(sem_init(&user->unloaded, 0, 0), 0);
    assert_int_equal(pthread_create(&user->thread, NULL, use, user), 0);
}

static void finish(struct user *user)
{
    void *result = NULL;
    sem_post(&user->unloaded);
    assert_int_equal(pthread_join(user->thread, &result), 0);
    assert_ptr_equal(result, user);
    sem_destroy(&user->used);
    sem_destroy(&user->unloaded);
}

static void unload(const struct library *library)
{
    library->close(library->cache);
    assert_int_equal(dlclose(library->handle), 0);
    assert_null(dlopen(LIBRARY_PATH, RTLD_NOW | RTLD_NOLOAD));    /* it is gone indeed */
}

static void threads_end_after_the_library_was_unloaded(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct user users[THREADS];
        const struct library library = load();
        for (int i = 0; i < THREADS; i++)
            start(&users[i], &library);
        for (int i = 0; i < THREADS; i++)
            while (sem_wait(&users[i].used) != 0)
                ;
        unload(&library);
        for (int i = 0; i < THREADS; i++)
            finish(&users[i]);
    }
}

static void a_fork_after_the_library_was_unloaded_calls_nothing_of_it(void **state)
{
    (void)state;
    const struct library library = load();
    unload(&library);
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_end_after_the_library_was_unloaded),
        cmocka_unit_test(a_fork_after_the_library_was_unloaded_calls_nothing_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
