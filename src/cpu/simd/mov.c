/* MoV: mov_plain in plain/mov.c, LANES columns of a row at a time.
 *
 * Rows of queries and keys are turned into padded rows, one a channel, heads apart.  The logits of offset o are computed
 * where its key lies, for the pixels k - o, so that all keys are read aligned and every load serves several products: of a
 * channel, the queries of `window` shifts meet the keys of several rows in registers.  Pixels follow MARGIN columns behind,
 * and gather their logits by unaligned loads.  Columns and rows outside hold zero keys and a logit of -1000 to start from.
 * The softmax is to base 2, query rows being scaled by log2(e) / sqrt(d).
 *
 * Backwards, a ring holds the logit gradients and queries of the last `window` rows of pixels.  Both gradients are products
 * of rows summed over the rows of the window, one sum for each horizontal shift, and then shifted and added: dquery of a row
 * when its pixels are done, dkey of a row when all rows of pixels that see it in this plane are; planes follow each other.
 * A slab is a range of lines in every plane; it repeats the gradients of the pixels around it that see its keys. */
#include "interleave.h"
#include "transpose.h"

#include <math.h>

enum {
    MARGIN = 16,                    /* of padded rows, and the largest radius; a multiple of LANES */
    CHUNK = 128,                    /* columns between turns from keys to pixels */
    HELD = 2 * MARGIN + CHUNK,      /* columns kept in between */
    SUMS = 32,                      /* at most so many sums are in registers */
    ROWS = LANES == 16 ? 5 : 2,     /* rows of keys whose logits are computed together, window 5 */
    ROWS_7 = LANES == 16 ? 3 : 1,   /* and window 7 */
    CHANNELS = LANES == 16 ? 4 : 2, /* channels whose sums are computed together, window 5 */
    CHANNELS_7 = LANES == 16 ? 2 : 1,
};

static const float outside_logit = -1000.0f;
static const float log2_e = 1.44269504088896340736f, ln_2 = 0.69314718055994530942f;

struct work {
    const struct mov_shape *s;
    int64_t depth, height, width;
    int64_t columns, padded;          /* width rounded up; with margins */
    int64_t dim, row_floats;          /* channels a head; floats of a padded row of all channels */
    int radius, window, planes, rows; /* 2 radius + 1 rows a plane and, in 3D, planes; of both together */
    int64_t first, lines;             /* of the slab */
    float scale;                      /* of query rows */
    const float **keys, **start;      /* rows of keys around the row in work, and what their logits start from */
    const float **weight, **feature;  /* rows whose products are to be summed */
    int64_t *place;                   /* where each channel lies in a padded row */
    float *inside, *outside;          /* starts: 0 inside the image, the outside logit elsewhere; the outside logit */
    float *ring;                      /* rows x row_floats: keys */
    float *logits;                    /* offsets x HELD */
    float *mean;                      /* ndim x padded: of the row */
    float *queries;                   /* window x row_floats (forward: one) */
    float *gradients, *sums;          /* backwards: window x heads x offsets x padded; dim x window x HELD */
    float *dquery, *dkeys;            /* row_floats; planes x lines unfinished rows, in 2D one */
    struct interleave field;
};

static void *aligned(void *memory) { return (void *)(((uintptr_t)memory + 63) & ~(uintptr_t)63); }

static struct work prepare(const struct mov_shape *s, void *workspace, int slab, int slabs, bool gradient) {
    struct work w = {.s = s, .depth = s->grid.size[0], .height = s->grid.size[1], .width = s->grid.size[2]};
    int64_t end;
    slab_share(w.height, slab, slabs, &w.first, &end);
    w.lines = end - w.first;
    w.columns = (w.width + MARGIN - 1) / MARGIN * MARGIN;
    w.padded = MARGIN + w.columns + MARGIN;
    w.radius = s->radius, w.window = 2 * w.radius + 1;
    w.planes = s->grid.ndim == 3 ? w.window : 1;
    w.rows = w.planes * w.window;
    w.dim = s->channels / s->heads;
    w.row_floats = s->channels * w.padded;
    w.scale = log2_e / sqrtf((float)w.dim);
    w.field = interleave_of(s->grid.ndim);

    w.keys = workspace;
    w.start = w.keys + w.rows, w.weight = w.start + w.rows, w.feature = w.weight + w.rows;
    w.place = (int64_t *)(w.feature + w.rows);
    w.inside = aligned(w.place + s->channels);
    w.outside = w.inside + w.padded;
    w.ring = w.outside + w.padded;
    w.logits = w.ring + w.rows * w.row_floats;
    w.mean = w.logits + (int64_t)w.rows * w.window * HELD;
    w.queries = w.mean + s->grid.ndim * w.padded;
    w.gradients = w.queries + (gradient ? w.window : 1) * w.row_floats;
    if (gradient) {
        w.sums = w.gradients + (int64_t)w.window * s->heads * w.rows * w.window * w.padded;
        w.dquery = w.sums + w.dim * w.window * HELD;
        w.dkeys = w.dquery + w.row_floats;
    }
    memset(w.inside, 0, (size_t)((gradient ? w.sums : w.gradients) - w.inside) * sizeof *w.inside); /* margins are zero */
    for (int64_t i = 0; i < w.padded; i++) {
        w.outside[i] = outside_logit * log2_e;
        if (i < MARGIN || i >= MARGIN + w.width) w.inside[i] = w.outside[i];
    }
    for (int64_t c = 0; c < s->channels; c++) w.place[c] = (c % s->heads * w.dim + c / s->heads) * w.padded;
    return w;
}

/* ---- rows */

static float *query_row(const struct work *w, int64_t line) { return w->queries + line % w->window * w->row_floats; }

static void turn_query(const struct work *w, float *to, const float *query, int64_t row) {
    channels_apart(to + MARGIN, w->place, query + row * w->width * w->s->channels, w->width, w->s->channels, w->scale);
}

/* Make ready all key rows around a row of pixels; outside they are zero.  The ring holds those of the line before, unless
 * `fresh`. */
static void turn_keys(const struct work *w, const float *key, int64_t plane, int64_t line, bool fresh) {
    const int64_t reach = w->planes / 2;
    for (int k = 0; k < w->rows; k++) {
        const int64_t z = plane + k / w->window - reach, y = line + k % w->window - w->radius;
        const bool inside = z >= 0 && z < w->depth && y >= 0 && y < w->height;
        float *to = w->ring + (k / w->window * w->window + (y + w->window) % w->window) * w->row_floats;
        w->keys[k] = to + MARGIN;
        w->start[k] = (inside ? w->inside : w->outside) + MARGIN;
        if (!fresh && k % w->window < w->window - 1) continue;
        if (!inside) memset(to, 0, (size_t)w->row_floats * sizeof *to);
        else
            channels_apart(to + MARGIN, w->place, key + (z * w->height + y) * w->width * w->s->channels, w->width, w->s->channels,
                           1);
    }
}

/* The last columns of `rows` rows of HELD are the first of the next turn. */
INLINE void keep_last(float *held, int64_t rows, int64_t columns) {
    for (; rows > 0; rows--, held += HELD)
        UNROLL for (int64_t i = 0; i < 2 * MARGIN; i += LANES) v_store(held + i, v_load(held + i + columns));
}

/* Ask for LANES pixels of a row that will soon be read or written, since the processor's guesses end at each page.  Nothing
 * is asked for outside the image. */
INLINE void ask_for(const struct work *w, const float *pixels, int64_t row, int64_t column) {
    const int64_t channels = w->s->channels;
    if (!pixels || row < 0 || row >= w->depth * w->height || column + LANES > w->width) return;
    for (int64_t i = 0; i < LANES * channels; i += 64 / (int64_t)sizeof(float))
        _mm_prefetch((const char *)(pixels + (row * w->width + column) * channels + i), _MM_HINT_T0);
}

/* What rows are next, and what a row writes when its heads are done; NULL for what there is not. */
struct soon {
    const float *query, *key, *dquery, *dkey;
    int64_t row;
};

/* ---- softmax of a row */

/* Logits of LANES columns of `rows` rows of keys, `count` offsets of each from number `first` on.  query, channel of the
 * head: without margin. */
INLINE void logits_of(float *logits, const struct work *w, const float *query, int64_t channel, int64_t at, int row, int first,
                      int rows, int count) {
    vf sum[SUMS];
    UNROLL for (int r = 0; r < rows; r++) {
        sum[r * count] = v_load(w->start[row + r] + at);
        UNROLL for (int o = 1; o < count; o++) sum[r * count + o] = sum[r * count];
    }
    for (int64_t c = channel; c < channel + w->dim * w->padded; c += w->padded) {
        vf q[SUMS];
        UNROLL for (int o = 0; o < count; o++) q[o] = v_load(query + c + at + w->radius - first - o);
        UNROLL for (int r = 0; r < rows; r++) {
            const vf k = v_load(w->keys[row + r] + c + at);
            UNROLL for (int o = 0; o < count; o++) sum[r * count + o] = v_fma(q[o], k, sum[r * count + o]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int o = 0; o < count; o++)
        v_store(logits + ((int64_t)(row + r) * w->window + first + o) * HELD, sum[r * count + o]);
}

INLINE void logits_by(float *logits, const struct work *w, const float *query, int64_t channel, int64_t at, int rows, int count) {
    int row = 0;
    for (; row + rows <= w->rows; row += rows)
        for (int first = 0; first < w->window; first += count) logits_of(logits, w, query, channel, at, row, first, rows, count);
    for (; row < w->rows; row++)
        for (int first = 0; first < w->window; first += count) logits_of(logits, w, query, channel, at, row, first, 1, count);
}

/* All logits of LANES columns of keys. */
static void tile_logits(float *logits, const struct work *w, const float *query, int64_t channel, int64_t at) {
    if (at >= w->columns)
        for (int64_t o = 0; o < w->rows * w->window; o++) v_store(logits + o * HELD, v_load(w->outside));
    else if (w->window == 3) logits_by(logits, w, query, channel, at, 3, 3);
    else if (w->window == 5) logits_by(logits, w, query, channel, at, ROWS, 5);
    else if (w->window == 7) logits_by(logits, w, query, channel, at, ROWS_7, 7);
    else logits_by(logits, w, query, channel, at, 8, 1);
}

/* Weights before their division by `sum`, and their mean offset, array-axis order. */
struct moments {
    vf sum, mean[3];
};

/* Of LANES pixels whose logits for the offset 0 begin at `logits`; the weights go to `weights` unless it is NULL. */
INLINE struct moments softmax_of(float *weights, const struct work *w, const float *logits, int window) {
    const int radius = window / 2;
    vf largest = v_all(-INFINITY);
    for (int row = 0; row < w->rows; row++) {
        vf most = v_load(logits + row * window * HELD - radius);
        for (int x = 1; x < window; x++) most = v_max(v_load(logits + (row * window + x) * HELD + x - radius), most);
        largest = v_max(most, largest);
    }
    vf sum = v_zero(), z_sum = v_zero(), y_sum = v_zero(), x_sum = v_zero(), column[2 * MARGIN + 1];
    UNROLL for (int x = 0; x < window; x++) column[x] = v_zero();
    for (int z = 0; z < w->planes; z++) {
        vf plane = v_zero();
        for (int y = 0; y < window; y++) {
            vf row = v_zero();
            UNROLL for (int x = 0; x < window; x++, logits += HELD) {
                const vf weight = v_exp2(v_load(logits + x - radius) - largest);
                if (weights) v_store(weights, weight), weights += w->padded;
                row = row + weight, column[x] = column[x] + weight;
            }
            plane = plane + row;
            y_sum = v_fma(row, v_all((float)(y - radius)), y_sum);
        }
        sum = sum + plane;
        z_sum = v_fma(plane, v_all((float)(z - radius)), z_sum);
    }
    UNROLL for (int x = 0; x < window; x++) x_sum = v_fma(column[x], v_all((float)(x - radius)), x_sum);
    struct moments moments = {sum, {z_sum / sum, y_sum / sum, x_sum / sum}};
    if (w->planes == 1) moments.mean[0] = moments.mean[1], moments.mean[1] = moments.mean[2];
    return moments;
}

/* Turns weights into logit gradients, times ln 2 for the sake of the scaled query.  Columns behind the row get zero, as
 * their dfield is. */
INLINE void gradient_of(float *weights, const struct work *w, const struct moments *moments, const float *dfield, int64_t pixels,
                        int window) {
    const int ndim = w->s->grid.ndim, radius = window / 2;
    vf g[COMPONENTS_MAX], middle = v_zero();
    load_apart(g, dfield, &w->field, pixels);
    for (int a = 0; a < ndim; a++) middle = v_fma(g[a], moments->mean[a], middle);
    const vf share = v_all(ln_2 / (float)w->s->heads) / moments->sum;
    for (int z = 0; z < w->planes; z++)
        for (int y = 0; y < window; y++) {
            const vf plane = w->planes > 1 ? v_fma(g[0], v_all((float)(z - radius)), -middle) : -middle;
            const vf row = v_fma(g[ndim - 2], v_all((float)(y - radius)), plane);
            for (int x = 0; x < window; x++, weights += w->padded)
                v_store(weights, v_load(weights) * (share * v_fma(g[ndim - 1], v_all((float)(x - radius)), row)));
        }
}

/* One head of a row of pixels: adds its mean offsets to w->mean, or with dfield leaves its logit gradients in `gradients`. */
INLINE void head_row(const struct work *w, float *gradients, const float *query, const float *dfield, int head, int window,
                     const struct soon *soon) {
    const int64_t offsets = (int64_t)w->rows * window, channel = head * w->dim * w->padded;
    for (int64_t o = 0; o < offsets; o++)
        for (int64_t i = 0; i < 2 * MARGIN; i += LANES) v_store(w->logits + o * HELD + i, v_load(w->outside));
    for (int64_t first = 0, last; first < w->columns + MARGIN; first = last) {
        last = first + CHUNK < w->columns + MARGIN ? first + CHUNK : w->columns + MARGIN;
        for (int64_t at = first; at < last; at += LANES)
            tile_logits(w->logits + 2 * MARGIN + at - first, w, query + MARGIN, channel, at);
        for (int64_t at = first ? first - MARGIN : 0; at < last - MARGIN && at < w->width; at += LANES) {
            if (!head) {
                ask_for(w, soon->query, soon->row + 1, at), ask_for(w, soon->key, soon->row + 1 + w->radius, at);
                ask_for(w, soon->dquery, soon->row, at), ask_for(w, soon->dkey, soon->row - w->radius, at);
            }
            float *weights = dfield ? gradients + MARGIN + at : NULL;
            const struct moments moments = softmax_of(weights, w, w->logits + 2 * MARGIN + at - first, window);
            for (int a = 0; !dfield && a < w->s->grid.ndim; a++) {
                float *mean = w->mean + a * w->padded + at;
                vf before = v_zero();
                if (head) before = v_load(mean);
                v_store(mean, before + moments.mean[a]);
            }
            if (dfield) gradient_of(weights, w, &moments, dfield + at * w->s->grid.ndim, w->width - at, window);
        }
        if (last < w->columns + MARGIN) keep_last(w->logits, offsets, last - first);
    }
}

/* The same; windows of some shapes have their own copies, unrolled. */
static void any_head_row(const struct work *w, float *gradients, const float *query, const float *dfield, int head,
                         const struct soon *soon) {
    if (w->window == 3) head_row(w, gradients, query, dfield, head, 3, soon);
    else if (w->window == 5) head_row(w, gradients, query, dfield, head, 5, soon);
    else if (w->window == 7) head_row(w, gradients, query, dfield, head, 7, soon);
    else head_row(w, gradients, query, dfield, head, w->window, soon);
}

/* ---- forward */

void FORM(mov)(float *field, const float *query, const float *key, const struct mov_shape *s, int slab, int slabs,
               void *workspace) {
    if (s->radius > MARGIN) {
        mov_plain(field, query, key, s, slab, slabs, workspace);
        return;
    }
    const struct work w = prepare(s, workspace, slab, slabs, false);
    const int ndim = s->grid.ndim;
    for (int64_t z = 0; z < w.depth; z++)
        for (int64_t y = w.first; y < w.first + w.lines; y++) {
            const int64_t row = z * w.height + y;
            turn_query(&w, w.queries, query, row);
            turn_keys(&w, key, z, y, y == w.first);
            const struct soon soon = {query, key, NULL, NULL, row};
            for (int head = 0; head < s->heads; head++) any_head_row(&w, NULL, w.queries, NULL, head, &soon);
            for (int64_t at = 0; at < w.width; at += LANES) {
                vf mean[COMPONENTS_MAX];
                for (int a = 0; a < ndim; a++) mean[a] = v_load(w.mean + a * w.padded + at) / v_all((float)s->heads);
                store_together(field + (row * w.width + at) * ndim, mean, &w.field, w.width - at);
            }
        }
}

/* ---- backward */

/* Sums over `rows` rows of weight(shift) * feature, for LANES columns, `channels` channels from `channel` of the head on and
 * `count` shifts from number `first` on.  `moved`: weights are of pixels, features of keys, so weights are read at
 * column - shift. */
INLINE void products_of(float *sums, const struct work *w, int rows, int64_t channel, int64_t at, int first, int window,
                        int channels, int count, bool moved) {
    vf sum[SUMS];
    UNROLL for (int c = 0; c < channels; c++) UNROLL for (int o = 0; o < count; o++) sum[c * count + o] = v_zero();
    for (int r = 0; r < rows; r++) {
        const float *weight = w->weight[r] + at + (moved ? window / 2 - first : 0) + first * w->padded;
        const float *feature = w->feature[r] + channel * w->padded + at;
        vf f[SUMS];
        UNROLL for (int c = 0; c < channels; c++) f[c] = v_load(feature + c * w->padded);
        UNROLL for (int o = 0; o < count; o++) {
            const vf g = v_load(weight + o * (w->padded - moved));
            UNROLL for (int c = 0; c < channels; c++) sum[c * count + o] = v_fma(g, f[c], sum[c * count + o]);
        }
    }
    UNROLL for (int c = 0; c < channels; c++) UNROLL for (int o = 0; o < count; o++)
        v_store(sums + (c * window + o) * HELD, sum[c * count + o]);
}

/* All channels of a head, all shifts. */
INLINE void all_products(float *sums, const struct work *w, int rows, int64_t at, int window, int channels, int count, bool moved) {
    int64_t c = 0;
    for (; c + channels <= w->dim; c += channels)
        for (int o = 0; o < window; o += count)
            products_of(sums + (c * window + o) * HELD, w, rows, c, at, o, window, channels, count, moved);
    for (; c < w->dim; c++)
        for (int o = 0; o < window; o += count)
            products_of(sums + (c * window + o) * HELD, w, rows, c, at, o, window, 1, count, moved);
}

/* Rows `to`, one a channel of a head, = or += these sums, each moved to where it belongs: dquery(p) sums what lies at
 * p + shift, dkey(r) what lies at r - shift. */
INLINE void head_rows(float *to, const struct work *w, int rows, int window, int channels, int count, bool moved, bool add) {
    const int64_t dim = w->dim, padded = w->padded, kinds = dim * window, toward = moved ? 1 : -1;
    for (int64_t i = 0; i < kinds; i++)
        UNROLL for (int64_t k = 0; k < 2 * MARGIN; k += LANES) v_store(w->sums + i * HELD + k, v_zero());
    for (int64_t begin = 0, end; begin < w->columns + MARGIN; begin = end) {
        end = begin + CHUNK < w->columns + MARGIN ? begin + CHUNK : w->columns + MARGIN;
        for (int64_t at = begin; at < end; at += LANES) {
            float *sums = w->sums + 2 * MARGIN + at - begin;
            if (at < w->columns) all_products(sums, w, rows, at, window, channels, count, moved);
            else
                for (int64_t i = 0; i < kinds; i++) v_store(sums + i * HELD, v_zero());
        }
        for (int64_t at = begin ? begin - MARGIN : 0; at < end - MARGIN; at += LANES) {
            const float *sums = w->sums + 2 * MARGIN + at - begin - toward * (window / 2);
            float *out = to + at;
            for (int64_t c = 0; c < dim; c++, sums += window * HELD, out += padded) {
                vf total = v_load(sums);
                for (int o = 1; o < window; o++) total = total + v_load(sums + o * (HELD + toward));
                if (add) total = total + v_load(out);
                v_store(out, total);
            }
        }
        if (end < w->columns + MARGIN) keep_last(w->sums, kinds, end - begin);
    }
}

INLINE void any_head_rows(float *to, const struct work *w, int rows, bool moved, bool add) {
    if (w->window == 3) head_rows(to, w, rows, 3, 4, 3, moved, add);
    else if (w->window == 5) head_rows(to, w, rows, 5, CHANNELS, 5, moved, add);
    else if (w->window == 7) head_rows(to, w, rows, 7, CHANNELS_7, 7, moved, add);
    else head_rows(to, w, rows, w->window, 8, 1, moved, add);
}

static float *gradient_rows(const struct work *w, int64_t line, int head) {
    return w->gradients + (line % w->window * w->s->heads + head) * w->rows * w->window * w->padded;
}

/* dquery of a row, whose logit gradients and keys are there. */
static void finish_query(const struct work *w, float *dquery, int64_t plane, int64_t line) {
    for (int head = 0; head < w->s->heads; head++) {
        for (int k = 0; k < w->rows; k++) {
            w->weight[k] = gradient_rows(w, line, head) + (int64_t)k * w->window * w->padded + MARGIN;
            w->feature[k] = w->keys[k] + head * w->dim * w->padded;
        }
        any_head_rows(w->dquery + head * w->dim * w->padded + MARGIN, w, w->rows, true, false);
    }
    channels_together(dquery + (plane * w->height + line) * w->width * w->s->channels, w->dquery + MARGIN, w->place, w->width,
                      w->s->channels, w->scale);
}

/* What the pixels of one plane send to the keys of one line, in all planes that they see; a row of dkey that no later plane
 * sees is stored. */
static void send_keys(const struct work *w, float *dkey, int64_t plane, int64_t line) {
    const int64_t reach = w->planes / 2;
    for (int64_t z = plane - reach; z <= plane + reach; z++) {
        if (z < 0 || z >= w->depth) continue;
        float *to = w->dkeys + (w->planes > 1 ? z % w->planes * w->lines + line - w->first : 0) * w->row_floats;
        for (int head = 0; head < w->s->heads; head++) {
            int rows = 0;
            for (int k = 0; k < w->window; k++) {
                const int64_t y = line - k + w->radius; /* of pixels */
                if (y < 0 || y >= w->height) continue;
                w->weight[rows] =
                    gradient_rows(w, y, head) + ((z - plane + reach) * w->window + k) * w->window * w->padded + MARGIN;
                w->feature[rows++] = query_row(w, y) + head * w->dim * w->padded + MARGIN;
            }
            any_head_rows(to + head * w->dim * w->padded + MARGIN, w, rows, false, plane > 0 && plane > z - reach);
        }
        if (plane == z + reach || plane == w->depth - 1)
            channels_together(dkey + (z * w->height + line) * w->width * w->s->channels, to + MARGIN, w->place, w->width,
                              w->s->channels, 1);
    }
}

void FORM(mov_grad)(float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                    const struct mov_shape *s, int slab, int slabs, void *workspace) {
    if (s->radius > MARGIN) {
        mov_grad_plain(dquery, dkey, dfield, query, key, s, slab, slabs, workspace);
        return;
    }
    const struct work w = prepare(s, workspace, slab, slabs, true);
    const int64_t end = w.first + w.lines, from = w.first > w.radius ? w.first - w.radius : 0;
    if (!w.lines) return;
    for (int64_t z = 0; z < w.depth; z++)
        for (int64_t y = from; y < end + w.radius; y++) {
            if (y < w.height) {
                const int64_t row = z * w.height + y;
                turn_query(&w, query_row(&w, y), query, row);
                turn_keys(&w, key, z, y, y == from);
                const struct soon soon = {query, key, dquery, dkey, row};
                for (int head = 0; head < s->heads; head++)
                    any_head_row(&w, gradient_rows(&w, y, head), query_row(&w, y), dfield + row * w.width * s->grid.ndim, head,
                                 &soon);
                if (y >= w.first && y < end) finish_query(&w, dquery, z, y);
            }
            if (y >= w.first + w.radius) send_keys(&w, dkey, z, y - w.radius);
        }
}
