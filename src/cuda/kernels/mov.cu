/* MoV, forwards and backwards: plain/mov.c says the formulas.
 *
 * A block has a tile of pixels of one plane, a thread PIXELS neighbours along a row with their queries in registers.  Plane by
 * plane the keys around the tile are brought into shared memory, one channel behind the other, zero outside the image.  A row of
 * a window takes PIXELS + 2 radius keys a channel for PIXELS * window products; its logits go into a running softmax (to base 2,
 * queries being scaled by log2(e) / sqrt(d)) and are forgotten.  Logits outside begin at -1000 instead of 0.
 *
 * Backwards in two passes.  The first runs the softmax again, keeps of each pixel and head log2(sum of 2^logit) and <g, v> in the
 * workspace, and with them goes over its keys once more for dquery.  The second does the same from the other side: a key meets
 * all queries that look at it, which bring their two numbers and dfield along, so dkey is a sum in registers too.
 *
 * What no tile serves (radii above 4, heads of more than 32 channels) is left to the kernels of mov_any.cuh. */
#include "mov_any.cuh"
#include "mov_tile.cuh"

namespace mov {

/* ---- the window of a thread's pixels */

/* logit[i][o] of one row of the windows: the products of pixel i's own features and the row's at column + i + o. */
template <class F>
__device__ static void products_of_row(float (&logit)[F::pixels][F::window], const struct own_features<F> &own,
                                       const tile_of<F> &tile, const struct place<F> &at, int row) {
#pragma unroll 8
    for (int c = 0; c < F::dim; c++) {
        float other[F::span];
        F::read(other, &tile.value[c][at.row() + row][at.column()]);
#pragma unroll
        for (int i = 0; i < F::pixels; i++)
#pragma unroll
            for (int o = 0; o < F::window; o++) logit[i][o] = fmaf(own.at(tile, at, i, c), other[i + o], logit[i][o]);
    }
}

/* sum[i][c] += over o of weight[i][o] * feature c at column + i + o. */
template <class F>
__device__ static void add_weighted_row(float (&sum)[F::pixels][F::dim], const float (&weight)[F::pixels][F::window],
                                        const tile_of<F> &tile, int row, int column) {
#pragma unroll
    for (int c = 0; c < F::dim; c++) {
        float other[F::span];
        F::read(other, &tile.value[c][row][column]);
#pragma unroll
        for (int i = 0; i < F::pixels; i++)
#pragma unroll
            for (int o = 0; o < F::window; o++) sum[i][c] = fmaf(weight[i][o], other[i + o], sum[i][c]);
    }
}

/* Logits of a row of keys, those outside included. */
template <class F>
__device__ static void logits_of_row(float (&logit)[F::pixels][F::window], const struct own_features<F> &query,
                                     const tile_of<F> &tile, const struct place<F> &at, int plane, int row, const struct frame &f) {
    const int y = at.y() + row - F::radius;
    const bool line = plane >= 0 && plane < f.size[0] && y >= 0 && y < f.size[1];
#pragma unroll
    for (int i = 0; i < F::pixels; i++)
#pragma unroll
        for (int o = 0; o < F::window; o++) {
            const int x = at.x() + i + o - F::radius;
            logit[i][o] = line && x >= 0 && x < f.size[2] ? 0 : outside_logit;
        }
    products_of_row<F>(logit, query, tile, at, row);
}

/* The softmax of PIXELS pixels so far: of largest logit, sum of 2^(logit - largest), and sum of those times the offset. */
template <class F> struct running {
    float largest[F::pixels], sum[F::pixels], moment[F::pixels][F::ndim];

    __device__ void clear() {
        for (int i = 0; i < F::pixels; i++) {
            largest[i] = -INFINITY, sum[i] = 0;
            for (int a = 0; a < F::ndim; a++) moment[i][a] = 0;
        }
    }
    __device__ void add(const float (&logit)[F::pixels][F::window], int plane_offset, int row_offset) {
#pragma unroll
        for (int i = 0; i < F::pixels; i++) {
            float most = largest[i], row_sum = 0, row_moment = 0;
#pragma unroll
            for (int o = 0; o < F::window; o++) most = fmaxf(most, logit[i][o]);
            const float before = power_of_two(largest[i] - most);
#pragma unroll
            for (int o = 0; o < F::window; o++) {
                const float w = power_of_two(logit[i][o] - most);
                row_sum += w, row_moment = fmaf(w, (float)(o - F::radius), row_moment);
            }
            largest[i] = most, sum[i] = fmaf(sum[i], before, row_sum);
            moment[i][F::ndim - 1] = fmaf(moment[i][F::ndim - 1], before, row_moment);
            moment[i][F::ndim - 2] = fmaf(moment[i][F::ndim - 2], before, row_sum * (float)row_offset);
            if (F::ndim == 3) moment[i][0] = fmaf(moment[i][0], before, row_sum * (float)plane_offset);
        }
    }
};

/* The softmax over all keys of a tile's pixels; of a 2D image the keys stay in the tile. */
template <class F>
__device__ static void run_softmax(struct running<F> &softmax, const struct own_features<F> &query, const float *key,
                                   tile_of<F> &tile, const struct place<F> &at, const struct frame &f) {
    softmax.clear();
    for (int o = -F::planes / 2; o <= F::planes / 2; o++) {
        tile_barrier();
        fill_around<F>(tile, key, at, at.z + o, 1, f);
        filled_barrier();
#pragma unroll 1
        for (int row = 0; row < F::window; row++) {
            float logit[F::pixels][F::window];
            logits_of_row<F>(logit, query, tile, at, at.z + o, row, f);
            softmax.add(logit, o, row - F::radius);
        }
    }
}

/* ---- forward */

template <class F>
__global__ void __launch_bounds__(F::threads, F::blocks)
    vectors(float *__restrict__ field, const float *__restrict__ query, const float *__restrict__ key, const struct frame f) {
    tile_of<F> &tile = shared<tile_of<F>>();
    struct place<F> at = place_of<F>(f, 0);
    struct own_features<F> own = {};
    float sum[F::pixels][F::ndim] = {};
    struct running<F> softmax;
    for (; at.head < f.heads; at.head++) {
        fetch_own<F>(own, query, tile, at, f.scale, f);
        run_softmax<F>(softmax, own, key, tile, at, f);
#pragma unroll
        for (int i = 0; i < F::pixels; i++)
#pragma unroll
            for (int a = 0; a < F::ndim; a++) sum[i][a] += softmax.moment[i][a] / softmax.sum[i];
    }
#pragma unroll
    for (int i = 0; i < F::pixels; i++)
        if (at.holds(i, f))
#pragma unroll
            for (int a = 0; a < F::ndim; a++) field[(at.pixel(f) + i) * F::ndim + a] = sum[i][a] / (float)f.heads;
}

/* ---- backward */

template <class F>
__global__ void __launch_bounds__(F::threads, F::blocks)
    query_gradient(float *__restrict__ dquery, struct summary *__restrict__ summaries, const float *__restrict__ dfield,
                   const float *__restrict__ query, const float *__restrict__ key, const struct frame f) {
    tile_of<F> &tile = shared<tile_of<F>>();
    const struct place<F> at = place_of<F>(f, (int)blockIdx.y);
    struct own_features<F> own = {};
    float sum[F::pixels][F::dim] = {}, gradient[F::pixels][F::ndim];
    struct summary summary[F::pixels];
    fetch_own<F>(own, query, tile, at, f.scale, f);
    struct running<F> softmax;
    run_softmax<F>(softmax, own, key, tile, at, f);
#pragma unroll
    for (int i = 0; i < F::pixels; i++) {
        summary[i] = {softmax.largest[i] + log2f(softmax.sum[i]), 0};
#pragma unroll
        for (int a = 0; a < F::ndim; a++) {
            gradient[i][a] = at.holds(i, f) ? dfield[(at.pixel(f) + i) * F::ndim + a] : 0;
            summary[i].along = fmaf(gradient[i][a], softmax.moment[i][a] / softmax.sum[i], summary[i].along);
        }
        if (at.holds(i, f)) summaries[summary_of(at.pixel(f) + i, at.image, at.head, f)] = summary[i];
    }
    for (int o = -F::planes / 2; o <= F::planes / 2; o++) {
        if (F::planes > 1) {
            tile_barrier();
            fill_around<F>(tile, key, at, at.z + o, 1, f);
            filled_barrier();
        }
#pragma unroll 1
        for (int row = 0; row < F::window; row++) {
            float logit[F::pixels][F::window];
            logits_of_row<F>(logit, own, tile, at, at.z + o, row, f);
#pragma unroll
            for (int i = 0; i < F::pixels; i++) { /* logits become their gradients */
                float rise = fmaf(gradient[i][F::ndim - 2], (float)(row - F::radius), -summary[i].along);
                if (F::ndim == 3) rise = fmaf(gradient[i][0], (float)o, rise);
#pragma unroll
                for (int k = 0; k < F::window; k++)
                    logit[i][k] = power_of_two(logit[i][k] - summary[i].log_sum) *
                                  fmaf(gradient[i][F::ndim - 1], (float)(k - F::radius), rise);
            }
            add_weighted_row<F>(sum, logit, tile, at.row() + row, at.column());
        }
    }
    store_own<F>(dquery, sum, at, f.scale * ln_2 / (float)f.heads, f);
}

/* What the pixels around a tile bring along, in planes behind their channels.  Those outside have a sum so large that all their
 * weights are zero. */
enum { LOG_SUM, RISE, ALONG_Y, ALONG_X };

template <class F>
__device__ static void fill_summaries(tile_of<F> &tile, const struct summary *summaries, const float *dfield,
                                      const struct place<F> &at, int offset, const struct frame &f) {
    const int plane = at.z + offset;
    for (int i = (int)threadIdx.x; i < F::height * F::pitch; i += F::threads) {
        const int row = i / F::pitch, column = i % F::pitch, y = at.first_y + row - F::radius, x = at.first_x + column - F::radius;
        float value[F::extra] = {1e30f, 0, 0, 0};
        if (plane >= 0 && plane < f.size[0] && y >= 0 && y < f.size[1] && x >= 0 && x < f.size[2]) {
            const int64_t pixel = at.image * f.pixels + ((int64_t)plane * f.size[1] + y) * f.size[2] + x;
            const struct summary summary = summaries[summary_of(pixel, at.image, at.head, f)];
            const float *g = dfield + pixel * F::ndim;
            value[LOG_SUM] = summary.log_sum, value[ALONG_Y] = g[F::ndim - 2], value[ALONG_X] = g[F::ndim - 1];
            value[RISE] = F::ndim == 3 ? fmaf(g[0], (float)-offset, -summary.along) : -summary.along;
        }
        for (int k = 0; k < F::extra; k++) tile.value[F::dim + k][row][column] = value[k];
    }
}

/* The pixel `offset` rows or columns on from a key sees that key at minus the offset. */
template <class F>
__global__ void __launch_bounds__(F::threads, F::blocks)
    key_gradient(float *__restrict__ dkey, const struct summary *__restrict__ summaries, const float *__restrict__ dfield,
                 const float *__restrict__ query, const float *__restrict__ key, const struct frame f) {
    tile_of<F> &tile = shared<tile_of<F>>();
    const struct place<F> at = place_of<F>(f, (int)blockIdx.y);
    struct own_features<F> own = {};
    float sum[F::pixels][F::dim] = {};
    fetch_own<F>(own, key, tile, at, 1, f);
    for (int o = -F::planes / 2; o <= F::planes / 2; o++) {
        tile_barrier();
        fill_around<F>(tile, query, at, at.z + o, f.scale, f);
        fill_summaries<F>(tile, summaries, dfield, at, o, f);
        filled_barrier();
#pragma unroll 1
        for (int row = 0; row < F::window; row++) {
            float logit[F::pixels][F::window] = {}, other[F::span], rise[F::span];
            products_of_row<F>(logit, own, tile, at, row);
            F::read(other, &tile.value[F::dim + LOG_SUM][at.row() + row][at.column()]);
#pragma unroll
            for (int i = 0; i < F::pixels; i++)
#pragma unroll
                for (int k = 0; k < F::window; k++) logit[i][k] = power_of_two(logit[i][k] - other[i + k]);
            F::read(rise, &tile.value[F::dim + RISE][at.row() + row][at.column()]);
            F::read(other, &tile.value[F::dim + ALONG_Y][at.row() + row][at.column()]);
#pragma unroll
            for (int k = 0; k < F::span; k++) rise[k] = fmaf(other[k], (float)(F::radius - row), rise[k]);
            F::read(other, &tile.value[F::dim + ALONG_X][at.row() + row][at.column()]);
#pragma unroll
            for (int i = 0; i < F::pixels; i++)
#pragma unroll
                for (int k = 0; k < F::window; k++) logit[i][k] *= fmaf(other[i + k], (float)(F::radius - k), rise[i + k]);
            add_weighted_row<F>(sum, logit, tile, at.row() + row, at.column());
        }
    }
    store_own<F>(dkey, sum, at, ln_2 / (float)f.heads, f);
}

/* ---- host */

static struct frame frame_of(const struct cuda_mov_shape *s) {
    struct frame f = {};
    for (int a = 0; a < 3; a++) f.size[a] = (int)s->grid.size[a];
    f.heads = s->heads, f.dim = (int)(s->channels / s->heads), f.radius = s->radius, f.ndim = s->grid.ndim;
    f.images = s->images, f.pixels = grid_pixels(&s->grid), f.channels = s->channels;
    f.scale = log2_e / sqrtf((float)f.dim);
    return f;
}

/* The buffers of a call; forward alone has no gradients. */
struct call {
    cuda_stream stream;
    float *field, *dquery, *dkey;
    const float *dfield, *query, *key;
    struct summary *summaries;
};

template <class F> static dim3 tiles_of(struct frame &f) {
    f.tiles_y = (f.size[1] + F::rows - 1) / F::rows, f.tiles_x = (f.size[2] + F::width - 1) / F::width;
    return dim3((unsigned)(f.images * f.size[0]) * (unsigned)(f.tiles_y * f.tiles_x));
}

template <int NDIM, int RADIUS, int DIM> static cudaError_t forward(struct frame f, const struct call &call) {
    typedef form<NDIM, RADIUS, DIM, (DIM > 8 ? 1 : RADIUS > 3 ? 2 : 4), 0> F;
    const dim3 tiles = tiles_of<F>(f);
    return LAUNCH(vectors<F>, tiles, F::threads, sizeof(tile_of<F>), call.stream, call.field, call.query, call.key, f);
}

template <int NDIM, int RADIUS, int DIM> static cudaError_t backward(struct frame f, const struct call &call) {
    constexpr int pixels = DIM > 8 ? 1 : 2;
    typedef form<NDIM, RADIUS, DIM, pixels, 0> F;
    typedef form<NDIM, RADIUS, DIM, pixels, 4> G; /* with LOG_SUM and so on */
    dim3 tiles = tiles_of<F>(f);
    tiles.y = (unsigned)f.heads;
    const cudaError_t error = LAUNCH(query_gradient<F>, tiles, F::threads, sizeof(tile_of<F>), call.stream, call.dquery,
                                     call.summaries, call.dfield, call.query, call.key, f);
    if (error) return error;
    return LAUNCH(key_gradient<G>, tiles, G::threads, sizeof(tile_of<G>), call.stream, call.dkey, call.summaries, call.dfield,
                  call.query, call.key, f);
}

static cudaError_t any_forward(struct frame f, const struct call &call) {
    return LAUNCH(any_vectors, any_blocks(f, 1), ANY_THREADS, 0, call.stream, call.field, call.query, call.key, f);
}

static cudaError_t any_backward(struct frame f, const struct call &call) {
    const dim3 blocks = any_blocks(f, f.heads);
    const cudaError_t error = LAUNCH(any_query_gradient, blocks, ANY_THREADS, 0, call.stream, call.dquery, call.summaries,
                                     call.dfield, call.query, call.key, f);
    if (error) return error;
    return LAUNCH(any_key_gradient, blocks, ANY_THREADS, 0, call.stream, call.dkey, call.summaries, call.dfield, call.query,
                  call.key, f);
}

/* Forms by dimensions, radius and the channels that a head has at most; the last would take more shared memory than there is. */
enum { RADII = 4, DIMS = 2 };
static const struct {
    cudaError_t (*forward)(struct frame f, const struct call &call), (*backward)(struct frame f, const struct call &call);
} forms[2][RADII][DIMS] = {
#define FORM(ndim, radius, dim)                                                                                                    \
    { forward<ndim, radius, dim>, backward<ndim, radius, dim> }
#define FORMS(ndim, radius)                                                                                                        \
    { FORM(ndim, radius, 8), FORM(ndim, radius, 32) }
#define FORMS_4(ndim)                                                                                                              \
    {                                                                                                                              \
        FORM(ndim, 4, 8), { any_forward, any_backward }                                                                            \
    }
    {FORMS(2, 1), FORMS(2, 2), FORMS(2, 3), FORMS_4(2)},
    {FORMS(3, 1), FORMS(3, 2), FORMS(3, 3), FORMS_4(3)},
};

static cudaError_t run(const struct cuda_mov_shape *s, const struct call &call, bool gradient) {
    const int64_t rows = s->images * s->grid.size[0] * s->grid.size[1];
    if (rows * ((s->grid.size[2] + 15) / 16) > INT32_MAX || s->grid.size[2] > INT32_MAX - 64 || s->heads > 65535)
        return cudaErrorInvalidValue; /* more than tiles can be numbered */
    const struct frame f = frame_of(s);
    if (f.radius > RADII || f.dim > 32) return gradient ? any_backward(f, call) : any_forward(f, call);
    const auto &form = forms[f.ndim - 2][f.radius - 1][f.dim > 8];
    return gradient ? form.backward(f, call) : form.forward(f, call);
}

} // namespace mov

extern "C" cuda_error cuda_mov(cuda_stream stream, float *field, const float *query, const float *key,
                               const struct cuda_mov_shape *s) {
    struct mov::call call = {};
    call.stream = stream, call.field = field, call.query = query, call.key = key;
    return mov::run(s, call, false);
}

extern "C" size_t cuda_mov_grad_workspace(const struct cuda_mov_shape *s) {
    return (size_t)(s->images * s->heads * grid_pixels(&s->grid)) * sizeof(struct mov::summary);
}

extern "C" cuda_error cuda_mov_grad(cuda_stream stream, float *dquery, float *dkey, const float *dfield, const float *query,
                                    const float *key, const struct cuda_mov_shape *s, void *workspace) {
    struct mov::call call = {};
    call.stream = stream, call.dquery = dquery, call.dkey = dkey, call.dfield = dfield, call.query = query, call.key = key;
    call.summaries = (struct mov::summary *)workspace;
    return mov::run(s, call, true);
}
