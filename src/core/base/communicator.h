/* What core asks of a transport between ranks: processes that train one network together.  A context has at most one
 * communicator; src/comm makes it (cover_context_join), collective.h stands on it. */
#ifndef COVER_COMMUNICATOR_H
#define COVER_COMMUNICATOR_H

#include "base.h"

enum { NOBODY = -1, COMMUNICATOR_CHUNK = 1 << 18 };

struct communicator {
    int rank, ranks;
    atomic_int failed;       /* a rank is lost, or gave up: all work in common is over, and every call below says why */
    double deadline_seconds; /* how long work that shows no progress is waited for */
    int lost;                /* the rank that is lost, NOBODY as long as all are there */
    void *chunk;             /* COMMUNICATOR_CHUNK bytes, for collectives */
    /* Send to `to` and receive from `from` at once; either may be NOBODY.  Both sides know the sizes.  Returns when the buffers
     * are the caller's again; waits as long as the peers show signs of life.  One thread at a time. */
    cover_status (*exchange)(struct communicator *communicator, int to, const void *send, size_t send_bytes, int from,
                             void *receive, size_t receive_bytes);
    /* Give up in the middle of common work: every rank gets this status and text.  From any thread. */
    void (*abort)(struct communicator *communicator, cover_status status, const char *text);
    /* Raise what made `failed` true. */
    cover_status (*reason)(struct communicator *communicator);
    void (*destroy)(struct communicator *communicator);
};

#endif
