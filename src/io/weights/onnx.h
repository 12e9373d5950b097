/* ONNX export of the U-Net backbone (github.com/onnx/onnx: onnx.proto, Operators.md).  Called by cover_export(). */
#ifndef COVER_ONNX_H
#define COVER_ONNX_H

#include "core/graph/parameters.h"

struct onnx_unet {
    int dims, channels;
    const int64_t *widths; /* nine */
    const struct parameters *parameters;
    const float *flat;
};

/* Input "image" (N, C, [D,] H, W) float32, outputs "level0".."level4", coarse to full size; N and sizes are free.
 * COVER_ERROR_MISMATCH names a missing or mis-shaped parameter; COVER_ERROR_UNSUPPORTED over 2 GB (protobuf's limit).
 */
cover_status onnx_write_unet(cover_context *context, const char *path, const struct onnx_unet *unet);

#endif
