/* One convolution of one image, prepared once and run many times: 1 or 3 wide, stride 1, zero padding, channels last.
 * Its three passes are prepared each on its own, by the first row of an ordered list (conv.c) that serves it: thin forms;
 * of bf16 features oneDNN where it has AMX; Winograd's forms; oneDNN; own direct forms; plain C, which takes all.  The
 * choice depends on shape and CPU features alone.
 * Features are float or bf16; bf16 ones may be multiplied as bf16 pairs or as floats, sums and weights are float.
 *
 * Weights outside are PyTorch's (c_out, c_in, [kd,] kh, kw); conv_pack() turns them once a step into what forward and
 * data gradient read, shared by all lanes.  Everything is one-threaded, and any thread may create or run a convolution:
 * oneDNN's threads are held at one inside each call, and the caller's OpenMP settings are as before when it returns.
 * One conv serves many threads at once, each with its own scratch.  Results never depend on threads.
 *
 * Slabs: so that several threads can share one image, forward and data gradient may come in slabs, runs of whole rows (2D)
 * or planes (3D) of the output.  A slab reads the input's rows beside its own where they lie, nothing is copied or computed
 * twice, and every slab reads the same packed weights.  How many slabs there are is part of the shape: conv_good_slabs()
 * chooses by the shape alone, so that results stay the same for any number of threads.  Our own forms give the same bits for
 * any number of slabs; oneDNN promises none, as it may sum a slab in another order. */
#ifndef COVER_CONV_H
#define COVER_CONV_H

#include "core/base/base.h"
#include "core/base/element.h"
#include "core/base/grid.h"
#include "kernels.h"

struct conv_shape {
    struct grid grid; /* of input and output alike */
    int64_t c_in, c_out;
    int kernel;        /* 1 or 3 */
    bool bias;         /* forward adds one, grad_weights may ask for its gradient */
    bool gradient;     /* prepare grad_data and grad_weights too */
    int slabs;         /* most slabs of forward and data gradient; 0 = 1, the whole image */
    enum element x, y; /* of the features that go in and come out, and of their gradients: float or bf16 */
    int64_t c_second;  /* how many of c_in, the last ones, lie in a second tensor; 0 = there is one */
    bool normed;       /* x may come with a normalisation */
};
/* What x is read from: one tensor, or the channels of two of one grid, one behind the other; each may be normalised on its
 * way in (padding is zero behind the normalisation). */
struct conv_source {
    const void *data;             /* of the image */
    const struct norm_load *norm; /* NULL = as it is */
};
enum { CONV_SOURCES = 2 };
enum conv_pass { CONV_FORWARD, CONV_GRAD_DATA, CONV_GRAD_WEIGHTS, CONV_PASSES };
struct conv;

/* COVER_ERROR_SHAPE for sizes below 1, another kernel than 1 or 3, or bytes beyond what can be addressed. */
cover_status conv_create(struct conv **conv, cover_context *context, const struct conv_shape *shape);
enum { CONV_SLABS_MAX = 8 };
/* How many slabs pay for this shape: 1 for a small image, CONV_SLABS_MAX at most; with gradients fewer. */
int conv_good_slabs(const struct conv_shape *shape);
/* In a given form: "thin_" or "winograd_" with avx512_bf16, avx512, avx2 or generic, the direct ones "avx512", "avx2" and
 * "generic", "onednn_amx", "onednn" or "plain".  A pass that it does not serve is taken by the best other row (conv_form
 * tells).  COVER_ERROR_UNSUPPORTED when it serves none here. */
cover_status conv_create_form(struct conv **conv, cover_context *context, const struct conv_shape *shape, const char *form);
void conv_destroy(struct conv *conv); /* takes NULL */

/* The name of the form that serves a pass; "none" for a gradient that was not asked for. */
const char *conv_form(const struct conv *conv, enum conv_pass pass);
size_t conv_packed_bytes(const struct conv *conv);  /* 64-byte aligned memory of the caller */
size_t conv_scratch_bytes(const struct conv *conv); /* the same; largest of the four calls below */
int conv_slabs(const struct conv *conv);            /* of forward and data gradient: 1..shape.slabs, none is empty */
double conv_flops(const struct conv *conv);         /* of one pass: 2 * pixels * k^ndim * c_in * c_out */

cover_status conv_pack(const struct conv *conv, void *packed, const float *weights, void *scratch);
/* A slab of y (pixels, c_out); bias (c_out) or NULL for none.  x and y are those of the whole image.  sums: of what the
 * slab got, and of its squares, (2, c_out); NULL = not wanted. */
cover_status conv_forward(const struct conv *conv, int slab, void *y, double *sums, const struct conv_source x[CONV_SOURCES],
                          const void *packed, const float *bias, void *scratch);
/* A slab of dx (pixels, channels), one for each source. */
cover_status conv_grad_data(const struct conv *conv, int slab, void *const dx[CONV_SOURCES], const void *dy, const void *packed,
                            void *scratch);
/* dw in PyTorch's order, db (c_out) or NULL; written, or added to what is there when `accumulate` */
cover_status conv_grad_weights(const struct conv *conv, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                               const void *dy, void *scratch, bool accumulate);

#endif
