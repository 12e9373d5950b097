/* What the parts of a meeting by sockets share: its state, and addresses.  Called by rendezvous.c; address.c makes sockets,
 * connects them and moves bytes. */
#ifndef COVER_MEETING_H
#define COVER_MEETING_H

#include "socket.h"

#include <netinet/in.h>
#include <sys/un.h>

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in six_or_four;
        struct sockaddr_storage storage;
    };
    uint32_t bytes;
};

enum { MAGIC_BYTES = 8 };
struct hello {
    char magic[MAGIC_BYTES];
    int32_t protocol, rank, ranks, pid;
    char version[32], host[64];
    struct endpoint endpoint; /* where it takes connections */
};

struct meeting {
    struct sockets *sockets;
    const struct rendezvous *given;
    struct endpoint home; /* rank 0's */
    int listener;
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* of the listener's socket, "" = none */
    struct hello *hellos;                                 /* of each rank */
    double end;
};

/* Every wait ends with its time, or when the context is cancelled. */
cover_status wait_for(struct meeting *meeting, int descriptor, short events, double end, const char *what);
cover_status move_all(struct meeting *meeting, int descriptor, void *data, size_t bytes, bool out, double end, const char *what);

/* host:port, or the path of a socket with a suffix. */
cover_status endpoint_resolve(struct endpoint *endpoint, const char *address, bool listens);
cover_status endpoint_local(struct endpoint *endpoint, const char *path, const char *suffix);
/* meeting->listener, at that address; a port that was 0 is filled in. */
cover_status endpoint_listen(struct meeting *meeting, struct endpoint *endpoint);
cover_status endpoint_connect(struct meeting *meeting, int *descriptor, const struct endpoint *endpoint, double end,
                              const char *what);
/* A new connection, either side's. */
void socket_set_up(int descriptor, int family);

#endif
