/* Inside of the predictor: one image, as files hold it, predicted.  Called by predictor.c and predict.c. */
#ifndef COVER_PREDICTOR_INTERNAL_H
#define COVER_PREDICTOR_INTERNAL_H

#include "core/method/task_kind.h"
#include "io/image/image.h"
#include "io/weights/task_file.h"

#include <libcover/predictor.h>

/* The task's settings. */
const struct settings *predictor_settings(const cover_predictor *predictor);
const struct task_kind *predictor_kind(const cover_predictor *predictor);
const struct task_about *predictor_about(const cover_predictor *predictor);

/* Predict.  image: changed by the task's rules and freed, also on error.
 * scores: classes planes of the image's pixels (of a kind that is not dense: classes values), NULL = not wanted; what the caller gives
 * must hold the image as it came.
 * label: fresh (image_free): u8 or u16, one channel, of the kind's shape (output.h); NULL = not wanted. */
cover_status predictor_image(cover_predictor *predictor, struct image *image, float *scores, struct image *label);
/* How many scores there are for an image as it came. */
cover_status predictor_scores(const cover_predictor *predictor, const struct image *image, int64_t *count);

#endif
