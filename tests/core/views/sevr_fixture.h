/* Shared by the tests of SeVR: settings by name, images, one drawn pair, and the draws told again from the same
 * streams, so that each test can state the method a second time in double precision. */
#ifndef COVER_SEVR_FIXTURE_H
#define COVER_SEVR_FIXTURE_H

#include "../../check_main.h"

#include "core/views/sevr.h"
#include "core/views/sevr_random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static cover_context *context;
static cover_config *config;

static inline void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 1;
    ck_assert_ok(cover_context_create(&context, &options));
    config = NULL;
}
static inline void teardown(void) {
    cover_config_destroy(config);
    cover_context_destroy(context);
}

/* A preset with "key=value" changes, NULL ends them. */
static inline const struct settings *use(const char *preset, const char *const *changes) {
    cover_config_destroy(config);
    config = NULL;
    ck_assert_ok(cover_config_create(&config, context, preset));
    for (; changes && *changes; changes++) {
        char name[64];
        const char *equals = strchr(*changes, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - *changes), *changes);
        ck_assert_ok(cover_config_set(config, name, equals + 1));
    }
    ck_assert_ok(cover_config_validate(config));
    return config_settings(config);
}
#define USE(preset, ...) use(preset, (const char *const[]){__VA_ARGS__, NULL})
/* Settings that leave a view alone, to switch one change on at a time. */
#define NO_SPACE "translate=0", "rotate_degrees=0", "shear_degrees=0", "scale_low=1", "scale_high=1"
#define NO_LOOK "noise=0", "blur=0", "contrast_low=1", "contrast_high=1", "brightness=0", "inpaint_boxes=0"

/* ---- images */

static inline float *random_pixels(const struct grid *grid, int channels, uint32_t which) {
    float *image = malloc((size_t)grid_pixels(grid) * (size_t)channels * sizeof *image);
    const struct random_image random = {77, RANDOM_TEST, 0, which, 0};
    random_image_uniform(image, &random, 0, grid_pixels(grid) * channels);
    return image;
}
static inline float *constant_pixels(const struct grid *grid, int channels, float value) {
    int64_t count = grid_pixels(grid) * channels;
    float *image = malloc((size_t)count * sizeof *image);
    for (int64_t i = 0; i < count; i++) image[i] = value;
    return image;
}

/* ---- one pair */

struct drawn {
    struct sevr *sevr;
    struct view_pair pair;
    struct grid crop;
    int64_t pixels, values; /* of the crop; values = pixels x channels */
};

static inline struct drawn draw_room(const struct settings *settings) {
    struct drawn drawn = {.crop = settings_grid(&settings->views.crop, (int)settings->network.dims)};
    ck_assert_ok(sevr_create(&drawn.sevr, context, settings));
    struct view_bytes bytes = sevr_pair_bytes(drawn.sevr);
    drawn.pair = (struct view_pair){malloc(bytes.image), malloc(bytes.image), malloc(bytes.field), malloc(bytes.mask), 0, 0};
    drawn.pixels = grid_pixels(&drawn.crop), drawn.values = drawn.pixels * settings->network.channels;
    ck_assert_uint_eq(bytes.image, (size_t)drawn.values * sizeof(float));
    ck_assert_uint_eq(bytes.field, (size_t)(drawn.pixels * settings->network.dims) * sizeof(float));
    ck_assert_uint_eq(bytes.mask, (size_t)drawn.pixels * sizeof(float));
    return drawn;
}
static inline void draw_free(struct drawn *drawn) {
    sevr_destroy(drawn->sevr);
    free(drawn->pair.moving), free(drawn->pair.fixed), free(drawn->pair.field), free(drawn->pair.mask);
}
static inline bool same_pair(const struct drawn *a, const struct drawn *b) {
    size_t values = (size_t)a->values * sizeof(float), pixels = (size_t)a->pixels * sizeof(float);
    return memcmp(a->pair.moving, b->pair.moving, values) == 0 && memcmp(a->pair.fixed, b->pair.fixed, values) == 0 &&
           memcmp(a->pair.field, b->pair.field, pixels * (size_t)a->crop.ndim) == 0 &&
           memcmp(a->pair.mask, b->pair.mask, pixels) == 0 && a->pair.valid == b->pair.valid &&
           a->pair.zero_loss == b->pair.zero_loss;
}

/* ---- the draws told again */

static inline struct grid work_of(const struct settings *s, const struct grid *image) {
    struct grid work = settings_grid(&s->views.work, (int)s->network.dims);
    return work.size[2] ? work : *image;
}
/* The window's first pixel, D, H, W. */
static inline void window_of(int64_t first[3], const struct settings *s, const struct grid *work, uint64_t seed, uint32_t step,
                             uint32_t sample) {
    struct random_stream stream = random_stream(seed, RANDOM_VIEW_CROP, step, sample);
    struct grid crop = settings_grid(&s->views.crop, (int)s->network.dims);
    for (int i = 0; i < 3; i++) {
        first[i] = 0;
        if (i < 3 - work->ndim) continue;
        first[i] = (int64_t)(random_word(&stream) * (uint64_t)(work->size[i] - crop.size[i] + 1) >> 32);
    }
}

#endif
