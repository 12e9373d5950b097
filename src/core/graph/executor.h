/* What core asks of a device: prepare a graph, then run it, many lanes at once.  One table a device: the CPU's is built in, others
 * come from modules (module.h).  A context has one, context->executor.  Called by train/ and by the public components.
 * Inputs, parameters, gradients and results lie in the host's memory, whatever the device. */
#ifndef COVER_EXECUTOR_H
#define COVER_EXECUTOR_H

#include "core/base/adam.h"
#include "core/base/peak.h"
#include "core/base/threads.h"
#include "plan.h"

struct program; /* a prepared graph: plan, primitives, packed weights; shared by all lanes */

enum { RUN_INPUTS = GRAPH_INPUTS };
struct run {                        /* one lane's way through a program */
    const float *input[RUN_INPUTS]; /* of each graph_input(), channels last */
    const float *parameters;        /* the flat buffer that program_pack() was given */
    float *gradient;                /* flat, same layout; parameters without gradient are left alone.  NULL in inference */
    void *arena;                    /* arena_create()'s */
    bool check;                     /* stop with COVER_ERROR_NUMERIC at the first tensor that is not finite */
    bool only_convolutions;         /* for measuring */
    int begin, end; /* nodes to run, end 0 = to the last: forward alone, or what follows on an arena that holds forward */
    int team;       /* threads that take this run together, at most program_create's */
    struct team_barrier *barrier; /* of that many; NULL when team is 1 */
    atomic_int failed;            /* set by the first member that fails */
    atomic_int taken[2];          /* the executor's: units of the node at work that have been taken; zero between runs */
    cover_status status;          /* of the run, and its text, valid once every member is back */
    char error[1024];
};

struct device_options {
    const char *name;   /* "cpu", "cuda", "cuda:1"; NULL = cpu */
    const char *module; /* absolute path, NULL = beside this library */
    int ordinal;        /* which of several; read from the name */
    bool deterministic, tf32;
};

struct training; /* train/device.h: a device that keeps the whole state of training */

struct executor {
    const char *name;
    /* The device of a context, NULL where there is nothing to open. */
    cover_status (*device_open)(struct device **device, cover_context *context, const struct device_options *options);
    void (*device_close)(struct device *device);
    void (*device_describe)(const struct device *device, struct text *json); /* members of an object */
    /* team: threads of a lane.  Called from the caller's thread; primitives are made on the context's own. */
    cover_status (*program_create)(struct program **program, cover_context *context, const struct graph *graph, int team);
    void (*program_destroy)(struct program *program); /* takes NULL */
    const struct plan *(*program_plan)(const struct program *program);
    size_t (*program_packed_bytes)(const struct program *program); /* weights in the primitives' own order */
    /* Take over changed parameters, once a step.  From the caller's thread. */
    cover_status (*program_pack)(struct program *program, const float *parameters);
    /* Called by every member (0..team-1) of the run's team, on threads of ours.  After it, run->status says how it went. */
    void (*program_run)(const struct program *program, struct run *run, int member);
    /* Memory of one lane: plan->arena_bytes, and what the device wants beside it. */
    cover_status (*arena_create)(void **arena, const struct program *program);
    void (*arena_destroy)(const struct program *program, void *arena); /* takes NULL */
    /* A kept tensor, valid until the arena's next run. */
    const void *(*program_result)(const struct program *program, const struct run *run, int result);
    /* Run with a team of one; the seconds of each node. */
    void (*program_time)(const struct program *program, struct run *run, double *node_seconds);
    /* What the device can do at best, measured in less than a second.  From the caller's thread. */
    cover_status (*peak)(struct peak *peak, cover_context *context);

    /* Flat vectors: y = a + b; sum of squares in double; one Adam update (kernels.h states the formula). */
    void (*add)(const struct program *program, float *y, const float *a, const float *b, int64_t count);
    double (*square_sum)(const struct program *program, const float *x, int64_t count);
    void (*adam)(const struct program *program, float *weights, float *m, float *v, const float *gradient, int64_t count,
                 const struct adam *update);
    const struct training *training; /* NULL: the engine trains in lanes, by the calls above */
};

extern const struct executor executor_cpu;

/* Run a program once with a team of `team` of the context's threads and wait: forward passes outside the trainer.
 * run's inputs, parameters, gradient, arena and check are the caller's; the rest is set here. */
cover_status run_once(cover_context *context, const struct executor *executor, const struct program *program, struct run *run,
                      int team);

#endif
