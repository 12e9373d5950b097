/* Collective operations over a communicator: every rank makes the same calls in the same order.  Sums follow one binary tree over
 * the ranks, neighbours first, as the gradient tree goes on above a rank's own pairs; so they have the same bits on every rank
 * and in every run.  Called by train/ranks.c and the public trainer.  A NULL communicator is a rank alone: nothing is sent. */
#ifndef COVER_COLLECTIVE_H
#define COVER_COLLECTIVE_H

#include "communicator.h"

/* How the rank's own work went; its text is cover_error_text().  Returns COVER_OK on every rank when all is well everywhere, else
 * one rank's status and text: an error before a cancellation, the lowest rank first. */
cover_status collective_agree(struct communicator *communicator, cover_status own);
/* y = a + b over count values. */
typedef void collective_add(const void *user, float *y, const float *a, const float *b, int64_t count);
/* values become their sums over all ranks.  Each rank adds up its part of them, then the parts go round: bytes sent are
 * collective_sum_bytes() of them. */
cover_status collective_sum(struct communicator *communicator, float *values, int64_t count, collective_add *add, const void *user);
uint64_t collective_sum_bytes(int ranks, int64_t count);
enum { COLLECTIVE_DOUBLES = 32 };
cover_status collective_sum_doubles(struct communicator *communicator, double *values, int count);
/* Rank 0's bytes on every rank. */
cover_status collective_broadcast(struct communicator *communicator, void *data, size_t bytes);
/* Rank r's part of data, bytes begin(user, r) to begin(user, r + 1), on every rank. */
typedef size_t collective_begin(const void *user, int rank);
cover_status collective_gather(struct communicator *communicator, void *data, collective_begin *begin, const void *user);
/* Rank 0's text on every rank (memory_free).  Of several ranks only. */
cover_status collective_broadcast_text(struct communicator *communicator, cover_context *context, const char *text, char **first);
/* COVER_ERROR_RANK on every rank unless all have the same text: lines of "name=value".  The error names the first line that
 * differs, with both values; `what` says of what, and `advice` what to do. */
cover_status collective_same(struct communicator *communicator, cover_context *context, const char *what, const char *text,
                             const char *advice);

#endif
