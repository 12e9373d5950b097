/* Ranks: processes that pretrain one network together, each on its share of every batch (docs/cluster.md).
 * A context joins once, before its trainers are made; from then on the calls of cover_trainer_* and cover_run_pretrain() are
 * made by
 * all ranks together, in the same order, and give the same result on each.  The batch is that of all ranks; rank 0 reads and
 * writes files.  With 1, 2, 4, 8, ... ranks, at most one a pair, losses and weights are the same bits.  Everything else that is
 * done with such a context, a task for example, is a rank's own business.  When a rank is lost, every call that works in such a
 * context ends with COVER_ERROR_RANK or COVER_ERROR_CANCELLED: destroy it, and go on from a checkpoint in another.
 *
 * Owner:      nothing is handed over
 * Lifetime:   nothing is lent
 * Threads:    one thread of each rank, all ranks in the same order
 * Callbacks:  none but the log and the allocator of the context (context.h)
 * NULL:       a NULL handle, path or output is COVER_ERROR_ARGUMENT unless its line says "may be NULL"; without a context there
 *             is rank 0 of 1
 * Errors:     status.h; an error leaves outputs as they were
 * Stability:  stable */
#ifndef LIBCOVER_RANKS_H
#define LIBCOVER_RANKS_H

#include <libcover/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of cover_context_join(). */
typedef struct cover_ranks_options {
    size_t struct_size;
    const char *transport;   /**< "socket" (default when NULL) or "mpi" */
    int rank, ranks;         /**< this process among all, 0..ranks-1; with mpi 0, 0 = as MPI says */
    const char *address;     /**< sockets: rank 0's, the same on all: host:port, or the absolute path of a socket on one machine.
                                  Nothing is encrypted: for trusted networks (SECURITY.md) */
    double deadline_seconds; /**< a rank that gives no sign of life for so long is lost; 0 = 120 */
    double join_seconds;     /**< how long ranks wait for each other at the beginning; 0 = 120 */
    const char *module;      /**< absolute path of the module of MPI; NULL = libcover-mpi.so beside libcover.so */
    const char *token; /**< sockets: the secret of this run, the same on all ranks, by which they know each other: 64 hexadecimal
                                  digits (32 random bytes), or any text; NULL = whoever reaches the address may take part.  It is
                                  never sent */
} cover_ranks_options;
#define COVER_RANKS_OPTIONS_INIT COVER_SIZED(cover_ranks_options)

/** Meet the other ranks.  MPI is initialised only if it is not, and then finalised by cover_context_destroy(); a caller that
 *  initialised it needs MPI_THREAD_SERIALIZED, and makes no call of MPI while the context lives.
 *  @return COVER_OK; COVER_ERROR_ARGUMENT; COVER_ERROR_RANK on every rank when one does not come, or has another version, another
 *  token, number of ranks or another instruction set (context option isa); COVER_ERROR_UNSUPPORTED: no MPI here; COVER_ERROR_CANCELLED */
COVER_API cover_status cover_context_join(cover_context *context, const cover_ranks_options *options);

/** This rank, 0 for a context that has not joined. */
COVER_API int cover_context_rank(const cover_context *context);
/** Number of ranks, 1 for a context that has not joined. */
COVER_API int cover_context_ranks(const cover_context *context);

/** All ranks say how work of their own went, here cover_status and cover_error_text(), and go on together or not at all.
 *  @return COVER_OK when all said so; else, on every rank, the status and text of one that failed (an error before a cancellation,
 *  the lowest rank first).  Without other ranks `own`. */
COVER_API cover_status cover_context_agree(cover_context *context, cover_status own);

/** Rank 0's settings on every rank: of a run that goes on, for example, whose folder rank 0 alone can read. */
COVER_API cover_status cover_context_share_config(cover_context *context, cover_config *config);

/** Is it this rank that tells people of progress and of errors that all ranks have?  1 on rank 0, or on rank 1 when rank 0 is
 * lost. */
COVER_API int cover_context_speaks(const cover_context *context);

#ifdef __cplusplus
}
#endif
#endif
