/* Sockets of a meeting: addresses, a listener, connections, and bytes that arrive in time or not at all.  An address is the path of
 * a socket on this machine, or host:port.  Called by rendezvous.c and door.c. */
#include "meeting.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

cover_status wait_for(struct meeting *meeting, int descriptor, short events, double end, const char *what) {
    for (;;) {
        struct pollfd wait = {.fd = descriptor, .events = events};
        if (poll(&wait, 1, LOOK_MS) > 0) return COVER_OK;
        if (cancelled(meeting->sockets->transport.context))
            return fail(COVER_ERROR_CANCELLED, "meeting the other ranks: cancelled");
        if (seconds_now() > end) return fail(COVER_ERROR_RANK, "%s: no answer in time", what);
    }
}

cover_status move_all(struct meeting *meeting, int descriptor, void *data, size_t bytes, bool out, double end, const char *what) {
    for (char *at = data; bytes;) {
        ssize_t moved = out ? send(descriptor, at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(descriptor, at, bytes, MSG_DONTWAIT);
        if (moved > 0) {
            at += moved, bytes -= (size_t)moved;
            continue;
        }
        if (moved < 0 && errno == EINTR) continue;
        if (moved == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
            return fail(COVER_ERROR_RANK, "%s: the connection ended%s%s", what, moved ? ": " : "", moved ? strerror(errno) : "");
        TRY(wait_for(meeting, descriptor, out ? POLLOUT : POLLIN, end, what));
    }
    return COVER_OK;
}

/* The standard descriptors are other people's, even where they are closed. */
static int above_standard(int descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
    int above = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
    close(descriptor);
    errno = error;
    return above;
}

static cover_status open_socket(int *descriptor, int family) {
    *descriptor = above_standard(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return *descriptor >= 0 ? COVER_OK : fail(COVER_ERROR_IO, "a socket cannot be made: %s", strerror(errno));
}

static void set_up(int descriptor, int family) {
    int one = 1, room = 1 << 20;
    if (family != AF_UNIX) setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    else setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

/* ---- addresses */

cover_status endpoint_local(struct endpoint *endpoint, const char *path, const char *suffix) {
    *endpoint = (struct endpoint){.local = {.sun_family = AF_UNIX}, .bytes = sizeof endpoint->local};
    int length = snprintf(endpoint->local.sun_path, sizeof endpoint->local.sun_path, "%s%s", path, suffix);
    if (length >= (int)sizeof endpoint->local.sun_path)
        return fail(COVER_ERROR_ARGUMENT, "%s: the path of a socket has at most %zu characters", path,
                    sizeof endpoint->local.sun_path - 5);
    return COVER_OK;
}

cover_status endpoint_resolve(struct endpoint *endpoint, const char *address, bool listens) {
    const char *colon = strrchr(address, ':');
    char host[256];
    if (address[0] == '/') return endpoint_local(endpoint, address, "");
    if (!colon || colon == address || !colon[1])
        return fail(COVER_ERROR_ARGUMENT, "address '%s': give host:port, or the absolute path of a socket on this machine",
                    address);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    size_t length = strlen(host);
    bool brackets = host[0] == '[' && host[length - 1] == ']'; /* [::1]:29400 */
    if (brackets) host[length - 1] = 0;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = listens ? AI_PASSIVE : 0};
    struct addrinfo *found;
    int error = getaddrinfo(host + brackets, colon + 1, &hints, &found);
    if (error) return fail(COVER_ERROR_ARGUMENT, "address '%s': %s", address, gai_strerror(error));
    *endpoint = (struct endpoint){.bytes = found->ai_addrlen};
    memcpy(&endpoint->storage, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return COVER_OK;
}

static void remove_socket(const char *path) {
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISSOCK(about.st_mode)) unlink(path);
}

cover_status endpoint_listen(struct meeting *meeting, struct endpoint *endpoint) {
    int family = endpoint->any.sa_family, one = 1;
    TRY(open_socket(&meeting->listener, family));
    if (family == AF_UNIX) remove_socket(endpoint->local.sun_path); /* left by a process that was killed */
    else setsockopt(meeting->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(meeting->listener, &endpoint->any, endpoint->bytes) != 0 || listen(meeting->listener, SOCKET_RANKS) != 0)
        return fail(COVER_ERROR_IO, "rank %d cannot listen at its address%s%s: %s", meeting->given->rank,
                    family == AF_UNIX ? " " : "", family == AF_UNIX ? endpoint->local.sun_path : "", strerror(errno));
    if (family == AF_UNIX) memcpy(meeting->path, endpoint->local.sun_path, sizeof meeting->path);
    socklen_t bytes = sizeof endpoint->storage;
    if (family != AF_UNIX && getsockname(meeting->listener, &endpoint->any, &bytes) == 0) endpoint->bytes = bytes;
    return COVER_OK;
}

cover_status endpoint_connect(struct meeting *meeting, int *descriptor, const struct endpoint *endpoint, double end,
                              const char *what) {
    const struct timespec nap = {.tv_nsec = 20000000};
    for (;;) {
        int error = 0;
        socklen_t bytes = sizeof error;
        TRY(open_socket(descriptor, endpoint->any.sa_family));
        if (connect(*descriptor, &endpoint->any, endpoint->bytes) == 0) break;
        error = errno;
        if (error == EINPROGRESS || error == EINTR) {
            TRY(wait_for(meeting, *descriptor, POLLOUT, end, what));
            getsockopt(*descriptor, SOL_SOCKET, SO_ERROR, &error, &bytes);
            if (!error) break;
        }
        close(*descriptor);
        *descriptor = -1;
        if (cancelled(meeting->sockets->transport.context))
            return fail(COVER_ERROR_CANCELLED, "meeting the other ranks: cancelled");
        if (seconds_now() > end) return fail(COVER_ERROR_RANK, "%s cannot be reached: %s", what, strerror(error));
        nanosleep(&nap, NULL); /* it may not listen yet */
    }
    set_up(*descriptor, endpoint->any.sa_family);
    return COVER_OK;
}

bool endpoint_is_inside(const struct endpoint *endpoint) {
    const struct in6_addr *six = &endpoint->six.sin6_addr;
    switch (endpoint->any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(endpoint->six_or_four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == IN_LOOPBACKNET);
    default:
        return false;
    }
}

/* Another user of this machine has no business here. */
static bool is_ours(int descriptor, int family) {
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (family != AF_UNIX) return true;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.uid == geteuid();
}

int endpoint_accept(const struct meeting *meeting) {
    const int family = meeting->home.any.sa_family;
    int descriptor;
    do descriptor = accept4(meeting->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED));
    descriptor = above_standard(descriptor);
    if (descriptor < 0) return -1;
    if (is_ours(descriptor, family)) {
        set_up(descriptor, family);
        return descriptor;
    }
    close(descriptor);
    errno = EAGAIN;
    return -1;
}
