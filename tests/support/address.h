/* address.h - checks how URLs and messages write the address of a server, in every store that has servers. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "server.h"

/* A store reaches a server on the IPv6 loopback by "scheme://[::1]:port", and says so when it is gone. `start` with
 * `extra` makes the server listen there. */
void test_address_in_brackets(const char *scheme, void (*start)(struct test_server *, const char *const extra[]),
                              const char *const extra[]);

#endif
