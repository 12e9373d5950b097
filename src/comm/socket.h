/* Ranks joined by sockets: one connection a pair for the work, one from rank 0 to each other rank for notes.  rendezvous.c makes
 * the connections, socket.c uses them. */
#ifndef COVER_SOCKET_H
#define COVER_SOCKET_H

#include "transport.h"

enum { RANK_NAME = 96, SOCKET_RANKS = 512 };

struct channel { /* for notes */
    int descriptor;
    struct note note; /* as far as it has arrived */
    size_t arrived;
    bool ended;
};

struct sockets {
    struct transport transport;
    int *data;                /* to each rank; -1 to itself */
    struct channel *channels; /* rank 0: to each rank; others: channels[0] to rank 0; descriptor -1 = none */
    char (*names)[RANK_NAME];
    pthread_mutex_t tell_lock;
};

/* Fill data, channels and names of all ranks. */
cover_status sockets_meet(struct sockets *sockets, const struct rendezvous *rendezvous);

#endif
