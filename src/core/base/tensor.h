/* Inside of cover_tensor, and the way between the border's logical order N, C, [D,] H, W and the channels-last float32
 * memory that everything inside works on.  Called by every public call that takes or gives tensors. */
#ifndef COVER_TENSOR_INTERNAL_H
#define COVER_TENSOR_INTERNAL_H

#include "base.h"
#include "grid.h"

#include <libcover/tensor.h>

struct cover_tensor {
    cover_context *context;
    cover_dtype dtype;
    int rank;
    int64_t shape[COVER_MAX_RANK];
    int64_t strides[COVER_MAX_RANK];         /* in elements */
    void *data;                              /* first element */
    void (*release)(void *user, void *data); /* NULL: the caller's memory */
    bool read_only;                          /* made by cover_tensor_view() */
    void *user, *held;                       /* what release gets: user and the memory that was adopted */
};

/* What a tensor holds, read from its shape. */
struct tensor_layout {
    int64_t images; /* N; 1 when the tensor has no such axis */
    int64_t channels;
    struct grid grid;
};

/* Read (N, C, [D,] H, W) or (C, [D,] H, W) of an image with `dims` axes.  COVER_ERROR_SHAPE says `what` has which shape
 * and which one it should have. */
cover_status tensor_layout(struct tensor_layout *layout, const cover_tensor *tensor, int dims, const char *what);

/* Convert to and from dense channels-last float32: images x D x H x W x channels values.  The tensor's rank is dims + 1
 * or dims + 2, as tensor_layout() checks. */
cover_status tensor_to_channels_last(float *values, const cover_tensor *tensor, int dims);
cover_status tensor_from_channels_last(cover_tensor *tensor, const float *values, int dims);

/* Make channels-last memory a tensor of logical shape (images, channels, [D,] H, W), without a copy.  `values` is
 * from memory_alloc() and belongs to the tensor from then on; after an error it still belongs to the caller. */
cover_status tensor_adopt_channels_last(cover_tensor **tensor, cover_context *context, float *values,
                                        const struct tensor_layout *layout);

/* "(1, 3, 512, 512)" into text, at least 128 bytes; returns text. */
const char *tensor_shape_text(char *text, int rank, const int64_t *shape);

#endif
