/* Consistency, plain C: what the forms in simd/cosine.c must equal.  Paper: L_con; the executor divides by the number of
 * valid pixels, V = {p : mask(p) > 0}; without a mask all are.
 *
 *   cosine_sum  = sum over p in V of <a/|a|, b/|b|>,  |x| = max(sqrt(<x, x>), 1e-12)
 *   da          = -scale (b/|b| - cos a/|a|) / |a| in V; without the second term where |a| is at its bound; db likewise */
#include "../forms.h"

#include <math.h>

static const float smallest_norm = 1e-12f;

static double product(const element *a, const element *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += (double)to_float(a[c]) * to_float(b[c]);
    return sum;
}

static double norm(const element *a, int64_t channels) {
    const double length = sqrt(product(a, a, channels));
    return length < smallest_norm ? smallest_norm : length; /* a NaN stays */
}

double PLAIN(cosine_sum)(const void *a, const void *b, const float *mask, int64_t pixels, int64_t channels, int block, int blocks) {
    double sum = 0;
    int64_t begin, end;
    slab_share(pixels, block, blocks, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const element *left = (const element *)a + p * channels, *right = (const element *)b + p * channels;
        if (!mask || mask[p] > 0) sum += product(left, right, channels) / (norm(left, channels) * norm(right, channels));
    }
    return sum;
}

void PLAIN(cosine_sum_grad)(void *da, void *db, const void *a, const void *b, const float *mask, int64_t pixels, int64_t channels,
                            float scale, int slab, int slabs) {
    int64_t begin, end;
    slab_share(pixels, slab, slabs, &begin, &end);
    for (int64_t p = begin; p < end; p++) {
        const element *left = (const element *)a + p * channels, *right = (const element *)b + p * channels;
        element *dleft = (element *)da + p * channels, *dright = (element *)db + p * channels;
        const double length_a = norm(left, channels), length_b = norm(right, channels);
        const double cosine = product(left, right, channels) / (length_a * length_b);
        const double kept_a = length_a <= smallest_norm ? 0 : cosine, kept_b = length_b <= smallest_norm ? 0 : cosine;
        for (int64_t c = 0; c < channels; c++) {
            const double x = to_float(left[c]), y = to_float(right[c]);
            const bool valid = !mask || mask[p] > 0;
            dleft[c] = from_float(valid ? (float)(scale * (kept_a * x / length_a - y / length_b) / length_a) : 0);
            dright[c] = from_float(valid ? (float)(scale * (kept_b * y / length_b - x / length_a) / length_b) : 0);
        }
    }
}
