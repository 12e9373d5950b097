/* One element of a feature map as a float, normalised where norm is not NULL.  Used by the plain forms. */
#ifndef COVER_PLAIN_LOAD_H
#define COVER_PLAIN_LOAD_H

#include "../forms.h"

#include <math.h>

static inline float affine(float x, const struct norm_load *norm, int64_t channel) {
    return fmaf(x, norm->scale[channel], norm->offset[channel]);
}
static inline float load(element x, const struct norm_load *norm, int64_t channel) {
    if (!norm) return to_float(x);
    const float u = affine(to_float(x), norm, channel);
    return u > 0 ? u : norm->slope * u;
}

#endif
