/* Weight files of a fine-tuned task: safetensors under the authors' names plus `head.*`, and what prediction must know, in one
 * metadata entry "task": JSON {settings {...}, classes [names], rules {...}, segments {...}} (docs/weights.md).  Called by fine-tuning and
 * the predictor. */
#ifndef COVER_TASK_FILE_H
#define COVER_TASK_FILE_H

#include "core/graph/parameters.h"
#include "io/image/image_rules.h"

#include <libcover/config.h>

/* What makes a task beside its weights. */
struct task_about {
    cover_context *context;
    cover_config *config;     /* of scope task: network, classes, crop, work, normalise, overlap, mirror, ... */
    char **class_names;       /* config's `classes` of them */
    char *segments;           /* codes of the classes for DICOM, a JSON object as dicom/codes.h takes it; NULL = none were given */
    struct image_rules rules; /* what was done to the images when the dataset was packed, to be done again */
};
void task_about_free(struct task_about *about);

/* States of a checkpoint of fine-tuning: JSON text of `about`, and the flat weights of the best validation so far (none before
 * the first). */
#define TASK_STATE_ABOUT "about"
#define TASK_STATE_BEST "best_weights"

/* JSON text of it, and back; also a state of the checkpoint.  Reading checks everything: lengths, names, ranges. */
cover_status task_about_write(struct text *text, const struct task_about *about);
cover_status task_about_read(struct task_about *about, cover_context *context, const char *json);

/* Write the task's weights; equal weights give equal bytes.  Replaced in one move. */
cover_status task_weights_write(cover_context *context, const char *path, const struct parameters *parameters, const float *flat,
                                const struct task_about *about, int64_t step);
/* Read the task of a run folder (its weights.safetensors, or while it still trains the best weights of checkpoint.h5) or of
 * one of these files.
 * flat: fresh, memory_free() it.  COVER_ERROR_MISMATCH when it is a pretrained network without a task: the text says what to do. */
cover_status task_weights_read(struct task_about *about, struct parameters *parameters, float **flat, cover_context *context,
                               const char *path);

#endif
