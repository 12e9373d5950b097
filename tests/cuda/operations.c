/* The kernels of cuda/kernels.h but for those of mov.c and warp.c, a row each: what is drawn, what plain C makes of it, the launch. */
#include "scene.h"

#include <math.h>
#include <string.h>

#define EACH_IMAGE(s, i) for (int64_t i = 0; i < (s)->images; i++)

static int features(struct scene *s, const char *name, int64_t pixels, int64_t channels) {
    return given(s, name, s->element, s->images * pixels * channels, -2, 2);
}

/* ---- coefficients of a norm, or none; array number `coefficients` */

static int norm_given(struct scene *s) {
    s->norm.slope = 0.2f;
    return toss(s) ? given(s, "coefficients", ELEMENT_F32, s->images * 2 * s->channels, -1, 1) : absent(s);
}
static const struct norm_load *norm_load(struct scene *s, int coefficients, struct norm_load *norm, int64_t image) {
    const float *scale = image_of(floats(s, coefficients), ELEMENT_F32, 2 * s->channels, image);
    *norm = (struct norm_load){scale, scale ? scale + s->channels : NULL, s->norm.slope};
    return scale ? norm : NULL;
}
static const struct cuda_norm *norm_at(struct scene *s, int coefficients) {
    s->norm.coefficients = at(s, coefficients);
    return s->norm.coefficients ? &s->norm : NULL;
}

/* ---- layout */

static void set(void *to, enum element element, int64_t i, float value) {
    if (element == ELEMENT_BF16) ((bf16 *)to)[i] = bf16_from_float(value);
    else ((float *)to)[i] = value;
}
static float get(const void *from, enum element element, int64_t i) {
    return element == ELEMENT_BF16 ? bf16_to_float(((const bf16 *)from)[i]) : ((const float *)from)[i];
}
static enum element any_element(struct scene *s) { return toss(s) ? ELEMENT_BF16 : ELEMENT_F32; }
static int64_t some_channels(struct scene *s) {
    static const int64_t channels[] = {0, 1, 5, 8, 16};
    return channels[pick(s, 0, 4)];
}

enum { JOIN_X, JOIN_NORM, JOIN_Y };
static void draw_join(struct scene *s) {
    const int x = features(s, "x", s->pixels, s->channels), coefficients = norm_given(s);
    const bool in_place = pick(s, 0, 3) == 0;
    const enum element element = in_place ? s->element : any_element(s);
    const int64_t first = in_place ? 0 : some_channels(s), zeros = in_place ? 0 : some_channels(s);
    const int64_t channels = in_place ? s->channels : first + s->channels + zeros + some_channels(s), c = s->channels;
    const int y = in_place ? x : given(s, "y", element, s->images * s->pixels * channels, -1, 1);
    void *const to = expected(s, y);
    s->number[0] = channels, s->number[1] = first, s->number[2] = zeros, s->number[3] = element, s->number[4] = y;
    EACH_IMAGE(s, image) {
        struct norm_load norm;
        float *values = malloc((size_t)(s->pixels * c) * sizeof *values);
        s->plain->widen(values, image_of(before(s, x), s->element, s->pixels * c, image), norm_load(s, coefficients, &norm, image),
                        s->pixels, c, 0, 1);
        for (int64_t p = 0; p < s->pixels; p++)
            for (int64_t k = 0; k < c + zeros; k++)
                set(to, element, (image * s->pixels + p) * channels + first + k, k < c ? values[p * c + k] : 0);
        free(values);
    }
}
static cuda_error launch_join(struct scene *s) {
    return cuda_join(NULL, at(s, (int)s->number[4]), (enum element)s->number[3], s->number[0], s->number[1], s->number[2],
                     at(s, JOIN_X), s->element, norm_at(s, JOIN_NORM), s->images, s->pixels, s->channels);
}

enum { SPLIT_Y, SPLIT_X };
static void draw_split(struct scene *s) {
    const enum element element = any_element(s);
    const int64_t first = some_channels(s), channels = first + s->channels + some_channels(s), rows = s->images * s->pixels;
    const int y = given(s, "y", s->element, rows * channels, -2, 2), x = wanted(s, "x", element, rows * s->channels, 0);
    s->number[0] = channels, s->number[1] = first, s->number[2] = element;
    for (int64_t i = 0; i < rows * s->channels; i++)
        set(expected(s, x), element, i, get(before(s, y), s->element, i / s->channels * channels + first + i % s->channels));
}
static cuda_error launch_split(struct scene *s) {
    return cuda_split(NULL, at(s, SPLIT_X), (enum element)s->number[2], s->channels, at(s, SPLIT_Y), s->element, s->number[0],
                      s->number[1], s->images * s->pixels);
}

enum { WEIGHTS, PACKED };
enum { C_OUT, C_IN, C_OUT_PADDED, C_IN_PADDED, TAPS };
static void weights_draw(struct scene *s) {
    static const int64_t taps[] = {1, 9, 27};
    s->number[C_OUT] = pick(s, 1, 20), s->number[C_IN] = s->channels, s->number[TAPS] = taps[pick(s, 0, 2)];
    s->number[C_OUT_PADDED] = s->number[C_OUT] + some_channels(s), s->number[C_IN_PADDED] = s->channels + some_channels(s);
}
/* Where weight (out, in, tap) lies among those that are packed. */
static int64_t packed_at(const struct scene *s, int64_t i) {
    const int64_t tap = i % s->number[TAPS], in = i / s->number[TAPS] % s->number[C_IN],
                  out = i / s->number[TAPS] / s->number[C_IN];
    return (out * s->number[TAPS] + tap) * s->number[C_IN_PADDED] + in;
}
static void draw_pack_weights(struct scene *s) {
    weights_draw(s);
    const int64_t count = s->number[C_OUT] * s->number[C_IN] * s->number[TAPS];
    const int weights = given(s, "weights", ELEMENT_F32, count, -1, 1);
    const int packed = wanted(s, "packed", s->element, s->number[C_OUT_PADDED] * s->number[TAPS] * s->number[C_IN_PADDED], 0);
    for (int64_t i = 0; i < count; i++) set(expected(s, packed), s->element, packed_at(s, i), floats(s, weights)[i]);
}
static cuda_error launch_pack_weights(struct scene *s) {
    return cuda_pack_weights(NULL, at(s, PACKED), s->element, s->number[C_OUT_PADDED], s->number[C_IN_PADDED], at(s, WEIGHTS),
                             s->number[C_OUT], s->number[C_IN], (int)s->number[TAPS]);
}
static void draw_unpack_weights(struct scene *s) {
    weights_draw(s);
    const int64_t count = s->number[C_OUT] * s->number[C_IN] * s->number[TAPS];
    const int64_t all = s->number[C_OUT_PADDED] * s->number[TAPS] * s->number[C_IN_PADDED];
    const int weights = wanted(s, "weights", ELEMENT_F32, count, 0), packed = given(s, "packed", s->element, all, -1, 1);
    for (int64_t i = 0; i < count; i++) ((float *)expected(s, weights))[i] = get(before(s, packed), s->element, packed_at(s, i));
}
static cuda_error launch_unpack_weights(struct scene *s) {
    return cuda_unpack_weights(NULL, at(s, WEIGHTS), s->number[C_OUT], s->number[C_IN], (int)s->number[TAPS], at(s, PACKED),
                               s->element, s->number[C_OUT_PADDED], s->number[C_IN_PADDED]);
}

static void draw_add_bias(struct scene *s) {
    const int64_t rows = s->images * s->pixels, c = s->channels;
    const int y = given(s, "y", s->element, rows * c, -2, 2), bias = given(s, "bias", ELEMENT_F32, c, -2, 2);
    void *const to = expected(s, y);
    for (int64_t i = 0; i < rows * c; i++) set(to, s->element, i, get(before(s, y), s->element, i) + floats(s, bias)[i % c]);
}
static cuda_error launch_add_bias(struct scene *s) {
    return cuda_add_bias(NULL, at(s, 0), s->element, at(s, 1), s->images * s->pixels, s->channels);
}

enum { BIAS_DY, BIAS_DBIAS, BIAS_WORKSPACE };
static void draw_bias_grad(struct scene *s) {
    static const int64_t more[] = {301, 1100};
    if (pick(s, 0, 3) == 0) s->channels = more[pick(s, 0, 1)];
    const int64_t rows = s->number[0] = pick(s, 1, s->channels > 64 ? 200 : 3000), c = s->channels;
    const int dy = given(s, "dy", s->element, rows * c, -2, 2), dbias = wanted(s, "dbias", ELEMENT_F32, c, 1e-5);
    workspace(s, cuda_bias_grad_workspace(rows, c));
    for (int64_t k = 0; k < c; k++) {
        double sum = 0;
        for (int64_t row = 0; row < rows; row++) sum += (double)get(before(s, dy), s->element, row * c + k);
        ((float *)expected(s, dbias))[k] = (float)sum;
    }
}
static cuda_error launch_bias_grad(struct scene *s) {
    return cuda_bias_grad(NULL, at(s, BIAS_DBIAS), at(s, BIAS_DY), s->element, s->number[0], s->channels, at(s, BIAS_WORKSPACE));
}

/* ---- norm */

enum { NORM_X, NORM_GAMMA, NORM_BETA, NORM_BIAS, NORM_STATISTICS, NORM_COEFFICIENTS, NORM_WORKSPACE };
static struct norm_shape norm_of(struct scene *s) {
    int64_t groups = s->channels;
    while (groups > 1 && (groups % 2 || pick(s, 0, 3))) groups = groups % 2 ? 1 : groups / 2;
    s->norm_shape = (struct cuda_norm_shape){.pixels = s->pixels,
                                             .channels = s->channels,
                                             .images = s->images,
                                             .groups = (int)groups,
                                             .slope = toss(s) ? 0.01f : 1,
                                             .epsilon = 1e-5f};
    return (struct norm_shape){s->pixels, s->channels, groups, s->norm_shape.slope, s->norm_shape.epsilon};
}
/* x, with a mean far from zero one time in two; gamma; beta; bias or none. */
static void norm_inputs(struct scene *s) {
    const float middle = toss(s) ? 0 : 100;
    given(s, "x", s->element, s->images * s->pixels * s->channels, middle - 2, middle + 2);
    given(s, "gamma", ELEMENT_F32, s->channels, -2, 2), given(s, "beta", ELEMENT_F32, s->channels, -2, 2);
    if (toss(s)) given(s, "bias", ELEMENT_F32, s->channels, -2, 2);
    else absent(s);
}
/* statistics (images, 2, groups) and coefficients (images, 2, channels) of what norm_inputs() drew */
static void norm_forward(struct scene *s, float *statistics, float *coefficients, const struct norm_shape *shape) {
    EACH_IMAGE(s, image) {
        double *sums = malloc(2 * (size_t)shape->groups * sizeof *sums);
        float *mean = statistics + image * 2 * shape->groups, *scale = coefficients + image * 2 * s->channels;
        s->plain->norm_sums(sums, image_of(before(s, NORM_X), s->element, s->pixels * s->channels, image), floats(s, NORM_BIAS),
                            shape, 0, 1);
        norm_statistics(mean, mean + shape->groups, sums, 1, shape);
        norm_coefficients(scale, scale + s->channels, mean, mean + shape->groups, floats(s, NORM_GAMMA), floats(s, NORM_BETA),
                          floats(s, NORM_BIAS), shape);
        free(sums);
    }
}
static void draw_norm_act(struct scene *s) {
    const struct norm_shape shape = norm_of(s);
    norm_inputs(s);
    const int statistics = wanted(s, "statistics", ELEMENT_F32, s->images * 2 * shape.groups, 1e-6);
    const int coefficients = wanted(s, "coefficients", ELEMENT_F32, s->images * 2 * s->channels, 2e-6);
    workspace(s, cuda_norm_workspace(&s->norm_shape));
    norm_forward(s, expected(s, statistics), expected(s, coefficients), &shape);
}
static cuda_error launch_norm_act(struct scene *s) {
    return cuda_norm_act(NULL, at(s, NORM_STATISTICS), at(s, NORM_COEFFICIENTS), at(s, NORM_X), s->element, at(s, NORM_GAMMA),
                         at(s, NORM_BETA), at(s, NORM_BIAS), &s->norm_shape, at(s, NORM_WORKSPACE));
}

enum { GRAD_STATISTICS = NORM_BIAS + 1, GRAD_COEFFICIENTS, GRAD_DY, GRAD_DX, GRAD_DGAMMA, GRAD_DBETA, GRAD_DBIAS, GRAD_WORKSPACE };
static int wanted_or_absent(struct scene *s, const char *name, double tolerance) {
    return pick(s, 0, 3) ? wanted(s, name, ELEMENT_F32, s->channels, tolerance) : absent(s);
}
static void draw_norm_grad(struct scene *s) {
    const struct norm_shape shape = norm_of(s);
    const int64_t c = s->channels, each = s->pixels * c;
    norm_inputs(s);
    float *statistics = malloc((size_t)(s->images * 2 * shape.groups) * sizeof(float));
    float *coefficients = malloc((size_t)(s->images * 2 * c) * sizeof(float));
    norm_forward(s, statistics, coefficients, &shape);
    given_bytes(s, "statistics", ELEMENT_F32, s->images * 2 * shape.groups, statistics);
    given_bytes(s, "coefficients", ELEMENT_F32, s->images * 2 * c, coefficients);
    const int dy = features(s, "dy", s->pixels, c);
    const bool in_place = toss(s);
    s->number[0] = in_place;
    const int dx = in_place ? (absent(s), dy) : wanted(s, "dx", s->element, s->images * each, 0);
    s->arrays[dx].tolerance = 2e-5;
    const int parameters[3] = {wanted_or_absent(s, "dgamma", 2e-5), wanted_or_absent(s, "dbeta", 1e-5),
                               wanted_or_absent(s, "dbias", 5e-5)};
    workspace(s, cuda_norm_grad_workspace(&s->norm_shape));
    void *const to = expected(s, dx);
    double *sums = calloc((size_t)(6 * c), sizeof *sums), *const total = sums + 3 * c;
    float *work = calloc((size_t)(6 * c), sizeof *work), *const of_image = work + 3 * c;
    EACH_IMAGE(s, image) {
        const void *x = image_of(before(s, NORM_X), s->element, each, image),
                   *gradient = image_of(before(s, dy), s->element, each, image);
        const float *mean = statistics + image * 2 * shape.groups, *scale = coefficients + image * 2 * c;
        const struct norm_load norm = {scale, scale + c, shape.slope};
        s->plain->norm_grad_sums(sums, gradient, x, &norm, s->pixels, c, 0, 1);
        norm_grad_finish(of_image, of_image + c, of_image + 2 * c, work, sums, 1, mean, mean + shape.groups, floats(s, NORM_GAMMA),
                         floats(s, NORM_BIAS), &shape);
        for (int64_t i = 0; i < 3 * c; i++) total[i] += (double)of_image[i];
        s->plain->norm_grad_apply(image_of(to, s->element, each, image), gradient, x, &norm, work, s->pixels, c, 0, 1);
    }
    for (int q = 0; q < 3; q++)
        for (int64_t k = 0; expected(s, parameters[q]) && k < c; k++)
            ((float *)expected(s, parameters[q]))[k] = (float)total[q * c + k];
    free(statistics), free(coefficients), free(sums), free(work);
}
static cuda_error launch_norm_grad(struct scene *s) {
    return cuda_norm_grad(NULL, at(s, s->number[0] ? GRAD_DY : GRAD_DX), at(s, GRAD_DGAMMA), at(s, GRAD_DBETA), at(s, GRAD_DBIAS),
                          at(s, GRAD_DY), at(s, NORM_X), s->element, at(s, NORM_GAMMA), at(s, NORM_BIAS), at(s, GRAD_STATISTICS),
                          at(s, GRAD_COEFFICIENTS), &s->norm_shape, at(s, GRAD_WORKSPACE));
}

/* ---- pooling */

static int64_t pooled_pixels(const struct scene *s) {
    return (s->grid.ndim == 3 ? s->grid.size[0] / 2 : 1) * (s->grid.size[1] / 2) * (s->grid.size[2] / 2);
}
enum { POOL_X, POOL_NORM, POOL_Y, POOL_INDEX };
static void draw_max_pool2(struct scene *s) {
    const int64_t in = s->pixels * s->channels, out = pooled_pixels(s) * s->channels;
    const int x = features(s, "x", s->pixels, s->channels), coefficients = norm_given(s);
    const int y = wanted(s, "y", s->element, s->images * out, 0), index = wanted(s, "index", ELEMENT_U8, s->images * out, 0);
    if (toss(s)) /* many are equal */
        for (int64_t i = 0; i < s->images * in; i++) {
            const float value = get(before(s, x), s->element, i);
            set(before(s, x), s->element, i, isfinite(value) ? floorf(value) : value);
        }
    EACH_IMAGE(s, image) {
        struct norm_load norm;
        s->plain->max_pool2(image_of(expected(s, y), s->element, out, image), image_of(expected(s, index), ELEMENT_U8, out, image),
                            image_of(before(s, x), s->element, in, image), norm_load(s, coefficients, &norm, image), &s->grid,
                            s->channels, 0, 1);
    }
}
static cuda_error launch_max_pool2(struct scene *s) {
    return cuda_max_pool2(NULL, at(s, POOL_Y), at(s, POOL_INDEX), at(s, POOL_X), s->element, norm_at(s, POOL_NORM), s->images,
                          &s->grid, s->channels);
}

enum { UNPOOL_DY, UNPOOL_INDEX, UNPOOL_PLUS, UNPOOL_DX };
static void draw_max_pool2_grad(struct scene *s) {
    const int64_t in = pooled_pixels(s) * s->channels, out = s->pixels * s->channels;
    const int64_t how = s->number[0] = pick(s, 0, 2); /* without plus, with plus, and in place */
    const int dy = given(s, "dy", s->element, s->images * in, -2, 2);
    uint8_t *places = malloc((size_t)(s->images * in) + 1);
    for (int64_t i = 0; i < s->images * in; i++) places[i] = (uint8_t)pick(s, 0, (1 << s->grid.ndim) - 1);
    const int index = given_bytes(s, "index", ELEMENT_U8, s->images * in, places);
    const int plus = how ? features(s, "plus", s->pixels, s->channels) : absent(s);
    const int dx = how == 2 ? (absent(s), plus) : wanted(s, "dx", s->element, s->images * out, 0);
    void *const to = expected(s, dx);
    EACH_IMAGE(s, image)
    s->plain->max_pool2_grad(image_of(to, s->element, out, image), image_of(before(s, plus), s->element, out, image),
                             image_of(before(s, dy), s->element, in, image), image_of(before(s, index), ELEMENT_U8, in, image),
                             &s->grid, s->channels, 0, 1);
    free(places);
}
static cuda_error launch_max_pool2_grad(struct scene *s) {
    return cuda_max_pool2_grad(NULL, at(s, s->number[0] == 2 ? UNPOOL_PLUS : UNPOOL_DX), at(s, UNPOOL_PLUS), at(s, UNPOOL_DY),
                               at(s, UNPOOL_INDEX), s->element, s->images, &s->grid, s->channels);
}

enum { MEAN_IN, MEAN_OUT, MEAN_WORKSPACE };
static void draw_global_pool(struct scene *s) {
    const int x = features(s, "x", s->pixels, s->channels), y = wanted(s, "y", s->element, s->images * s->channels, 1e-6);
    workspace(s, cuda_global_pool_workspace(s->images, s->pixels, s->channels));
    EACH_IMAGE(s, image)
    s->plain->global_pool(image_of(expected(s, y), s->element, s->channels, image),
                          image_of(before(s, x), s->element, s->pixels * s->channels, image), s->pixels, s->channels);
}
static cuda_error launch_global_pool(struct scene *s) {
    return cuda_global_pool(NULL, at(s, MEAN_OUT), at(s, MEAN_IN), s->element, s->images, s->pixels, s->channels,
                            at(s, MEAN_WORKSPACE));
}
static void draw_global_pool_grad(struct scene *s) {
    const int dy = features(s, "dy", 1, s->channels), dx = wanted(s, "dx", s->element, s->images * s->pixels * s->channels, 0);
    EACH_IMAGE(s, image)
    s->plain->global_pool_grad(image_of(expected(s, dx), s->element, s->pixels * s->channels, image),
                               image_of(before(s, dy), s->element, s->channels, image), s->pixels, s->channels);
}
static cuda_error launch_global_pool_grad(struct scene *s) {
    return cuda_global_pool_grad(NULL, at(s, MEAN_OUT), at(s, MEAN_IN), s->element, s->images, s->pixels, s->channels);
}

/* ---- resizing */

enum { UP_IN, UP_NORM, UP_OUT };
static void draw_upsample(struct scene *s) {
    const int64_t in = s->pixels * s->channels, out = in << s->grid.ndim;
    const int deep = features(s, "deep", s->pixels, s->channels), coefficients = norm_given(s);
    const int y = wanted(s, "y", s->element, s->images * out, 1e-6);
    EACH_IMAGE(s, image) {
        struct norm_load norm;
        s->plain->upsample(image_of(expected(s, y), s->element, out, image), image_of(before(s, deep), s->element, in, image),
                           norm_load(s, coefficients, &norm, image), &s->grid, s->channels, 0, 1);
    }
}
static cuda_error launch_upsample(struct scene *s) {
    return cuda_upsample(NULL, at(s, UP_OUT), at(s, UP_IN), s->element, norm_at(s, UP_NORM), s->images, &s->grid, s->channels);
}
static void draw_upsample_grad(struct scene *s) {
    const int64_t out = s->pixels * s->channels, in = out << s->grid.ndim;
    const int dy = given(s, "dy", s->element, s->images * in, -2, 2);
    absent(s);
    const int ddeep = wanted(s, "ddeep", s->element, s->images * out, 1e-6);
    EACH_IMAGE(s, image)
    s->plain->upsample_grad(image_of(expected(s, ddeep), s->element, out, image), image_of(before(s, dy), s->element, in, image),
                            &s->grid, s->channels, 0, 1);
}
static cuda_error launch_upsample_grad(struct scene *s) {
    return cuda_upsample_grad(NULL, at(s, UP_OUT), at(s, UP_IN), s->element, s->images, &s->grid, s->channels);
}

enum { CORNERS_IN, CORNERS_OUT };
/* To any other size; fields have few channels. */
static void corners_draw(struct scene *s) {
    s->channels = pick(s, 1, 3), s->to = s->grid, s->scale = random_uniform(&s->random, 0.5f, 2);
    for (int a = 3 - s->grid.ndim; a < 3; a++)
        s->to.size[a] = pick(s, 0, 3) == 0 ? pick(s, 1, 9) : s->grid.size[a] * pick(s, 1, s->grid.ndim == 3 ? 2 : 3);
}
static void draw_resize_corners(struct scene *s) {
    corners_draw(s);
    const int64_t in = s->pixels * s->channels, out = grid_pixels(&s->to) * s->channels;
    const int x = given(s, "x", ELEMENT_F32, s->images * in, -2, 2), y = wanted(s, "y", ELEMENT_F32, s->images * out, 2e-6);
    EACH_IMAGE(s, image)
    s->plain->resize_corners(image_of(expected(s, y), ELEMENT_F32, out, image), image_of(before(s, x), ELEMENT_F32, in, image),
                             &s->grid, &s->to, s->channels, s->scale, 0, 1);
}
static cuda_error launch_resize_corners(struct scene *s) {
    return cuda_resize_corners(NULL, at(s, CORNERS_OUT), at(s, CORNERS_IN), s->images, &s->grid, &s->to, s->channels, s->scale);
}
static void draw_resize_corners_grad(struct scene *s) {
    corners_draw(s);
    const int64_t out = s->pixels * s->channels, in = grid_pixels(&s->to) * s->channels;
    const int dy = given(s, "dy", ELEMENT_F32, s->images * in, -2, 2), dx = wanted(s, "dx", ELEMENT_F32, s->images * out, 5e-6);
    EACH_IMAGE(s, image)
    s->plain->resize_corners_grad(image_of(expected(s, dx), ELEMENT_F32, out, image),
                                  image_of(before(s, dy), ELEMENT_F32, in, image), &s->grid, &s->to, s->channels, s->scale, 0, 1);
}
static cuda_error launch_resize_corners_grad(struct scene *s) {
    return cuda_resize_corners_grad(NULL, at(s, CORNERS_OUT), at(s, CORNERS_IN), s->images, &s->grid, &s->to, s->channels,
                                    s->scale);
}

/* ---- losses of pretraining */

/* More pixels, one time in four, so that there are several blocks. */
static void more_pixels(struct scene *s) {
    if (pick(s, 0, 3)) return;
    s->grid = (struct grid){.ndim = s->grid.ndim, .size = {s->grid.ndim == 3 ? 3 : 1, 37, s->grid.ndim == 3 ? 51 : 153}};
    s->pixels = grid_pixels(&s->grid);
}
static int mask_given(struct scene *s) {
    const int mask = given(s, "mask", ELEMENT_F32, s->images * s->pixels, -1, 1);
    for (int64_t i = 0; i < s->images * s->pixels; i++) floats(s, mask)[i] = floats(s, mask)[i] > -0.5f;
    return mask;
}

enum { LOSS_A, LOSS_B, LOSS_MASK, LOSS_OUT, LOSS_WORKSPACE, LOSS_OUT2 = LOSS_WORKSPACE };
static void vector_inputs(struct scene *s) {
    more_pixels(s);
    const int64_t count = s->images * s->pixels * s->grid.ndim;
    given(s, "prediction", ELEMENT_F32, count, -3, 3), given(s, "truth", ELEMENT_F32, count, -3, 3), mask_given(s);
    for (int64_t i = 0; i < count; i += 3) floats(s, LOSS_B)[i] = floats(s, LOSS_A)[i]; /* equal ones have no gradient */
}
static void draw_vector_loss(struct scene *s) {
    vector_inputs(s);
    const int64_t each = s->pixels * s->grid.ndim;
    const int loss = wanted(s, "loss", ELEMENT_F64, s->images, 1e-6);
    workspace(s, cuda_loss_workspace(s->images, s->pixels));
    EACH_IMAGE(s, image)
    ((double *)expected(s, loss))[image] =
        s->plain->vector_loss(floats(s, LOSS_A) + image * each, floats(s, LOSS_B) + image * each,
                              floats(s, LOSS_MASK) + image * s->pixels, s->pixels, s->grid.ndim, 0, 1);
}
static cuda_error launch_vector_loss(struct scene *s) {
    return cuda_vector_loss(NULL, at(s, LOSS_OUT), at(s, LOSS_A), at(s, LOSS_B), at(s, LOSS_MASK), s->images, s->pixels,
                            s->grid.ndim, at(s, LOSS_WORKSPACE));
}
static void draw_vector_loss_grad(struct scene *s) {
    vector_inputs(s);
    const int64_t all = s->images * s->pixels;
    const int out = wanted(s, "dprediction", ELEMENT_F32, all * s->grid.ndim, 0);
    s->plain->vector_loss_grad(expected(s, out), floats(s, LOSS_A), floats(s, LOSS_B), floats(s, LOSS_MASK), all, s->grid.ndim, 0,
                               1);
}
static cuda_error launch_vector_loss_grad(struct scene *s) {
    return cuda_vector_loss_grad(NULL, at(s, LOSS_OUT), at(s, LOSS_A), at(s, LOSS_B), at(s, LOSS_MASK), s->images, s->pixels,
                                 s->grid.ndim);
}

/* Features of which some pixels are zero: a norm at its bound. */
static void cosine_inputs(struct scene *s) {
    for (int side = LOSS_A; side <= LOSS_B; side++) {
        features(s, side == LOSS_A ? "a" : "b", s->pixels, s->channels);
        for (int64_t p = side; p < s->images * s->pixels; p += 5)
            for (int64_t c = 0; c < s->channels; c++) set(before(s, side), s->element, p * s->channels + c, 0);
    }
    mask_given(s);
}
static void draw_cosine_loss(struct scene *s) {
    cosine_inputs(s);
    const int64_t each = s->pixels * s->channels;
    const int loss = wanted(s, "loss", ELEMENT_F64, s->images, 2e-6);
    workspace(s, cuda_loss_workspace(s->images, s->pixels));
    EACH_IMAGE(s, image)
    ((double *)expected(s, loss))[image] = -s->plain->cosine_sum(
        image_of(before(s, LOSS_A), s->element, each, image), image_of(before(s, LOSS_B), s->element, each, image),
        floats(s, LOSS_MASK) + image * s->pixels, s->pixels, s->channels, 0, 1);
}
static cuda_error launch_cosine_loss(struct scene *s) {
    return cuda_cosine_loss(NULL, at(s, LOSS_OUT), at(s, LOSS_A), at(s, LOSS_B), s->element, at(s, LOSS_MASK), s->images, s->pixels,
                            s->channels, at(s, LOSS_WORKSPACE));
}
static void draw_cosine_loss_grad(struct scene *s) {
    cosine_inputs(s);
    const int64_t all = s->images * s->pixels;
    s->number[0] = toss(s); /* in place */
    const int da = s->number[0] ? (absent(s), LOSS_A) : wanted(s, "da", s->element, all * s->channels, 0);
    const int db = s->number[0] ? (absent(s), LOSS_B) : wanted(s, "db", s->element, all * s->channels, 0);
    s->arrays[da].tolerance = s->arrays[db].tolerance = 1e-5;
    s->plain->cosine_sum_grad(expected(s, da), expected(s, db), before(s, LOSS_A), before(s, LOSS_B), floats(s, LOSS_MASK), all,
                              s->channels, 1, 0, 1);
}
static cuda_error launch_cosine_loss_grad(struct scene *s) {
    return cuda_cosine_loss_grad(NULL, at(s, s->number[0] ? LOSS_A : LOSS_OUT), at(s, s->number[0] ? LOSS_B : LOSS_OUT2),
                                 at(s, LOSS_A), at(s, LOSS_B), s->element, at(s, LOSS_MASK), NULL, s->images, s->pixels,
                                 s->channels);
}

enum { SCALES_MASK, SCALES_OUT, SCALES_WORKSPACE };
static void draw_mask_scales(struct scene *s) {
    more_pixels(s);
    mask_given(s);
    const int scales = wanted(s, "scale", ELEMENT_F32, s->images, 1e-6);
    workspace(s, cuda_loss_workspace(s->images, s->pixels));
    s->number[0] = toss(s); /* without the mask */
    EACH_IMAGE(s, image) {
        double count = 0;
        for (int64_t p = image * s->pixels; p < (image + 1) * s->pixels; p++)
            count += s->number[0] || floats(s, SCALES_MASK)[p] > 0;
        ((float *)expected(s, scales))[image] = (float)(0.75 / (count + 0.5));
    }
}
static cuda_error launch_mask_scales(struct scene *s) {
    return cuda_mask_scales(NULL, at(s, SCALES_OUT), s->number[0] ? NULL : at(s, SCALES_MASK), s->images, s->pixels, 0.75f, 0.5,
                            at(s, SCALES_WORKSPACE));
}

/* ---- losses of a task */

enum { TASK_LOGITS, TASK_TARGET, TASK_WEIGHTS, TASK_STATISTICS, TASK_OUT, TASK_WORKSPACE };
static struct softmax_loss task_of(const struct scene *s) {
    return (struct softmax_loss){s->pixels, s->task.classes, s->task.ce_weight, s->task.dice_weight, s->task.smooth};
}
static void task_inputs(struct scene *s, bool softmax) {
    static const int64_t classes[] = {2, 3, 4, 7, 70};
    const int64_t count = softmax ? classes[pick(s, 0, 4)] : pick(s, 1, 5);
    more_pixels(s);
    s->task = (struct cuda_task_loss){.images = s->images,
                                      .pixels = s->pixels,
                                      .classes = count,
                                      .ce_weight = 0.7f,
                                      .dice_weight = toss(s) ? 0.4f : 0,
                                      .smooth = 1};
    const int64_t entries = s->images * s->pixels * count, targets = softmax ? s->images * s->pixels : entries;
    given(s, "logits", ELEMENT_F32, entries, -5, 5);
    const int target = given(s, "target", ELEMENT_F32, targets, 0, 1);
    const int64_t unknown = pick(s, 0, 9); /* in ten; of nine every one is */
    for (int64_t i = 0; i < targets; i++) {
        float *const t = floats(s, target) + i;
        if (softmax) *t = (float)pick(s, 0, count - 1);
        if (pick(s, 0, 9) < unknown || unknown == 9) *t = softmax && toss(s) ? (toss(s) ? NAN : (float)count) : -1;
    }
    if (toss(s)) given(s, "class_weights", ELEMENT_F32, count, 0.5f, 2);
    else absent(s);
}
/* Losses (images, 2) and statistics (images, numbers) by plain C. */
static void task_losses(struct scene *s, double *loss, double *statistics, bool softmax) {
    const struct softmax_loss task = task_of(s);
    const int64_t numbers = softmax ? 1 + 3 * task.classes : 1, each = s->pixels * task.classes;
    EACH_IMAGE(s, image) {
        const float *logits = floats(s, TASK_LOGITS) + image * each, *weights = floats(s, TASK_WEIGHTS);
        const float *target = floats(s, TASK_TARGET) + image * (softmax ? s->pixels : each);
        double *of_image = statistics + image * numbers;
        if (softmax) s->plain->softmax_loss(loss + 2 * image, of_image, logits, target, weights, &task);
        else
            loss[2 * image] = s->plain->sigmoid_loss(of_image, logits, target, weights, s->pixels, task.classes),
                     loss[2 * image + 1] = 0;
    }
}
static void task_draw(struct scene *s, bool softmax) {
    task_inputs(s, softmax);
    const int statistics = wanted(s, "statistics", ELEMENT_F64, s->images * (softmax ? 1 + 3 * s->task.classes : 1), 1e-6);
    const int loss = wanted(s, "loss", ELEMENT_F64, s->images * 2, 1e-6);
    workspace(s, cuda_task_loss_workspace(&s->task));
    task_losses(s, expected(s, loss), expected(s, statistics), softmax);
}
static void task_grad_draw(struct scene *s, bool softmax) {
    task_inputs(s, softmax);
    const struct softmax_loss task = task_of(s);
    const int64_t numbers = softmax ? 1 + 3 * task.classes : 1, each = s->pixels * task.classes;
    double *statistics = calloc((size_t)(s->images * numbers), sizeof *statistics),
           *loss = calloc((size_t)(2 * s->images), sizeof *loss);
    task_losses(s, loss, statistics, softmax);
    given_bytes(s, "statistics", ELEMENT_F64, s->images * numbers, statistics);
    const int out = wanted(s, "dlogits", ELEMENT_F32, s->images * each, 2e-6);
    EACH_IMAGE(s, image) {
        float *dlogits = (float *)expected(s, out) + image * each;
        const float *logits = floats(s, TASK_LOGITS) + image * each, *weights = floats(s, TASK_WEIGHTS);
        const float *target = floats(s, TASK_TARGET) + image * (softmax ? s->pixels : each);
        if (softmax) s->plain->softmax_loss_grad(dlogits, logits, target, weights, statistics + image * numbers, &task);
        else s->plain->sigmoid_loss_grad(dlogits, logits, target, weights, statistics + image, s->pixels, task.classes);
    }
    free(statistics), free(loss);
}
static void draw_softmax_loss(struct scene *s) { task_draw(s, true); }
static void draw_sigmoid_loss(struct scene *s) { task_draw(s, false); }
static void draw_softmax_loss_grad(struct scene *s) { task_grad_draw(s, true); }
static void draw_sigmoid_loss_grad(struct scene *s) { task_grad_draw(s, false); }
#define TASK_LAUNCH(name)                                                                                                          \
    static cuda_error launch_##name(struct scene *s) {                                                                             \
        return cuda_##name(NULL, at(s, TASK_OUT), at(s, TASK_STATISTICS), at(s, TASK_LOGITS), at(s, TASK_TARGET),                  \
                           at(s, TASK_WEIGHTS), &s->task, at(s, TASK_WORKSPACE));                                                  \
    }                                                                                                                              \
    static cuda_error launch_##name##_grad(struct scene *s) {                                                                      \
        return cuda_##name##_grad(NULL, at(s, TASK_OUT), at(s, TASK_LOGITS), at(s, TASK_TARGET), at(s, TASK_WEIGHTS),              \
                                  at(s, TASK_STATISTICS), &s->task);                                                               \
    }
TASK_LAUNCH(softmax_loss)
TASK_LAUNCH(sigmoid_loss)

/* ---- flat vectors; number[0]: how long */

static int64_t length_draw(struct scene *s) { return s->number[0] = toss(s) ? pick(s, 1, 40) : pick(s, 1000, 20000); }

enum { ADD_A, ADD_B, ADD_Y };
static void draw_add(struct scene *s) {
    const int64_t count = length_draw(s);
    const int a = given(s, "a", s->element, count, -2, 2), b = given(s, "b", s->element, count, -2, 2);
    const int y = (int)(s->number[1] = pick(s, ADD_A, ADD_Y));
    if (y == ADD_Y) wanted(s, "y", s->element, count, 0);
    s->plain->add(expected(s, y), before(s, a), before(s, b), count);
}
static cuda_error launch_add(struct scene *s) {
    return cuda_add(NULL, at(s, (int)s->number[1]), at(s, ADD_A), at(s, ADD_B), s->element, s->number[0]);
}

enum { SQUARE_X, SQUARE_SUM, SQUARE_WORKSPACE };
static void draw_square_sum(struct scene *s) {
    const int64_t count = length_draw(s);
    const float reach = toss(s) ? 3 : 1e30f; /* squares beyond float */
    const int x = given(s, "x", ELEMENT_F32, count, -reach, reach), sum = wanted(s, "sum", ELEMENT_F64, 1, 1e-12);
    workspace(s, cuda_square_sum_workspace(count));
    *(double *)expected(s, sum) = s->plain->square_sum(floats(s, x), count);
}
static cuda_error launch_square_sum(struct scene *s) {
    return cuda_square_sum(NULL, at(s, SQUARE_SUM), at(s, SQUARE_X), s->number[0], at(s, SQUARE_WORKSPACE));
}

enum { ADAM_GRADIENT, ADAM_WEIGHTS, ADAM_M, ADAM_V, ADAM_UPDATE, ADAM_SUM };
static void draw_adam(struct scene *s) {
    static const double sums[] = {16, 1e8, INFINITY, NAN};
    const int64_t count = length_draw(s);
    given(s, "gradient", ELEMENT_F32, count, -1, 1), given(s, "weights", ELEMENT_F32, count, -1, 1);
    given(s, "m", ELEMENT_F32, count, -1, 1), given(s, "v", ELEMENT_F32, count, 0, 1);
    const double sum = sums[pick(s, 0, 7) ? pick(s, 0, 1) : pick(s, 2, 3)];
    struct cuda_update update = {.clip = toss(s) ? 5 : 0,
                                 .adam = {.lr = 1e-3,
                                          .beta1 = 0.9,
                                          .beta2 = 0.999,
                                          .epsilon = 1e-8,
                                          .weight_decay = toss(s) ? 0.01 : 0,
                                          .correction1 = 0.19,
                                          .correction2 = 0.001999,
                                          .scale = pick(s, 0, 7) ? 0.25 : 0,
                                          .clip_epsilon = 1e-6}};
    given_bytes(s, "update", ELEMENT_U8, sizeof update, &update), given_bytes(s, "square_sum", ELEMENT_F64, 1, &sum);
    for (int i = ADAM_WEIGHTS; i <= ADAM_V; i++) expected(s, i), s->arrays[i].tolerance = 1e-6;
    if (update.adam.scale == 0 || !isfinite(sum)) return;
    const double norm = sqrt(sum) * update.adam.scale;
    update.adam = adam_clipped(update.adam, update.clip, norm);
    s->plain->adam(expected(s, ADAM_WEIGHTS), expected(s, ADAM_M), expected(s, ADAM_V), floats(s, ADAM_GRADIENT), count,
                   &update.adam);
}
static cuda_error launch_adam(struct scene *s) {
    return cuda_adam(NULL, at(s, ADAM_WEIGHTS), at(s, ADAM_M), at(s, ADAM_V), at(s, ADAM_GRADIENT), s->number[0],
                     at(s, ADAM_UPDATE), at(s, ADAM_SUM));
}

enum { FOLLOW_X, FOLLOW_Y };
static void draw_follow(struct scene *s) {
    const int64_t count = length_draw(s);
    const float rate = toss(s) ? 1 : 0.01f;
    s->number[1] = rate == 1;
    const float *x = floats(s, given(s, "x", ELEMENT_F32, count, -1, 1));
    float *y = expected(s, given(s, "y", ELEMENT_F32, count, -1, 1));
    for (int64_t i = 0; i < count; i++) y[i] = rate == 1 ? x[i] : y[i] + rate * (x[i] - y[i]);
    s->arrays[FOLLOW_Y].tolerance = 1e-7;
}
static cuda_error launch_follow(struct scene *s) {
    return cuda_follow(NULL, at(s, FOLLOW_Y), at(s, FOLLOW_X), s->number[0], s->number[1] ? 1 : 0.01f);
}

enum { PUSH_X, PUSH_RING };
static void draw_push(struct scene *s) {
    const int64_t rows = pick(s, 1, 40), width = pick(s, 1, 300), count = pick(s, 1, rows), place = pick(s, 0, rows - 1);
    const float *x = floats(s, given(s, "x", ELEMENT_F32, count * width, -1, 1));
    float *ring = expected(s, given(s, "ring", ELEMENT_F32, rows * width, -1, 1));
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int64_t k = 0; k < width; k++) sum += (double)x[i * width + k] * x[i * width + k];
        for (int64_t k = 0; k < width; k++)
            ring[(place + i) % rows * width + k] = (float)(x[i * width + k] / fmax(sqrt(sum), 1e-12));
    }
    s->arrays[PUSH_RING].tolerance = 1e-6;
    s->number[0] = count, s->number[1] = rows, s->number[2] = width, s->number[3] = place;
}
static cuda_error launch_push(struct scene *s) {
    return cuda_push(NULL, at(s, PUSH_RING), at(s, PUSH_X), s->number[0], s->number[1], s->number[2], s->number[3]);
}

enum { FINITE_X, FINITE_BAD };
static void draw_not_finite(struct scene *s) {
    const int64_t count = length_draw(s);
    int bad = pick(s, 0, 7) == 0;
    const int x = given(s, "x", s->element, count, -3e38f, 3e38f), at_bad = given_bytes(s, "bad", ELEMENT_U8, sizeof bad, &bad);
    for (int64_t i = 0; i < count; i++) bad |= !isfinite(get(before(s, x), s->element, i));
    memcpy(expected(s, at_bad), &bad, sizeof bad);
}
static cuda_error launch_not_finite(struct scene *s) {
    return cuda_not_finite(NULL, at(s, FINITE_BAD), at(s, FINITE_X), s->element, s->number[0]);
}

enum { GUARD_MARK, GUARD_VALUES };
static void draw_guard(struct scene *s) {
    const int64_t count = pick(s, 1, 300);
    double values[300];
    bool bad = false;
    for (int64_t i = 0; i < count; i++) values[i] = (double)pick(s, -9, 9);
    if (toss(s)) values[pick(s, 0, count - 1)] = toss(s) ? NAN : INFINITY;
    const int at_mark = wanted(s, "mark", ELEMENT_F32, 1, 0);
    given_bytes(s, "values", ELEMENT_F64, count, values);
    s->number[0] = count;
    for (int64_t i = 0; i < count; i++) bad |= !isfinite(values[i]);
    const float mark = bad ? NAN : 0;
    memcpy(expected(s, at_mark), &mark, sizeof mark);
}
static cuda_error launch_guard(struct scene *s) { return cuda_guard(NULL, at(s, GUARD_MARK), at(s, GUARD_VALUES), s->number[0]); }

#define ROW(name, ...)                                                                                                             \
    { #name, draw_##name, launch_##name, __VA_ARGS__ }
const struct operation operations[] = {
    ROW(join),
    ROW(split),
    ROW(pack_weights),
    ROW(unpack_weights),
    ROW(add_bias),
    ROW(bias_grad),
    ROW(norm_act),
    ROW(norm_grad),
    ROW(max_pool2),
    ROW(max_pool2_grad),
    ROW(global_pool),
    ROW(global_pool_grad),
    ROW(upsample),
    ROW(upsample_grad),
    ROW(resize_corners, .float_only = true),
    ROW(resize_corners_grad, .float_only = true),
    ROW(vector_loss, .float_only = true),
    ROW(vector_loss_grad, .float_only = true),
    ROW(cosine_loss),
    ROW(cosine_loss_grad),
    ROW(mask_scales, .float_only = true),
    ROW(softmax_loss, .float_only = true),
    ROW(softmax_loss_grad, .float_only = true),
    ROW(sigmoid_loss, .float_only = true),
    ROW(sigmoid_loss_grad, .float_only = true),
    ROW(add),
    ROW(square_sum, .float_only = true),
    ROW(adam, .float_only = true),
    ROW(follow, .float_only = true),
    ROW(push, .float_only = true),
    ROW(not_finite),
    ROW(guard, .float_only = true),
};
const int operation_count = sizeof operations / sizeof *operations;
