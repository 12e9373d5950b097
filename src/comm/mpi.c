/* libcover-mpi.so: a transport's words said in MPI (mpi_module.h).  Sends and receives are non-blocking and asked for, never
 * waited for: a rank that is stopped would make any waiting call wait for ever. */
#include "mpi_module.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_WORK = 1, TAG_NOTE = 2, OUTBOX = 4 };

struct outbox { /* notes to one rank that may still be on their way */
    MPI_Request request[OUTBOX];
    char *note[OUTBOX];
};

struct mpi_link {
    MPI_Comm comm;
    bool ours; /* to finalise */
    int rank, ranks;
    size_t note_bytes;
    MPI_Request work[2], heard;
    char *inbox;
    struct outbox *outboxes;
};

static bool good(int error) { return error == MPI_SUCCESS; }

static bool initialise(bool *ours, char *error, size_t error_bytes) {
    int initialised, finalised, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    *ours = !initialised;
    if (finalised) {
        snprintf(error, error_bytes, "MPI has been finalised in this process, and cannot start again");
        return false;
    }
    if (initialised) MPI_Query_thread(&level);
    else if (!good(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level))) {
        snprintf(error, error_bytes, "MPI_Init_thread failed; are all processes started by one mpirun or srun?");
        return false;
    }
    if (level >= MPI_THREAD_SERIALIZED) return true;
    snprintf(error, error_bytes, "MPI was initialised without threads: ask MPI_Init_thread() for MPI_THREAD_SERIALIZED or more");
    if (*ours) MPI_Finalize();
    return false;
}

static void release(struct mpi_link *link) {
    for (int i = 0; link->outboxes && i < link->ranks * OUTBOX; i++) free(link->outboxes[i / OUTBOX].note[i % OUTBOX]);
    free(link->outboxes);
    free(link->inbox);
    free(link);
}

static bool listen_for_notes(struct mpi_link *link) {
    return good(MPI_Irecv(link->inbox, (int)link->note_bytes, MPI_BYTE, MPI_ANY_SOURCE, TAG_NOTE, link->comm, &link->heard));
}

static struct mpi_link *open_link(int *rank, int *ranks, size_t note_bytes, char *error, size_t error_bytes) {
    struct mpi_link *link = calloc(1, sizeof *link);
    bool room = link != NULL;
    if (!room || !initialise(&link->ours, error, error_bytes)) {
        if (!room) snprintf(error, error_bytes, "out of memory");
        free(link);
        return NULL;
    }
    link->note_bytes = note_bytes, link->work[0] = link->work[1] = link->heard = MPI_REQUEST_NULL;
    bool made = good(MPI_Comm_dup(MPI_COMM_WORLD, &link->comm)) && good(MPI_Comm_set_errhandler(link->comm, MPI_ERRORS_RETURN)) &&
                good(MPI_Comm_rank(link->comm, &link->rank)) && good(MPI_Comm_size(link->comm, &link->ranks));
    link->outboxes = calloc((size_t)link->ranks, sizeof *link->outboxes);
    room = (link->inbox = malloc(note_bytes)) && link->outboxes;
    for (int i = 0; room && i < link->ranks * OUTBOX; i++) {
        link->outboxes[i / OUTBOX].request[i % OUTBOX] = MPI_REQUEST_NULL;
        room = (link->outboxes[i / OUTBOX].note[i % OUTBOX] = malloc(note_bytes)) != NULL;
    }
    if (made && room && listen_for_notes(link)) {
        *rank = link->rank, *ranks = link->ranks;
        return link;
    }
    snprintf(error, error_bytes, made && !room ? "out of memory" : "MPI cannot make a communicator");
    release(link);
    return NULL;
}

static bool gather(struct mpi_link *link, const void *own, void *all, size_t bytes) {
    return good(MPI_Allgather(own, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, link->comm));
}

static bool start(struct mpi_link *link, int to, const void *send, size_t send_bytes, int from, void *receive,
                  size_t receive_bytes) {
    if (send_bytes > INT_MAX || receive_bytes > INT_MAX) return false;
    return (from < 0 || good(MPI_Irecv(receive, (int)receive_bytes, MPI_BYTE, from, TAG_WORK, link->comm, &link->work[0]))) &&
           (to < 0 || good(MPI_Isend(send, (int)send_bytes, MPI_BYTE, to, TAG_WORK, link->comm, &link->work[1])));
}

static int done(struct mpi_link *link) {
    int all;
    return good(MPI_Testall(2, link->work, &all, MPI_STATUSES_IGNORE)) ? all : -1;
}

/* A send cannot be taken back; MPI may read its memory until the process ends, which is near. */
static void give_up(struct mpi_link *link) {
    if (link->work[0] != MPI_REQUEST_NULL) MPI_Cancel(&link->work[0]);
    for (int i = 0; i < 2; i++)
        if (link->work[i] != MPI_REQUEST_NULL) MPI_Request_free(&link->work[i]);
}

static void tell(struct mpi_link *link, int to, const void *note) {
    struct outbox *outbox = &link->outboxes[to];
    for (int i = 0; i < OUTBOX; i++) {
        int sent = 1;
        if (outbox->request[i] != MPI_REQUEST_NULL && !good(MPI_Test(&outbox->request[i], &sent, MPI_STATUS_IGNORE))) return;
        if (!sent) continue;
        memcpy(outbox->note[i], note, link->note_bytes);
        MPI_Isend(outbox->note[i], (int)link->note_bytes, MPI_BYTE, to, TAG_NOTE, link->comm, &outbox->request[i]);
        return;
    }
}

static bool hear(struct mpi_link *link, int *from, void *note) {
    MPI_Status status;
    int came = 0, bytes = 0;
    if (link->heard == MPI_REQUEST_NULL || !good(MPI_Test(&link->heard, &came, &status)) || !came) return false;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    *from = status.MPI_SOURCE;
    memcpy(note, link->inbox, link->note_bytes);
    listen_for_notes(link);
    return bytes == (int)link->note_bytes;
}

static void close_link(struct mpi_link *link, bool clean) {
    if (!clean) return; /* ranks are missing: MPI, and what it may still read, stay as they are */
    if (link->heard != MPI_REQUEST_NULL) {
        MPI_Cancel(&link->heard);
        MPI_Wait(&link->heard, MPI_STATUS_IGNORE);
    }
    for (int i = 0; i < link->ranks * OUTBOX; i++) {
        MPI_Request *request = &link->outboxes[i / OUTBOX].request[i % OUTBOX];
        if (*request != MPI_REQUEST_NULL) MPI_Wait(request, MPI_STATUS_IGNORE);
    }
    MPI_Comm_free(&link->comm);
    if (link->ours) MPI_Finalize();
    release(link);
}

__attribute__((visibility("default"))) mpi_module_entry cover_mpi_module;
const struct mpi_module *cover_mpi_module(const char *interface) {
    static const struct mpi_module module = {open_link, gather, start, done, give_up, tell, hear, close_link};
    return strcmp(interface, MPI_INTERFACE) == 0 ? &module : NULL;
}
