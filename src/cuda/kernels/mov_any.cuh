/* MoV for any radius and any number of channels: a thread has one pixel (and head) and reads everything from memory.  Slow, for
 * sizes that no network of the paper has.  And what these kernels share with the tiled ones of mov.cu, which says how it goes. */
#ifndef COVER_CUDA_MOV_ANY_CUH
#define COVER_CUDA_MOV_ANY_CUH

#include "../cuda.h"
#include "../kernels.h"

#include <math.h>

namespace mov {

static constexpr float log2_e = 1.44269504088896340736f, ln_2 = 0.69314718055994530942f;
static constexpr float outside_logit = -1000 * log2_e;

struct frame {
    int size[3], images;          /* D, H, W */
    int tiles_y, tiles_x;         /* of a plane, of the form in use */
    int heads, dim, radius, ndim; /* dim: channels a head */
    int64_t pixels, channels;     /* of an image; of a pixel */
    float scale;                  /* of queries: log2(e) / sqrt(dim) */
};

/* What the second pass backwards wants of each pixel and head: (images, heads, pixels). */
struct summary {
    float log_sum; /* log2 of the sum of 2^logit */
    float along;   /* <g, v> */
};

/* `pixel` counts those of all images. */
__device__ static inline int64_t summary_of(int64_t pixel, int64_t image, int head, const struct frame &f) {
    return pixel + (image * (f.heads - 1) + head) * f.pixels;
}

__device__ static inline float power_of_two(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); /* 2 units in the last place; below 2^-126 it is 0 */
    return y;
#else
    return exp2f(x);
#endif
}

/* ---- a pixel and the offsets around it */

struct pixel {
    int64_t image, number; /* number: among the pixels of all images */
    int head, place[3];    /* D, H, W */
    bool held;
};

enum { ANY_THREADS = 128 };
static inline dim3 any_blocks(const struct frame &f, int heads) {
    return dim3((unsigned)((f.images * f.pixels + ANY_THREADS - 1) / ANY_THREADS), (unsigned)heads);
}

__device__ static inline struct pixel my_pixel(const struct frame &f) {
    struct pixel p;
    p.number = (int64_t)blockIdx.x * ANY_THREADS + threadIdx.x, p.held = p.number < f.images * f.pixels;
    p.image = p.number / f.pixels, p.head = (int)blockIdx.y;
    int64_t left = p.number % f.pixels;
    for (int a = 2; a >= 0; a--) p.place[a] = (int)(left % f.size[a]), left /= f.size[a];
    return p;
}

/* Goes over all offsets in memory order: o[] is the offset, `at` the number of the pixel there, -1 outside. */
#define EACH_OFFSET(o, at, p, f)                                                                                                   \
    for (int o[3] = {(f).ndim == 3 ? -(f).radius : 0, -(f).radius, -(f).radius}; o[1] <= (f).radius; next_offset(o, f))            \
        if (const int64_t at = neighbour(p, o, f); true)

__device__ static inline void next_offset(int o[3], const struct frame &f) {
    const int deep = f.ndim == 3 ? f.radius : 0;
    if (++o[2] <= f.radius) return;
    o[2] = -f.radius;
    if (++o[1] <= f.radius || o[0] == deep) return; /* the last plane's last row ends it */
    o[1] = -f.radius, o[0]++;
}
__device__ static inline int64_t neighbour(const struct pixel &p, const int o[3], const struct frame &f) {
    int64_t at = 0;
    bool inside = true;
    for (int a = 0; a < 3; a++) {
        inside = inside && p.place[a] + o[a] >= 0 && p.place[a] + o[a] < f.size[a];
        at = at * f.size[a] + p.place[a] + o[a];
    }
    return inside ? p.image * f.pixels + at : -1;
}
/* Sums along axes are kept along D, H, W: in 2D the first is left out of vectors in memory. */
__device__ static inline float along_offset(const float *g, const int o[3], int ndim) {
    float sum = ndim == 3 ? g[0] * (float)o[0] : 0;
    return sum + g[ndim - 2] * (float)o[1] + g[ndim - 1] * (float)o[2];
}
__device__ static inline float product(const float *a, int64_t p, const float *b, int64_t q, int head, const struct frame &f) {
    float sum = 0;
    for (int64_t c = head; c < f.channels; c += f.heads) sum = fmaf(f.scale * a[p * f.channels + c], b[q * f.channels + c], sum);
    return sum;
}

/* ---- kernels */

/* Sum and mean offset of one head's softmax, to base 2; returns log2 of the sum. */
__device__ static inline float any_softmax(float mean[3], const float *query, const float *key, const struct pixel &p, int head,
                                           const struct frame &f) {
    float largest = -INFINITY, sum = 0;
    EACH_OFFSET(o, at, p, f) largest = fmaxf(largest, at < 0 ? outside_logit : product(query, p.number, key, at, head, f));
    mean[0] = mean[1] = mean[2] = 0;
    EACH_OFFSET(o, at, p, f) {
        const float w = power_of_two((at < 0 ? outside_logit : product(query, p.number, key, at, head, f)) - largest);
        sum += w;
        for (int a = 0; a < 3; a++) mean[a] = fmaf(w, (float)o[a], mean[a]);
    }
    for (int a = 0; a < 3; a++) mean[a] /= sum;
    return largest + log2f(sum);
}

__global__ static void __launch_bounds__(ANY_THREADS)
    any_vectors(float *__restrict__ field, const float *__restrict__ query, const float *__restrict__ key, const struct frame f) {
    const struct pixel p = my_pixel(f);
    float sum[3] = {0, 0, 0}, mean[3];
    if (!p.held) return;
    for (int head = 0; head < f.heads; head++) {
        any_softmax(mean, query, key, p, head, f);
        for (int a = 0; a < 3; a++) sum[a] += mean[a];
    }
    for (int a = 0; a < 3; a++)
        if (a > 0 || f.ndim == 3) field[p.number * f.ndim + a - (3 - f.ndim)] = sum[a] / (float)f.heads;
}

__global__ static void __launch_bounds__(ANY_THREADS)
    any_query_gradient(float *__restrict__ dquery, struct summary *__restrict__ summaries, const float *__restrict__ dfield,
                       const float *__restrict__ query, const float *__restrict__ key, const struct frame f) {
    const struct pixel p = my_pixel(f);
    if (!p.held) return;
    const float *g = dfield + p.number * f.ndim, scale = f.scale * ln_2 / (float)f.heads;
    float mean[3], *to = dquery + p.number * f.channels;
    struct summary summary = {any_softmax(mean, query, key, p, p.head, f), 0};
    for (int a = 0; a < 3; a++)
        if (a > 0 || f.ndim == 3) summary.along = fmaf(g[a - (3 - f.ndim)], mean[a], summary.along);
    summaries[summary_of(p.number, p.image, p.head, f)] = summary;
    for (int64_t c = p.head; c < f.channels; c += f.heads) to[c] = 0;
    EACH_OFFSET(o, at, p, f) {
        if (at < 0) continue;
        const float w = power_of_two(product(query, p.number, key, at, p.head, f) - summary.log_sum);
        const float rise = scale * w * (along_offset(g, o, f.ndim) - summary.along);
        for (int64_t c = p.head; c < f.channels; c += f.heads) to[c] += rise * key[at * f.channels + c];
    }
}

/* The pixel at offset o from a key sees that key at -o. */
__global__ static void __launch_bounds__(ANY_THREADS)
    any_key_gradient(float *__restrict__ dkey, const struct summary *__restrict__ summaries, const float *__restrict__ dfield,
                     const float *__restrict__ query, const float *__restrict__ key, const struct frame f) {
    const struct pixel p = my_pixel(f);
    if (!p.held) return;
    const float scale = f.scale * ln_2 / (float)f.heads;
    float *to = dkey + p.number * f.channels;
    for (int64_t c = p.head; c < f.channels; c += f.heads) to[c] = 0;
    EACH_OFFSET(o, at, p, f) {
        if (at < 0) continue;
        const struct summary summary = summaries[summary_of(at, p.image, p.head, f)];
        const float w = power_of_two(product(query, at, key, p.number, p.head, f) - summary.log_sum);
        const float rise = -scale * w * (along_offset(dfield + at * f.ndim, o, f.ndim) + summary.along);
        for (int64_t c = p.head; c < f.channels; c += f.heads) to[c] += rise * query[at * f.channels + c];
    }
}

} // namespace mov
#endif
