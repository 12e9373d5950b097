/* A feature map as floats, normalised where norm is not NULL: what a caller is given of it. */
#include "load.h"

void PLAIN(widen)(float *y, const void *x, const struct norm_load *norm, int64_t pixels, int64_t channels, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t i = begin * channels; i < end * channels; i++) y[i] = load(((const element *)x)[i], norm, i % channels);
}
