/* certificates.h - certificates that a test makes for itself, with the program openssl. */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

/* Make `directory`/NAME.pem and NAME.key: an authority of its own. */
void test_certificates_authority(const char *directory, const char *name);

/* The same of a server or client that the authority `by` signs; `names` is "IP:127.0.0.1,DNS:localhost". */
void test_certificates_sign(const char *directory, const char *by, const char *name, const char *names);

/* The same of one whose time was over yesterday. */
void test_certificates_sign_expired(const char *directory, const char *by, const char *name, const char *names);

#endif
