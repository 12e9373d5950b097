/* Gaussian smoothing: the kernel, a convolution of whole rows that serves every axis, since along the last one row k is the same row
 * k places on, and the blur of an image.  Called by the deformations and the appearance of SeVR and by the changes of looks.h. */
#include "sevr_parts.h"

#include <math.h>
#include <string.h>

int gaussian_radius(double sigma) { return (int)(4 * sigma + 0.5); }

void gaussian_weights(float *weights, double sigma, int first, int count) {
    double sum = 1;
    for (int k = 1; k <= gaussian_radius(sigma); k++) sum += 2 * exp(-0.5 * k * k / (sigma * sigma));
    for (int i = 0; i < count; i++) {
        const int k = first + i;
        weights[i] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
    }
}

void gaussian_kernel(float *kernel, double sigma, int taps) { gaussian_weights(kernel, sigma, 0, taps + 1); }

typedef float quad __attribute__((vector_size(16), aligned(4), may_alias));

/* Blocks of 16 stay in registers over all taps; each place sees the same operations in the same order in both loops. */
void convolve_rows(float *out, const float *const *rows, const float *kernel, int taps, int64_t count) {
    int64_t x = 0;
    for (; x + 16 <= count; x += 16) {
        const quad *middle = (const quad *)(rows[0] + x);
        quad sum0 = kernel[0] * middle[0], sum1 = kernel[0] * middle[1], sum2 = kernel[0] * middle[2], sum3 = kernel[0] * middle[3];
        for (int k = 1; k <= taps; k++) {
            const quad *before = (const quad *)(rows[-k] + x), *behind = (const quad *)(rows[k] + x);
            sum0 += kernel[k] * (before[0] + behind[0]);
            sum1 += kernel[k] * (before[1] + behind[1]);
            sum2 += kernel[k] * (before[2] + behind[2]);
            sum3 += kernel[k] * (before[3] + behind[3]);
        }
        quad *to = (quad *)(out + x);
        to[0] = sum0, to[1] = sum1, to[2] = sum2, to[3] = sum3;
    }
    for (; x < count; x++) {
        float sum = kernel[0] * rows[0][x];
        for (int k = 1; k <= taps; k++) sum += kernel[k] * (rows[-k][x] + rows[k][x]);
        out[x] = sum;
    }
}

/* ---- blur: separable; beyond an edge the image goes on as its edge */

/* Blur along one axis: `lines` sheets, each of `size` rows of `width` values; along the last axis a row is one pixel.
 */
struct blur_axis {
    int64_t size, width, lines;
};
static struct blur_axis blur_axis(const struct grid *grid, int channels, int axis) {
    struct blur_axis result = {.size = grid_axis(grid, axis), .width = channels, .lines = 1};
    for (int a = 0; a < grid->ndim; a++)
        if (a > axis) result.width *= grid_axis(grid, a);
        else if (a < axis) result.lines *= grid_axis(grid, a);
    return result;
}

/* Across rows: the whole sheet is copied and each of its rows written anew. */
static void blur_across(float *sheet, const struct blur_axis *axis, const float *kernel, int radius, char *scratch) {
    const float **rows = (const float **)(void *)scratch + radius;
    float *copy = (float *)(void *)(scratch + (size_t)(axis->size + 2 * radius) * sizeof *rows);
    memcpy(copy, sheet, (size_t)(axis->size * axis->width) * sizeof *copy);
    for (int64_t i = -radius; i < axis->size + radius; i++)
        rows[i] = copy + (i < 0 ? 0 : i < axis->size ? i : axis->size - 1) * axis->width;
    for (int64_t i = 0; i < axis->size; i++) convolve_rows(sheet + i * axis->width, rows + i, kernel, radius, axis->width);
}

/* Along a row: its neighbours are the same row, pixels further on. */
static void blur_along(float *line, const struct blur_axis *axis, const float *kernel, int radius, char *scratch) {
    int64_t channels = axis->width, count = axis->size * channels;
    const float **rows = (const float **)(void *)scratch + radius;
    float *copy = (float *)(void *)(scratch + (size_t)(2 * radius + 1) * sizeof *rows);
    float *middle = copy + radius * channels;
    memcpy(middle, line, (size_t)count * sizeof *copy);
    for (int64_t k = 1; k <= radius; k++)
        for (int64_t c = 0; c < channels; c++) {
            middle[-k * channels + c] = line[c];
            middle[count + (k - 1) * channels + c] = line[count - channels + c];
        }
    for (int64_t k = -radius; k <= radius; k++) rows[k] = middle + k * channels;
    convolve_rows(line, rows, kernel, radius, count);
}

void blur_image(float *values, const struct grid *grid, int channels, double sigma, void *room) {
    int radius = gaussian_radius(sigma);
    if (radius == 0) return; /* the neighbours' weights are below 1e-13 */
    float *kernel = room;
    gaussian_kernel(kernel, sigma, radius);
    char *scratch = (char *)room + line_up((size_t)(radius + 1) * sizeof *kernel);
    for (int a = 0; a < grid->ndim; a++) {
        struct blur_axis axis = blur_axis(grid, channels, a);
        bool last = a == grid->ndim - 1;
        for (int64_t i = 0; i < axis.lines; i++)
            (last ? blur_along : blur_across)(values + i * axis.size * axis.width, &axis, kernel, radius, scratch);
    }
}

size_t blur_bytes(double sigma, const struct grid *grid, int channels) {
    size_t radius = (size_t)gaussian_radius(sigma), largest = 0;
    if (radius == 0) return 0;
    for (int a = 0; a < grid->ndim; a++) {
        struct blur_axis axis = blur_axis(grid, channels, a);
        size_t size = (size_t)axis.size, width = (size_t)axis.width;
        size_t bytes = (size + 2 * radius + 1) * sizeof(float *) + (size + 2 * radius) * width * sizeof(float);
        if (a < grid->ndim - 1) bytes = (size + 2 * radius) * sizeof(float *) + size * width * sizeof(float);
        largest = bytes > largest ? bytes : largest;
    }
    return largest + line_up((radius + 1) * sizeof(float));
}

float mean_value(const float *values, int64_t count) {
    enum { LANES = 8 };
    double sums[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) sums[l] += (double)values[i + l];
    for (; i < count; i++) sums[0] += (double)values[i];
    for (int l = 1; l < LANES; l++) sums[0] += sums[l];
    return (float)(sums[0] / (double)count);
}
