/* locales.c - see locales.h. */
#include "test.h"

#include "locales.h"

#include "server.h"

#include <locale.h>

enum { LOCALES = 3 };

static const char *const sources[LOCALES][2] = {
    { "tr_TR", "ISO-8859-9" }, { "tr_TR", "UTF-8" }, { "de_DE", "UTF-8" }
};
static char directory[64];
static char made[LOCALES][32];         /* "": it could not be made */

int test_locales_make(void **state)
{
    char command[256];
    (void)state;
    test_directory_make(directory, sizeof directory);
    for (size_t i = 0; i < LOCALES; i++) {
        (void)snprintf(made[i], sizeof made[i], "%s.%s", sources[i][0], sources[i][1]);
        (void)snprintf(command, sizeof command, "localedef -i %s -f %s %s/%s >/dev/null 2>&1", sources[i][0],
                       sources[i][1], directory, made[i]);
        if (system(command) != 0) {
            print_message("%s could not be made, and is left out\n", made[i]);
            made[i][0] = '\0';
        }
    }
    return setenv("LOCPATH", directory, 1);
}

int test_locales_remove(void **state)
{
    (void)state;
    test_directory_remove(directory);
    return unsetenv("LOCPATH");
}

void test_in_locales(void (*body)(const char *locale, void *ctx), void *ctx)
{
    body("C", ctx);
    for (size_t i = 0; i < LOCALES; i++) {
        if (made[i][0] == '\0')
            continue;
        if (setlocale(LC_ALL, made[i]) == NULL)
            fail_msg("the locale %s was made, and cannot be set", made[i]);
        body(made[i], ctx);
        assert_non_null(setlocale(LC_ALL, "C"));
    }
}
