/* certificates.c - certificates made with the program openssl. */
#include "test.h"

#include "certificates.h"

static void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("%s", command);
}

void test_certificates_authority(const char *directory, const char *name)
{
    char command[512];
    (void)snprintf(command, sizeof command,
                   "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                   "-subj '/CN=%s' -keyout %s.key -out %s.pem 2>/dev/null", directory, name, name, name);
    run(command);
}

static void sign(const char *directory, const char *by, const char *name, const char *names, int days)
{
    char command[1024];
    (void)snprintf(command, sizeof command,
                   "cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=%s' "
                   "-keyout %s.key -out %s.csr 2>/dev/null && echo 'subjectAltName=%s' >%s.ext && "
                   "openssl x509 -req -days %d -CA %s.pem -CAkey %s.key -CAcreateserial -in %s.csr -extfile %s.ext "
                   "-out %s.pem 2>/dev/null", directory, name, name, name, names, name, days, by, by, name, name, name);
    run(command);
}

void test_certificates_sign(const char *directory, const char *by, const char *name, const char *names)
{
    sign(directory, by, name, names, 2);
}

void test_certificates_sign_expired(const char *directory, const char *by, const char *name, const char *names)
{
    sign(directory, by, name, names, -1);
}
