/* Warping: warp_plain in plain/warp.c.  Cells and weights are computed for LANES pixels of a row at once; then each pixel
 * reads its corners: in images of few channels (fields) two of a row at a time, in others vector by vector along the
 * channels.  A corner outside the image is left out.
 *
 * The gradient of src is added pixel after pixel, in memory order.  A slab owns rows of it: it walks all rows of pixels that
 * may reach them, and leaves out the corners that are another slab's.  Rows are cleared shortly before they are reached, so
 * that they are still in a cache then.  A gradient of bfloat16 is added up in floats and rounded once. */
#include "interleave.h"
#include "transpose.h"

#include <math.h>

/* LANES pixels of a row: corner k of each one's cell, its pixel number (0 outside), weight (0 outside), and lanes inside;
 * bit 2 of k is the plane's, 1 the row's, 0 the column's, as in the plain form. */
struct tile {
    int64_t pixels; /* of the image */
    int corners;
    vi at[8];
    vf weight[8];
    vm inside[8];
    vf pair[4];     /* weight of corners 2 r and 2 r + 1 together */
    vf fraction[3]; /* of the grid's three axes */
};

struct frame {
    const struct grid *grid;
    enum coordinates coordinates;
    struct interleave field;
    int64_t channels;
    bool few;                   /* floats of at most COMPONENTS_MAX channels: pairs of corners are read together */
    int64_t pair[4];            /* where pair r lies, in floats from the first */
    __m256i both, apart, right; /* lanes of a pair; its halves moved to lanes 0.. and 4..; its right half moved to 0.. */
    __m256 first, slope;        /* the weights of its lanes are first + slope * fraction */
    __m128i one;                /* lanes of one pixel */
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
static void tile_at(struct tile *tile, const float *field, const struct frame *frame, int64_t row, int64_t column, int64_t count) {
    const struct grid *grid = frame->grid;
    const int first = 3 - grid->ndim;
    vf v[COMPONENTS_MAX];
    vi low[3] = {vi_all(0), vi_all(0), vi_all(0)};
    vm inside[3][2];
    load_apart(v, field + (row * grid->size[2] + column) * grid->ndim, &frame->field, count);
    const vf p[3] = {v_all((float)(row / grid->size[1])), v_all((float)(row % grid->size[1])),
                     vi_to_float(vi_add(vi_all((int32_t)column), vi_count()))};
    for (int a = first; a < 3; a++)
        low[a] = cell(&tile->fraction[a], inside[a], v[a - first], p[a], grid->size[a], frame->coordinates);
    const vm lanes = vm_first(count);
    tile->pixels = grid_pixels(grid);
    tile->corners = 1 << grid->ndim;
    const vi line = vi_add(vi_multiply(low[0], vi_all((int32_t)grid->size[1])), low[1]);
    const vi at = vi_add(vi_multiply(line, vi_all((int32_t)grid->size[2])), low[2]);
    for (int r = 0; r < tile->corners / 2; r++) {
        const int high[2] = {r >> 1, r & 1};
        const vi here = vi_add(at, vi_all((int32_t)((high[0] * grid->size[1] + high[1]) * grid->size[2])));
        vm in = vm_and(lanes, inside[1][high[1]]);
        tile->pair[r] = share(tile->fraction[1], high[1]);
        if (first == 0) {
            in = vm_and(in, inside[0][high[0]]);
            tile->pair[r] = tile->pair[r] * share(tile->fraction[0], high[0]);
        }
        for (int x = 0; x < 2; x++) {
            const vm both = vm_and(in, inside[2][x]);
            tile->at[2 * r + x] = vi_select(both, vi_add(here, vi_all(x)), vi_all(0));
            tile->weight[2 * r + x] = v_select(both, tile->pair[r] * share(tile->fraction[2], x), v_zero());
            tile->inside[2 * r + x] = both;
        }
    }
}

static struct frame frame_of(const struct grid *grid, int64_t channels, enum coordinates coordinates) {
    struct frame frame = {.grid = grid,
                          .coordinates = coordinates,
                          .field = interleave_of(grid->ndim),
                          .channels = channels,
                          .few = channels <= COMPONENTS_MAX && sizeof(element) == sizeof(float)};
    if (!frame.few) return frame;
    int32_t both[8], apart[8], right[8], one[4];
    float first[8], slope[8];
    for (int i = 0; i < 8; i++) {
        both[i] = i < 2 * channels ? -1 : 0;
        apart[i] = i % 4 < channels ? i % 4 + (i < 4 ? 0 : (int32_t)channels) : 7; /* lane 7 of fewer than four is zero */
        right[i] = (i + (int32_t)channels) % 8;
        first[i] = i < channels ? 1 : 0;
        slope[i] = i < channels ? -1 : i < 2 * channels ? 1 : 0;
        if (i < 4) one[i] = i < channels ? -1 : 0;
    }
    for (int r = 0; r < 4; r++) frame.pair[r] = ((r >> 1) * grid->size[1] + (r & 1)) * grid->size[2] * channels;
    frame.both = _mm256_loadu_si256((const __m256i *)both), frame.apart = _mm256_loadu_si256((const __m256i *)apart);
    frame.right = _mm256_loadu_si256((const __m256i *)right), frame.one = _mm_loadu_si128((const __m128i *)one);
    frame.first = _mm256_loadu_ps(first), frame.slope = _mm256_loadu_ps(slope);
    return frame;
}

/* Pixels of dsrc that a slab owns. */
struct band {
    int64_t first, end;
};

/* A tile in memory, for one pixel at a time.  `whole`: lanes with all corners inside; `kept`: corners in the band too, and
 * lanes with all corners so. */
struct corner_arrays {
    int32_t at[8][LANES];
    float weight[8][LANES], pair[4][LANES], fraction[LANES];
    unsigned inside[8], whole, kept[8], kept_whole;
};

static void spill(struct corner_arrays *arrays, const struct tile *tile, const struct band *band) {
    arrays->whole = arrays->kept_whole = ~0u;
    for (int k = 0; k < tile->corners; k++) {
        vi_store(arrays->at[k], tile->at[k]);
        v_store(arrays->weight[k], tile->weight[k]);
        arrays->inside[k] = vm_bits(tile->inside[k]);
        arrays->whole &= arrays->inside[k];
        if (!band) continue;
        arrays->kept[k] = vm_bits(vm_and(tile->inside[k], vi_within(tile->at[k], (int32_t)band->first, (int32_t)(band->end - 1))));
        arrays->kept_whole &= arrays->kept[k];
    }
    for (int r = 0; r < tile->corners / 2; r++) v_store(arrays->pair[r], tile->pair[r]);
    v_store(arrays->fraction, tile->fraction[2]);
}

/* ---- eight elements, for numbers of channels that fill no vector of LANES */
#ifndef __AVX512F__
INLINE __m256 eight_load(const element *from) { return v_load_e(from); }
INLINE void eight_store(element *to, __m256 value) { v_store_e(to, value); }
#elif defined ELEMENT_IS_BF16
INLINE __m256 eight_load(const element *from) {
    const __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(low, 16));
}
INLINE void eight_store(element *to, __m256 value) {
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(v_to_bf16(_mm512_castps256_ps512(value))));
}
#else
INLINE __m256 eight_load(const element *from) { return _mm256_loadu_ps(from); }
INLINE void eight_store(element *to, __m256 value) { _mm256_storeu_ps(to, value); }
#endif

/* One lane's corners inside the image. */
struct corners {
    int count, number[8];
    int64_t at[8]; /* pixel */
    float weight[8];
};

/* All corners, or those of `inside`; `corners` is known to the compiler. */
INLINE struct corners corners_of(const struct corner_arrays *arrays, int corners, int lane, const unsigned *inside) {
    struct corners list;
    list.count = 0;
    UNROLL for (int k = 0; k < corners; k++) {
        list.number[list.count] = k;
        list.at[list.count] = arrays->at[k][lane];
        list.weight[list.count] = arrays->weight[k][lane];
        list.count += !inside || (inside[k] >> lane & 1);
    }
    return list;
}

/* Ask for what a later pixel of the row will read if the field goes on as at `lane`: the highest row of the cell, since
 * earlier rows of pixels have read the others. */
enum { LATER = 64 };
INLINE void prefetch_later(const struct corner_arrays *arrays, const void *from, int corners, int lane, int64_t pixel_bytes,
                           int64_t pixels) {
    const int64_t at = arrays->at[corners - 2][lane] + LATER;
    for (int64_t i = 0; at < pixels && i < pixel_bytes; i += 64)
        _mm_prefetch((const char *)from + at * pixel_bytes + i, _MM_HINT_T0);
}

/* ---- forward */

/* A pixel of few channels with all corners inside; four floats are written. */
INLINE void read_pairs(float *y, const float *src, const struct corner_arrays *arrays, int lane, int pairs,
                       const struct frame *frame) {
    const float *low = src + arrays->at[0][lane] * frame->channels;
    __m256 sum = _mm256_setzero_ps();
    UNROLL for (int r = 0; r < pairs; r++) sum =
        _mm256_fmadd_ps(_mm256_set1_ps(arrays->pair[r][lane]), _mm256_maskload_ps(low + frame->pair[r], frame->both), sum);
    sum *= _mm256_fmadd_ps(frame->slope, _mm256_set1_ps(arrays->fraction[lane]), frame->first);
    _mm_storeu_ps(y, _mm256_castps256_ps128(sum + _mm256_permutevar8x32_ps(sum, frame->right)));
}

INLINE void read_few(float *y, const float *src, const struct tile *tile, int corners, const struct frame *frame, int64_t count) {
    const int64_t channels = frame->channels;
    struct corner_arrays arrays;
    float out[(LANES + 1) * COMPONENTS_MAX];
    spill(&arrays, tile, NULL);
    for (int lane = 0; lane < count; lane++) {
        float *to = out + lane * channels;
        if (arrays.whole >> lane & 1) {
            read_pairs(to, src, &arrays, lane, corners / 2, frame);
            continue;
        }
        const struct corners list = corners_of(&arrays, corners, lane, arrays.inside);
        for (int64_t c = 0; c < channels; c++) {
            to[c] = 0;
            for (int k = 0; k < list.count; k++) to[c] += list.weight[k] * src[list.at[k] * channels + c];
        }
    }
    for (int64_t i = 0; i < count * channels; i += LANES)
        v_store_first(y + i, v_load_first(out + i, count * channels - i), count * channels - i);
}

INLINE void read_pixel(element *y, const element *src, const struct corners *list, int count, int64_t channels) {
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) {
        vf sum = v_zero();
        UNROLL for (int k = 0; k < count; k++) sum = v_fma(v_all(list->weight[k]), v_load_e(src + list->at[k] * channels + c), sum);
        v_store_e(y + c, sum);
    }
    for (; c + 8 <= channels; c += 8) {
        __m256 sum = _mm256_setzero_ps();
        UNROLL for (int k = 0; k < count; k++) sum =
            _mm256_fmadd_ps(_mm256_set1_ps(list->weight[k]), eight_load(src + list->at[k] * channels + c), sum);
        eight_store(y + c, sum);
    }
    if (c == channels) return;
    vf sum = v_zero();
    UNROLL for (int k = 0; k < count; k++) sum =
        v_fma(v_all(list->weight[k]), v_load_first_e(src + list->at[k] * channels + c, channels - c), sum);
    v_store_first_e(y + c, sum, channels - c);
}

INLINE void read_many(element *y, const element *src, const struct tile *tile, int corners, int64_t channels, int64_t count) {
    struct corner_arrays arrays;
    spill(&arrays, tile, NULL);
    for (int lane = 0; lane < count; lane++, y += channels)
        if (arrays.whole >> lane & 1) {
            prefetch_later(&arrays, src, corners, lane, channels * (int64_t)sizeof *src, tile->pixels);
            const struct corners list = corners_of(&arrays, corners, lane, NULL);
            read_pixel(y, src, &list, corners, channels);
        } else {
            const struct corners list = corners_of(&arrays, corners, lane, arrays.inside);
            read_pixel(y, src, &list, list.count, channels);
        }
}

static void read_tile(element *y, const element *src, const struct tile *tile, const struct frame *frame, int64_t count) {
    if (sizeof *y == sizeof(float) && frame->few) { /* fields are floats */
        void *fields = y;
        const void *from = src;
        if (tile->corners == 4) read_few(fields, from, tile, 4, frame, count);
        else read_few(fields, from, tile, 8, frame, count);
        return;
    }
    if (tile->corners == 4) read_many(y, src, tile, 4, frame->channels, count);
    else read_many(y, src, tile, 8, frame->channels, count);
}

void FORM(warp)(void *y, const void *src, const float *field, const struct grid *grid, int64_t channels,
                enum coordinates coordinates, int slab, int slabs) {
    const struct frame frame = frame_of(grid, channels, coordinates);
    int64_t begin, end;
    if (grid_pixels(grid) > INT32_MAX) {
        PLAIN(warp)(y, src, field, grid, channels, coordinates, slab, slabs);
        return;
    }
    slab_share(grid->size[0] * grid->size[1], slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        for (int64_t column = 0; column < grid->size[2]; column += LANES) {
            const int64_t left = grid->size[2] - column, count = left < LANES ? left : LANES;
            struct tile tile;
            tile_at(&tile, field, &frame, row, column, count);
            read_tile((element *)y + (row * grid->size[2] + column) * channels, src, &tile, &frame, count);
        }
}

/* ---- backward: products[lane][k] = <src at corner k, dy>, and dsrc there += weight dy; each where it is asked for */

struct products {
    float of[LANES][8];
};

/* A pixel of few channels with all corners inside. */
INLINE void pair_products(float product[8], const float *dy, const float *src, const struct corner_arrays *arrays, int lane,
                          int pairs, const struct frame *frame) {
    const float *low = src + arrays->at[0][lane] * frame->channels;
    const __m128 one = _mm_maskload_ps(dy, frame->one);
    const __m256 gradient = _mm256_insertf128_ps(_mm256_castps128_ps256(one), one, 1);
    __m256 pair[4];
    UNROLL for (int r = 0; r < pairs; r++) pair[r] =
        gradient * _mm256_permutevar8x32_ps(_mm256_maskload_ps(low + frame->pair[r], frame->both), frame->apart);
    const __m256 ab = _mm256_hadd_ps(pair[0], pair[1]);
    __m256 cd = ab;
    if (pairs == 4) cd = _mm256_hadd_ps(pair[2], pair[3]);
    const __m256 sums = _mm256_hadd_ps(ab, cd);
    const __m128 left = _mm256_castps256_ps128(sums), right = _mm256_extractf128_ps(sums, 1);
    _mm_storeu_ps(product, _mm_unpacklo_ps(left, right));
    _mm_storeu_ps(product + 4, _mm_unpackhi_ps(left, right));
}

/* Both ways of adding to dsrc use the same operations, so that it does not matter which slab adds. */
INLINE void add_few(float *dsrc, const float *dy, const struct corner_arrays *arrays, int lane, int corners, int channels,
                    bool whole) {
    UNROLL for (int k = 0; k < corners; k++) {
        if (!whole && !(arrays->kept[k] >> lane & 1)) continue;
        float *to = dsrc + (int64_t)arrays->at[k][lane] * channels;
        UNROLL for (int c = 0; c < channels; c++) to[c] = __builtin_fmaf(arrays->weight[k][lane], dy[c], to[c]);
    }
}

INLINE void add_tile(float *dsrc, const float *dy, const struct corner_arrays *arrays, int corners, int channels, int64_t count) {
    for (int lane = 0; lane < count; lane++, dy += channels)
        if (arrays->kept_whole >> lane & 1) add_few(dsrc, dy, arrays, lane, corners, channels, true);
        else add_few(dsrc, dy, arrays, lane, corners, channels, false);
}

INLINE void grad_few(struct products *products, float *dsrc, const float *dy, const float *src, const struct corner_arrays *arrays,
                     int corners, const struct frame *frame, int64_t count) {
    const int64_t channels = frame->channels;
    for (int lane = 0; products && lane < count; lane++) {
        const float *gradient = dy + lane * channels;
        if (arrays->whole >> lane & 1) {
            pair_products(products->of[lane], gradient, src, arrays, lane, corners / 2, frame);
            continue;
        }
        for (int k = 0; k < corners; k++) {
            products->of[lane][k] = 0;
            for (int64_t c = 0; arrays->inside[k] >> lane & 1 && c < channels; c++)
                products->of[lane][k] += gradient[c] * src[arrays->at[k][lane] * channels + c];
        }
    }
    if (!dsrc) return;
    if (channels == 1) add_tile(dsrc, dy, arrays, corners, 1, count);
    else if (channels == 2) add_tile(dsrc, dy, arrays, corners, 2, count);
    else if (channels == 3) add_tile(dsrc, dy, arrays, corners, 3, count);
    else add_tile(dsrc, dy, arrays, corners, 4, count);
}

/* One pixel of many channels; products of corners that are not on the list are not touched. */
INLINE void grad_pixel(float product[8], float *dsrc, const element *dy, const element *src, const struct corners *list, int count,
                       int64_t channels) {
    vf sum[8];
    __m256 eight[8];
    int64_t c = 0;
    UNROLL for (int k = 0; k < 8; k++) sum[k] = v_zero(), eight[k] = _mm256_setzero_ps();
    for (; c + LANES <= channels; c += LANES) {
        const vf gradient = v_load_e(dy + c);
        UNROLL for (int k = 0; k < count; k++) {
            const int64_t at = list->at[k] * channels + c;
            if (product) sum[k] = v_fma(gradient, v_load_e(src + at), sum[k]);
            if (dsrc) v_store(dsrc + at, v_fma(v_all(list->weight[k]), gradient, v_load(dsrc + at)));
        }
    }
    for (; c + 8 <= channels; c += 8) {
        const __m256 gradient = eight_load(dy + c);
        UNROLL for (int k = 0; k < count; k++) {
            const int64_t at = list->at[k] * channels + c;
            if (product) eight[k] = _mm256_fmadd_ps(gradient, eight_load(src + at), eight[k]);
            if (dsrc)
                _mm256_storeu_ps(dsrc + at, _mm256_fmadd_ps(_mm256_set1_ps(list->weight[k]), gradient, _mm256_loadu_ps(dsrc + at)));
        }
    }
    if (c < channels) {
        const vm left = vm_first(channels - c);
        const vf gradient = v_load_first_e(dy + c, channels - c);
        UNROLL for (int k = 0; k < count; k++) {
            const int64_t at = list->at[k] * channels + c;
            if (product) sum[k] = v_fma(gradient, v_load_first_e(src + at, channels - c), sum[k]);
            if (dsrc) v_store_some(dsrc + at, v_fma(v_all(list->weight[k]), gradient, v_load_some(dsrc + at, left)), left);
        }
    }
    if (!product) return;
    float sums[8];
    UNROLL for (int k = 0; k < 8; k++) eight[k] += v_halves(sum[k]);
    UNROLL for (int k = 0; k < 8 && k < count; k += 4) {
        const __m256 ab = _mm256_hadd_ps(eight[k], eight[k + 1]), cd = _mm256_hadd_ps(eight[k + 2], eight[k + 3]);
        const __m256 abcd = _mm256_hadd_ps(ab, cd);
        _mm_storeu_ps(sums + k, _mm256_castps256_ps128(abcd) + _mm256_extractf128_ps(abcd, 1));
    }
    UNROLL for (int k = 0; k < count; k++) product[list->number[k]] = sums[k];
}

INLINE void grad_many(struct products *products, float *dsrc, const element *dy, const element *src,
                      const struct corner_arrays *arrays, int corners, const struct frame *frame, int64_t count) {
    const int64_t channels = frame->channels, pixels = grid_pixels(frame->grid);
    for (int lane = 0; lane < count; lane++, dy += channels) {
        float *product = products ? products->of[lane] : NULL;
        if (arrays->whole >> lane & 1 && (!dsrc || arrays->kept_whole >> lane & 1)) {
            const struct corners list = corners_of(arrays, corners, lane, NULL);
            if (product) prefetch_later(arrays, src, corners, lane, channels * (int64_t)sizeof *src, pixels);
            if (dsrc) prefetch_later(arrays, dsrc, corners, lane, channels * (int64_t)sizeof *dsrc, pixels);
            grad_pixel(product, dsrc, dy, src, &list, corners, channels);
            continue;
        }
        if (product) {
            const struct corners list = corners_of(arrays, corners, lane, arrays->inside);
            grad_pixel(product, NULL, dy, src, &list, list.count, channels);
        }
        if (dsrc) {
            const struct corners list = corners_of(arrays, corners, lane, arrays->kept);
            grad_pixel(NULL, dsrc, dy, src, &list, list.count, channels);
        }
    }
}

static void grad_tile(struct products *products, float *dsrc, const element *dy, const element *src, const struct tile *tile,
                      const struct frame *frame, const struct band *band, int64_t count) {
    struct corner_arrays arrays;
    spill(&arrays, tile, band);
    if (products && (!frame->few || count < LANES)) memset(products, 0, sizeof *products);
    if (sizeof *src == sizeof(float) && frame->few) {
        const void *gradient = dy, *from = src;
        if (tile->corners == 4) grad_few(products, dsrc, gradient, from, &arrays, 4, frame, count);
        else grad_few(products, dsrc, gradient, from, &arrays, 8, frame, count);
        return;
    }
    if (tile->corners == 4) grad_many(products, dsrc, dy, src, &arrays, 4, frame, count);
    else grad_many(products, dsrc, dy, src, &arrays, 8, frame, count);
}

/* dfield of a tile from the products. */
static void grad_field(float *dfield, const struct products *products, const struct tile *tile, const struct frame *frame,
                       int64_t count) {
    const struct grid *grid = frame->grid;
    const int first = 3 - grid->ndim;
    static const int64_t place[8] = {0, LANES, 2 * LANES, 3 * LANES, 4 * LANES, 5 * LANES, 6 * LANES, 7 * LANES};
    float product[8 * LANES];
    vf out[COMPONENTS_MAX];
    channels_apart(product, place, products->of[0], LANES, 8, 1);
    for (int a = first; a < 3; a++) {
        const float size = (float)grid->size[a];
        vf sum = v_zero();
        for (int k = 0; k < tile->corners; k++) {
            vf weight = v_all(k >> (2 - a) & 1 ? 1 : -1);
            for (int b = first; b < 3; b++)
                if (b != a) weight = weight * share(tile->fraction[b], k >> (2 - b) & 1);
            sum = sum + v_select(tile->inside[k], weight * v_load(product + k * LANES), v_zero());
        }
        const bool stretched = frame->coordinates == COORDINATES_RELEASED && size > 1;
        out[a - first] = sum * v_all(stretched ? size / (size - 1) : 1);
    }
    store_together(dfield, out, &frame->field, count);
}

/* The rows of dsrc, *low to *high, that a row of pixels may reach; false if none. */
static bool row_reach(int64_t *low, int64_t *high, const float *field, const struct frame *frame, int64_t row) {
    const struct grid *grid = frame->grid;
    const int first = 3 - grid->ndim;
    const float p[2] = {(float)(row / grid->size[1]), (float)(row % grid->size[1])};
    const vf none = v_all(-INFINITY);
    vf most[2] = {none, none}, least[2] = {none, none}; /* least: of minus the corner */
    for (int64_t column = 0; column < grid->size[2]; column += LANES) {
        vf v[COMPONENTS_MAX], fraction;
        load_apart(v, field + (row * grid->size[2] + column) * grid->ndim, &frame->field, grid->size[2] - column);
        for (int a = first; a < 2; a++) {
            vm inside[2];
            inside[0] = vm_first(grid->size[2] - column);
            vf at = vi_to_float(cell(&fraction, inside, v[a - first], v_all(p[a]), grid->size[a], frame->coordinates));
            const vm in = vm_and(vm_first(grid->size[2] - column), V_COMPARE(at, _CMP_GE_OQ, v_all(-1)));
            const vm below = vm_and(in, V_COMPARE(at, _CMP_LT_OQ, v_all((float)grid->size[a])));
            most[a] = v_max(most[a], v_select(below, at, none));
            least[a] = v_max(least[a], v_select(below, v_zero() - at, none));
        }
    }
    *low = *high = 0;
    for (int a = first; a < 2; a++) {
        float up[LANES], down[LANES], from = -INFINITY, to = -INFINITY;
        v_store(up, most[a]), v_store(down, least[a]);
        for (int i = 0; i < LANES; i++) to = up[i] > to ? up[i] : to, from = down[i] > from ? down[i] : from;
        if (to < -1) return false;
        const int64_t last = grid->size[a] - 1, begin = -(int64_t)from, end = (int64_t)to + 1;
        *low = *low * grid->size[a] + (begin < 0 ? 0 : begin);
        *high = *high * grid->size[a] + (end > last ? last : end);
    }
    return true;
}

void FORM(warp_grad)(void *dsrc, float *dfield, const void *dy, const void *src, const float *field, const struct grid *grid,
                     int64_t channels, enum coordinates coordinates, int slab, int slabs, float *sums) {
    const struct frame frame = frame_of(grid, channels, coordinates);
    const int64_t rows = grid->size[0] * grid->size[1], width = grid->size[2];
    if (grid_pixels(grid) > INT32_MAX) {
        PLAIN(warp_grad)(dsrc, dfield, dy, src, field, grid, channels, coordinates, slab, slabs, sums);
        return;
    }
    int64_t begin, end;
    slab_share(rows, slab, slabs, &begin, &end);
    if (begin == end) return;
    const struct band band = {begin * width, end * width};
    float *sum = sizeof(element) == sizeof(float) ? dsrc : sums;
    int64_t clear = begin; /* rows of the sum before this one are in use */
    for (int64_t row = 0; row < rows; row++) {
        const bool own = dfield && row >= begin && row < end;
        int64_t low, high;
        float *to = NULL;
        if (dsrc && row_reach(&low, &high, field, &frame, row) && low < end && high >= begin) to = sum;
        for (; to && clear < end && clear <= high; clear++)
            memset(sum + clear * width * channels, 0, (size_t)(width * channels) * sizeof *sum);
        for (int64_t column = 0; (own || to) && column < width; column += LANES) {
            const int64_t left = width - column, count = left < LANES ? left : LANES, pixel = row * width + column;
            struct tile tile;
            struct products products;
            tile_at(&tile, field, &frame, row, column, count);
            grad_tile(own ? &products : NULL, to, (const element *)dy + pixel * channels, src, &tile, &frame, &band, count);
            if (own) grad_field(dfield + pixel * grid->ndim, &products, &tile, &frame, count);
        }
    }
    if (!dsrc) return;
    memset(sum + clear * width * channels, 0, (size_t)((end - clear) * width * channels) * sizeof *sum);
    for (int64_t i = band.first * channels; (void *)sum != dsrc && i < band.end * channels; i += LANES)
        v_store_first_e((element *)dsrc + i, v_load_first(sum + i, band.end * channels - i), band.end * channels - i);
}
