/* Winograd's F(2 x 2, 3 x 3) for 3-wide convolutions (Lavin and Gray, CVPR 2016): what its passes share.  The image is cut
 * into tiles of 2 x 2 output pixels that read 4 x 4; at each of 16 frequencies the pixels of a channel become one value,
 * V = B^T d B, and the convolution a product over channels alone, 16 multiplications instead of 36.  Along z, in 3D, it
 * stays direct.  Included by winograd*.c, which are compiled once an instruction set (direct.h says how). */
#ifndef COVER_CONV_WINOGRAD_H
#define COVER_CONV_WINOGRAD_H

#include "elements.h"

enum { FREQUENCIES = 16 };

/* With AVX512_BF16, tensors of bf16 are multiplied as pairs of bf16, elsewhere as floats. */
#ifdef __AVX512BF16__
enum { HAS_PAIRS = 1 };
#else
enum { HAS_PAIRS = 0 };
#endif

/* ---- the product at one frequency */

/* C(m, n) = [C(m, n) +] sum over s < slices, k < length of A(s, m, k) * B(s, k, n), m < rows, n < LANES or BLOCK.
 * A and B are of floats, or of pairs of bf16 (two terms of the sum) that lie where a float would: steps count either. */
enum { PAIRS_RUN = LANES / 2 };
struct tile_product {
    float *c;
    int64_t c_row; /* from m to m + 1 */
    const void *a[3], *b[3];
    int64_t a_row, a_step, b_step; /* from m to m + 1, k to k + 1 */
    int64_t a_skip;                /* of pairs: added to A's step behind every PAIRS_RUN of them */
    int64_t slices, length;
    int64_t more; /* products of as many rows that follow, m going on */
    bool accumulate;
};
typedef void tile_product_fn(const struct tile_product *product);

#define tile_product_table ISA_NAME(conv_tile_product)
/* [pairs][one or two vectors wide][m = 1..ROWS_MAX]; pairs only where HAS_PAIRS */
extern tile_product_fn *const tile_product_table[2][2][ROWS_MAX + 1];

/* ---- tiles of an image */

/* What the tiles of one row of tiles read from one plane of one tensor.  Tile t has pixels 2t, 2t + 1 of its row and reads
 * 2t - 1 .. 2t + 2; outside the image there is zero, behind the normalisation. */
struct tile_source {
    const void *row[4]; /* column 0, channel 0 of the four rows of pixels; NULL = outside the image */
    int64_t width;      /* columns of the image */
    int64_t channels;   /* of a pixel of this tensor */
    const struct norm_load *norm;
};

/* The four rows of tiles of row `tile_row` in a plane of `height` rows. */
INLINE struct tile_source tile_source_of(const void *plane, enum element element, const struct norm_load *norm, int64_t tile_row,
                                         int64_t height, int64_t width, int64_t channels) {
    struct tile_source source = {.width = width, .channels = channels, .norm = norm};
    for (int r = 0; r < 4; r++) {
        const int64_t y = 2 * tile_row - 1 + r;
        source.row[r] = y < 0 || y >= height ? NULL : element_at(plane, element, y * width * channels);
    }
    return source;
}

/* Column x of the tiles' rows, transformed along y: B^T d. */
INLINE void tile_column(vec out[4], const struct tile_source *source, int64_t x, int64_t channel, int64_t left,
                        const enum element element, const struct vec_norm *norm, const bool checked) {
    vec d[4];
    const int64_t at = x * source->channels + channel;
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        d[r] = (vec){0};
        if (checked && (!source->row[r] || x < 0 || x >= source->width)) continue;
        const void *from = element_at(source->row[r], element, at);
        d[r] = load_left(from, element, checked ? left : LANES);
        if (norm) d[r] = normed_vec(*norm, d[r]);
    }
    out[0] = d[0] - d[2], out[1] = d[1] + d[2], out[2] = d[2] - d[1], out[3] = d[1] - d[3];
}

/* What becomes of LANES channels of a transformed tile: v[4 * row + column]; tiles are counted from the first. */
typedef void tile_store(void *to, int64_t tile, const vec v[FREQUENCIES]);

INLINE void tile_finish(vec left[2][4], vec right[2][4], tile_store *store, void *to, int64_t tile) {
    vec v[FREQUENCIES];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        v[4 * r] = left[0][r] - right[0][r], v[4 * r + 1] = left[1][r] + right[0][r];
        v[4 * r + 2] = right[0][r] - left[1][r], v[4 * r + 3] = left[1][r] - right[1][r];
    }
    store(to, tile, v);
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) left[0][r] = right[0][r], left[1][r] = right[1][r];
}

/* Tiles first .. first + count - 1 of a row, channels channel .. channel + LANES - 1, of which `left` exist; the others
 * are zero.  element, normed and store are to be constants. */
INLINE void transform_tiles(const struct tile_source *from, int64_t first, int64_t count, int64_t channel, int64_t left,
                            const enum element element, const bool normed, tile_store *store, void *to) {
    const struct tile_source own = *from, *source = &own; /* no store changes it, as far as the compiler can see */
    struct vec_norm of_channels;
    if (normed) of_channels = load_norm(source->norm, channel, left);
    const struct vec_norm *norm = normed ? &of_channels : NULL;
    const bool whole = source->row[0] && source->row[1] && source->row[2] && source->row[3] && left >= LANES;
    const int64_t inside = whole ? smaller(count, (source->width - 1) / 2 - first) : 0; /* tiles with 2t + 2 < width */
    vec columns[2][4], next[2][4];
    tile_column(columns[0], source, 2 * first - 1, channel, left, element, norm, true);
    tile_column(columns[1], source, 2 * first, channel, left, element, norm, true);
    int64_t tile = 0;
    for (; tile < inside; tile++) {
        tile_column(next[0], source, 2 * (first + tile) + 1, channel, left, element, norm, false);
        tile_column(next[1], source, 2 * (first + tile) + 2, channel, left, element, norm, false);
        tile_finish(columns, next, store, to, tile);
    }
    for (; tile < count; tile++) {
        tile_column(next[0], source, 2 * (first + tile) + 1, channel, left, element, norm, true);
        tile_column(next[1], source, 2 * (first + tile) + 2, channel, left, element, norm, true);
        tile_finish(columns, next, store, to, tile);
    }
}

/* ---- the weight gradient, winograd_weights.c; called by winograd.c's row */

#define winograd_weights_prepare ISA_NAME(conv_winograd_weights_prepare)
#define winograd_weights ISA_NAME(conv_winograd_weights)
cover_status winograd_weights_prepare(struct prepared *prepared);
cover_status winograd_weights(const struct prepared *prepared, float *dw, float *db, const struct conv_source x[CONV_SOURCES],
                              const void *dy, void *scratch, bool accumulate);

#endif
