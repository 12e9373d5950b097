/* From Winograd's products to pixels, y = A^T m A + bias, for a pass that convolves (winograd_pass.h); called by
 * winograd.c.  In a form for each element, with and without sums over pixels. */
#include "winograd_pass.h"

struct tile_target {
    void *row[2]; /* column 0, channel 0 of both rows of pixels; NULL = not to be written */
    int64_t width, channels;
};

struct tile_sums { /* of each pixel of the tiles */
    vec sum[4], square[4];
};

/* y[2 * row + column]; products lie at m, m + frequency, ...  What is added to MEAN_FREQUENCY is added to every pixel. */
INLINE void tile_inverse(vec y[4], const float *m, int64_t frequency, vec bias) {
    vec s[2][4];
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const float *row = m + c * frequency;
        const vec m0 = *(const vec *)row;
        vec m1 = *(const vec *)(row += 4 * frequency);
        const vec m2 = *(const vec *)(row += 4 * frequency), m3 = *(const vec *)(row += 4 * frequency);
        if (4 + c == MEAN_FREQUENCY) m1 += bias;
        s[0][c] = m0 + (m1 + m2), s[1][c] = (m1 - m2) - m3;
    }
#pragma GCC unroll 2
    for (int r = 0; r < 2; r++) y[2 * r] = s[r][0] + (s[r][1] + s[r][2]), y[2 * r + 1] = (s[r][1] - s[r][2]) - s[r][3];
}

INLINE void tile_write(const struct tile_target *target, int64_t tile, int64_t channel, int64_t left, const vec y[4],
                       struct tile_sums *sums, const enum element element, const bool summed, const bool checked) {
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) {
        const int64_t x = 2 * tile + p % 2;
        if (checked && (!target->row[p / 2] || x >= target->width)) continue;
        void *to = (void *)element_at(target->row[p / 2], element, x * target->channels + channel);
        store_left(to, element, y[p], checked ? left : LANES);
        if (summed) sums->sum[p] += y[p], sums->square[p] += y[p] * y[p];
    }
}

/* Tiles first .. first + count - 1 of a row, channels channel .. channel + LANES - 1, of which `left` exist. */
INLINE void output_tiles(const struct tile_target *to, int64_t first, int64_t count, int64_t channel, int64_t left, const float *m,
                         int64_t m_row, int64_t frequency, vec bias, struct tile_sums *sums, const enum element element,
                         const bool summed) {
    const struct tile_target local = *to, *target = &local; /* no store changes it, as far as the compiler can see */
    const bool whole = target->row[0] && target->row[1] && left >= LANES;
    const int64_t inside = whole ? smaller(count, target->width / 2 - first) : 0;
    struct tile_sums own = {{{0}}, {{0}}};
    int64_t tile = 0;
    for (; tile < inside; tile++) {
        vec y[4];
        tile_inverse(y, m + tile * m_row, frequency, bias);
        tile_write(target, first + tile, channel, left, y, &own, element, summed, false);
    }
    for (; tile < count; tile++) {
        vec y[4];
        tile_inverse(y, m + tile * m_row, frequency, bias);
        tile_write(target, first + tile, channel, left, y, &own, element, summed, true);
    }
    *sums = own;
}

typedef void output_fn(const struct tile_target *target, int64_t first, int64_t count, int64_t channel, int64_t left,
                       const float *m, int64_t m_row, int64_t frequency, vec bias, struct tile_sums *sums);
#define DEFINE(name, element, summed)                                                                                              \
    static void name(const struct tile_target *target, int64_t first, int64_t count, int64_t channel, int64_t left,                \
                     const float *m, int64_t m_row, int64_t frequency, vec bias, struct tile_sums *sums) {                         \
        output_tiles(target, first, count, channel, left, m, m_row, frequency, bias, sums, element, summed);                       \
    }
DEFINE(floats, ELEMENT_F32, false)
DEFINE(floats_summed, ELEMENT_F32, true)
DEFINE(halves, ELEMENT_BF16, false)
DEFINE(halves_summed, ELEMENT_BF16, true)

/* [element][summed] */
static output_fn *const outputs[2][2] = {{floats, floats_summed}, {halves, halves_summed}};

static void add_sums(double *sums, int64_t channels, const struct tile_sums *of_tiles, int64_t channel) {
    const vec *s = of_tiles->sum, *q = of_tiles->square;
    const vec sum = (s[0] + s[1]) + (s[2] + s[3]), square = (q[0] + q[1]) + (q[2] + q[3]);
    for (int64_t l = 0; l < smaller(LANES, channels - channel); l++)
        sums[channel + l] += sum[l], sums[channels + channel + l] += square[l];
}

void winograd_output(const struct winograd_plan *plan, const struct conv_target *target, const float *bias, const float *scratch,
                     int64_t plane, int64_t z, struct winograd_rows rows, int64_t first, int64_t count) {
    output_fn *const output = outputs[plan->to == ELEMENT_BF16][target->sums != NULL];
    const float *m = scratch + plan->m + plane * plan->m_plane;
    for (int64_t done = 0; done < count;) {
        const int64_t row = (first + done) / plan->row_tiles, begin = (first + done) % plan->row_tiles;
        const int64_t tiles = smaller(plan->row_tiles - begin, count - done);
        for (int64_t t = 0, at = 0; t < CONV_SOURCES; at += plan->out_part[t++]) {
            const int64_t channels = plan->out_part[t];
            struct tile_target to = {.width = plan->size[2], .channels = channels};
            for (int r = 0; r < 2 && channels > 0; r++) {
                const int64_t y = 2 * row + r;
                const int64_t pixel = (z * plan->size[1] + y) * plan->size[2];
                if (y >= rows.begin && y < rows.end) to.row[r] = (void *)element_at(target->data[t], plan->to, pixel * channels);
            }
            for (int64_t c = 0; c < channels; c += LANES) {
                const int64_t left = channels - c;
                vec shift = {0};
                if (bias) shift = load_left(bias + c, ELEMENT_F32, left);
                struct tile_sums sums;
                output(&to, begin, tiles, c, left, m + done * plan->m_row + at + c, plan->m_row, plan->m_frequency, shift, &sums);
                if (target->sums) add_sums(target->sums, channels, &sums, c);
            }
        }
        done += tiles;
    }
}
