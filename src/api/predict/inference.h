/* A task's network over whole prepared images: windows of the training crop, mirrored copies, class probabilities out.
 * Called by validation during fine-tuning and by the predictor. */
#ifndef COVER_INFERENCE_H
#define COVER_INFERENCE_H

#include "core/base/grid.h"
#include "core/method/task_kind.h"

struct inference; /* programs by size, shared by all calls; the weights are the caller's */

/* settings: task, dims, channels, the backbone's, classes, multilabel, crop, overlap, mirror.  parameters: of the task's network;
 * only compared with what the settings say. */
cover_status inference_create(struct inference **inference, cover_context *context, const struct settings *settings,
                              const struct parameters *parameters);
/* What it takes beside what is in use already must keep to the context's memory limit: of a predictor, not of validation, which the plan
 * of training knows nothing of. */
void inference_limit(struct inference *inference);
void inference_destroy(struct inference *inference); /* takes NULL */

/* Take these weights (flat), which must stay as they are until the next call.  Not while another thread runs. */
cover_status inference_weights(struct inference *inference, const float *flat);

/* Values that inference_run() gives for an image of this grid: pixels x classes, or classes. */
int64_t inference_scores(const struct inference *inference, const struct grid *grid);

/* image: normalised and resized as in training (augment_plain), channels last.
 * scores: pixels x classes, or of a kind that is not dense the classes of the image (task_kind.h: scores).
 *
 * A dense kind reads windows of the training crop, spread evenly so that neighbours share at least `overlap` of a window,
 * and averages their scores with Gaussian weights (sigma: an eighth of the window, as is usual in the field).  An
 * image smaller than the crop lies in the middle of zeros, as in training.  Others take the image as a whole, at
 * least the crop.  With `mirror` each window is read in every asked orientation, and the results are averaged.
 * The same bits for any number of threads; several threads may run at once. */
cover_status inference_run(struct inference *inference, float *scores, const float *image, const struct grid *grid);

#endif
