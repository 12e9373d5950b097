/* The backbone alone as ONNX.  Called by cover_weights_export(). */
#ifndef COVER_ONNX_BACKBONE_H
#define COVER_ONNX_BACKBONE_H

#include "core/graph/parameters.h"
#include "core/settings/settings.h"

/* Outputs "level0", "level1", ..., coarse to full size.  Errors: those of onnx_write(). */
cover_status onnx_write_backbone(cover_context *context, const char *path, const cover_config *config,
                                 const struct parameters *parameters, const float *flat);

#endif
