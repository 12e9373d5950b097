/* Strips: runs of pixels between tensors of either element and the floats that products read and make.  Vectorised, one
 * form an instruction set; thin*.c call their own, border.c the best that runs here. */
#ifndef COVER_CONV_STRIP_H
#define COVER_CONV_STRIP_H

#include "form.h"

/* Some channels of a run of pixels: element (pixel, channel) lies at data[pixel * stride + channel]. */
struct strip {
    void *data;
    enum element element; /* float or bf16 */
    int64_t stride;
};

struct conv_strips {
    /* to = from, converted, normalised unless norm is NULL; nothing but `channels` of each pixel is read or written */
    void (*copy)(struct strip to, struct strip from, int64_t pixels, int64_t channels, const struct norm_load *norm);
    /* sums and squares (channels) += sums over the pixels, of values and of their squares; squares may be NULL */
    void (*sum)(double *sums, double *squares, struct strip from, int64_t pixels, int64_t channels);
};

extern const struct conv_strips conv_strips_avx512_bf16, conv_strips_avx512, conv_strips_avx2, conv_strips_generic;

/* The strip from another pixel or channel on. */
static inline struct strip strip_at(struct strip strip, int64_t pixel, int64_t channel) {
    strip.data = (char *)strip.data + (pixel * strip.stride + channel) * (int64_t)element_bytes(strip.element);
    return strip;
}

#endif
