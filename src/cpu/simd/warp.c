/* Warping: warp_plain in plain/warp.c.  Cells and weights are computed for LANES pixels of a row at once; then images of
 * few channels (fields) gather their corners lane by lane, others read them vector by vector along the channels.
 * A corner outside the image is left out; the gradient of src is added pixel after pixel, in memory order. */
#include "interleave.h"

/* LANES pixels of a row: corner k of each one's cell, its pixel number (0 outside), weight (0 outside), and lanes inside;
 * bit 2 of k is the plane's, 1 the row's, 0 the column's, as in the plain form. */
struct tile {
    int64_t pixels; /* of the image */
    int corners;
    vi at[8];
    vf weight[8];
    vm inside[8];
    vf fraction[3]; /* of the grid's three axes */
};

struct frame {
    const struct grid *grid;
    enum coordinates coordinates;
    struct interleave field;
};

/* Axis `a` of a tile: the cell's low corner and which corners are inside. */
INLINE vi cell(vf *fraction, vm inside[2], vf v, vf p, int64_t size, enum coordinates coordinates) {
    const vf extent = v_all((float)size);
    vf d = v;
    if (coordinates == COORDINATES_RELEASED) d = v + (p + v) / v_all((float)(size - 1)) - v_all(0.5f);
    const vf whole = v_floor(d), low = p + whole;
    *fraction = d - whole;
    const vm high_inside = V_COMPARE(low, _CMP_LT_OQ, extent - v_all(1)); /* NaN and huge ones compare false */
    const vm low_inside = V_COMPARE(low, _CMP_LT_OQ, extent);
    inside[0] = vm_and(low_inside, V_COMPARE(low, _CMP_GE_OQ, v_zero()));
    inside[1] = vm_and(high_inside, V_COMPARE(low, _CMP_GE_OQ, v_all(-1)));
    return v_to_int(low); /* of no meaning, and not used, where no corner is inside */
}

/* w(high, fraction) */
INLINE vf share(vf fraction, int high) {
    if (high) return fraction;
    return v_all(1) - fraction;
}

/* The tile of `count` pixels at (row, column). */
static void tile_at(struct tile *tile, const float *field, const struct frame *frame, int64_t row, int64_t column,
                    int64_t count) {
    const struct grid *grid = frame->grid;
    const int first = 3 - grid->ndim;
    vf v[COMPONENTS_MAX];
    vi low[3] = {vi_all(0), vi_all(0), vi_all(0)};
    vm inside[3][2];
    inside[0][0] = vm_first(count);
    load_apart(v, field + (row * grid->size[2] + column) * grid->ndim, &frame->field, count);
    const vf p[3] = {v_all((float)(row / grid->size[1])), v_all((float)(row % grid->size[1])),
                     vi_to_float(vi_add(vi_all((int32_t)column), vi_count()))};
    for (int a = first; a < 3; a++)
        low[a] = cell(&tile->fraction[a], inside[a], v[a - first], p[a], grid->size[a], frame->coordinates);
    const vm lanes = vm_first(count);
    tile->pixels = grid_pixels(grid);
    tile->corners = 1 << grid->ndim;
    for (int k = 0; k < tile->corners; k++) {
        const int high[3] = {k >> 2 & 1, k >> 1 & 1, k & 1};
        vi at = vi_all(0);
        vf weight = v_all(1);
        vm in = lanes;
        for (int a = 0; a < 3; a++) {
            at = vi_add(vi_multiply(at, vi_all((int32_t)grid->size[a])), vi_add(low[a], vi_all(high[a])));
            if (a < first) continue;
            weight = weight * share(tile->fraction[a], high[a]);
            in = vm_and(in, inside[a][high[a]]);
        }
        tile->at[k] = vi_select(in, at, vi_all(0));
        tile->weight[k] = v_select(in, weight, v_zero());
        tile->inside[k] = in;
    }
}

/* A tile in memory, for one pixel at a time.  `whole`: lanes with all corners inside. */
struct corner_arrays {
    int32_t at[8][LANES];
    float weight[8][LANES];
    unsigned inside[8], whole;
};

static void spill(struct corner_arrays *arrays, const struct tile *tile) {
    arrays->whole = ~0u;
    for (int k = 0; k < tile->corners; k++) {
        vi_store(arrays->at[k], tile->at[k]);
        v_store(arrays->weight[k], tile->weight[k]);
        arrays->inside[k] = vm_bits(tile->inside[k]);
        arrays->whole &= arrays->inside[k];
    }
}

/* One lane's corners inside the image. */
struct corners {
    int count, number[8];
    int64_t at[8]; /* pixel */
    float weight[8];
};

/* All corners, or those inside; `corners` is known to the compiler. */
INLINE struct corners corners_of(const struct corner_arrays *arrays, int corners, int lane, bool whole) {
    struct corners list;
    list.count = 0;
    UNROLL for (int k = 0; k < corners; k++) {
        list.number[list.count] = k;
        list.at[list.count] = arrays->at[k][lane];
        list.weight[list.count] = arrays->weight[k][lane];
        list.count += whole || (arrays->inside[k] >> lane & 1);
    }
    return list;
}

/* Ask for what a later pixel of the row will read if the field goes on as at `lane`: the highest row of the cell, since
 * earlier rows of pixels have read the others. */
enum { LATER = 64 };
INLINE void prefetch_later(const struct corner_arrays *arrays, const float *from, int corners, int lane, int64_t channels,
                           int64_t pixels) {
    const int64_t at = arrays->at[corners - 2][lane] + LATER;
    for (int64_t c = 0; at < pixels && c < channels; c += 64 / (int64_t)sizeof(float))
        _mm_prefetch((const char *)(from + at * channels + c), _MM_HINT_T0);
}

/* ---- forward */

static void read_few(float *y, const float *src, const struct tile *tile, const struct interleave *plan,
                     int64_t count) {
    vf out[COMPONENTS_MAX];
    vi element[8];
    for (int k = 0; k < tile->corners; k++) element[k] = vi_multiply(tile->at[k], vi_all(plan->components));
    for (int c = 0; c < plan->components; c++) {
        out[c] = v_zero();
        for (int k = 0; k < tile->corners; k++)
            out[c] = v_fma(tile->weight[k], v_gather(src + c, element[k], tile->inside[k]), out[c]);
    }
    store_together(y, out, plan, count);
}

INLINE void read_pixel(float *y, const float *src, const struct corners *list, int count, int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vf sum = v_zero();
        UNROLL for (int k = 0; k < count; k++)
            sum = v_fma(v_all(list->weight[k]), v_load_first(src + list->at[k] * channels + c, channels - c), sum);
        v_store_first(y + c, sum, channels - c);
    }
}

INLINE void read_tile(float *y, const float *src, const struct tile *tile, int corners, int64_t channels,
                      int64_t count) {
    struct corner_arrays arrays;
    spill(&arrays, tile);
    for (int lane = 0; lane < count; lane++, y += channels)
        if (arrays.whole >> lane & 1) {
            prefetch_later(&arrays, src, corners, lane, channels, tile->pixels);
            const struct corners list = corners_of(&arrays, corners, lane, true);
            read_pixel(y, src, &list, corners, channels);
        } else {
            const struct corners list = corners_of(&arrays, corners, lane, false);
            read_pixel(y, src, &list, list.count, channels);
        }
}

static void read_many(float *y, const float *src, const struct tile *tile, int64_t channels, int64_t count) {
    if (tile->corners == 4) read_tile(y, src, tile, 4, channels, count);
    else read_tile(y, src, tile, 8, channels, count);
}

/* Gathering needs element numbers that fit 32 bits, tiles need such pixel numbers. */
static bool few(const struct grid *grid, int64_t channels) {
    return channels <= COMPONENTS_MAX && grid_pixels(grid) * channels <= INT32_MAX;
}

void FORM(warp)(float *y, const float *src, const float *field, const struct grid *grid, int64_t channels,
                enum coordinates coordinates, int slab, int slabs) {
    const struct frame frame = {grid, coordinates, interleave_of(grid->ndim)};
    const bool gather = few(grid, channels);
    const struct interleave plan = interleave_of(gather ? (int)channels : 1);
    int64_t begin, end;
    if (grid_pixels(grid) > INT32_MAX) {
        warp_plain(y, src, field, grid, channels, coordinates, slab, slabs);
        return;
    }
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t column = 0; column < grid->size[2]; column += LANES) {
            const int64_t left = grid->size[2] - column, count = left < LANES ? left : LANES;
            float *out = y + (row * grid->size[2] + column) * channels;
            struct tile tile;
            tile_at(&tile, field, &frame, row, column, count);
            if (gather) read_few(out, src, &tile, &plan, count);
            else read_many(out, src, &tile, channels, count);
        }
}

/* ---- backward */

/* product[k] = <src at corner k, dy>, zero outside, and dsrc there += weight dy; each where it is not NULL. */
static void grad_few(vf *product, float *dsrc, const float *dy, const float *src, const struct tile *tile,
                     const struct interleave *plan, int64_t count) {
    vf gradient[COMPONENTS_MAX];
    load_apart(gradient, dy, plan, count);
    for (int k = 0; product && k < tile->corners; k++) {
        const vi element = vi_multiply(tile->at[k], vi_all(plan->components));
        product[k] = v_zero();
        for (int c = 0; c < plan->components; c++)
            product[k] = v_fma(gradient[c], v_gather(src + c, element, tile->inside[k]), product[k]);
    }
    if (!dsrc) return;
    struct corner_arrays arrays;
    spill(&arrays, tile);
    for (int lane = 0; lane < count; lane++)
        for (int k = 0; k < tile->corners; k++) {
            if (!(arrays.inside[k] >> lane & 1)) continue;
            float *to = dsrc + (int64_t)arrays.at[k][lane] * plan->components;
            for (int c = 0; c < plan->components; c++)
                to[c] += arrays.weight[k][lane] * dy[lane * plan->components + c];
        }
}

/* One pixel of many channels; products of corners that are not on the list are not touched. */
INLINE void grad_pixel(float product[8], float *dsrc, const float *dy, const float *src, const struct corners *list,
                       int count, int64_t channels, bool products) {
    vf sum[8];
    UNROLL for (int k = 0; k < 8; k++) sum[k] = v_zero();
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t left = channels - c;
        const vf gradient = v_load_first(dy + c, left);
        UNROLL for (int k = 0; k < count; k++) {
            const int64_t at = list->at[k] * channels + c;
            if (products) sum[k] = v_fma(gradient, v_load_first(src + at, left), sum[k]);
            if (!dsrc) continue;
            v_store_first(dsrc + at, v_fma(v_all(list->weight[k]), gradient, v_load_first(dsrc + at, left)), left);
        }
    }
    float sums[8];
    v_sum4(sums, sum);
    if (count > 4) v_sum4(sums + 4, sum + 4);
    UNROLL for (int k = 0; k < count; k++) product[list->number[k]] = sums[k];
}

INLINE void grad_tile(vf *product, float *dsrc, const float *dy, const float *src, const struct tile *tile, int corners,
                      int64_t channels, int64_t count) {
    struct corner_arrays arrays;
    float products[LANES][8] = {{0}};
    spill(&arrays, tile);
    for (int lane = 0; lane < count; lane++, dy += channels)
        if (arrays.whole >> lane & 1) {
            const struct corners list = corners_of(&arrays, corners, lane, true);
            if (product) prefetch_later(&arrays, src, corners, lane, channels, tile->pixels);
            if (dsrc) prefetch_later(&arrays, dsrc, corners, lane, channels, tile->pixels);
            grad_pixel(products[lane], dsrc, dy, src, &list, corners, channels, product);
        } else {
            const struct corners list = corners_of(&arrays, corners, lane, false);
            grad_pixel(products[lane], dsrc, dy, src, &list, list.count, channels, product);
        }
    const vi row = vi_multiply(vi_count(), vi_all(8));
    for (int k = 0; product && k < corners; k++) product[k] = v_gather(products[0] + k, row, vm_first(LANES));
}

static void grad_many(vf *product, float *dsrc, const float *dy, const float *src, const struct tile *tile,
                      int64_t channels, int64_t count) {
    if (tile->corners == 4) grad_tile(product, dsrc, dy, src, tile, 4, channels, count);
    else grad_tile(product, dsrc, dy, src, tile, 8, channels, count);
}

/* dfield of a tile from the products. */
static void grad_field(float *dfield, const vf product[8], const struct tile *tile, const struct frame *frame,
                       int64_t count) {
    const struct grid *grid = frame->grid;
    const int first = 3 - grid->ndim;
    vf out[COMPONENTS_MAX];
    for (int a = first; a < 3; a++) {
        const float size = (float)grid->size[a];
        vf sum = v_zero();
        for (int k = 0; k < tile->corners; k++) {
            vf weight = v_all(k >> (2 - a) & 1 ? 1 : -1);
            for (int b = first; b < 3; b++)
                if (b != a) weight = weight * share(tile->fraction[b], k >> (2 - b) & 1);
            sum = sum + v_select(tile->inside[k], weight * product[k], v_zero());
        }
        const bool stretched = frame->coordinates == COORDINATES_RELEASED && size > 1;
        out[a - first] = sum * v_all(stretched ? size / (size - 1) : 1);
    }
    store_together(dfield, out, &frame->field, count);
}

void FORM(warp_grad)(float *dsrc, float *dfield, const float *dy, const float *src, const float *field,
                     const struct grid *grid, int64_t channels, enum coordinates coordinates) {
    const struct frame frame = {grid, coordinates, interleave_of(grid->ndim)};
    const bool gather = few(grid, channels);
    const struct interleave plan = interleave_of(gather ? (int)channels : 1);
    if (grid_pixels(grid) > INT32_MAX) {
        warp_grad_plain(dsrc, dfield, dy, src, field, grid, channels, coordinates);
        return;
    }
    if (dsrc) memset(dsrc, 0, (size_t)(grid_pixels(grid) * channels) * sizeof *dsrc);
    for (int64_t row = 0; row < grid->size[0] * grid->size[1]; row++)
        for (int64_t column = 0; column < grid->size[2]; column += LANES) {
            const int64_t left = grid->size[2] - column, count = left < LANES ? left : LANES;
            const int64_t pixel = row * grid->size[2] + column;
            struct tile tile;
            vf product[8];
            tile_at(&tile, field, &frame, row, column, count);
            if (gather) grad_few(dfield ? product : NULL, dsrc, dy + pixel * channels, src, &tile, &plan, count);
            else grad_many(dfield ? product : NULL, dsrc, dy + pixel * channels, src, &tile, channels, count);
            if (dfield) grad_field(dfield + pixel * grid->ndim, product, &tile, &frame, count);
        }
}
