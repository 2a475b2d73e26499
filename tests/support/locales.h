/* locales.h - locales in which letters, spaces and numbers are not those of C: a Turkish one (of ISO-8859-9 and of
 * UTF-8) and a German one. They are made for the test. Where the system has no sources for them (package locales), it
 * says so, and they are left out. */
#ifndef LOCALES_H
#define LOCALES_H

/* These are fixtures of a group, or are called by a test. */
int test_locales_make(void **state);
int test_locales_remove(void **state);

/* Calls `body` in the C locale, and in each that was made. */
void test_in_locales(void (*body)(const char *locale, void *ctx), void *ctx);

#endif
