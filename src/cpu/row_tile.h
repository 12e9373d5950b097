/* A few rows of a loss at work against keys that come by in tiles: what the ops that compare rows share.  The row kernels of kernels.def do
 * what is done to many numbers; a row's result depends on no other row, so any slab of rows may be anybody's.  Included by ops_nce.c. */
#ifndef COVER_CPU_ROW_TILE_H
#define COVER_CPU_ROW_TILE_H

#include "op_call.h"

#include <math.h>

enum { TILE_ROWS = 48, TILE_KEYS = 256 }; /* rows and keys at work: their products stay in the second cache */

static inline int64_t rows_of_tensor(const struct tensor *tensor) { return grid_pixels(&tensor->grid); }
static inline int64_t rows_at_once(int64_t first, int64_t end) { return end - first < TILE_ROWS ? end - first : TILE_ROWS; }
static inline int64_t keys_at_once(int64_t first, int64_t end) { return end - first < TILE_KEYS ? end - first : TILE_KEYS; }
/* The rows of a slab, a tile at a time. */
#define EACH_TILE(first, call, rows)                                                                                               \
    for (int64_t first = (rows) * (call)->slab / (call)->slabs, end_of_##first = (rows) * ((call)->slab + 1) / (call)->slabs;      \
         first < end_of_##first; first += TILE_ROWS)
#define EACH_KEYS(first, keys) for (int64_t first = 0; first < (keys); first += TILE_KEYS)

static inline double inner(const float *a, const float *b, int64_t channels) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += (double)a[c] * b[c];
    return sum;
}
static inline double length_of(const float *a, int64_t channels) {
    const double length = sqrt(inner(a, a, channels));
    return length < 1e-12 ? 1e-12 : length; /* a NaN stays */
}
/* log(e^a + e^b) */
static inline double log_add(double a, double b) {
    const double high = a > b ? a : b, low = a > b ? b : a;
    return high == -INFINITY ? low : high + log1p(exp(low - high));
}
/* The gradient of x from that of x^, in place: (d - x^ <x^, d>) / |x|. */
static inline void through_unit(float *d, const float *x, int64_t channels, double factor) {
    const double length = length_of(x, channels), along = length > 1e-12 ? inner(x, d, channels) / (length * length) : 0;
    for (int64_t c = 0; c < channels; c++) d[c] = (float)((d[c] - along * x[c]) * factor / length);
}

#endif
