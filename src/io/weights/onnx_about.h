/* What an ONNX file says of itself in metadata_props, so that who runs it knows what to put in (docs/weights.md, "ONNX").  Called by
 * onnx_backbone.c and onnx_task.c. */
#ifndef COVER_ONNX_ABOUT_H
#define COVER_ONNX_ABOUT_H

#include "io/bytes/arena.h"
#include "onnx.h"
#include "task_file.h"

/* Into network->about, from the arena.  task: NULL of a backbone; else `config` is the task's. */
cover_status onnx_tell(struct onnx_network *network, struct arena *arena, const cover_config *config,
                       const struct task_about *task);

#endif
