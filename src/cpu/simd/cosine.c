/* Consistency: the forms of plain/cosine.c.  Products of a pixel's vectors along the channels, those of four pixels added up
 * across their lanes together; lengths and cosines of LANES pixels at a time. */
#include "vec.h"

static const float smallest_norm = 1e-12f, ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* <a, b>, <a, a> and <b, b> of LANES pixels. */
struct products {
    float ab[LANES], aa[LANES], bb[LANES];
};

INLINE void four_products(struct products *to, int at, const element *a, const element *b, int64_t channels) {
    vf ab[4], aa[4], bb[4];
    UNROLL for (int k = 0; k < 4; k++) ab[k] = aa[k] = bb[k] = v_zero();
    for (int64_t c = 0; c < channels; c += LANES) UNROLL for (int k = 0; k < 4; k++) {
            const vf va = v_load_first_e(a + k * channels + c, channels - c);
            const vf vb = v_load_first_e(b + k * channels + c, channels - c);
            ab[k] = v_fma(va, vb, ab[k]), aa[k] = v_fma(va, va, aa[k]), bb[k] = v_fma(vb, vb, bb[k]);
        }
    v_sum4(to->ab + at, ab), v_sum4(to->aa + at, aa), v_sum4(to->bb + at, bb);
}

/* Of one pixel, in the order of the above. */
INLINE void one_product(struct products *to, int at, const element *a, const element *b, int64_t channels) {
    vf sums[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    float found[4];
    for (int64_t c = 0; c < channels; c += LANES) {
        const vf va = v_load_first_e(a + c, channels - c), vb = v_load_first_e(b + c, channels - c);
        sums[0] = v_fma(va, vb, sums[0]), sums[1] = v_fma(va, va, sums[1]), sums[2] = v_fma(vb, vb, sums[2]);
    }
    v_sum4(found, sums);
    to->ab[at] = found[0], to->aa[at] = found[1], to->bb[at] = found[2];
}

/* The first `pixels` (at most LANES) pixels from a and b. */
static void products_of(struct products *to, const element *a, const element *b, int64_t pixels, int64_t channels) {
    int p = 0;
    for (; p + 4 <= pixels; p += 4) four_products(to, p, a + p * channels, b + p * channels, channels);
    for (; p < pixels; p++) one_product(to, p, a + p * channels, b + p * channels, channels);
}

/* Lengths, with their bound; a NaN stays. */
INLINE vf norm(const float *square) { return v_max(v_all(smallest_norm), v_sqrt(v_load(square))); }

/* Of the `left` pixels from p on; without a mask all. */
INLINE vm valid_pixels(const float *mask, int64_t p, int64_t left) {
    return V_COMPARE(mask ? v_load_first(mask + p, left) : v_load_first(ones, left), _CMP_GT_OQ, v_zero());
}

double FORM(cosine_sum)(const void *a, const void *b, const float *mask, int64_t pixels, int64_t channels, int block, int blocks) {
    struct products at = {0};
    vd sum = vd_zero();
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t p = begin; p < end; p += LANES) {
        const int64_t left = end - p < LANES ? end - p : LANES;
        const vm valid = valid_pixels(mask, p, left);
        if (vm_none(valid)) continue;
        products_of(&at, (const element *)a + p * channels, (const element *)b + p * channels, left, channels);
        const vf cosine = v_load(at.ab) / (norm(at.aa) * norm(at.bb)), kept = v_select(valid, cosine, v_zero());
        sum += vd_low(kept) + vd_high(kept);
    }
    return vd_sum(sum);
}

/* da = a own_a + b other and db = b own_b + a other, by three numbers a pixel. */
struct shares {
    float own_a[LANES], own_b[LANES], other[LANES];
};

static void shares_of(struct shares *to, const struct products *at, float scale) {
    const vf length_a = norm(at->aa), length_b = norm(at->bb), both = length_a * length_b, bound = v_all(smallest_norm);
    const vf cosine = v_load(at->ab) / both * v_all(scale);
    const vm bound_a = V_COMPARE(length_a, _CMP_LE_OQ, bound), bound_b = V_COMPARE(length_b, _CMP_LE_OQ, bound);
    v_store(to->own_a, v_select(bound_a, v_zero(), cosine / (length_a * length_a)));
    v_store(to->own_b, v_select(bound_b, v_zero(), cosine / (length_b * length_b)));
    v_store(to->other, v_all(-scale) / both);
}

void FORM(cosine_sum_grad)(void *da, void *db, const void *a, const void *b, const float *mask, int64_t pixels, int64_t channels,
                           float scale, int slab, int slabs) {
    struct products at = {0};
    struct shares shares;
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p += LANES) {
        const int64_t left = end - p < LANES ? end - p : LANES;
        const unsigned valid = vm_bits(valid_pixels(mask, p, left));
        if (valid) {
            products_of(&at, (const element *)a + p * channels, (const element *)b + p * channels, left, channels);
            shares_of(&shares, &at, scale);
        }
        for (int64_t k = 0; k < left; k++) {
            const element *va_at = (const element *)a + (p + k) * channels, *vb_at = (const element *)b + (p + k) * channels;
            element *da_at = (element *)da + (p + k) * channels, *db_at = (element *)db + (p + k) * channels;
            if (!(valid >> k & 1)) {
                memset(da_at, 0, (size_t)channels * sizeof *da_at);
                memset(db_at, 0, (size_t)channels * sizeof *db_at);
                continue;
            }
            const vf own_a = v_all(shares.own_a[k]), own_b = v_all(shares.own_b[k]), other = v_all(shares.other[k]);
            for (int64_t c = 0; c < channels; c += LANES) {
                const vf va = v_load_first_e(va_at + c, channels - c), vb = v_load_first_e(vb_at + c, channels - c);
                v_store_first_e(da_at + c, v_fma(va, own_a, vb * other), channels - c);
                v_store_first_e(db_at + c, v_fma(vb, own_b, va * other), channels - c);
            }
        }
    }
}
