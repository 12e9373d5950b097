/* Consistency: the forms of plain/cosine.c, a pixel at a time, vectors along the channels. */
#include "vec.h"

#include <math.h>

/* <a, b>, <a, a> and <b, b> of one pixel. */
struct products {
    float ab, aa, bb;
};

INLINE struct products products(const element *a, const element *b, int64_t channels) {
    vf ab = v_zero(), aa = v_zero(), bb = v_zero();
    for (int64_t c = 0; c < channels; c += LANES) {
        const vf va = v_load_first_e(a + c, channels - c), vb = v_load_first_e(b + c, channels - c);
        ab = v_fma(va, vb, ab), aa = v_fma(va, va, aa), bb = v_fma(vb, vb, bb);
    }
    return (struct products){v_sum(ab), v_sum(aa), v_sum(bb)};
}

static const float smallest_norm = 1e-12f;

INLINE float norm(float square) {
    const float length = sqrtf(square);
    return length < smallest_norm ? smallest_norm : length; /* a NaN stays */
}

double FORM(cosine_sum)(const void *a, const void *b, const float *mask, int64_t pixels, int64_t channels, int block,
                        int blocks) {
    double sum = 0;
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        if (!(mask[p] > 0)) continue;
        const struct products at = products((const element *)a + p * channels, (const element *)b + p * channels, channels);
        sum += (double)(at.ab / (norm(at.aa) * norm(at.bb)));
    }
    return sum;
}

void FORM(cosine_sum_grad)(void *da, void *db, const void *a, const void *b, const float *mask, int64_t pixels,
                           int64_t channels, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const element *left = (const element *)a + p * channels, *right = (const element *)b + p * channels;
        element *dleft = (element *)da + p * channels, *dright = (element *)db + p * channels;
        if (!(mask[p] > 0)) {
            memset(dleft, 0, (size_t)channels * sizeof *dleft);
            memset(dright, 0, (size_t)channels * sizeof *dright);
            continue;
        }
        /* da = a aa + b ab and db = b bb + a ab, with scalars from the three products */
        const struct products at = products(left, right, channels);
        const float length_a = norm(at.aa), length_b = norm(at.bb), both = length_a * length_b;
        const float cosine = at.ab / both;
        const vf ab = v_all(-1 / both);
        const vf aa = v_all(length_a <= smallest_norm ? 0 : cosine / (length_a * length_a));
        const vf bb = v_all(length_b <= smallest_norm ? 0 : cosine / (length_b * length_b));
        for (int64_t c = 0; c < channels; c += LANES) {
            const vf va = v_load_first_e(left + c, channels - c), vb = v_load_first_e(right + c, channels - c);
            v_store_first_e(dleft + c, v_fma(va, aa, vb * ab), channels - c);
            v_store_first_e(dright + c, v_fma(vb, bb, va * ab), channels - c);
        }
    }
}
