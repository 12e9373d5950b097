/* Linear resizing with aligned corners, VPA's up2 on fields of few components: resize_corners_plain in plain/corners.c.
 * Forward, LANES elements of an output row gather their columns from all rows that take part; backwards, a walk along
 * the row sums what each column gets and adds it once to those rows that are the slab's. */
#include "vec.h"

/* The rows that output row (z, h) reads, weights times `scale`; those of weight zero or not in first..end are left out. */
struct rows {
    int count;
    int64_t row[4];
    float weight[4];
};

/* Pixel i of m reads pixels low and low + 1 of n, in shares (m - 1 - rest) and rest of m - 1. */
struct tap {
    int64_t low, rest;
};

static struct tap tap_of(int64_t i, int64_t n, int64_t m) {
    if (m == 1) return (struct tap){0, 0};
    return (struct tap){i * (n - 1) / (m - 1), i * (n - 1) % (m - 1)};
}

static float fraction(int64_t rest, int64_t m) { return rest ? (float)((double)rest / (double)(m - 1)) : 0; }

static struct rows rows_of(int64_t row, const struct grid *from, const struct grid *to, float scale, int64_t first, int64_t end) {
    const struct tap z = tap_of(row / to->size[1], from->size[0], to->size[0]);
    const struct tap h = tap_of(row % to->size[1], from->size[1], to->size[1]);
    const float plane = fraction(z.rest, to->size[0]), line = fraction(h.rest, to->size[1]);
    struct rows rows = {0};
    for (int k = 0; k < 4; k++) {
        const float weight = (k & 2 ? plane : 1 - plane) * (k & 1 ? line : 1 - line) * scale;
        const int64_t at = (z.low + (k >> 1)) * from->size[1] + h.low + (k & 1);
        if ((k & 2 && !z.rest) || (k & 1 && !h.rest) || at < first || at >= end) continue;
        rows.row[rows.count] = at;
        rows.weight[rows.count++] = weight;
    }
    return rows;
}

/* Columns of a piece of an output row: element e reads low[e] and high[e] of an input row. */
enum { PIECE = 64 * LANES };
struct columns {
    int32_t low[PIECE], high[PIECE];
    float fraction[PIECE];
};

static void columns_of(struct columns *columns, int64_t first, int64_t count, int64_t channels, int64_t n, int64_t m) {
    for (int64_t e = 0; e < count; e++) {
        const struct tap tap = tap_of((first + e) / channels, n, m);
        columns->low[e] = (int32_t)(tap.low * channels + (first + e) % channels);
        columns->high[e] = columns->low[e] + (tap.rest ? (int32_t)channels : 0);
        columns->fraction[e] = fraction(tap.rest, m);
    }
}

void FORM(resize_corners)(float *y, const float *x, const struct grid *from, const struct grid *to, int64_t channels, float scale,
                          int slab, int slabs) {
    const int64_t out = to->size[2] * channels, in = from->size[2] * channels;
    int64_t begin, end;
    slab_share(to->size[0] * to->size[1], slab, slabs, &begin, &end);
    for (int64_t first = 0; first < out; first += PIECE) {
        struct columns columns;
        const int64_t count = out - first < PIECE ? out - first : PIECE;
        columns_of(&columns, first, count, channels, from->size[2], to->size[2]);
        for (int64_t row = begin; row < end; row++) {
            const struct rows rows = rows_of(row, from, to, scale, 0, INT64_MAX);
            for (int64_t e = 0; e < count; e += LANES) {
                const vm lanes = vm_first(count - e);
                const vi low = vi_load(columns.low + e), high = vi_load(columns.high + e);
                const vf share = v_load(columns.fraction + e);
                vf sum = v_zero();
                for (int r = 0; r < rows.count; r++) {
                    const float *line = x + rows.row[r] * in;
                    const vf a = v_gather(line, low, lanes), b = v_gather(line, high, lanes);
                    sum = v_fma(v_all(rows.weight[r]), v_fma(share, b, (v_all(1) - share) * a), sum);
                }
                v_store_first(y + row * out + first + e, sum, count - e);
            }
        }
    }
}

/* Add what column `low` got to all rows that took part. */
static void flush(float *dx, const struct rows *rows, int64_t stride, int64_t at, const float *sum, int count) {
    for (int r = 0; r < rows->count; r++) {
        float *to = dx + rows->row[r] * stride + at;
        for (int c = 0; c < count; c++) to[c] += rows->weight[r] * sum[c];
    }
}

/* Some channels of one row of dy, at most TOGETHER. */
enum { TOGETHER = 4 };
INLINE void walk_row(float *dx, const float *dy, const struct rows *rows, int64_t n, int64_t m, int64_t channels, int count) {
    float here[TOGETHER] = {0}, next[TOGETHER] = {0}; /* sums for columns low and low + 1 */
    int64_t low = 0, rest = 0;
    for (int64_t i = 0; i < m; i++) {
        const float share = fraction(rest, m);
        for (int c = 0; c < count; c++) {
            here[c] += (1 - share) * dy[i * channels + c];
            next[c] += share * dy[i * channels + c];
        }
        for (rest += n - 1; i + 1 < m && rest >= m - 1; rest -= m - 1) {
            flush(dx, rows, n * channels, low++ * channels, here, count);
            for (int c = 0; c < count; c++) here[c] = next[c], next[c] = 0;
        }
    }
    flush(dx, rows, n * channels, low * channels, here, count);
}

void FORM(resize_corners_grad)(float *dx, const float *dy, const struct grid *from, const struct grid *to, int64_t channels,
                               float scale, int slab, int slabs) {
    const int64_t n = from->size[2], m = to->size[2];
    int64_t begin, end;
    slab_share(from->size[0] * from->size[1], slab, slabs, &begin, &end);
    memset(dx + begin * n * channels, 0, (size_t)((end - begin) * n * channels) * sizeof *dx);
    for (int64_t row = 0; row < to->size[0] * to->size[1]; row++) {
        const struct rows rows = rows_of(row, from, to, scale, begin, end);
        if (!rows.count) continue;
        const float *in = dy + row * m * channels;
        for (int64_t c = 0; c < channels; c += TOGETHER) {
            const int64_t left = channels - c;
            if (left == 1) walk_row(dx + c, in + c, &rows, n, m, channels, 1);
            else if (left == 2) walk_row(dx + c, in + c, &rows, n, m, channels, 2);
            else if (left == 3) walk_row(dx + c, in + c, &rows, n, m, channels, 3);
            else walk_row(dx + c, in + c, &rows, n, m, channels, 4);
        }
    }
}
