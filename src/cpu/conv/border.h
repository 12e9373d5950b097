/* What stands between a convolution's tensors and a form that takes one dense tensor of floats in and one out: joins two
 * sources, normalises, converts bf16, splits the data gradient, sums what was written.  Called by conv.c. */
#ifndef COVER_CONV_BORDER_H
#define COVER_CONV_BORDER_H

#include "form.h"

/* The shape that a form with these `takes` is given for a convolution. */
struct conv_shape border_shape(const struct conv_shape *shape, unsigned takes);
/* Bytes of scratch behind the form's own, 64-byte aligned; 0 = nothing to do. */
size_t border_bytes(const struct conv_shape *shape, enum conv_pass pass, unsigned takes);

cover_status border_convolve(const struct prepared *prepared, const struct conv_shape *shape, int slab,
                             const struct conv_target *target, const struct conv_source source[CONV_SOURCES], const void *packed,
                             const float *bias, void *scratch);
cover_status border_grad_weights(const struct prepared *prepared, const struct conv_shape *shape, float *dw, float *db,
                                 const struct conv_source x[CONV_SOURCES], const void *dy, void *scratch, bool accumulate);

#endif
