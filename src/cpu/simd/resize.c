/* Upsampling with half-pixel centres: upsample_plain and its gradient in plain/resize.c, vectors along the channels.
 *
 * On each axis the outputs 2j + 1 and 2j + 2 lie between the deep pixels j and j + 1, at a quarter and at three quarters.
 * At both ends a neighbour that is not there is the pixel at the end itself, here as in the sum of its weights; and what
 * would be written before the first or behind the last output is equal to it, so it is written there. */
#include "vec.h"

enum { VECTORS = 2 }; /* of channels at a time */

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i < n ? i : n - 1; }

/* ---- forward */

/* Rows of the deep image around one cell, and the rows of y within; 2 in 2D, 4 in 3D, a bit an axis. */
struct cell {
    const element *deep[4];
    element *y[4];
};

/* Along one axis: the bit `axis` of a row's number. */
INLINE void blend_axis(vf *row, int rows, int axis) {
    UNROLL for (int r = 0; r < rows; r++) {
        if (r & axis) continue;
        const vf low = row[r], high = row[r | axis];
        row[r] = v_fma(v_all(0.75f), low, v_all(0.25f) * high);
        row[r | axis] = v_fma(v_all(0.75f), high, v_all(0.25f) * low);
    }
}

/* LANES channels of column `at`, in elements of a deep row, blended to the rows of y. */
INLINE void up_column(vf *row, const struct cell *cell, int rows, int64_t at, const struct norm_load *norm, vf scale, vf offset,
                      int64_t left) {
    UNROLL for (int r = 0; r < rows; r++) row[r] = v_normed(v_load_first_e(cell->deep[r] + at, left), norm, scale, offset);
    blend_axis(row, rows, 1);
    if (rows == 4) blend_axis(row, rows, 2);
}

/* Channels c .. c + vectors * LANES of all columns, `left` of them exist. */
INLINE void up_channels(const struct cell *cell, int rows, int vectors, const struct norm_load *norm, int64_t width,
                        int64_t channels, int64_t c, int64_t left) {
    vf low[VECTORS][4], high[VECTORS][4], scale[VECTORS], offset[VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        v_load_norm(&scale[v], &offset[v], norm, c + v * LANES, left);
        up_column(low[v], cell, rows, c + v * LANES, norm, scale[v], offset[v], left);
        UNROLL for (int r = 0; r < rows; r++) v_store_first_e(cell->y[r] + c + v * LANES, low[v][r], left);
    }
    for (int64_t j = 0; j + 1 < width; j++) UNROLL for (int v = 0; v < vectors; v++) {
            const int64_t at = c + v * LANES;
            up_column(high[v], cell, rows, (j + 1) * channels + at, norm, scale[v], offset[v], left);
            UNROLL for (int r = 0; r < rows; r++) {
                element *out = cell->y[r] + (2 * j + 1) * channels + at;
                v_store_first_e(out, v_fma(v_all(0.75f), low[v][r], v_all(0.25f) * high[v][r]), left);
                v_store_first_e(out + channels, v_fma(v_all(0.75f), high[v][r], v_all(0.25f) * low[v][r]), left);
                low[v][r] = high[v][r];
            }
        }
    UNROLL for (int v = 0; v < vectors; v++) UNROLL for (int r = 0; r < rows; r++)
        v_store_first_e(cell->y[r] + (2 * width - 1) * channels + c + v * LANES, low[v][r], left);
}

INLINE void up_cell(const struct cell *cell, int rows, const struct norm_load *norm, int64_t width, int64_t channels) {
    int64_t c = 0;
    for (; c + VECTORS * LANES <= channels; c += VECTORS * LANES)
        up_channels(cell, rows, VECTORS, norm, width, channels, c, VECTORS * LANES);
    for (; c < channels; c += LANES) up_channels(cell, rows, 1, norm, width, channels, c, channels - c);
}

/* Cell `number` of (planes + 1 in 3D) x (lines + 1). */
static struct cell cell_of(int64_t number, element *y, const element *deep, const struct grid *grid, int64_t channels) {
    const int64_t height = grid->size[1], h = number % (height + 1) - 1, z = number / (height + 1) - (grid->ndim == 3);
    struct cell cell;
    for (int r = 0; r < 1 << (grid->ndim - 1); r++) {
        const int64_t plane = grid->ndim == 3 ? clamp(z + (r >> 1), grid->size[0]) : 0;
        const int64_t out_plane = grid->ndim == 3 ? clamp(2 * z + 1 + (r >> 1), 2 * grid->size[0]) : 0;
        cell.deep[r] = deep + (plane * height + clamp(h + (r & 1), height)) * grid->size[2] * channels;
        cell.y[r] = y + (out_plane * 2 * height + clamp(2 * h + 1 + (r & 1), 2 * height)) * 2 * grid->size[2] * channels;
    }
    return cell;
}

static void up(const struct cell *cell, const struct norm_load *norm, const struct grid *grid, int64_t channels) {
    if (grid->ndim == 3 && norm) up_cell(cell, 4, norm, grid->size[2], channels);
    else if (grid->ndim == 3) up_cell(cell, 4, NULL, grid->size[2], channels);
    else if (norm) up_cell(cell, 2, norm, grid->size[2], channels);
    else up_cell(cell, 2, NULL, grid->size[2], channels);
}

void FORM(upsample)(void *y, const void *deep, const struct norm_load *norm, const struct grid *grid, int64_t channels, int slab,
                    int slabs) {
    int64_t begin, end;
    slab_share((grid->ndim == 3 ? grid->size[0] + 1 : 1) * (grid->size[1] + 1), slab, slabs, &begin, &end);
    for (int64_t number = begin; number < end; number++) {
        const struct cell cell = cell_of(number, y, deep, grid, channels);
        up(&cell, norm, grid, channels);
    }
}

/* ---- backward */

/* The rows of dy that a row of ddeep gets gradient from, and their weights; 4 in 2D, 16 in 3D. */
struct blend {
    const element *row[16];
    float weight[16];
};

static struct blend blend_of(int64_t row, const element *dy, const struct grid *grid, int64_t channels) {
    static const float weight[] = {0.25f, 0.75f, 0.75f, 0.25f};
    const int64_t height = 2 * grid->size[1], plane = row / grid->size[1], h = row % grid->size[1];
    struct blend blend;
    for (int r = 0; r < (grid->ndim == 3 ? 16 : 4); r++) {
        const int64_t z = grid->ndim == 3 ? clamp(2 * plane - 1 + (r >> 2), 2 * grid->size[0]) : 0;
        blend.row[r] = dy + (z * height + clamp(2 * h - 1 + (r & 3), height)) * 2 * grid->size[2] * channels;
        blend.weight[r] = weight[r & 3] * (grid->ndim == 3 ? weight[r >> 2] : 1);
    }
    return blend;
}

/* LANES channels of column `at`, in elements of a row of dy. */
INLINE vf down_column(const struct blend *blend, int rows, int64_t at, int64_t left) {
    vf sum = v_all(blend->weight[0]) * v_load_first_e(blend->row[0] + at, left);
    UNROLL for (int r = 1; r < rows; r++) sum = v_fma(v_all(blend->weight[r]), v_load_first_e(blend->row[r] + at, left), sum);
    return sum;
}

/* Ask for pixels ahead of column j in the rows of dy that the row of ddeep before did not read: the last two of each
 * plane.  They are many and far apart, more than the processor follows by itself. */
INLINE void prefetch_ahead(const struct blend *blend, int rows, int64_t j, int64_t width, int64_t channels) {
    enum { AHEAD = 12, LINE = 64 / sizeof(element) };
    if (2 * j + AHEAD + 2 > 2 * width) return;
    for (int r = 0; r < rows; r++)
        for (int64_t i = 0; r % 4 >= 2 && i < 2 * channels; i += LINE)
            _mm_prefetch((const char *)(blend->row[r] + (2 * j + AHEAD) * channels + i), _MM_HINT_T0);
}

/* Channels c .. c + vectors * LANES of a row of ddeep, `left` of them exist: each of its pixels gets gradient from four
 * columns, two of which serve the next, too. */
INLINE void down_channels(element *ddeep, const struct blend *blend, int rows, int vectors, int64_t width, int64_t channels,
                          int64_t c, int64_t left) {
    const vf near = v_all(0.75f), far = v_all(0.25f);
    vf inside[VECTORS], outside[VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) inside[v] = outside[v] = down_column(blend, rows, c + v * LANES, left);
    for (int64_t j = 0; j < width; j++) {
        if (c == 0) prefetch_ahead(blend, rows, j, width, channels);
        UNROLL for (int v = 0; v < vectors; v++) {
            const int64_t at = (2 * j + 1) * channels + c + v * LANES;
            const vf third = down_column(blend, rows, at, left);
            const vf last = j + 1 < width ? down_column(blend, rows, at + channels, left) : third;
            const vf sum = v_fma(near, inside[v] + third, far * (outside[v] + last));
            v_store_first_e(ddeep + j * channels + c + v * LANES, sum, left);
            outside[v] = third, inside[v] = last;
        }
    }
}

INLINE void down_row(element *ddeep, const struct blend *blend, int rows, int64_t width, int64_t channels) {
    int64_t c = 0;
    for (; c + VECTORS * LANES <= channels; c += VECTORS * LANES)
        down_channels(ddeep, blend, rows, VECTORS, width, channels, c, VECTORS * LANES);
    for (; c < channels; c += LANES) down_channels(ddeep, blend, rows, 1, width, channels, c, channels - c);
}

static void down(element *ddeep, const element *dy, const struct grid *grid, int64_t row, int64_t channels) {
    const struct blend blend = blend_of(row, dy, grid, channels);
    element *out = ddeep + row * grid->size[2] * channels;
    if (grid->ndim == 3) down_row(out, &blend, 16, grid->size[2], channels);
    else down_row(out, &blend, 4, grid->size[2], channels);
}

void FORM(upsample_grad)(void *ddeep, const void *dy, const struct grid *grid, int64_t channels, int slab, int slabs) {
    int64_t begin, end;
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) down(ddeep, dy, grid, row, channels);
}
