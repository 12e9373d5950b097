/* Convolutions through cuDNN 9's graph API: one prepared convolution, three passes over all images at once.  Called by the rows of
 * ops_conv.c.  The plans are made once, for a shape, and shared by all convolutions of that shape on the device.
 *
 * cuDNN wants dense operands: what is normalised while it is read, or comes from two tensors, is first written into the workspace
 * (cuda_join), and computed again for the gradient of the weights.  A pass is served by the first of a list of forms that cuDNN has an
 * engine for: as it is; with channels padded to a multiple of 8; in float32. */
#ifndef COVER_CUDA_CONV_H
#define COVER_CUDA_CONV_H

#include "device.h"

enum { CUDA_CONV_SOURCES = 2 };
struct cuda_conv;
struct cuda_conv_shape {
    struct grid grid;
    int images;
    int64_t c_in, c_second, c_out; /* c_in: of both sources together, c_second: of the second, 0 = there is none */
    int kernel;                    /* 1 or 3, zero padding, stride 1 */
    enum element x, y;
    bool normed;                           /* a source may be normalised while it is read */
    bool bias;                             /* added in the forward pass */
    bool forward, grad_data, grad_weights; /* passes that are wanted */
};
struct cuda_conv_source {
    const void *x;
    const struct cuda_norm *norm; /* NULL: as it is */
};

cover_status cuda_conv_create(struct cuda_conv **conv, struct device *device, const struct cuda_conv_shape *shape);
void cuda_conv_destroy(struct cuda_conv *conv);                 /* takes NULL */
size_t cuda_conv_packed_bytes(const struct cuda_conv *conv);    /* weights in cuDNN's order, of all forms in use */
size_t cuda_conv_workspace_bytes(const struct cuda_conv *conv); /* enough for any of its passes */
/* Which form and engine serve each pass, as one line of text. */
void cuda_conv_describe(const struct cuda_conv *conv, char *text, size_t bytes);

/* All pointers are of device memory; weights and gradients are float32 as parameters lie, (c_out, c_in, taps). */
cover_status cuda_conv_pack(const struct cuda_conv *conv, cuda_stream stream, void *packed, const float *weights);
cover_status cuda_conv_forward(const struct cuda_conv *conv, cuda_stream stream, void *y,
                               const struct cuda_conv_source x[CUDA_CONV_SOURCES], const void *packed, const float *bias,
                               void *workspace);
/* dx[1]: of the second source; NULL where there is none */
cover_status cuda_conv_grad_data(const struct cuda_conv *conv, cuda_stream stream, void *const dx[CUDA_CONV_SOURCES],
                                 const void *dy, const void *packed, void *workspace);
/* dweights or dbias may be NULL; sums over all images. */
cover_status cuda_conv_grad_weights(const struct cuda_conv *conv, cuda_stream stream, float *dweights, float *dbias,
                                    const struct cuda_conv_source x[CUDA_CONV_SOURCES], const void *dy, void *workspace);

#endif
