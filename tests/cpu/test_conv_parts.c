/* What a convolution takes beyond one dense tensor of floats: bf16, two sources, normalisation on load, sums, two targets of
 * the data gradient.  Every form against plain C on a dense float tensor that is made here. */
#include "../check_main.h"
#include "core/base/philox.h"
#include "cpu/conv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const forms[] = {"chosen",           "thin_avx512_bf16",
                                    "thin_avx512",      "thin_avx2",
                                    "thin_generic",     "winograd_avx512_bf16",
                                    "winograd_avx512",  "winograd_avx2",
                                    "winograd_generic", "onednn",
                                    "avx512",           "avx2",
                                    "generic",          "plain"};
enum { FORMS = sizeof forms / sizeof *forms };

static const char *const caps[] = {NULL, "avx512", "avx2", "plain"};
enum { CAPS = sizeof caps / sizeof *caps };

static cover_context *contexts[CAPS];
static void setup(void) {
    for (int i = 0; i < CAPS; i++) {
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.isa = caps[i];
        ck_assert_ok(cover_context_create(&contexts[i], &options));
    }
}
static void teardown(void) {
    for (int i = 0; i < CAPS; i++) cover_context_destroy(contexts[i]);
}

/* ---- tensors of either element */

static void *tensor_of(int64_t count, enum element element) {
    void *data = aligned_alloc(64, ((size_t)count * element_bytes(element) + 63) / 64 * 64 + 64);
    ck_assert_ptr_nonnull(data);
    memset(data, 0xFF, (size_t)count * element_bytes(element)); /* NaN: what is never written shows */
    return data;
}
static float get(const void *data, enum element element, int64_t i) {
    return element == ELEMENT_BF16 ? bf16_to_float(((const bf16 *)data)[i]) : ((const float *)data)[i];
}
static void *random_tensor(struct random_stream *random, int64_t count, enum element element) {
    void *data = tensor_of(count, element);
    for (int64_t i = 0; i < count; i++) {
        float value = random_uniform(random, -1, 1);
        if (element == ELEMENT_BF16) ((bf16 *)data)[i] = bf16_from_float(value);
        else ((float *)data)[i] = value;
    }
    return data;
}

/* ---- a scene: sources and what plain C makes of them when they are dense floats */

struct scene {
    struct conv_shape shape;
    int64_t pixels, weights, channels[CONV_SOURCES];
    void *x[CONV_SOURCES], *dy;
    float *scale, *offset, *w, *bias;
    struct norm_load norm[CONV_SOURCES];
    float *dense_x, *dense_dy, *y, *dx, *dw, *db; /* of plain C */
};

static void normalise(struct scene *s) {
    for (int64_t p = 0; p < s->pixels; p++)
        for (int64_t c = 0; c < s->shape.c_in; c++) {
            const int which = c >= s->channels[0];
            const int64_t own = which ? c - s->channels[0] : c;
            float value = get(s->x[which], s->shape.x, p * s->channels[which] + own);
            if (s->shape.normed) value = fmaf(value, s->scale[c], s->offset[c]), value = value > 0 ? value : 0.2f * value;
            s->dense_x[p * s->shape.c_in + c] = value;
        }
}

static void run_plain(struct scene *s) {
    struct conv_shape dense = s->shape;
    dense.x = dense.y = ELEMENT_F32, dense.c_second = 0, dense.normed = false, dense.slabs = 0;
    struct conv *conv;
    ck_assert_ok(conv_create_form(&conv, contexts[0], &dense, "plain"));
    void *packed = tensor_of((int64_t)conv_packed_bytes(conv) / 4, ELEMENT_F32), *scratch = tensor_of(64, ELEMENT_F32);
    const struct conv_source x[CONV_SOURCES] = {{.data = s->dense_x}};
    ck_assert_ok(conv_pack(conv, packed, s->w, scratch));
    ck_assert_ok(conv_forward(conv, 0, s->y, NULL, x, packed, s->bias, scratch));
    ck_assert_ok(conv_grad_data(conv, 0, (void *const[]){s->dx, NULL}, s->dense_dy, packed, scratch));
    ck_assert_ok(conv_grad_weights(conv, s->dw, s->db, x, s->dense_dy, scratch, false));
    conv_destroy(conv);
    free(packed), free(scratch);
}

static struct scene scene_make(const struct conv_shape *shape, uint32_t seed) {
    const int64_t taps = shape->kernel == 1 ? 1 : shape->grid.ndim == 2 ? 9 : 27;
    struct random_stream random = random_stream(seed, RANDOM_TEST, 0, 2);
    struct scene s = {.shape = *shape,
                      .pixels = grid_pixels(&shape->grid),
                      .weights = taps * shape->c_in * shape->c_out,
                      .channels = {shape->c_in - shape->c_second, shape->c_second}};
    for (int i = 0; i < CONV_SOURCES; i++) s.x[i] = random_tensor(&random, s.pixels * s.channels[i], shape->x);
    s.dy = random_tensor(&random, s.pixels * shape->c_out, shape->y);
    s.scale = random_tensor(&random, shape->c_in, ELEMENT_F32), s.offset = random_tensor(&random, shape->c_in, ELEMENT_F32);
    s.w = random_tensor(&random, s.weights, ELEMENT_F32), s.bias = random_tensor(&random, shape->c_out, ELEMENT_F32);
    for (int i = 0; i < CONV_SOURCES; i++)
        s.norm[i] = (struct norm_load){s.scale + i * s.channels[0], s.offset + i * s.channels[0], 0.2f};
    s.dense_x = tensor_of(s.pixels * shape->c_in, ELEMENT_F32), s.dx = tensor_of(s.pixels * shape->c_in, ELEMENT_F32);
    s.dense_dy = tensor_of(s.pixels * shape->c_out, ELEMENT_F32), s.y = tensor_of(s.pixels * shape->c_out, ELEMENT_F32);
    s.dw = tensor_of(s.weights, ELEMENT_F32), s.db = tensor_of(shape->c_out, ELEMENT_F32);
    for (int64_t i = 0; i < s.pixels * shape->c_out; i++) s.dense_dy[i] = get(s.dy, shape->y, i);
    normalise(&s);
    run_plain(&s);
    return s;
}
static void scene_free(struct scene *s) {
    void *all[] = {s->x[0], s->x[1], s->dy, s->scale, s->offset, s->w, s->bias, s->dense_x, s->dense_dy, s->y, s->dx, s->dw, s->db};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* ---- comparing: relative L2, as products of bf16 pairs are rounded one by one; relative to no less than `typical` an
 * element, as few sums of many products may come to little by chance */

static double square(double x) { return x * x; }
static void assert_close(const char *what, const char *which, const void *a, enum element element, int64_t stride, int64_t first,
                         int64_t count, const float *expected, int64_t expected_stride, int64_t expected_first, int64_t rows,
                         double typical, double bound) {
    double difference = 0, norm = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < count; i++) {
            const double right = expected[r * expected_stride + expected_first + i];
            difference += square(get(a, element, r * stride + first + i) - right), norm += square(right);
        }
    norm = fmax(norm, square(typical) * (double)(rows * count));
    const double error = sqrt(difference / (norm + 1e-30));
    if (!(error <= bound)) ck_abort_msg("%s: %s is off by %g, bound %g", what, which, error, bound);
}

static bool serves_any(const struct conv *conv, const char *form) {
    for (int pass = 0; pass < CONV_PASSES; pass++)
        if (strcmp(conv_form(conv, (enum conv_pass)pass), form) == 0) return true;
    return false;
}

static void compare_form(const struct scene *s, cover_context *context, const char *form) {
    const struct conv_shape *shape = &s->shape;
    const bool half = shape->x == ELEMENT_BF16 || shape->y == ELEMENT_BF16;
    const double bound = half ? 0.01 : 2e-6;
    const bool chosen = strcmp(form, "chosen") == 0;
    struct conv *conv = NULL;
    char what[160];
    snprintf(what, sizeof what, "%s %dD %dx%dx%d %d+%d->%d kernel %d x %d y %d normed %d slabs %d", form, shape->grid.ndim,
             (int)shape->grid.size[0], (int)shape->grid.size[1], (int)shape->grid.size[2], (int)s->channels[0], (int)s->channels[1],
             (int)shape->c_out, shape->kernel, shape->x, shape->y, shape->normed, shape->slabs);
    cover_status status = chosen ? conv_create(&conv, context, shape) : conv_create_form(&conv, context, shape, form);
    if (status == COVER_ERROR_UNSUPPORTED) return; /* not built or not served here */
    ck_assert_ok(status);
    if (!chosen && !serves_any(conv, form)) { /* others have their own turn */
        conv_destroy(conv);
        return;
    }
    void *packed = tensor_of((int64_t)conv_packed_bytes(conv), ELEMENT_U8);
    void *scratch = tensor_of((int64_t)conv_scratch_bytes(conv), ELEMENT_U8);
    void *y = tensor_of(s->pixels * shape->c_out, shape->y), *dx[CONV_SOURCES];
    for (int i = 0; i < CONV_SOURCES; i++) dx[i] = tensor_of(s->pixels * s->channels[i], shape->x);
    float *dw = tensor_of(s->weights, ELEMENT_F32), *db = tensor_of(shape->c_out, ELEMENT_F32);
    double *sums = calloc(2 * (size_t)shape->c_out, sizeof *sums), *slab_sums = tensor_of(2 * shape->c_out, ELEMENT_F64);
    struct conv_source x[CONV_SOURCES];
    for (int i = 0; i < CONV_SOURCES; i++) x[i] = (struct conv_source){s->x[i], shape->normed ? &s->norm[i] : NULL};
    ck_assert_ok(conv_pack(conv, packed, s->w, scratch));
    for (int slab = 0; slab < conv_slabs(conv); slab++) {
        ck_assert_ok(conv_forward(conv, slab, y, slab_sums, x, packed, s->bias, scratch));
        for (int64_t c = 0; c < 2 * shape->c_out; c++) sums[c] += slab_sums[c];
        ck_assert_ok(conv_grad_data(conv, slab, dx, s->dy, packed, scratch));
    }
    ck_assert_ok(conv_grad_weights(conv, dw, db, x, s->dy, scratch, false));
    assert_close(what, "output", y, shape->y, shape->c_out, 0, shape->c_out, s->y, shape->c_out, 0, s->pixels, 0, bound);
    for (int i = 0, first = 0; i < CONV_SOURCES; first += (int)s->channels[i++])
        assert_close(what, "data gradient", dx[i], shape->x, s->channels[i], 0, s->channels[i], s->dx, shape->c_in, first,
                     s->pixels, 0, bound);
    assert_close(what, "weight gradient", dw, ELEMENT_F32, s->weights, 0, s->weights, s->dw, s->weights, 0, 1,
                 0.2 * sqrt((double)s->pixels), bound);
    assert_close(what, "bias gradient", db, ELEMENT_F32, shape->c_out, 0, shape->c_out, s->db, shape->c_out, 0, 1,
                 0.5 * sqrt((double)s->pixels), bound);
    for (int64_t c = 0; c < shape->c_out; c++) {
        double sum = 0, squares = 0;
        for (int64_t p = 0; p < s->pixels; p++) {
            const double value = get(y, shape->y, p * shape->c_out + c);
            sum += value, squares += value * value;
        }
        const double slack = (half ? 4e-3 : 1e-5) * sqrt(squares * (double)s->pixels) + 1e-6;
        if (!(fabs(sum - sums[c]) <= slack) || !(fabs(squares - sums[shape->c_out + c]) <= (half ? 1e-2 : 1e-5) * squares + 1e-6))
            ck_abort_msg("%s: sums of channel %d are %g %g, not %g %g", what, (int)c, sums[c], sums[shape->c_out + c], sum,
                         squares);
    }
    void *all[] = {packed, scratch, y, dx[0], dx[1], dw, db, sums, slab_sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    conv_destroy(conv);
}

/* Every form; under each cap what is chosen, and what is made dense for a form that takes no parts, by that cap's copies. */
static void compare(const struct scene *s) {
    for (int f = 0; f < FORMS; f++) compare_form(s, contexts[0], forms[f]);
    for (int i = 1; i < CAPS; i++) compare_form(s, contexts[i], "chosen"), compare_form(s, contexts[i], "generic");
}

START_TEST(every_form_takes_parts_and_bf16_as_plain_takes_dense_floats) {
    static const int64_t channels[] = {1, 3, 8, 16, 24, 32, 33, 40, 64};
    for (uint32_t trial = 0; trial < 64; trial++) {
        struct random_stream random = random_stream(11, RANDOM_TEST, trial, 3);
#define DRAW(n) ((int64_t)(random_word(&random) % (uint32_t)(n)))
        const int ndim = 2 + (int)DRAW(2);
        struct conv_shape shape = {.grid = {ndim, {ndim == 3 ? 1 + DRAW(5) : 1, 1 + DRAW(17), 1 + DRAW(19)}},
                                   .c_in = channels[DRAW(9)],
                                   .c_out = channels[DRAW(9)],
                                   .kernel = DRAW(4) ? 3 : 1,
                                   .bias = true,
                                   .gradient = true,
                                   .slabs = (int)DRAW(4),
                                   .normed = DRAW(2)};
        shape.x = DRAW(2) ? ELEMENT_BF16 : ELEMENT_F32, shape.y = DRAW(3) ? shape.x : DRAW(2) ? ELEMENT_BF16 : ELEMENT_F32;
        if (DRAW(2)) shape.c_second = channels[DRAW(9)], shape.c_in += shape.c_second;
        struct scene scene = scene_make(&shape, trial);
        compare(&scene);
        scene_free(&scene);
    }
}
END_TEST

/* Images of several parts, along each axis, whose ends are odd. */
START_TEST(every_form_takes_parts_and_bf16_where_work_is_cut_into_blocks) {
    static const struct conv_shape shapes[] = {
        {.grid = {2, {1, 70, 90}}, .c_in = 41, .c_out = 24, .c_second = 17},
        {.grid = {2, {1, 19, 406}}, .c_in = 16, .c_out = 17},
        {.grid = {3, {10, 15, 34}}, .c_in = 25, .c_out = 17, .c_second = 9},
    };
    for (uint32_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct conv_shape shape = shapes[i];
        shape.kernel = 3, shape.bias = shape.gradient = shape.normed = true, shape.slabs = 3;
        shape.x = shape.y = ELEMENT_BF16;
        struct scene scene = scene_make(&shape, i);
        compare(&scene);
        scene_free(&scene);
    }
}
END_TEST

/* Pairs of bf16 channels: the last one of an odd number has a zero beside it, wherever the sources meet. */
START_TEST(odd_numbers_of_channels_make_pairs_too) {
    static const int64_t odd[][2] = {{17, 0}, {17, 16}, {16, 17}, {33, 16}, {17, 17}, {9, 8}, {15, 2}, {31, 33}, {8, 1}, {47, 48}};
    for (uint32_t i = 0; i < sizeof odd / sizeof *odd; i++)
        for (int ndim = 2; ndim <= 3; ndim++) {
            struct conv_shape shape = {.grid = {ndim, {ndim == 3 ? 4 : 1, 8, 10}},
                                       .c_in = odd[i][0] + odd[i][1],
                                       .c_out = 24 + (int64_t)i % 2,
                                       .kernel = 3,
                                       .bias = true,
                                       .gradient = true,
                                       .x = ELEMENT_BF16,
                                       .y = ELEMENT_BF16,
                                       .c_second = odd[i][1],
                                       .normed = i % 3 > 0};
            struct scene scene = scene_make(&shape, 100 + i);
            compare(&scene);
            scene_free(&scene);
        }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("convolution parts");
    TCase *parts = tcase_create("parts");
    tcase_add_checked_fixture(parts, setup, teardown);
    tcase_set_timeout(parts, 120);
    ADD(parts, every_form_takes_parts_and_bf16_as_plain_takes_dense_floats);
    ADD(parts, every_form_takes_parts_and_bf16_where_work_is_cut_into_blocks);
    ADD(parts, odd_numbers_of_channels_make_pairs_too);
    suite_add_tcase(suite, parts);
    return run_suite(suite);
}
