/* fork.c - a child inherits its parent's sockets, and must neither write to them nor shut them down.
 *
 * libmemcached says "quit" on a connection that it frees, and shuts it down: in a child that would end the parent's. It does
 * not tell its descriptors either, but it tells their local port: the socket that has it is found among the open
 * descriptors and replaced by /dev/null, after which freeing does no harm. */
#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
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

static int find_descriptor(int local_port, int peer_port)
{
    int found = -1;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory != NULL && found < 0 && (entry = readdir(directory)) != NULL;) {
        const int fd = entry->d_name[0] != '.' ? (int)strtol(entry->d_name, NULL, 10) : -1;
        if (fd > 2 && is_connection(fd, local_port, peer_port))
            found = fd;
    }
    if (directory != NULL)
        closedir(directory);
    return found;
}

bool cache_mc_detach(struct mc_handle *handle, int port)
{
    const memcached_instance_st *instance = memcached_server_instance_by_position(handle->memc, 0);
    const in_port_t local_port = memcached_server_srcport(instance);
    if (local_port == 0)
        return true;    /* not connected */
    const int fd = find_descriptor(local_port, port);
    const int null = fd >= 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    const bool done = null >= 0 && dup2(null, fd) == fd;
    if (null >= 0)
        close(null);
    return done;
}

void cache_mc_check_fork(struct mc_store *store)
{
    const pid_t self = getpid(), busy = -1;
    pid_t owner = atomic_load_explicit(&store->pid, memory_order_acquire);
    if (owner == self)
        return;
    while (owner != self) {
        if (owner != busy && atomic_compare_exchange_strong(&store->pid, &owner, busy)) {
            cache_mc_servers_forked(store);
            atomic_store_explicit(&store->pid, self, memory_order_release);
            return;
        }
        sched_yield();    /* another thread of this child is at it */
        owner = atomic_load_explicit(&store->pid, memory_order_acquire);
    }
}
