/* certificates.h - makes certificates for a test, with the program openssl. */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

/* Makes an authority: `directory`/NAME.pem and NAME.key. */
void test_certificates_authority(const char *directory, const char *name);

/* Makes the same files for a server or client, signed by the authority `by`. `names` is like
 * "IP:127.0.0.1,DNS:localhost". */
void test_certificates_sign(const char *directory, const char *by, const char *name, const char *names);

/* Does the same, but the certificate expired yesterday. */
void test_certificates_sign_expired(const char *directory, const char *by, const char *name, const char *names);

#endif
