/* What libcover-mpi.so offers: MPI in the few words that a transport needs, so that libcover itself needs nothing of MPI.  The
 * calls are made by one thread at a time (MPI_THREAD_SERIALIZED).  mpi.c is the module, mpi_transport.c opens it. */
#ifndef COVER_MPI_MODULE_H
#define COVER_MPI_MODULE_H

#include "module_interfaces.h" /* MPI_INTERFACE: the version and a hash of this file (scripts/interfaces.py) */

#include <stdbool.h>
#include <stddef.h>

struct mpi_link;
struct mpi_module {
    /* Initialise MPI, unless it is, and take a communicator of our own.  NULL: what is wrong is in `error`. */
    struct mpi_link *(*open)(int *rank, int *ranks, size_t note_bytes, char *error, size_t error_bytes);
    /* Everybody's `bytes` bytes, rank after rank. */
    bool (*gather)(struct mpi_link *link, const void *own, void *all, size_t bytes);
    /* One exchange at a time: start it, ask until it is done (1; 0 = not yet, -1 = an error), or give it up.  -1 is nobody. */
    bool (*start)(struct mpi_link *link, int to, const void *send, size_t send_bytes, int from, void *receive,
                  size_t receive_bytes);
    int (*done)(struct mpi_link *link);
    void (*give_up)(struct mpi_link *link);
    /* Notes: tell() is lost when earlier ones to that rank have not left yet. */
    void (*tell)(struct mpi_link *link, int to, const void *note);
    bool (*hear)(struct mpi_link *link, int *from, void *note);
    /* clean: every rank does the same now, and MPI can be finalised, if we initialised it. */
    void (*close)(struct mpi_link *link, bool clean);
};

/* The one exported function; NULL: made with another form of this file. */
#define MPI_MODULE_ENTRY "cover_mpi_module"
typedef const struct mpi_module *mpi_module_entry(const char *interface);

#endif
