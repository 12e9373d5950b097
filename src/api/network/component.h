/* What the public components (backbone, head, losses) share: a parameter table with weights and gradients, and programs
 * prepared once a shape and kept for the next call of that shape. */
#ifndef COVER_COMPONENT_H
#define COVER_COMPONENT_H

#include "core/base/tensor.h"
#include "core/graph/session.h"
#include "core/settings/settings.h"

enum { COMPONENT_RESULTS = 1 + DERIVATIVES }; /* a loss and the gradients of its inputs, or every level */

/* A graph for one shape of input. */
struct prepared {
    struct prepared *next;
    const void *kind; /* the builder: what this graph computes */
    struct grid grid;
    unsigned detail; /* builder's own part of the key */
    int users;       /* calls at work; 0 = may be dropped */
    struct graph graph;
    struct session session;
    int result[COMPONENT_RESULTS]; /* ABSENT = not there */
};

struct component {
    cover_context *context;
    cover_config *config;
    struct settings settings;
    struct parameters parameters;
    float *weights, *gradient; /* flat; gradient is NULL, meaning zeros, before the first backward pass */
    struct prepared *programs; /* newest first */
    pthread_mutex_t lock;
};

/* Fills graph and result[]; grid and detail are set. */
typedef void prepared_builder(struct prepared *prepared, struct component *component);

cover_status component_create(struct component *component, cover_context *context, const cover_config *config);
/* Weights for the parameters as they are now: fresh ones, from the settings' seed, or room for those of a file. */
cover_status component_allocate(struct component *component, bool fresh);
void component_free(struct component *component);
/* Weights were changed: prepared programs take them over. */
cover_status component_weights_changed(struct component *component);

cover_status component_prepare(struct prepared **prepared, struct component *component, prepared_builder *builder,
                               const struct grid *grid, unsigned detail);
void component_done(struct component *component, struct prepared *prepared);
/* Run with inputs set in `run`, a pass that session_end() ends when the results are read.
 * gradient: parameter gradients are added to component->gradient. */
cover_status component_run(struct component *component, struct prepared *prepared, struct run *run, bool gradient);
const float *component_result(const struct prepared *prepared, const struct run *run, int result);

/* Parameters and their gradients as tensors. */
enum component_part { COMPONENT_WEIGHTS, COMPONENT_GRADIENT };
cover_status component_get(cover_tensor **value, const struct component *component, enum component_part part, const char *name);
void component_zero_gradient(struct component *component);
cover_status component_set(struct component *component, const char *name, const cover_tensor *value);

#endif
