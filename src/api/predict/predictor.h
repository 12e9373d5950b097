/* Inside of the predictor: one image, as files hold it, predicted.  Called by predictor.c and predict.c. */
#ifndef COVER_PREDICTOR_INTERNAL_H
#define COVER_PREDICTOR_INTERNAL_H

#include "core/base/sha256.h"
#include "core/method/task_kind.h"
#include "io/dicom/set.h"
#include "io/image/image.h"
#include "io/weights/task_file.h"

#include <libcover/predictor.h>

/* The task's settings. */
const struct settings *predictor_settings(const cover_predictor *predictor);
const struct task_kind *predictor_kind(const cover_predictor *predictor);
const struct task_about *predictor_about(const cover_predictor *predictor);

cover_context *predictor_context(const cover_predictor *predictor);
/* SHA-256 of the weights in memory, float32, in their order: what an object of a prediction calls them. */
void predictor_weights_hash(const cover_predictor *predictor, char text[SHA256_TEXT]);

/* Predict.  image: changed by the task's rules and freed, also on error.
 * scores: classes planes of the image's pixels (of a kind that is not dense: classes values), NULL = not wanted; what the caller gives
 * must hold the image as it came.
 * label: fresh (image_free): u8 or u16, one channel, of the kind's shape (output.h); NULL = not wanted. */
cover_status predictor_image(cover_predictor *predictor, struct image *image, float *scores, struct image *label);
/* How many scores there are for an image as it came. */
cover_status predictor_scores(const cover_predictor *predictor, const struct image *image, int64_t *count);
/* A DICOM volume, or images without a place one by one (predict_volume.c).  label: (D, H, W), one plane a slice, on the upright grid where
 * the gantry was tilted.  image: what is odd about it, without pixels.  scores: (classes, D, H, W), or (classes); *scores: memory_free();
 * NULL = not wanted. */
cover_status predictor_volume(cover_predictor *predictor, const struct cover_dicom *set, int index, float **scores,
                              struct image *label, struct image *image);

#endif
