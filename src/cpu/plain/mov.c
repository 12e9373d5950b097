/* MoV, the mixture of vectors, plain C: what the forms in simd/mov.c must equal.
 * Paper: VEU and MVI (section 3.3).  For each head j, with d = head_dim, J heads and offsets |o|_inf <= radius,
 *
 *   l_o     = <query_j(p), key_j(p + o)> / sqrt(d), or -1000 where p + o is outside
 *   w_o     = exp(l_o) / sum over o of exp(l_o)
 *   v_j(p)  = sum over o of w_o * o,     field(p) = mean over j of v_j(p)
 *
 * and backwards, with g = dfield(p):
 *
 *   dl_o       = w_o * (<g, o> - <g, v_j(p)>) / J
 *   dquery_j(p) = sum over o inside of dl_o * key_j(p + o) / sqrt(d)
 *   dkey_j(r)   = sum over p + o = r of dl_o * query_j(p) / sqrt(d) */
#include "../forms.h"

#include <math.h>
#include <string.h>

static const float outside_logit = -1000.0f;

/* The neighbour p + o, o the number'th offset in memory order; -1 outside.  vector: o itself, array-axis order. */
static int64_t neighbour(int64_t pixel, int64_t number, const struct mov_shape *s, float vector[3]) {
    const int64_t window = 2 * s->radius + 1, *size = s->grid.size;
    const int64_t p[3] = {pixel / size[2] / size[1], pixel / size[2] % size[1], pixel % size[2]};
    const int64_t o[3] = {s->grid.ndim == 3 ? number / window / window - s->radius : 0, number / window % window - s->radius,
                          number % window - s->radius};
    int64_t at = 0;
    bool inside = true;
    for (int a = 0; a < 3; a++) {
        inside = inside && p[a] + o[a] >= 0 && p[a] + o[a] < size[a];
        at = at * size[a] + p[a] + o[a];
        if (a >= 3 - s->grid.ndim) vector[a - (3 - s->grid.ndim)] = (float)o[a];
    }
    return inside ? at : -1;
}

static int64_t count_offsets(const struct mov_shape *s) {
    const int64_t window = 2 * s->radius + 1;
    return window * window * (s->grid.ndim == 3 ? window : 1);
}

/* w_o of one pixel and head into `weights`; v_j(p) into `mean`. */
static void softmax(double mean[3], float *weights, const float *query, const float *key, int64_t pixel, int head,
                    const struct mov_shape *s) {
    const int64_t offsets = count_offsets(s);
    const float scale = 1 / sqrtf((float)(s->channels / s->heads));
    float vector[3], largest = -INFINITY;
    double sum = 0;
    for (int64_t o = 0; o < offsets; o++) {
        const int64_t at = neighbour(pixel, o, s, vector);
        weights[o] = at < 0 ? outside_logit : 0;
        for (int64_t c = head; at >= 0 && c < s->channels; c += s->heads)
            weights[o] += scale * query[pixel * s->channels + c] * key[at * s->channels + c];
        largest = fmaxf(largest, weights[o]);
    }
    for (int64_t o = 0; o < offsets; o++) {
        weights[o] = expf(weights[o] - largest);
        sum += weights[o];
    }
    mean[0] = mean[1] = mean[2] = 0;
    for (int64_t o = 0; o < offsets; o++) {
        weights[o] = (float)(weights[o] / sum);
        neighbour(pixel, o, s, vector);
        for (int a = 0; a < s->grid.ndim; a++) mean[a] += weights[o] * vector[a];
    }
}

void mov_plain(float *field, const float *query, const float *key, const struct mov_shape *s, int slab, int slabs,
               void *workspace) {
    int64_t begin, end;
    slab_share(s->grid.size[0] * s->grid.size[1], slab, slabs, &begin, &end);
    for (int64_t pixel = begin * s->grid.size[2]; pixel < end * s->grid.size[2]; pixel++) {
        double sum[3] = {0}, mean[3];
        for (int head = 0; head < s->heads; head++) {
            softmax(mean, workspace, query, key, pixel, head, s);
            for (int a = 0; a < s->grid.ndim; a++) sum[a] += mean[a];
        }
        for (int a = 0; a < s->grid.ndim; a++) field[pixel * s->grid.ndim + a] = (float)(sum[a] / s->heads);
    }
}

/* Pixels around the slab's lines are walked too, for what they send to its keys. */
void mov_grad_plain(float *dquery, float *dkey, const float *dfield, const float *query, const float *key,
                    const struct mov_shape *s, int slab, int slabs, void *workspace) {
    const int64_t pixels = grid_pixels(&s->grid), offsets = count_offsets(s), *size = s->grid.size;
    const float scale = 1 / sqrtf((float)(s->channels / s->heads));
    float *weights = workspace, vector[3];
    int64_t begin, end;
    slab_share(size[1], slab, slabs, &begin, &end);
    for (int64_t z = 0; z < size[0]; z++) {
        const int64_t first = (z * size[1] + begin) * size[2] * s->channels, count = (end - begin) * size[2] * s->channels;
        memset(dquery + first, 0, (size_t)count * sizeof *dquery);
        memset(dkey + first, 0, (size_t)count * sizeof *dkey);
    }
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        const int64_t line = pixel / size[2] % size[1];
        if (line < begin - s->radius || line >= end + s->radius) continue;
        for (int head = 0; head < s->heads; head++) {
            double mean[3];
            softmax(mean, weights, query, key, pixel, head, s);
            for (int64_t o = 0; o < offsets; o++) {
                const int64_t at = neighbour(pixel, o, s, vector);
                if (at < 0) continue;
                const int64_t key_line = at / size[2] % size[1];
                double rise = 0;
                for (int a = 0; a < s->grid.ndim; a++) rise += dfield[pixel * s->grid.ndim + a] * (vector[a] - mean[a]);
                const float dlogit = (float)(weights[o] * rise / s->heads) * scale;
                for (int64_t c = head; c < s->channels; c += s->heads) {
                    if (line >= begin && line < end) dquery[pixel * s->channels + c] += dlogit * key[at * s->channels + c];
                    if (key_line >= begin && key_line < end) dkey[at * s->channels + c] += dlogit * query[pixel * s->channels + c];
                }
            }
        }
    }
}
