/* Images that a network can learn from: a blob and some texture on a gradient, told apart by `variant`. */
#ifndef COVER_TESTS_BLOBS_H
#define COVER_TESTS_BLOBS_H

#include "check_main.h"
#include "core/base/files.h"
#include "core/base/philox.h"
#include "io/image/image.h"

#include <math.h>
#include <stdio.h>

/* count PNG files of height x width, each at least 21, into a folder that is made. */
static inline void write_blobs(cover_context *context, const char *folder, int count, uint32_t variant, int height, int width) {
    uint8_t *pixels = malloc((size_t)(height * width)), *bytes;
    size_t size;
    ck_assert_ok(folder_create(folder));
    for (int n = 0; n < count; n++) {
        struct random4 r = philox(variant, (uint32_t)n, RANDOM_TEST, 0, 0);
        double cy = 10 + r.word[0] % (uint32_t)(height - 20), cx = 10 + r.word[1] % (uint32_t)(width - 20),
               radius = 5 + r.word[2] % 9;
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                double d = hypot(y - cy, x - cx) / radius;
                pixels[y * width + x] = (uint8_t)(40 + x + 100 * exp(-d * d) + (r.word[3] >> ((x + y) % 24) & 15));
            }
        char path[160];
        snprintf(path, sizeof path, "%s/%02d.png", folder, n);
        ck_assert_ok(png_encode(context, &bytes, &size, pixels, height, width, 1));
        ck_assert_ok(file_replace(context, path, bytes, size));
        memory_free(context, bytes);
    }
    free(pixels);
}

/* The same as NIfTI volumes of side^3. */
static inline void write_volumes(cover_context *context, const char *folder, int count, uint32_t variant, int side) {
    const struct image like = {.dims = 3, .size = {side, side, side}, .spacing_mm = {1, 1, 1}};
    float *values = malloc((size_t)(side * side * side) * sizeof *values);
    ck_assert_ok(folder_create(folder));
    for (int n = 0; n < count; n++) {
        const struct random4 r = philox(variant, (uint32_t)n, RANDOM_TEST, 1, 0);
        double centre[3], radius = 5 + r.word[3] % 7;
        for (int a = 0; a < 3; a++) centre[a] = 10 + r.word[a] % (uint32_t)(side - 20);
        for (int i = 0; i < side * side * side; i++) {
            const int at[3] = {i / (side * side), i / side % side, i % side};
            double square = 0;
            for (int a = 0; a < 3; a++) square += (at[a] - centre[a]) * (at[a] - centre[a]);
            values[i] =
                (float)(40 + at[2] + 100 * exp(-square / (radius * radius)) + (r.word[3] >> ((at[0] + at[1] + at[2]) % 24) & 15));
        }
        char path[160];
        snprintf(path, sizeof path, "%s/%02d.nii", folder, n);
        ck_assert_ok(nifti_write(context, path, values, &like));
    }
    free(values);
}

#endif
