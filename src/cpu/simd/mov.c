/* MoV: mov_plain in plain/mov.c, LANES pixels of a row at a time.
 *
 * Rows are turned channel by channel into padded rows, so that key(p + o) for LANES pixels p is one unaligned load; a ring
 * holds the key rows within the radius.  Columns outside hold zero keys and a logit of -1000 to start from; rows outside
 * are skipped.  The softmax is to base 2, query rows being scaled by log2(e) / sqrt(d).
 *
 * Backwards, the logit gradients of one row of pixels and one head are kept; from them dquery is summed over keys, and
 * each row of dkey sums over the pixels that see it, in a fixed order.  Until a row of dkey is complete it lies in its
 * place channel by channel; no other memory grows with the image's height. */
#include "interleave.h"

#include <math.h>

static const float outside_logit = -1000.0f;
static const float log2_e = 1.44269504088896340736f, ln_2 = 0.69314718055994530942f;

struct work {
    const struct mov_shape *s;
    int64_t height, width, dim; /* dim: channels a head */
    int radius, window, planes; /* 2 radius + 1 rows a plane and, in 3D, planes */
    int64_t left, padded;       /* a padded row has `left` elements before column 0 and `padded` in all */
    int64_t row_floats;         /* all channels of a padded row */
    int64_t step;               /* from one channel of a head to its next */
    float scale;                /* of query rows */
    const float **keys;         /* planes x window rows of keys around the row in work, NULL outside */
    float *query, *ring;        /* channels x padded; planes x window such rows of keys */
    float *start;               /* padded: 0 inside the row, the outside logit elsewhere */
    float *logits;              /* offsets x logit_stride: one tile, or backwards one row with its padding */
    int64_t logit_stride;
    float *turned;              /* backwards: a row of dquery or dkey, channel by channel */
    struct interleave field;
};

static int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

static struct work prepare(const struct mov_shape *s, void *workspace, bool gradient) {
    struct work w = {.s = s, .height = s->grid.size[1], .width = s->grid.size[2], .radius = s->radius};
    w.dim = s->channels / s->heads;
    w.window = 2 * w.radius + 1;
    w.planes = s->grid.ndim == 3 ? w.window : 1;
    w.left = whole(w.radius);
    w.padded = 2 * w.left + whole(w.width);
    w.row_floats = s->channels * w.padded;
    w.step = s->heads * w.padded;
    w.scale = log2_e / sqrtf((float)w.dim);
    w.field = interleave_of(s->grid.ndim);
    w.logit_stride = gradient ? w.padded : LANES;

    const int64_t rows = w.planes * w.window;
    w.query = (float *)(((uintptr_t)workspace + 63) & ~(uintptr_t)63);
    w.ring = w.query + w.row_floats;
    w.start = w.ring + rows * w.row_floats;
    w.logits = w.start + w.padded;
    w.turned = w.logits + rows * w.window * w.logit_stride;
    float *end = w.turned + (gradient ? w.row_floats : 0);
    w.keys = (const float **)(((uintptr_t)end + 63) & ~(uintptr_t)63);
    memset(w.query, 0, (size_t)(end - w.query) * sizeof *w.query);
    for (int64_t i = 0; i < w.padded; i++)
        w.start[i] = i >= w.left && i < w.left + w.width ? 0 : outside_logit * log2_e;
    return w;
}

/* ---- rows, channel by channel */

/* to[c * to_stride + r] = scale * from[r * from_stride + c] for 8 x 8 of them. */
INLINE void transpose8(float *to, int64_t to_stride, const float *from, int64_t from_stride, __m256 scale) {
    __m256 row[8], pair[8], quad[8];
    UNROLL for (int r = 0; r < 8; r++) row[r] = _mm256_mul_ps(scale, _mm256_loadu_ps(from + r * from_stride));
    UNROLL for (int r = 0; r < 8; r += 2) {
        pair[r] = _mm256_unpacklo_ps(row[r], row[r + 1]);
        pair[r + 1] = _mm256_unpackhi_ps(row[r], row[r + 1]);
    }
    UNROLL for (int r = 0; r < 8; r += 4) UNROLL for (int k = 0; k < 2; k++) {
        quad[r + 2 * k] = _mm256_shuffle_ps(pair[r + k], pair[r + k + 2], 0x44);
        quad[r + 2 * k + 1] = _mm256_shuffle_ps(pair[r + k], pair[r + k + 2], 0xee);
    }
    UNROLL for (int c = 0; c < 4; c++) {
        _mm256_storeu_ps(to + c * to_stride, _mm256_permute2f128_ps(quad[c], quad[c + 4], 0x20));
        _mm256_storeu_ps(to + (c + 4) * to_stride, _mm256_permute2f128_ps(quad[c], quad[c + 4], 0x31));
    }
}

static void transpose(float *to, int64_t to_stride, const float *from, int64_t from_stride, int64_t rows,
                      int64_t columns, float scale) {
    const int64_t even_rows = rows & ~7, even_columns = columns & ~7;
    for (int64_t r = 0; r < even_rows; r += 8)
        for (int64_t c = 0; c < even_columns; c += 8)
            transpose8(to + c * to_stride + r, to_stride, from + r * from_stride + c, from_stride,
                       _mm256_set1_ps(scale));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = r < even_rows ? even_columns : 0; c < columns; c++)
            to[c * to_stride + r] = scale * from[r * from_stride + c];
}

/* Turn row `line` of plane `plane` of the keys into its place in the ring. */
static void turn_key(const struct work *w, const float *key, int64_t plane, int64_t line) {
    float *slot = w->ring + (plane % w->planes * w->window + line % w->window) * w->row_floats;
    transpose(slot + w->left, w->padded, key + (plane * w->height + line) * w->width * w->s->channels, w->s->channels,
              w->width, w->s->channels, 1);
}

/* Make ready what the pixels of one row need: their query, and all key rows within the radius.  The ring holds those of
 * the row before, unless `fresh`. */
static void turn_rows(const struct work *w, const float *query, const float *key, int64_t plane, int64_t line,
                      bool fresh) {
    const int64_t reach = w->planes / 2, depth = w->s->grid.size[0];
    const int64_t last = line + w->radius < w->height ? line + w->radius : w->height - 1;
    int64_t first = fresh ? line - w->radius : line + w->radius;
    if (first < 0) first = 0;
    transpose(w->query + w->left, w->padded, query + (plane * w->height + line) * w->width * w->s->channels,
              w->s->channels, w->width, w->s->channels, w->scale);
    for (int64_t z = plane - reach; z <= plane + reach; z++) {
        const float **keys = w->keys + (z - plane + reach) * w->window;
        const bool inside = z >= 0 && z < depth;
        for (int64_t y = first; inside && y <= last; y++) turn_key(w, key, z, y);
        for (int64_t y = line - w->radius; y <= line + w->radius; y++)
            *keys++ = !inside || y < 0 || y >= w->height
                          ? NULL
                          : w->ring + (z % w->planes * w->window + y % w->window) * w->row_floats;
    }
}

/* ---- softmax of a tile: LANES pixels from `column` on, one head */

/* Logits of `count` neighbouring keys of a row, and the largest so far. */
INLINE vf logits_of(float *logits, int64_t stride, const float *query, const float *key, const float *start, int count,
                    int64_t dim, int64_t step, vf largest) {
    vf sum[8];
    UNROLL for (int o = 0; o < count; o++) sum[o] = v_load(start + o);
    for (int64_t c = 0; c < dim; c++) {
        const vf q = v_load(query + c * step);
        UNROLL for (int o = 0; o < count; o++) sum[o] = v_fma(q, v_load(key + c * step + o), sum[o]);
    }
    UNROLL for (int o = 0; o < count; o++) {
        v_store(logits + o * stride, sum[o]);
        largest = v_max(largest, sum[o]);
    }
    return largest;
}

/* All logits of a tile; returns the largest. */
static vf tile_logits(const struct work *w, float *logits, int head, int64_t column) {
    const int64_t at = w->left + column, first = at - w->radius;
    const float *query = w->query + head * w->padded + at;
    vf largest = v_all(outside_logit * log2_e * 1e30f);
    for (int row = 0; row < w->planes * w->window; row++)
        for (int o = 0; o < w->window;) {
            const int left = w->window - o, count = left < 8 ? left : 8;
            float *out = logits + (int64_t)(row * w->window + o) * w->logit_stride;
            o += count;
            if (!w->keys[row]) {
                for (int i = 0; i < count; i++) v_store(out + i * w->logit_stride, v_all(outside_logit * log2_e));
                largest = v_max(v_all(outside_logit * log2_e), largest);
                continue;
            }
            const float *key = w->keys[row] + head * w->padded + first + o - count, *start = w->start + first + o - count;
#define LOGITS(count) logits_of(out, w->logit_stride, query, key, start, count, w->dim, w->step, largest)
            /* a window is odd, and so is what is left of it after eights */
            if (count == 8) largest = LOGITS(8);
            else if (count == 7) largest = LOGITS(7);
            else if (count == 5) largest = LOGITS(5);
            else if (count == 3) largest = LOGITS(3);
            else largest = LOGITS(1);
#undef LOGITS
        }
    return largest;
}

/* Weights before their division by `sum`, put in the place of the logits, and their mean offset, array-axis order. */
struct moments {
    vf sum, mean[3];
};

static struct moments tile_softmax(const struct work *w, float *logits, vf largest) {
    vf sum = v_zero(), z_sum = v_zero(), y_sum = v_zero(), x_sum = v_zero();
    for (int z = 0; z < w->planes; z++) {
        vf plane = v_zero();
        for (int y = 0; y < w->window; y++) {
            vf row = v_zero();
            for (int x = 0; x < w->window; x++, logits += w->logit_stride) {
                const vf weight = v_exp2(v_load(logits) - largest);
                v_store(logits, weight);
                row = row + weight;
                x_sum = v_fma(weight, v_all((float)(x - w->radius)), x_sum);
            }
            plane = plane + row;
            y_sum = v_fma(row, v_all((float)(y - w->radius)), y_sum);
        }
        sum = sum + plane;
        z_sum = v_fma(plane, v_all((float)(z - w->radius)), z_sum);
    }
    struct moments moments = {sum, {z_sum / sum, y_sum / sum, x_sum / sum}};
    if (w->planes == 1) moments.mean[0] = moments.mean[1], moments.mean[1] = moments.mean[2];
    return moments;
}

void FORM(mov)(float *field, const float *query, const float *key, const struct mov_shape *s, int slab, int slabs,
               void *workspace) {
    const struct work w = prepare(s, workspace, false);
    const int ndim = s->grid.ndim;
    int64_t begin, end;
    slab_share(s->grid.size[0] * w.height, slab, slabs, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        turn_rows(&w, query, key, row / w.height, row % w.height, row == begin || row % w.height == 0);
        for (int64_t column = 0; column < w.width; column += LANES) {
            vf sum[COMPONENTS_MAX] = {v_zero(), v_zero(), v_zero()};
            for (int head = 0; head < s->heads; head++) {
                const vf largest = tile_logits(&w, w.logits, head, column);
                const struct moments at = tile_softmax(&w, w.logits, largest);
                for (int a = 0; a < ndim; a++) sum[a] = sum[a] + at.mean[a];
            }
            for (int a = 0; a < ndim; a++) sum[a] = sum[a] / v_all((float)s->heads);
            store_together(field + (row * w.width + column) * ndim, sum, &w.field, w.width - column);
        }
    }
}

/* ---- backward */

/* Logit gradients of a tile, times ln 2 for the sake of the scaled query, in the place of the logits.  Columns behind
 * the row get zero, as their dfield is. */
static void tile_grad(const struct work *w, float *logits, const float *dfield, int head, int64_t column) {
    vf g[COMPONENTS_MAX];
    float *const first = logits;
    const vf largest = tile_logits(w, logits, head, column);
    const struct moments at = tile_softmax(w, logits, largest);
    load_apart(g, dfield, &w->field, w->width - column);
    vf rest = v_zero();
    for (int a = 0; a < w->s->grid.ndim; a++) rest = v_fma(g[a], at.mean[a], rest);
    const vf share = v_all(ln_2 / (float)w->s->heads) / at.sum;
    const vf gx = g[w->s->grid.ndim - 1], gy = g[w->s->grid.ndim - 2], gz = w->planes > 1 ? g[0] : v_zero();
    logits = first;
    for (int z = 0; z < w->planes; z++)
        for (int y = 0; y < w->window; y++) {
            const vf plane = v_fma(gz, v_all((float)(z - w->planes / 2)), rest * v_all(-1));
            const vf row = v_fma(gy, v_all((float)(y - w->radius)), plane);
            for (int x = 0; x < w->window; x++, logits += w->logit_stride) {
                const vf rise = v_fma(gx, v_all((float)(x - w->radius)), row);
                v_store(logits, v_load(logits) * share * rise);
            }
        }
}

/* dquery of a tile, `count` channels of a head. */
INLINE void query_grad(float *dquery, const struct work *w, const float *logits, int64_t key_at, int count) {
    vf sum[8];
    UNROLL for (int c = 0; c < count; c++) sum[c] = v_zero();
    for (int row = 0; row < w->planes * w->window; row++) {
        if (!w->keys[row]) continue;
        const float *key = w->keys[row] + key_at, *gradient = logits + (int64_t)row * w->window * w->logit_stride;
        for (int o = 0; o < w->window; o++) {
            const vf g = v_load(gradient + o * w->logit_stride);
            UNROLL for (int c = 0; c < count; c++) sum[c] = v_fma(g, v_load(key + c * w->step + o), sum[c]);
        }
    }
    UNROLL for (int c = 0; c < count; c++) v_store(dquery + c * w->step, sum[c]);
}

/* A row of dkey, `count` channels of a head, gets what one row of pixels sends it. */
INLINE void key_grad(float *dkey, int64_t dkey_step, const struct work *w, const float *gradient, const float *query,
                     int count) {
    for (int64_t column = 0; column < w->width; column += LANES) {
        const int64_t left = w->width - column;
        vf sum[8];
        UNROLL for (int c = 0; c < count; c++) sum[c] = v_load_first(dkey + c * dkey_step + column, left);
        for (int o = 0; o < w->window; o++) {
            const int64_t pixel = w->left + column + w->radius - o;
            const vf g = v_load(gradient + o * w->logit_stride + pixel);
            UNROLL for (int c = 0; c < count; c++) sum[c] = v_fma(g, v_load(query + c * w->step + pixel), sum[c]);
        }
        UNROLL for (int c = 0; c < count; c++) v_store_first(dkey + c * dkey_step + column, sum[c], left);
    }
}

/* Everything that one row of pixels contributes: its dquery, and its part of the rows of dkey. */
static void row_grad(const struct work *w, float *dquery, float *dkey, const float *dfield, int64_t plane,
                     int64_t line) {
    const struct mov_shape *s = w->s;
    const int64_t row = plane * w->height + line;
    for (int head = 0; head < s->heads; head++) {
        for (int64_t column = 0; column < w->width; column += LANES) {
            const int64_t at = head * w->padded + w->left + column;
            float *logits = w->logits + w->left + column;
            tile_grad(w, logits, dfield + (row * w->width + column) * s->grid.ndim, head, column);
            int64_t c = 0;
            for (; c + 8 <= w->dim; c += 8)
                query_grad(w->turned + at + c * w->step, w, logits, at - w->radius + c * w->step, 8);
            for (; c < w->dim; c++)
                query_grad(w->turned + at + c * w->step, w, logits, at - w->radius + c * w->step, 1);
        }
        for (int k = 0; k < w->planes * w->window; k++) {
            if (!w->keys[k]) continue;
            const int64_t target = row + (k / w->window - w->planes / 2) * w->height + k % w->window - w->radius;
            const float *gradient = w->logits + (int64_t)k * w->window * w->logit_stride;
            const int64_t step = s->heads * w->width;
            float *to = dkey + target * s->channels * w->width + head * w->width;
            int64_t c = 0;
            for (; c + 8 <= w->dim; c += 8)
                key_grad(to + c * step, step, w, gradient, w->query + head * w->padded + c * w->step, 8);
            for (; c < w->dim; c++)
                key_grad(to + c * step, step, w, gradient, w->query + head * w->padded + c * w->step, 1);
        }
    }
    transpose(dquery + row * w->width * s->channels, s->channels, w->turned + w->left, w->padded, s->channels, w->width,
              w->scale);
}

void FORM(mov_grad)(float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                    const struct mov_shape *s, void *workspace) {
    const struct work w = prepare(s, workspace, true);
    const int64_t depth = s->grid.size[0], reach = w.planes / 2, row_floats = w.width * s->channels;
    memset(dkey, 0, (size_t)(depth * w.height * row_floats) * sizeof *dkey);
    for (int64_t z = 0; z < depth + reach; z++)
        for (int64_t y = 0; y < w.height + w.radius; y++) {
            if (z < depth && y < w.height) {
                turn_rows(&w, query, key, z, y, y == 0);
                row_grad(&w, dquery, dkey, dfield, z, y);
            }
            if (z < reach || y < w.radius) continue;
            /* no later pixel sees this row: from channel by channel to pixel by pixel */
            float *done = dkey + ((z - reach) * w.height + y - w.radius) * row_floats;
            memcpy(w.turned, done, (size_t)row_floats * sizeof *done);
            transpose(done, s->channels, w.turned, w.width, s->channels, w.width, 1);
        }
}
