/* A session: one graph made ready to run outside training, as a team of the context's threads.  It holds the program and its packed
 * weights and may serve several passes at once, each in an arena of its own.  Called by whatever runs a network forward: the public
 * components, matching, measuring, bench, the engine's closer look. */
#ifndef COVER_SESSION_H
#define COVER_SESSION_H

#include "executor.h"

struct session {
    cover_context *context;
    const struct graph *graph; /* the caller's, finished; stays as it is until session_close() */
    struct program *program;
    int team;
};

/* Prepare the graph for a team of `team` and take over `weights` (flat; NULL where it has no parameters).  A graph whose pass does not fit into the
 * context's memory limit is refused with its size.  After an error the session is closed. */
cover_status session_open(struct session *session, cover_context *context, const struct graph *graph, const float *weights,
                          int team);
void session_close(struct session *session); /* takes one that was never opened, all zero */
/* Take over changed weights.  Not while a pass runs. */
cover_status session_weights(struct session *session, const float *weights);

/* ---- a pass: the caller sets run's inputs, parameters and gradient, begins, runs as often as it likes, and ends */
cover_status session_begin(const struct session *session, struct run *run);
cover_status session_run(const struct session *session, struct run *run);
/* The seconds of each node, run by one thread of ours. */
cover_status session_time(const struct session *session, struct run *run, double *node_seconds);
/* A kept tensor, valid until the pass's next run or end. */
const void *session_result(const struct session *session, const struct run *run, int result);
void session_end(const struct session *session, struct run *run); /* takes a pass that was never begun */

#endif
