/* preview.safetensors of a fine-tuning run: a few validation cases as the best weights see them, kept so that the report needs no
 * dataset; and the report drawn from it, result.json and log.jsonl.
 * Tensors K.image (D, H, W, C) f32 and, in segmentation, K.truth and K.predicted (D, H, W) u16; metadata K.name, K.row (in the
 * cases of result.json) and dataset: one line about the data. */
#ifndef COVER_TASK_PREVIEW_H
#define COVER_TASK_PREVIEW_H

#include "task.h"

enum { TASK_PREVIEW_CASES = 6 };

/* Predict and write them; the task's inference holds the weights that are shown. */
cover_status task_preview_write(cover_task *task, const char *path);

/* Is this the config.json of fine-tuning? */
cover_status task_report_is_one(bool *found, const char *config_json);
/* Write the page of a fine-tuning run; parts that are not there yet are left out. */
cover_status task_report_run(cover_context *context, const char *run, const char *config_json, const char *log_path,
                             const char *preview_path, const char *path);

#endif
