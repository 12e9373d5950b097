/* One convolution of one image, prepared once and run many times: 1 or 3 wide, stride 1, zero padding, channels last.
 * Rows of an ordered list serve it: oneDNN first, own kernels (avx512, avx2) next, plain C last.
 *
 * Weights outside are PyTorch's (c_out, c_in, [kd,] kh, kw); conv_pack() turns them once a step into what the forward and
 * data-gradient forms read, shared by all lanes.  Everything else is one-threaded: conv_create() must be called on a thread
 * of ours with omp_set_num_threads(1), and each call may run on any thread of ours, many at once, each with its own
 * scratch.  Results never depend on threads. */
#ifndef COVER_CONV_H
#define COVER_CONV_H

#include "../core/base/base.h"
#include "../core/base/grid.h"

struct conv_shape {
    struct grid grid; /* of input and output alike */
    int64_t c_in, c_out;
    int kernel;       /* 1 or 3 */
    bool bias;
    bool gradient;    /* prepare grad_data and grad_weights too */
};
struct conv;

cover_status conv_create(struct conv **conv, cover_context *context, const struct conv_shape *shape);
/* A given form, "onednn", "avx512", "avx2" or "plain"; COVER_ERROR_UNSUPPORTED when it cannot serve the shape here. */
cover_status conv_create_form(struct conv **conv, cover_context *context, const struct conv_shape *shape,
                              const char *form);
void conv_destroy(struct conv *conv); /* takes NULL */

const char *conv_form(const struct conv *conv);
size_t conv_packed_bytes(const struct conv *conv);  /* 64-byte aligned memory of the caller */
size_t conv_scratch_bytes(const struct conv *conv); /* largest of the three calls */
double conv_flops(const struct conv *conv);         /* forward: 2 * pixels * k^ndim * c_in * c_out */

void conv_pack(const struct conv *conv, void *packed, const float *weights, void *scratch);
/* y (pixels, c_out) */
cover_status conv_forward(const struct conv *conv, float *y, const float *x, const void *packed, const float *bias,
                          void *scratch);
/* dx (pixels, c_in) */
cover_status conv_grad_data(const struct conv *conv, float *dx, const float *dy, const void *packed, void *scratch);
/* dw in PyTorch's order, db (c_out) or NULL; written, or added to what is there when `accumulate` */
cover_status conv_grad_weights(const struct conv *conv, float *dw, float *db, const float *x, const float *dy,
                               void *scratch, bool accumulate);

#endif
