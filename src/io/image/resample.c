/* Images to another size (docs/dataset.md, "Resampling").  One axis at a time: with n pixels becoming m and s = n / m,
 * output i lies at c = (i + 1/2) s - 1/2, and is the sum of w(j) x(j) / sum of w(j) over the pixels j, where
 * w(j) = max(0, 1 - |j - c| / max(s, 1)).  Called by pack. */
#include "resample.h"

#include "core/base/convert.h"
#include "core/base/memory.h"

#include <math.h>
#include <string.h>

typedef void *allocator(cover_context *context, size_t bytes); /* memory_alloc or memory_within */

/* Weights of all outputs of an axis: output i takes count[i] pixels from first[i]. */
struct weights {
    int64_t *first, *count;
    float *weight; /* `most` a row */
    int64_t most;
};

static void weights_free(struct weights *weights, cover_context *context) {
    memory_free(context, weights->first);
    memory_free(context, weights->count);
    memory_free(context, weights->weight);
    *weights = (struct weights){0};
}

static cover_status weights_create(struct weights *weights, cover_context *context, int64_t n, int64_t m) {
    const double step = (double)n / (double)m, reach = step > 1 ? step : 1;
    int64_t cells;
    *weights = (struct weights){.most = 2 * (int64_t)ceil(reach) + 1};
    if (!multiply(m, weights->most, &cells) || cells > INT64_MAX / (int64_t)sizeof(float))
        return fail(COVER_ERROR_SHAPE, "%lld pixels cannot become %lld", (long long)n, (long long)m);
    weights->first = memory_alloc(context, (size_t)m * sizeof *weights->first);
    weights->count = memory_alloc(context, (size_t)m * sizeof *weights->count);
    weights->weight = memory_alloc(context, (size_t)cells * sizeof *weights->weight);
    if (!weights->first || !weights->count || !weights->weight) {
        weights_free(weights, context);
        return COVER_ERROR_MEMORY;
    }
    for (int64_t i = 0; i < m; i++) {
        const double centre = ((double)i + 0.5) * step - 0.5;
        int64_t low = (int64_t)ceil(centre - reach), high = (int64_t)floor(centre + reach);
        if (low < 0) low = 0;
        if (high > n - 1) high = n - 1;
        float *row = weights->weight + i * weights->most;
        double sum = 0;
        for (int64_t j = low; j <= high; j++) {
            const double weight = 1 - fabs((double)j - centre) / reach;
            row[j - low] = (float)(weight > 0 ? weight : 0);
            sum += row[j - low];
        }
        for (int64_t j = low; j <= high; j++) row[j - low] = (float)(row[j - low] / sum);
        weights->first[i] = low, weights->count[i] = high - low + 1;
    }
    return COVER_OK;
}

/* (outer, n, inner) becomes (outer, m, inner). */
static void apply(float *to, const float *from, const struct weights *weights, int64_t outer, int64_t n, int64_t m, int64_t inner) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < m; i++) {
            float *restrict row = to + (o * m + i) * inner;
            const float *restrict weight = weights->weight + i * weights->most;
            memset(row, 0, (size_t)inner * sizeof *row);
            for (int64_t j = 0; j < weights->count[i]; j++) {
                const float w = weight[j], *restrict pixels = from + (o * n + weights->first[i] + j) * inner;
                for (int64_t k = 0; k < inner; k++) row[k] += w * pixels[k];
            }
        }
}

static int64_t weights_bytes(int64_t n, int64_t m) {
    const double step = (double)n / (double)m;
    return m * (2 * (int64_t)sizeof(int64_t) + (2 * (int64_t)ceil(step > 1 ? step : 1) + 1) * (int64_t)sizeof(float));
}

static int64_t elements(const int64_t size[3], int channels) { return size[0] * size[1] * size[2] * channels; }

/* Check that the result can be held in float32 while we work. */
static cover_status check(const struct image *image, const int64_t size[3]) {
    int64_t bytes = image->channels * (int64_t)sizeof(float);
    for (int a = 0; a < 3; a++) {
        const int64_t larger = size[a] > image->size[a] ? size[a] : image->size[a];
        if (size[a] < 1 || !multiply(bytes, larger, &bytes))
            return fail(COVER_ERROR_SHAPE, "%lld x %lld x %lld cannot become %lld x %lld x %lld", (long long)image->size[0],
                        (long long)image->size[1], (long long)image->size[2], (long long)size[0], (long long)size[1],
                        (long long)size[2]);
    }
    return COVER_OK;
}

/* The new size, the spacing that keeps the extent, and the world position of the new first pixel's centre. */
static void describe(struct image *image, const int64_t size[3]) {
    for (int a = 0; a < 3; a++) {
        const double step = (double)image->size[a] / (double)size[a];
        const int column = 2 - a; /* the affine's columns are x (W), y (H), z (D) */
        image->spacing_mm[a] *= step;
        for (int row = 0; row < 3; row++) {
            double *entry = &image->affine[4 * row + column];
            image->affine[4 * row + 3] += *entry * (step - 1) / 2;
            *entry *= step;
        }
        image->size[a] = size[a];
    }
}

/* Axes in the order that makes the least work: those that shrink most first. */
static void order_axes(int order[3], const int64_t from[3], const int64_t to[3]) {
    for (int a = 0; a < 3; a++) order[a] = a;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 2; i++) {
            const int a = order[i], b = order[i + 1];
            if ((double)to[b] / (double)from[b] < (double)to[a] / (double)from[a]) order[i] = b, order[i + 1] = a;
        }
}

/* Is there room for the fullest moment of the passes?  Asked before the first: the last may be a thousand times as large. */
static cover_status check_room(const struct image *image, cover_context *context, const int order[3], const int64_t size[3]) {
    int64_t now[3] = {image->size[0], image->size[1], image->size[2]},
            most = elements(now, image->channels) * (int64_t)sizeof(float);
    for (int pass = 0; pass < 3; pass++) {
        const int axis = order[pass];
        const int64_t before = elements(now, image->channels) * (int64_t)sizeof(float),
                      weights = weights_bytes(now[axis], size[axis]);
        if (now[axis] == size[axis]) continue;
        now[axis] = size[axis];
        const int64_t moment = before + elements(now, image->channels) * (int64_t)sizeof(float) + weights;
        if (moment > most) most = moment;
    }
    const int64_t last = elements(size, image->channels) * (int64_t)(sizeof(float) + cover_dtype_bytes(image->dtype));
    if (image->dtype != COVER_F32 && last > most) most = last;
    cover_status status = memory_room(context, (uint64_t)most);
    if (status == COVER_OK) return status;
    return fail_in(status, "resampling %lldx%lldx%lld to %lldx%lldx%lld", (long long)image->size[0], (long long)image->size[1],
                   (long long)image->size[2], (long long)size[0], (long long)size[1], (long long)size[2]);
}

static cover_status linear(struct image *image, cover_context *context, const int64_t size[3], allocator *allocate) {
    cover_status status = COVER_OK;
    struct weights weights = {0};
    int64_t now[3] = {image->size[0], image->size[1], image->size[2]}, count = elements(now, image->channels);
    int order[3];
    if (memcmp(now, size, sizeof now) == 0) return COVER_OK;
    TRY(check(image, size));
    order_axes(order, now, size);
    if (allocate == memory_within) TRY(check_room(image, context, order, size));
    float *pixels = allocate(context, (size_t)count * sizeof *pixels), *next = NULL;
    void *data = NULL;
    if (!pixels) return COVER_ERROR_MEMORY;
    convert_run(pixels, COVER_F32, 1, image->data, image->dtype, 1, count);
    for (int pass = 0; pass < 3; pass++) {
        if (cancelled(context)) GO(fail(COVER_ERROR_CANCELLED, "cancelled"));
        const int axis = order[pass];
        const int64_t n = now[axis], m = size[axis];
        if (n == m) continue;
        int64_t outer = 1, inner = image->channels;
        for (int a = 0; a < axis; a++) outer *= now[a];
        for (int a = axis + 1; a < 3; a++) inner *= now[a];
        GO(weights_create(&weights, context, n, m));
        next = allocate(context, (size_t)(outer * m * inner) * sizeof *next);
        GO(next ? COVER_OK : COVER_ERROR_MEMORY);
        apply(next, pixels, &weights, outer, n, m, inner);
        weights_free(&weights, context);
        memory_free(context, pixels);
        pixels = next, next = NULL;
        now[axis] = m;
    }
    if (image->dtype == COVER_F32) {
        data = pixels, pixels = NULL;
    } else {
        count = elements(size, image->channels);
        data = allocate(context, (size_t)count * cover_dtype_bytes(image->dtype));
        GO(data ? COVER_OK : COVER_ERROR_MEMORY);
        convert_run(data, image->dtype, 1, pixels, COVER_F32, 1, count);
    }
    memory_free(context, image->data);
    image->data = data;
    describe(image, size);
done:
    weights_free(&weights, context);
    memory_free(context, pixels);
    memory_free(context, next);
    return status;
}

static cover_status nearest(struct image *image, cover_context *context, const int64_t size[3], allocator *allocate) {
    if (memcmp(image->size, size, sizeof image->size) == 0) return COVER_OK;
    TRY(check(image, size));
    const size_t pixel = cover_dtype_bytes(image->dtype) * (size_t)image->channels;
    char *data = allocate(context, (size_t)elements(size, 1) * pixel), *to = data;
    if (!data) return COVER_ERROR_MEMORY;
    double step[3];
    for (int a = 0; a < 3; a++) step[a] = (double)image->size[a] / (double)size[a];
    int64_t from[3];
    for (int64_t z = 0; z < size[0]; z++) {
        from[0] = (int64_t)(((double)z + 0.5) * step[0]);
        for (int64_t y = 0; y < size[1]; y++) {
            from[1] = (int64_t)(((double)y + 0.5) * step[1]);
            for (int64_t x = 0; x < size[2]; x++, to += pixel) {
                from[2] = (int64_t)(((double)x + 0.5) * step[2]);
                const int64_t at = (from[0] * image->size[1] + from[1]) * image->size[2] + from[2];
                memcpy(to, (const char *)image->data + (size_t)at * pixel, pixel);
            }
        }
    }
    memory_free(context, image->data);
    image->data = data;
    describe(image, size);
    return COVER_OK;
}

cover_status resample_linear(struct image *image, cover_context *context, const int64_t size[3]) {
    return linear(image, context, size, memory_alloc);
}
cover_status resample_nearest(struct image *image, cover_context *context, const int64_t size[3]) {
    return nearest(image, context, size, memory_alloc);
}
cover_status resample_linear_within(struct image *image, cover_context *context, const int64_t size[3]) {
    return linear(image, context, size, memory_within);
}
cover_status resample_nearest_within(struct image *image, cover_context *context, const int64_t size[3]) {
    return nearest(image, context, size, memory_within);
}
