/* Convolution in plain C, as its formula reads, summed in double: the oracle of the other forms, and the last row of
 * conv.c's list.  Channels last; weights in PyTorch's order (c_out, c_in, taps). */
#include "form.h"

#include <string.h>

/* y(p, o) = bias(o) + sum over taps t and channels i of x(p + t - 1, i) * w(o, i, t); a pixel outside counts zero.
 * The index of pixel p + t - 1, or -1 outside; with kernel 1 it is p itself. */
static int64_t neighbour(const struct conv_shape *shape, int64_t pixel, int64_t tap) {
    if (shape->kernel == 1) return pixel;
    const int64_t *size = shape->grid.size;
    int64_t x = pixel % size[2] + tap % 3 - 1;
    int64_t y = pixel / size[2] % size[1] + tap / 3 % 3 - 1;
    int64_t z = pixel / size[2] / size[1] + (shape->grid.ndim == 3 ? tap / 9 - 1 : 0);
    bool inside = x >= 0 && x < size[2] && y >= 0 && y < size[1] && z >= 0 && z < size[0];
    return inside ? (z * size[1] + y) * size[2] + x : -1;
}

static void forward(const struct conv_shape *s, int64_t begin, int64_t end, float *y, const float *x, const float *w,
                    const float *bias) {
    int64_t taps = conv_taps(s);
    for (int64_t p = begin; p < end; p++) {
        for (int64_t o = 0; o < s->c_out; o++) {
            double sum = bias ? bias[o] : 0;
            for (int64_t t = 0; t < taps; t++) {
                int64_t q = neighbour(s, p, t);
                if (q < 0) continue;
                for (int64_t i = 0; i < s->c_in; i++) sum += (double)x[q * s->c_in + i] * w[(o * s->c_in + i) * taps + t];
            }
            y[p * s->c_out + o] = (float)sum;
        }
    }
}

/* dx(p, i) = sum over taps t and channels o of dy(p - (t - 1), o) * w(o, i, t) */
static void grad_data(const struct conv_shape *s, int64_t begin, int64_t end, float *dx, const float *dy, const float *w) {
    int64_t taps = conv_taps(s);
    for (int64_t p = begin; p < end; p++) {
        for (int64_t i = 0; i < s->c_in; i++) {
            double sum = 0;
            for (int64_t t = 0; t < taps; t++) {
                int64_t q = neighbour(s, p, taps - 1 - t);
                if (q < 0) continue;
                for (int64_t o = 0; o < s->c_out; o++) sum += (double)dy[q * s->c_out + o] * w[(o * s->c_in + i) * taps + t];
            }
            dx[p * s->c_in + i] = (float)sum;
        }
    }
}

static cover_status convolve(const struct prepared *prepared, int slab, const struct conv_target *target,
                             const struct conv_source source[CONV_SOURCES], const void *packed, const float *bias, void *scratch) {
    float *out = target->data[0];
    const float *in = source->data;
    (void)scratch;
    const struct conv_shape *s = &prepared->shape;
    const struct conv_slab rows = conv_slab(s, slab);
    int64_t begin = rows.begin * conv_row_pixels(s), end = rows.end * conv_row_pixels(s);
    if (prepared->pass == CONV_FORWARD) forward(s, begin, end, out, in, packed, bias);
    else grad_data(s, begin, end, out, in, packed);
    return COVER_OK;
}

/* dw(o, i, t) = sum over pixels p of dy(p, o) * x(p + t - 1, i);  db(o) = sum over p of dy(p, o) */
static cover_status grad_weights(const struct prepared *prepared, float *dw, float *db,
                                 const struct conv_source source[CONV_SOURCES], const void *dy_data, void *scratch,
                                 bool accumulate) {
    (void)scratch;
    const float *x = source->data, *dy = dy_data;
    const struct conv_shape *s = &prepared->shape;
    int64_t taps = conv_taps(s), pixels = grid_pixels(&s->grid);
    for (int64_t o = 0; o < s->c_out; o++) {
        for (int64_t i = 0; i < s->c_in; i++) {
            for (int64_t t = 0; t < taps; t++) {
                double sum = 0;
                for (int64_t p = 0; p < pixels; p++) {
                    int64_t q = neighbour(s, p, t);
                    if (q >= 0) sum += (double)dy[p * s->c_out + o] * x[q * s->c_in + i];
                }
                float *to = &dw[(o * s->c_in + i) * taps + t];
                *to = accumulate ? *to + (float)sum : (float)sum;
            }
        }
        if (!db) continue;
        double sum = 0;
        for (int64_t p = 0; p < pixels; p++) sum += dy[p * s->c_out + o];
        db[o] = accumulate ? db[o] + (float)sum : (float)sum;
    }
    return COVER_OK;
}

static bool serves(enum conv_pass pass, unsigned features) {
    (void)pass, (void)features;
    return true;
}

static cover_status prepare(struct prepared *prepared) {
    if (prepared->pass != CONV_GRAD_WEIGHTS) prepared->packed_bytes = (size_t)conv_weights(&prepared->shape) * sizeof(float);
    return COVER_OK;
}
static void release(struct prepared *prepared) { (void)prepared; }

static cover_status pack(const struct prepared *prepared, void *packed, const float *weights, void *scratch) {
    (void)scratch;
    memcpy(packed, weights, prepared->packed_bytes);
    return COVER_OK;
}

const struct conv_form conv_plain = {"plain", 0, serves, prepare, release, pack, convolve, grad_weights};
