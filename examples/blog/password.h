/* password.h - passwords as yescrypt keeps them. Slow on purpose: some 50 milliseconds each. */
#ifndef PASSWORD_H
#define PASSWORD_H

#include "db.h"

bool password_hash(const char *password, char hash[PASSWORD_HASH_MAX + 1]);    /* false: out of memory or randomness */

/* Takes as long for NO_PASSWORD, which nothing fits, so that nobody learns which users there are. */
bool password_fits(const char *password, const char *hash);

/* A password of 16 letters and digits. */
enum { RANDOM_PASSWORD_SIZE = 16 };
bool password_random(char password[RANDOM_PASSWORD_SIZE + 1]);

#endif
