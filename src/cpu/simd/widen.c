/* A feature map as floats: widen_plain in plain/widen.c, vectors along the channels. */
#include "vec.h"

void FORM(widen)(float *y, const void *x, const struct norm_load *norm, int64_t pixels, int64_t channels, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    const element *from = (const element *)x;
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t left = channels - c;
        const vf scale = norm ? v_load_first(norm->scale + c, left) : v_zero();
        const vf offset = norm ? v_load_first(norm->offset + c, left) : v_zero();
        for (int64_t p = begin; p < end; p++) {
            vf value = v_load_first_e(from + p * channels + c, left);
            if (norm) value = v_leaky(v_fma(value, scale, offset), v_all(norm->slope));
            v_store_first(y + p * channels + c, value, left);
        }
    }
}
