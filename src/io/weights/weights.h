/* Weights of a network in files: authors' names, what is needed to build the network again, and how a file fits a
 * network (docs/weights.md).  Called by trainer, backbone, match, convert and export. */
#ifndef COVER_WEIGHTS_H
#define COVER_WEIGHTS_H

#include "core/graph/parameters.h"
#include "core/nn/backbone.h"
#include "safetensors.h"

#include <libcover/config.h>

enum { WEIGHTS_MAJOR = 1, WEIGHTS_MINOR = 0 };

/* A tensor of a file under the name that networks use: prefixes of wrappers taken off, old names replaced. */
struct weights_name {
    const char *name;
    const struct tensor_entry *entry;
};
/* All tensors but the buffers that import leaves out, by name; the list lives in the file's arena.
 * COVER_ERROR_FORMAT when two get the same name. */
cover_status weights_names(struct tensor_file *file, struct weights_name **names, int64_t *count);

/* Open a weight file, a checkpoint, or a run folder: of its weights.safetensors and checkpoint.h5 the one of more
 * steps; of a fine-tuning run weights.safetensors, which holds the best. */
cover_status weights_open(struct tensor_file **file, cover_context *context, const char *path);

/* Steps behind the weights, as the metadata say; -1 = not known. */
int64_t weights_step(const struct tensor_file *file);

struct weights_about {
    bool head;    /* the projections of the levels are there, not the backbone alone */
    int64_t step; /* updates behind the weights; -1 = not known */
};
/* Where weights of ours come from, as their metadata say: the objective, and what it trained of the backbone (core/objective/objective.h).
 * NULL = not known; the texts live as long as the file. */
struct weights_origin {
    const char *objective, *trained;
};
struct weights_origin weights_origin(const struct tensor_file *file);
/* Prefixes of the backbone's modules that were not trained, and are as that run has drawn them; ends with NULL.  COVER_ERROR_FORMAT: no
 * such module. */
cover_status weights_untrained(const char *prefix[BACKBONE_MODULES + 1], const struct tensor_file *file,
                               const struct backbone *backbone);

/* Set the backbone, its settings, dims, channels, heads, head_dim, radius, coordinates, pyramid and normalise as the file says, from its
 * metadata or else from the shapes of its tensors; the rest stays.  `about` may be NULL.
 * COVER_ERROR_MISMATCH: no network of COVER; COVER_ERROR_UNSUPPORTED: a newer format or another backbone. */
cover_status weights_describe(cover_config *config, struct weights_about *about, struct tensor_file *file);

/* The same as a config of its own, for any number of dims. */
cover_status config_of_weights(cover_config **config, struct weights_about *about, cover_context *context,
                               struct tensor_file *file);

/* Of the settings that shape a network's tensors the first one that differs, by name; NULL = none does.  head: those of the head too. */
const char *weights_differ_in(const cover_config *config, const cover_config *other, bool head);

/* A warning that names other weights in the file, for who takes some: one may be an average of the other. */
cover_status weights_say_left_out(const struct tensor_file *file);

struct weights_match {
    const char
        *only; /* tensors of the file and parameters whose names begin otherwise are not looked at: "backbone."; NULL = all */
    const char *const *fresh; /* neither those that begin so, up to a NULL; NULL = none */
    bool allow_partial;       /* take what fits and log the rest, instead of COVER_ERROR_MISMATCH */
};
/* Fill the flat buffer of a network.  COVER_ERROR_MISMATCH lists missing, unexpected and mis-shaped names;
 * COVER_ERROR_NUMERIC names a tensor with NaN or Inf.  On error `flat` is as it was. */
cover_status weights_load(float *flat, const struct parameters *parameters, struct tensor_file *file,
                          const struct weights_match *match);

/* The same into a fresh buffer (memory_free), allocated only when every parameter is there, so that a file's claims
 * cost no more memory than the file has bytes. */
cover_status weights_read(float **flat, const struct parameters *parameters, struct tensor_file *file, const char *only);

/* The rows of a network whose names begin with `only`; NULL = all. */
cover_status weights_rows(struct parameters *kept, const struct parameters *all, const char *only);

/* Write weights as safetensors: rows whose names begin with `only` (NULL = all, and the authors' buffer mov.grid), in
 * the table's order, with metadata.  step < 0 = not known; origin: NULL = the config's objective.  Equal weights and settings give equal
 * bytes. */
cover_status weights_write(cover_context *context, const char *path, const struct parameters *parameters, const float *flat,
                           const cover_config *config, const char *only, int64_t step, const struct weights_origin *origin);

/* The authors' buffer mov.grid, the vectors of VEU's template: (N, ..., N, dims), offsets -r..r in array-axis order.
 * Release `values` with memory_free(). */
struct weights_grid {
    float *values;
    int64_t shape[4];
    struct tensor_output output; /* points into this struct */
};
cover_status weights_grid(struct weights_grid *grid, cover_context *context, const cover_config *config);

/* The metadata that weights_write() gives a file; pairs live in the arena, the texts of origin where they are.  head: heads, radius, ...
 * too. */
cover_status weights_metadata(struct arena *arena, struct tensor_pair **pairs, int64_t *count, const cover_config *config,
                              bool head, int64_t step, const struct weights_origin *origin);

#endif
