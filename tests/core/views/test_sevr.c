/* The public sampler of view pairs: what it gives, any dtype and strides, and what it refuses. */
#include "../../check_main.h"

#include <libcover/sevr.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static cover_context *context;
static cover_config *config;

/* An allocator that refuses the allocation numbered `refuse`, and counts what is not released. */
static int made, live, refuse;
static void *allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    void *memory = NULL;
    if (++made == refuse || posix_memalign(&memory, alignment, bytes)) return NULL;
    live++;
    return memory;
}
static void release(void *user, void *memory) {
    (void)user;
    live--;
    free(memory);
}

static void setup(void) {
    cover_allocator allocator = {allocate, release, NULL};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.allocator = &allocator, options.threads = 1;
    made = live = refuse = 0;
    ck_assert_ok(cover_context_create(&context, &options));
    config = NULL;
}
static void teardown(void) {
    cover_config_destroy(config);
    cover_context_destroy(context);
    ck_assert_int_eq(live, 0);
}

static void use(const char *preset, const char *crop, const char *work, const char *channels) {
    cover_config_destroy(config);
    ck_assert_ok(cover_config_create(&config, context, preset));
    ck_assert_ok(cover_config_set(config, "crop", crop));
    ck_assert_ok(cover_config_set(config, "work", work));
    ck_assert_ok(cover_config_set(config, "channels", channels));
}
static cover_sevr *sampler(void) {
    cover_sevr *sevr;
    ck_assert_ok(cover_sevr_create(&sevr, context, config));
    return sevr;
}
static cover_tensor *image(cover_dtype dtype, int rank, const int64_t *shape) {
    cover_tensor *tensor;
    ck_assert_ok(cover_tensor_create(&tensor, context, dtype, rank, shape));
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    for (int64_t i = 0; i < count; i++) {
        unsigned value = (unsigned)i * 2654435761u >> 24;
        if (dtype == COVER_U8) ((uint8_t *)cover_tensor_data(tensor))[i] = (uint8_t)value;
        else if (dtype == COVER_U16) ((uint16_t *)cover_tensor_data(tensor))[i] = (uint16_t)(value * 257);
        else ((float *)cover_tensor_data(tensor))[i] = (float)value;
    }
    return tensor;
}
static void check_shape(const cover_tensor *tensor, int rank, const int64_t *shape) {
    ck_assert_int_eq(cover_tensor_rank(tensor), rank);
    ck_assert_int_eq(cover_tensor_dtype(tensor), COVER_F32);
    for (int i = 0; i < rank; i++) ck_assert_int_eq(cover_tensor_shape(tensor)[i], shape[i]);
}
static void check_equal(const cover_views *a, const cover_views *b) {
    ck_assert_int_eq(a->valid_pixels, b->valid_pixels);
    ck_assert_double_eq(a->zero_loss, b->zero_loss);
    cover_tensor *pairs[][2] = {{a->moving, b->moving}, {a->fixed, b->fixed}, {a->field, b->field}, {a->mask, b->mask}};
    for (int i = 0; i < 4; i++) {
        const int64_t *shape = cover_tensor_shape(pairs[i][0]);
        int64_t count = 1;
        for (int k = 0; k < cover_tensor_rank(pairs[i][0]); k++) count *= shape[k];
        ck_assert_mem_eq(cover_tensor_data(pairs[i][0]), cover_tensor_data(pairs[i][1]), (size_t)count * sizeof(float));
    }
}

START_TEST(a_pair_has_logical_shapes_and_channels_last_memory) {
    bool volume = _i;
    use(volume ? "paper-3d" : "paper-2d", volume ? "16x32x48" : "32x48", volume ? "0x0x0" : "40x60", "3");
    cover_sevr *sevr = sampler();
    cover_tensor *x = volume ? image(COVER_U8, 4, (int64_t[]){3, 20, 40, 50}) : image(COVER_U8, 3, (int64_t[]){3, 70, 50});
    cover_views views = COVER_VIEWS_INIT;
    ck_assert_ok(cover_sevr_draw(&views, sevr, x, 1, 2, 3));
    const int64_t shape2[] = {1, 3, 32, 48}, shape3[] = {1, 3, 16, 32, 48};
    int64_t field[5], mask[5], rank = volume ? 5 : 4;
    const int64_t *shape = volume ? shape3 : shape2;
    memcpy(field, shape, (size_t)rank * sizeof *field), memcpy(mask, shape, (size_t)rank * sizeof *mask);
    field[1] = volume ? 3 : 2, mask[1] = 1;
    check_shape(views.moving, (int)rank, shape);
    check_shape(views.fixed, (int)rank, shape);
    check_shape(views.field, (int)rank, field);
    check_shape(views.mask, (int)rank, mask);
    ck_assert_int_eq(cover_tensor_strides(views.moving)[1], 1);
    ck_assert_int_eq(cover_tensor_strides(views.moving)[rank - 1], 3);
    ck_assert_int_eq(cover_tensor_strides(views.field)[rank - 1], field[1]);
    double valid = 0, zero_loss = 0;
    int64_t pixels = volume ? 16 * 32 * 48 : 32 * 48;
    const float *ones = cover_tensor_data(views.mask), *v = cover_tensor_data(views.field);
    for (int64_t p = 0; p < pixels; p++) {
        valid += (double)ones[p];
        for (int64_t a = 0; a < field[1]; a++) zero_loss += (double)(ones[p] * fabsf(v[p * field[1] + a]));
    }
    ck_assert_int_eq(views.valid_pixels, (int64_t)valid);
    ck_assert_double_eq_tol(views.zero_loss, zero_loss, 1e-6 * zero_loss);
    cover_views_release(&views);
    ck_assert_ptr_null(views.moving);
    cover_views_release(&views);
    cover_views_release(NULL);
    cover_tensor_destroy(x);
    cover_sevr_destroy(sevr);
    cover_sevr_destroy(NULL);
}
END_TEST

START_TEST(strides_and_dtypes_of_the_image_do_not_matter) {
    use("paper-2d", "32x48", "40x60", "2");
    cover_sevr *sevr = sampler();
    const int64_t shape[] = {2, 70, 50}, batched[] = {1, 2, 70, 50};
    cover_tensor *planar = image(COVER_U8, 3, shape), *others[4];
    float *memory = malloc(2 * 70 * 50 * sizeof *memory);
    ck_assert_ok(cover_tensor_wrap(&others[0], context, COVER_F32, 3, shape, (int64_t[]){-1, 100, 2}, memory + 1));
    ck_assert_ok(cover_tensor_create(&others[1], context, COVER_BF16, 3, shape));
    ck_assert_ok(cover_tensor_create(&others[2], context, COVER_I64, 3, shape));
    for (int i = 0; i < 3; i++) ck_assert_ok(cover_tensor_copy(others[i], planar));
    ck_assert_ok(cover_tensor_wrap(&others[3], context, COVER_U8, 4, batched, NULL, cover_tensor_data(planar)));
    cover_views want = COVER_VIEWS_INIT;
    ck_assert_ok(cover_sevr_draw(&want, sevr, planar, 7, 0, 1));
    for (int i = 0; i < 4; i++) {
        cover_views views = COVER_VIEWS_INIT;
        ck_assert_ok(cover_sevr_draw(&views, sevr, others[i], 7, 0, 1));
        check_equal(&views, &want);
        cover_views_release(&views);
        cover_tensor_destroy(others[i]);
    }
    cover_views_release(&want);
    cover_tensor_destroy(planar);
    cover_sevr_destroy(sevr);
    free(memory);
}
END_TEST

START_TEST(max_normalisation_knows_the_integer_types) {
    use("paper-2d", "32x32", "32x32", "1");
    ck_assert_ok(cover_config_set(config, "normalise", "max"));
    cover_sevr *sevr = sampler();
    cover_tensor *bytes = image(COVER_U8, 3, (int64_t[]){1, 32, 32}), *words = image(COVER_U16, 3, (int64_t[]){1, 32, 32});
    cover_views a = COVER_VIEWS_INIT, b = COVER_VIEWS_INIT;
    ck_assert_ok(cover_sevr_draw(&a, sevr, bytes, 7, 0, 1));
    ck_assert_ok(cover_sevr_draw(&b, sevr, words, 7, 0, 1)); /* 257 times as much of 65535 = 257 * 255 */
    const float *x = cover_tensor_data(a.fixed), *y = cover_tensor_data(b.fixed);
    for (int i = 0; i < 32 * 32; i++) {
        ck_assert_float_eq_tol(x[i], y[i], 1e-6f);
        ck_assert(x[i] >= 0 && x[i] <= 1);
    }
    cover_views_release(&a);
    cover_views_release(&b);
    cover_tensor_destroy(bytes);
    cover_tensor_destroy(words);
    cover_sevr_destroy(sevr);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_leaves_the_views_alone) {
    use("paper-2d", "48x48", "0x0", "1");
    cover_sevr *sevr = sampler(), *none = NULL;
    cover_tensor *small = image(COVER_U8, 3, (int64_t[]){1, 40, 60}), *colour = image(COVER_U8, 3, (int64_t[]){3, 60, 60}),
                 *flat = image(COVER_U8, 2, (int64_t[]){60, 60}), *two = image(COVER_U8, 4, (int64_t[]){2, 1, 60, 60}),
                 *bad = image(COVER_F32, 3, (int64_t[]){1, 60, 60});
    ((float *)cover_tensor_data(bad))[60 * 7 + 9] = NAN;
    cover_views views = COVER_VIEWS_INIT;
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, small, 0, 0, 0), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "40x60"));
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, colour, 0, 0, 0), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, flat, 0, 0, 0), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, two, 0, 0, 0), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, bad, 0, 0, 0), COVER_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "y 7, x 9"));
    ck_assert_int_eq(cover_sevr_draw(NULL, sevr, colour, 0, 0, 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_sevr_draw(&views, NULL, colour, 0, 0, 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, NULL, 0, 0, 0), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_null(views.moving);
    views.struct_size = 8;
    ck_assert_int_eq(cover_sevr_draw(&views, sevr, two, 0, 0, 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_sevr_create(NULL, context, config), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_sevr_create(&none, NULL, config), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_sevr_create(&none, context, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_ok(cover_config_set(config, "work", "40x48"));
    ck_assert_int_eq(cover_sevr_create(&none, context, config), COVER_ERROR_SHAPE);
    ck_assert_ptr_null(none);
    cover_tensor *images[] = {small, colour, flat, two, bad};
    for (int i = 0; i < 5; i++) cover_tensor_destroy(images[i]);
    cover_sevr_destroy(sevr);
}
END_TEST

START_TEST(every_refused_allocation_is_an_error_and_leaks_nothing) {
    use("paper-2d", "32x32", "0x0", "1");
    ck_assert_ok(cover_config_set(config, "deform_alpha", "10"));
    ck_assert_ok(cover_config_set(config, "blur", "2"));
    cover_tensor *x = image(COVER_U8, 3, (int64_t[]){1, 40, 44});
    int before = live, failures = 0;
    for (int nth = 1;; nth++) {
        cover_sevr *sevr = NULL;
        cover_views views = COVER_VIEWS_INIT;
        made = 0, refuse = nth;
        cover_status status = cover_sevr_create(&sevr, context, config);
        if (status == COVER_OK) status = cover_sevr_draw(&views, sevr, x, 1, 1, 1);
        bool reached = made >= nth;
        refuse = 0;
        if (reached) {
            ck_assert_int_eq(status, COVER_ERROR_MEMORY);
            ck_assert_ptr_null(views.moving);
            failures++;
            if (sevr) { /* a handle that was refused memory goes on working */
                ck_assert_ok(cover_sevr_draw(&views, sevr, x, 1, 1, 1));
                cover_views_release(&views);
            }
        } else ck_assert_int_eq(status, COVER_OK);
        cover_views_release(&views);
        cover_sevr_destroy(sevr);
        ck_assert_int_eq(live, before);
        if (!reached) break;
    }
    ck_assert_int_ge(failures, 10);
    cover_tensor_destroy(x);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("api sevr");
    TCase *tcase = tcase_create("sampler");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, a_pair_has_logical_shapes_and_channels_last_memory, 0, 2);
    ADD(tcase, strides_and_dtypes_of_the_image_do_not_matter);
    ADD(tcase, max_normalisation_knows_the_integer_types);
    ADD(tcase, what_does_not_fit_is_refused_and_leaves_the_views_alone);
    ADD(tcase, every_refused_allocation_is_an_error_and_leaks_nothing);
    return run_suite(suite);
}
