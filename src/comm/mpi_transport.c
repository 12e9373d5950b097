/* The transport over MPI: opens libcover-mpi.so and asks it again and again, with patience that grows.  Called by join.c. */
#include "mpi_module.h"
#include "transport.h"

#include "core/base/files.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EAGER_LOOKS = 200, NAP_US = 20, NOTE_NAP_MS = 5, NAME = 96 };
static const char MODULE_FILE[] = "libcover-mpi.so";

struct card { /* what every rank shows the others */
    char version[32], name[NAME];
};

struct mpi {
    struct transport transport;
    const struct mpi_module *module;
    struct mpi_link *link;
    struct card *cards;
    pthread_mutex_t lock; /* one call of MPI at a time */
};

static struct mpi *mpi_of(struct transport *transport) { return (struct mpi *)transport; }

static void nap_us(long microseconds) { nanosleep(&(struct timespec){.tv_nsec = 1000 * microseconds}, NULL); }

/* ---- the module: its file alone, and MPI's own library seen by MPI's plugins, which look for its symbols everywhere */

static cover_status open_module(const struct mpi_module **module, const char *given) {
    char beside[4096];
    const char *path = given;
    mpi_module_entry *entry;
    Dl_info library;
    if (!path) {
        TRY(path_beside_library(beside, sizeof beside, MODULE_FILE));
        path = beside;
    } else if (path[0] != '/') return fail(COVER_ERROR_ARGUMENT, "module is '%s'; give an absolute path", path);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* MPI does not stand being unloaded */
    if (!handle)
        return fail(COVER_ERROR_UNSUPPORTED,
                    "ranks by MPI need %s, which cannot be opened: %s; build it with Open MPI's development "
                    "files, or use sockets (docs/cluster.md)",
                    MODULE_FILE, dlerror());
    void *symbol = dlsym(handle, MPI_MODULE_ENTRY), *init = dlsym(handle, "MPI_Init_thread");
    memcpy(&entry, &symbol, sizeof entry);
    *module = entry ? entry(MPI_INTERFACE) : NULL;
    if (!*module || !init)
        return fail(COVER_ERROR_UNSUPPORTED, "%s was not made with this libcover (%s); build and install both together", path,
                    MPI_INTERFACE);
    if (dladdr(init, &library)) dlopen(library.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    return COVER_OK;
}

/* ---- the calls of a transport */

static cover_status exchange(struct transport *transport, int to, const void *send, size_t send_bytes, int from, void *receive,
                             size_t receive_bytes, const atomic_int *stop, int *gone) {
    struct mpi *mpi = mpi_of(transport);
    *gone = NOBODY;
    pthread_mutex_lock(&mpi->lock);
    int done =
        mpi->module->start(mpi->link, to, send, send_bytes, from, receive, receive_bytes) ? mpi->module->done(mpi->link) : -1;
    for (int looks = 0; done == 0; looks++) {
        pthread_mutex_unlock(&mpi->lock);
        if (looks < EAGER_LOOKS) sched_yield();
        else nap_us(NAP_US);
        pthread_mutex_lock(&mpi->lock);
        if (atomic_load(stop)) break;
        done = mpi->module->done(mpi->link);
    }
    if (done != 1) mpi->module->give_up(mpi->link);
    pthread_mutex_unlock(&mpi->lock);
    if (done == 1) return COVER_OK;
    return fail(COVER_ERROR_RANK, "MPI could not exchange with rank %d", from == NOBODY ? to : from);
}

static void tell(struct transport *transport, int to, const struct note *note) {
    struct mpi *mpi = mpi_of(transport);
    pthread_mutex_lock(&mpi->lock);
    mpi->module->tell(mpi->link, to, note);
    pthread_mutex_unlock(&mpi->lock);
}

static bool hear(struct transport *transport, int *from, struct note *note, int milliseconds) {
    struct mpi *mpi = mpi_of(transport);
    for (;; milliseconds -= NOTE_NAP_MS) {
        pthread_mutex_lock(&mpi->lock);
        bool heard = mpi->module->hear(mpi->link, from, note);
        pthread_mutex_unlock(&mpi->lock);
        if (heard || milliseconds <= 0) return heard;
        nap_us(1000 * NOTE_NAP_MS);
    }
}

static const char *name(const struct transport *transport, int rank) { return ((const struct mpi *)transport)->cards[rank].name; }

static void destroy(struct transport *transport, bool clean) {
    struct mpi *mpi = mpi_of(transport);
    if (mpi->link) mpi->module->close(mpi->link, clean);
    pthread_mutex_destroy(&mpi->lock);
    memory_free(transport->context, mpi->cards);
    memory_free(transport->context, mpi);
}

/* ---- meeting */

static cover_status compare_cards(const struct mpi *mpi) {
    for (int rank = 1; rank < mpi->transport.ranks; rank++)
        if (strncmp(mpi->cards[rank].version, mpi->cards[0].version, sizeof mpi->cards[0].version) != 0)
            return fail(COVER_ERROR_RANK, "rank %d (%s) runs libcover %.31s, but rank 0 runs %.31s; install the same everywhere",
                        rank, mpi->cards[rank].name, mpi->cards[rank].version, mpi->cards[0].version);
    return COVER_OK;
}

static cover_status meet(struct mpi *mpi, const struct rendezvous *given, bool *together) {
    char error[256], host[64] = "";
    struct transport *transport = &mpi->transport;
    struct card own = {0};
    TRY(open_module(&mpi->module, given->module));
    mpi->link = mpi->module->open(&transport->rank, &transport->ranks, sizeof(struct note), error, sizeof error);
    if (!mpi->link) return fail(COVER_ERROR_RANK, "%s", error);
    gethostname(host, sizeof host - 1);
    snprintf(own.name, sizeof own.name, "process %ld on %s", (long)getpid(), host);
    snprintf(own.version, sizeof own.version, "%s", cover_version());
    mpi->cards = memory_zero(transport->context, (size_t)transport->ranks * sizeof *mpi->cards);
    if (!mpi->cards) return COVER_ERROR_MEMORY;
    if (!mpi->module->gather(mpi->link, &own, mpi->cards, sizeof own))
        return fail(COVER_ERROR_RANK, "MPI could not gather the ranks");
    *together = true;
    if (given->ranks && (given->rank != transport->rank || given->ranks != transport->ranks))
        return fail(COVER_ERROR_RANK,
                    "this is rank %d of %d by the launcher, but %d of %d by MPI; the launcher must start processes of "
                    "the MPI that libcover was built with (srun: --mpi=pmix)",
                    given->rank, given->ranks, transport->rank, transport->ranks);
    return compare_cards(mpi);
}

cover_status mpi_transport(struct transport **made, cover_context *context, const struct rendezvous *rendezvous) {
    static const struct transport_calls calls = {"mpi", exchange, tell, hear, destroy};
    struct mpi *mpi = memory_zero(context, sizeof *mpi);
    if (!mpi) return COVER_ERROR_MEMORY;
    mpi->transport = (struct transport){.calls = &calls, .context = context, .name = name};
    pthread_mutex_init(&mpi->lock, NULL);
    bool together = false;
    cover_status status = meet(mpi, rendezvous, &together);
    if (status == COVER_OK) *made = &mpi->transport;
    else destroy(&mpi->transport, together); /* all ranks find the same */
    return status;
}
