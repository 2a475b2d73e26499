/* descriptor.c - the socket under a handle: found, to ask whether its peer is there, and let go of in the child of a
 * fork.
 *
 * libmemcached does not tell its descriptors, but it tells their local port: the socket that has it is found among the
 * open descriptors. A child inherits its parent's sockets, and must neither write to them nor shut them down, which
 * libmemcached does to a connection that it frees: /dev/null takes the socket's place first. */
#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->ss_family) {
    case AF_INET:
        memcpy(&v4, address, sizeof v4);
        return ntohs(v4.sin_port);
    case AF_INET6:
        memcpy(&v6, address, sizeof v6);
        return ntohs(v6.sin6_port);
    default:
        return -1;
    }
}

static bool is_connection(int fd, int local_port, int peer_port)
{
    struct sockaddr_storage local, peer;
    socklen_t local_size = sizeof local, peer_size = sizeof peer;
    memset(&local, 0, sizeof local);
    memset(&peer, 0, sizeof peer);
    return getsockname(fd, (struct sockaddr *)&local, &local_size) == 0 && port_of(&local) == local_port
        && getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 && port_of(&peer) == peer_port;
}

/* -1 also if several have these ports: the system gives one local port to connections that lead to different hosts. */
static int find_descriptor(int local_port, int peer_port)
{
    int found = -1, matches = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        const int fd = entry->d_name[0] != '.' ? (int)strtol(entry->d_name, NULL, 10) : -1;
        if (fd > 2 && is_connection(fd, local_port, peer_port)) {
            found = fd;
            matches++;
        }
    }
    if (directory != NULL)
        closedir(directory);
    return matches == 1 ? found : -1;
}

static in_port_t local_port(const struct mc_handle *handle)
{
    return memcached_server_srcport(memcached_server_instance_by_position(handle->memc, 0));
}

int cache_mc_descriptor(const struct mc_handle *handle, int port)
{
    const in_port_t local = local_port(handle);
    return local != 0 ? find_descriptor(local, port) : -1;
}

bool cache_mc_detach(const struct mc_handle *handle, int port)
{
    if (local_port(handle) == 0)
        return true;    /* not connected */
    const int fd = cache_mc_descriptor(handle, port);
    const int null = fd >= 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    const bool done = null >= 0 && dup2(null, fd) == fd;
    if (null >= 0)
        close(null);
    return done;
}
