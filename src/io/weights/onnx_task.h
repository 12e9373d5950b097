/* A fine-tuned task as ONNX: its network with the head, probabilities out.  Called by cover_weights_export(). */
#ifndef COVER_ONNX_TASK_H
#define COVER_ONNX_TASK_H

#include "task_file.h"

/* Output "scores": (N, classes, [D,] H, W), or of a kind that is not dense (N, classes), as prediction has them of one window.
 * COVER_ERROR_UNSUPPORTED: a kind whose scores ONNX has no operator for; else the errors of onnx_write(). */
cover_status onnx_write_task(cover_context *context, const char *path, const struct task_about *about,
                             const struct parameters *parameters, const float *flat);

#endif
