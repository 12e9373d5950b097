/* A network as it is stored: run folder, checkpoint or weight file; which network it is, and its weights. */
#ifndef COVER_STORED_H
#define COVER_STORED_H

#include "../core/nn/parameters.h"

#include <libcover/config.h>

struct stored;

/* path: a run folder (weights.safetensors, or else checkpoint.h5), a checkpoint, or a safetensors file. */
cover_status stored_open(struct stored **stored, cover_context *context, const char *path);
void stored_close(struct stored *stored); /* takes NULL */
/* The settings that the file carries. */
cover_status stored_config(struct stored *stored, cover_config **config);
/* Fill the flat buffer.  Only names that begin with `prefix` count ("" = all).  COVER_ERROR_MISMATCH lists missing,
 * unexpected and mis-shaped names; with allow_partial they are logged. */
cover_status stored_weights(struct stored *stored, const struct parameters *parameters, float *weights, const char *prefix,
                            bool allow_partial);

#endif
