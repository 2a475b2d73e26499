/* seeds.c - runs the fuzz targets without a fuzzer: each over its seeds and over simple changes of them, so that every
 * build of every compiler runs them in a second.
 *
 *     fuzz_seeds DIRECTORY [CHANGES]      the seeds' directory; how many changes of each seed, 300 if not said */
#include "fuzz.h"

#include <dirent.h>

#define TARGET(name) int fuzz_##name(const uint8_t *data, size_t size);
#include "targets.h"
#undef TARGET

static const struct target {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
} targets[] = {
#define TARGET(name) { #name, fuzz_##name },
#include "targets.h"
#undef TARGET
};

static uint32_t state = 1;

/* Below `n`. */
static size_t draw(size_t n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return n > 0 ? state % n : 0;
}

/* One to three changes: a flipped bit, another byte, some bytes again, a cut. Returns the new size, at most
 * `capacity`. */
static size_t change(uint8_t *bytes, size_t size, size_t capacity)
{
    for (size_t i = 1 + draw(3); i > 0 && size > 0; i--) {
        const size_t at = draw(size), n = 1 + draw(size - at);
        switch (draw(5)) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << draw(8));
            break;
        case 1:
            bytes[at] = (uint8_t)draw(256);
            break;
        case 2:
            if (size + n <= capacity) {
                memmove(bytes + at + n, bytes + at, size - at);
                size += n;
            }
            break;
        case 3:
            memmove(bytes + at, bytes + at + n, size - at - n);
            size -= n;
            break;
        default:
            bytes[at] = (uint8_t)"\0\xff\n%=,;\"-09:/{}"[draw(16)];
        }
    }
    return size;
}

static void run_on(const struct target *target, const char *path, int changes)
{
    enum { MAX_SEED = 64 * 1024 };
    static uint8_t seed[MAX_SEED], bytes[2 * MAX_SEED];
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    const size_t size = fread(seed, 1, MAX_SEED, file);
    (void)fclose(file);
    (void)target->run(seed, size);
    for (int i = 0; i < changes; i++) {
        memcpy(bytes, seed, size);
        (void)target->run(bytes, change(bytes, size, sizeof bytes));
    }
}

int main(int argc, char **argv)
{
    const int changes = argc > 2 ? atoi(argv[2]) : 300;
    if (argc < 2)
        return 2;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char path[4096];
        int seeds = 0;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], targets[i].name);
        DIR *directory = opendir(path);
        FUZZ_CHECK(directory != NULL);
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
            if (entry->d_name[0] != '.') {
                (void)snprintf(path, sizeof path, "%s/%s/%s", argv[1], targets[i].name, entry->d_name);
                run_on(&targets[i], path, changes);
                seeds++;
            }
        (void)closedir(directory);
        FUZZ_CHECK(seeds > 0);
        printf("%s: %d seeds, %d changes of each\n", targets[i].name, seeds, changes);
    }
    return 0;
}
