/* Weights to Winograd's frequencies, U = G g G^T, once a step: a vector of output channels at a time.
 * Called by winograd.c. */
#include "winograd_pass.h"

enum { CHUNK = 8, LINE = 16 }; /* input channels whose weights are turned at once; floats that are fetched at once */

/* u[4 * row + column] of a 3 x 3 kernel. */
INLINE void transform_kernel(vec u[FREQUENCIES], const vec g[9]) {
    vec rows[4][3];
#pragma GCC unroll 3
    for (int c = 0; c < 3; c++) {
        const vec even = 0.5f * (g[c] + g[6 + c]), odd = 0.5f * g[3 + c];
        rows[0][c] = g[c], rows[1][c] = even + odd, rows[2][c] = even - odd, rows[3][c] = g[6 + c];
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
        const vec even = 0.5f * (rows[r][0] + rows[r][2]), odd = 0.5f * rows[r][1];
        u[4 * r] = rows[r][0], u[4 * r + 1] = even + odd, u[4 * r + 2] = even - odd, u[4 * r + 3] = rows[r][2];
    }
}

INLINE bits_vec pair_of(vec low, vec high) {
    return __builtin_convertvector(bf16_of_vec(low), bits_vec) | __builtin_convertvector(bf16_of_vec(high), bits_vec) << 16;
}

/* Where a weight (output n, input k, tap) of a pass lies in PyTorch's order. */
struct order {
    int64_t n, k;
};

/* Kernels of outputs n .. n + LANES - 1, of which `here` exist, and inputs k .. k + count - 1: (input, tap, output). */
static void turn(float *to, const float *weights, struct order order, int64_t count, int64_t taps, int64_t here, bool turned) {
    if (here < LANES) zero_floats(to, count * taps * LANES);
    for (int64_t n = 0; n < here; n++)
        for (int64_t k = 0; k < count; k++) {
            const float *from = weights + n * order.n + k * order.k;
            float *at = to + k * taps * LANES + n;
            for (int64_t tap = 0; tap < taps; tap += LINE) __builtin_prefetch(from + CHUNK * order.k + tap); /* what comes next */
            if (turned)
                for (int64_t tap = 0; tap < taps; tap++) at[(taps - 1 - tap) * LANES] = from[tap];
            else
                for (int64_t tap = 0; tap < taps; tap++) at[tap * LANES] = from[tap];
        }
}

/* Inputs of one source: `count` from `channel` on, the first `here` of which exist, lie from `place` (even) on in U. */
struct inputs {
    int64_t channel, place, count, here;
};

/* Outputs n .. n + LANES - 1. */
static void pack_chunk(const struct winograd_plan *plan, float *packed, int64_t n, struct inputs in, const float *kernels) {
    static const vec none[9];
    const int64_t step = plan->pairs ? 2 : 1, next = plan->taps * 9 * LANES;
    const int64_t columns = block_columns(plan->out, n / BLOCK);
    for (int64_t i = 0; i < in.count; i += step)
        for (int64_t tap = 0; tap < plan->taps; tap++) {
            vec low[FREQUENCIES], high[FREQUENCIES];
            const float *kernel = kernels + i * next + tap * 9 * LANES;
            transform_kernel(low, (const vec *)kernel);
            if (plan->pairs) transform_kernel(high, i + 1 < in.count ? (const vec *)(kernel + next) : none);
            for (int f = 0; f < FREQUENCIES; f++) {
                const int64_t length = winograd_length(plan, f);
                float *to = packed + winograd_block(plan, f, n / BLOCK) + tap * length * columns + n % BLOCK;
                if (plan->pairs && f != plan->in_floats) {
                    *(bits_vec *)(to + (in.place + i) / 2 * columns) = pair_of(low[f], high[f]);
                    continue;
                }
                to += (in.channel + i) * columns;
                if (i < in.here) *(vec *)to = low[f];
                if (plan->pairs && i + 1 < in.here) *(vec *)(to + columns) = high[f];
            }
        }
}

void winograd_pack(const struct winograd_plan *plan, float *packed, const float *weights, bool turned) {
    const int64_t taps = 9 * plan->taps;
    const struct order order = {turned ? taps : plan->in * taps, turned ? plan->out * taps : taps};
    float kernels[CHUNK * 27 * LANES];
    for (int64_t block = 0; block < plan->out; block += BLOCK)
        for (int part = 0, first = 0; part < CONV_SOURCES; first += (int)plan->in_part[part++]) {
            const bool gap = part == 0 && plan->in_part[1] > 0; /* zeros where the second source does not begin yet */
            const int64_t exist = plan->in_part[part], end = gap ? plan->in_place[1] : exist;
            for (int64_t k = 0; k < end; k += CHUNK) {
                struct inputs in = {first + k, plan->in_place[part] + k, smaller(CHUNK, end - k), 0};
                in.here = smaller(in.count, larger(exist - k, 0));
                if (in.here < in.count) zero_floats(kernels, CHUNK * taps * LANES);
                for (int64_t n = block; n < smaller(block + BLOCK, plan->out); n += LANES) {
                    const float *from = weights + n * order.n + in.channel * order.k;
                    turn(kernels, from, order, in.here, taps, smaller(LANES, plan->out - n), turned);
                    pack_chunk(plan, packed, n, in, kernels);
                }
            }
        }
}
