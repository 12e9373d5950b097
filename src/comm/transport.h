/* How bytes get from rank to rank.  A transport moves messages and notes; ranks.c makes a communicator of it, with one thread
 * that watches over the others by notes.  socket.c: Unix-domain sockets and TCP; mpi.c: MPI, behind a module. */
#ifndef COVER_TRANSPORT_H
#define COVER_TRANSPORT_H

#include "core/base/communicator.h"

/* A small message beside the work: signs of life, farewells, and why a rank gave up. */
enum note_kind { NOTE_BEAT, NOTE_BYE, NOTE_ABORT, NOTE_GONE /* never sent: the connection ended */ };
struct note {
    int32_t kind;
    int32_t status; /* ABORT: of whoever gave up */
    int32_t lost;   /* ABORT: the rank that is lost, or NOBODY */
    char text[1012];
};

struct transport;
struct transport_calls {
    const char *name;
    /* As communicator.exchange, but gives up once *stop is true, or when a peer is gone: COVER_ERROR_RANK, *gone its rank. */
    cover_status (*exchange)(struct transport *transport, int to, const void *send, size_t send_bytes, int from, void *receive,
                             size_t receive_bytes, const atomic_int *stop, int *gone);
    /* Notes travel between rank 0 and each other rank.  tell() never waits: a note that finds no room is lost.  hear() waits at
     * most so long; false: nothing came.  hear() is called by one thread, tell() by any. */
    void (*tell)(struct transport *transport, int to, const struct note *note);
    bool (*hear)(struct transport *transport, int *from, struct note *note, int milliseconds);
    /* clean: every rank said farewell. */
    void (*destroy)(struct transport *transport, bool clean);
};
struct transport {
    const struct transport_calls *calls;
    cover_context *context;
    int rank, ranks;
    const char *(*name)(const struct transport *transport, int rank); /* "pid 712 on node3", for messages */
};

struct rendezvous {
    int rank, ranks;
    const char *address, *token, *module;
    double join_seconds;
};
/* Meet the other ranks; COVER_ERROR_RANK when they do not come, or one does not belong here. */
cover_status socket_transport(struct transport **transport, cover_context *context, const struct rendezvous *rendezvous);
cover_status mpi_transport(struct transport **transport, cover_context *context, const struct rendezvous *rendezvous);

/* The communicator over a transport, which it owns from here on, whatever the result. */
cover_status ranks_create(struct communicator **communicator, struct transport *transport, double deadline_seconds);

#endif
