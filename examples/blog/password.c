/* password.c - passwords, by libcrypt. */
#define _GNU_SOURCE    /* getrandom */
#include "password.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

_Static_assert(PASSWORD_HASH_MAX + 1 >= CRYPT_OUTPUT_SIZE, "there is room for every hash");

/* BLOG_PASSWORD_COST, 1 to 11, each about twice the one before; 0: libcrypt's own choice. */
static unsigned long cost(void)
{
    const char *text = getenv("BLOG_PASSWORD_COST");
    return text != NULL ? strtoul(text, NULL, 10) : 0;
}

static bool crypt_to(const char *password, const char *setting, char hash[PASSWORD_HASH_MAX + 1])
{
    struct crypt_data *data = calloc(1, sizeof *data);    /* 32 kB: too much for a thread's stack */
    const char *made = data != NULL ? crypt_r(password, setting, data) : NULL;
    const bool good = made != NULL && made[0] != '*';
    if (good)
        (void)snprintf(hash, PASSWORD_HASH_MAX + 1, "%s", made);
    free(data);
    return good;
}

bool password_hash(const char *password, char hash[PASSWORD_HASH_MAX + 1])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    return crypt_gensalt_rn("$y$", cost(), NULL, 0, setting, sizeof setting) != NULL &&
           crypt_to(password, setting, hash);
}

bool password_fits(const char *password, const char *hash)
{
    char made[PASSWORD_HASH_MAX + 1];
    if (strcmp(hash, NO_PASSWORD) == 0) {
        (void)password_hash(password, made);
        return false;
    }
    return crypt_to(password, hash, made) && strcmp(made, hash) == 0;
}

bool password_random(char password[RANDOM_PASSWORD_SIZE + 1])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";    /* 32: none is likelier than another */
    unsigned char random[RANDOM_PASSWORD_SIZE];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random; i++)
        password[i] = letters[random[i] % 32];
    password[RANDOM_PASSWORD_SIZE] = '\0';
    return true;
}
