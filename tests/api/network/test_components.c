/* Backbone, head, losses and warp as calls of their own: together they are the trainer's objective, value and gradient. */
#include "../../check_main.h"
#include "core/base/philox.h"
#include "core/objective/pairs.h"
#include "core/train/prefetch.h"

#include <libcover/cover.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEVEL_COUNT = 5 };
static cover_context *context;
static cover_config *config;

static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    ck_assert_ok(cover_context_create(&context, &options));
}
static void teardown(void) {
    cover_config_destroy(config);
    config = NULL;
    cover_context_destroy(context);
}

static void small_config(int dims) {
    ck_assert_ok(cover_config_create(&config, context, dims == 3 ? "paper-3d" : "paper-2d"));
    ck_assert_ok(cover_config_set(config, "widths", "8,8,8,16,16,16,8,8,8"));
    ck_assert_ok(cover_config_set(config, "heads", "2,2,1,1,1"));
    ck_assert_ok(cover_config_set(config, "crop", dims == 3 ? "16x32x16" : "32x48"));
    ck_assert_ok(cover_config_set(config, "work", dims == 3 ? "16x32x16" : "32x48"));
    ck_assert_ok(cover_config_set(config, "radius", "1"));
    ck_assert_ok(cover_config_set(config, "seed", "3"));
}

static cover_tensor *random_tensor(const int64_t *shape, int rank, float low, float high, uint32_t what) {
    cover_tensor *tensor;
    ck_assert_ok(cover_tensor_create(&tensor, context, COVER_F32, rank, shape));
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, what);
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    for (int64_t i = 0; i < count; i++) ((float *)cover_tensor_data(tensor))[i] = random_uniform(&stream, low, high);
    return tensor;
}

/* ---- one pair through the engine, as the truth */

struct pair {
    struct view_pair views;
    struct sample sample;
    float *block;
};
static cover_status take(void *user, int64_t index, const struct sample **sample) {
    (void)index;
    *sample = &((struct pair *)user)->sample;
    return COVER_OK;
}
static void give_back(void *user, int64_t index, const struct sample *sample) { (void)user, (void)index, (void)sample; }

/* Planar tensors of the pair, and the same values channels last for the engine. */
static void fill_pair(struct pair *pair, const struct grid *grid, cover_tensor *moving, cover_tensor *fixed, cover_tensor *truth,
                      cover_tensor *mask) {
    int64_t pixels = grid_pixels(grid);
    ck_assert_ok(pair_allocate(&pair->views, &pair->block, context, grid, 1));
    memcpy(pair->views.moving, cover_tensor_data(moving), (size_t)pixels * sizeof(float));
    memcpy(pair->views.fixed, cover_tensor_data(fixed), (size_t)pixels * sizeof(float));
    memcpy(pair->views.mask, cover_tensor_data(mask), (size_t)pixels * sizeof(float));
    const float *planar = cover_tensor_data(truth);
    for (int64_t p = 0; p < pixels; p++)
        for (int a = 0; a < grid->ndim; a++) pair->views.field[p * grid->ndim + a] = planar[a * pixels + p];
    for (int64_t p = 0; p < pixels; p++) pair->views.valid += pair->views.mask[p] > 0;
    pair->sample = pair_sample(&pair->views);
}

static void levels_of(const cover_tensor *levels[LEVEL_COUNT], const cover_features *features) {
    for (int i = 0; i < LEVEL_COUNT; i++) levels[i] = cover_features_level(features, i);
}

static void compare_gradients(const struct engine *engine, int64_t valid, cover_backbone *backbone, cover_head *head) {
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        bool of_head = strncmp(row->name, "proj.", 5) == 0;
        cover_tensor *gradient;
        ck_assert_ok(of_head ? cover_head_gradient(&gradient, head, row->name)
                             : cover_backbone_gradient(&gradient, backbone, row->name));
        const float *values = cover_tensor_data(gradient), *truth = engine->gradient + row->offset;
        double square = 0, worst = 0;
        for (int64_t k = 0; k < row->count; k++) {
            double expected = truth[k] / (double)valid;
            square += expected * expected;
            worst = fmax(worst, fabs(values[k] - expected));
        }
        ck_assert_msg(worst <= 1e-3 * (1e-6 + sqrt(square / (double)row->count)), "%s: %g of %g", row->name, worst,
                      sqrt(square / (double)row->count));
        cover_tensor_destroy(gradient);
    }
}

static void check_components(int dims) {
    small_config(dims);
    struct settings settings = *config_settings(config);
    struct grid grid = settings_grid(&settings.views.crop, dims);
    int64_t image[5] = {1, 1}, field_shape[5] = {1, dims};
    for (int i = 0; i < dims; i++) image[2 + i] = field_shape[2 + i] = grid_axis(&grid, i);
    cover_tensor *moving = random_tensor(image, dims + 2, 0, 1, 1), *fixed = random_tensor(image, dims + 2, 0, 1, 2);
    cover_tensor *truth = random_tensor(field_shape, dims + 2, -3, 3, 3), *mask = random_tensor(image, dims + 2, -1, 2, 4);
    int64_t pixels = grid_pixels(&grid);
    for (int64_t p = 0; p < pixels; p++) ((float *)cover_tensor_data(mask))[p] = ((float *)cover_tensor_data(mask))[p] > 0;

    /* the engine's figures */
    struct pair pair = {0};
    struct engine *engine;
    struct step_sums sums;
    struct sample_source source = {take, give_back, &pair};
    fill_pair(&pair, &grid, moving, fixed, truth, mask);
    ck_assert_ok(engine_create(&engine, context, &settings, pair_model, &grid, 1));
    ck_assert_ok(engine_step(engine, &source, &sums));

    /* the same weights in backbone and head */
    cover_backbone *backbone;
    cover_head *head;
    ck_assert_ok(cover_backbone_create(&backbone, context, config));
    ck_assert_ok(cover_head_create(&head, context, config));
    for (int i = 0; i < engine->model.parameters.count; i++) {
        const struct parameter *row = &engine->model.parameters.rows[i];
        cover_tensor *value;
        ck_assert_ok(cover_tensor_wrap(&value, context, COVER_F32, row->rank, row->shape, NULL, engine->weights + row->offset));
        ck_assert_ok(strncmp(row->name, "proj.", 5) == 0 ? cover_head_set(head, row->name, value)
                                                         : cover_backbone_set(backbone, row->name, value));
        cover_tensor_destroy(value);
    }

    /* forward by hand */
    cover_features *of_moving, *of_fixed;
    const cover_tensor *a[LEVEL_COUNT], *b[LEVEL_COUNT];
    cover_tensor *field, *warped, *dfield, *da, *db;
    double vector, consistency;
    ck_assert_ok(cover_backbone_forward(&of_moving, backbone, moving));
    ck_assert_ok(cover_backbone_forward(&of_fixed, backbone, fixed));
    levels_of(a, of_moving), levels_of(b, of_fixed);
    ck_assert_ok(cover_head_forward(&field, head, a, b, LEVEL_COUNT));
    ck_assert_ok(cover_loss_vector(&vector, &dfield, context, field, truth, mask));
    ck_assert_double_eq_tol(vector, sums.term[TERM_VECTOR] / (double)sums.count, 1e-5 * vector);
    ck_assert_ok(cover_field_warp(&warped, context, a[LEVEL_COUNT - 1], truth));
    ck_assert_ok(cover_loss_consistency(&consistency, &da, &db, context, warped, b[LEVEL_COUNT - 1], mask));
    ck_assert_double_eq_tol(consistency, 1 + sums.term[TERM_COSINE] / (double)sums.count, 1e-5);

    /* backward by hand, of L_vec alone (the warp has no public gradient), against an engine that has no L_con */
    settings.objective.loss_con = 0;
    engine_destroy(engine);
    ck_assert_ok(engine_create(&engine, context, &settings, pair_model, &grid, 1));
    ck_assert_ok(engine_step(engine, &source, &sums));
    cover_tensor *dmoving[LEVEL_COUNT], *dfixed[LEVEL_COUNT], *dx = NULL;
    ck_assert_ok(cover_head_backward(dmoving, dfixed, head, a, b, LEVEL_COUNT, dfield));
    ck_assert_ok(cover_backbone_backward(&dx, backbone, moving, (const cover_tensor *const *)dmoving, LEVEL_COUNT));
    ck_assert_ok(cover_backbone_backward(NULL, backbone, fixed, (const cover_tensor *const *)dfixed, LEVEL_COUNT));
    ck_assert_int_eq(cover_tensor_rank(dx), dims + 2);
    compare_gradients(engine, sums.count, backbone, head);
    ck_assert_ok(cover_head_zero_gradient(head));
    ck_assert_ok(cover_backbone_zero_gradient(backbone));

    for (int i = 0; i < LEVEL_COUNT; i++) cover_tensor_destroy(dmoving[i]), cover_tensor_destroy(dfixed[i]);
    cover_tensor *const tensors[] = {moving, fixed, truth, mask, field, warped, dfield, da, db, dx};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) cover_tensor_destroy(tensors[i]);
    cover_features_destroy(of_moving);
    cover_features_destroy(of_fixed);
    cover_backbone_destroy(backbone);
    cover_head_destroy(head);
    engine_destroy(engine);
    memory_free(context, pair.block);
}

START_TEST(components_put_together_are_the_objective_in_2d) { check_components(2); }
END_TEST
START_TEST(components_put_together_are_the_objective_in_3d) { check_components(3); }
END_TEST

START_TEST(odd_sizes_are_padded_and_features_cropped) {
    small_config(2);
    cover_backbone *backbone;
    cover_features *features;
    cover_tensor *x = random_tensor((int64_t[]){3, 1, 37, 50}, 4, 0, 1, 1);
    ck_assert_ok(cover_backbone_create(&backbone, context, config));
    ck_assert_ok(cover_backbone_forward(&features, backbone, x));
    static const int64_t heights[] = {3, 5, 10, 19, 37}, widths[] = {4, 7, 13, 25, 50};
    for (int i = 0; i < LEVEL_COUNT; i++) {
        const int64_t *shape = cover_tensor_shape(cover_features_level(features, i));
        ck_assert_int_eq(shape[0], 3);
        ck_assert_int_eq(shape[2], heights[i]);
        ck_assert_int_eq(shape[3], widths[i]);
        ck_assert_int_eq(cover_features_stride(features, i), 1 << (4 - i));
    }
    ck_assert_ptr_null(cover_features_level(features, 5));
    cover_features_destroy(features);
    cover_tensor_destroy(x);
    cover_backbone_destroy(backbone);
}
END_TEST

struct shared {
    cover_backbone *backbone;
    cover_tensor *x[3];
    float first[3];
    atomic_int wrong;
};
static void *use_shared(void *argument) {
    struct shared *shared = argument;
    for (int round = 0; round < 12; round++) {
        cover_features *features;
        int which = round % 3;
        if (cover_backbone_forward(&features, shared->backbone, shared->x[which]) != COVER_OK) {
            atomic_store(&shared->wrong, 1);
            return NULL;
        }
        if (*(float *)cover_tensor_data_const(cover_features_level(features, 4)) != shared->first[which])
            atomic_store(&shared->wrong, 1);
        cover_features_destroy(features);
    }
    return NULL;
}
START_TEST(several_threads_share_one_network) {
    small_config(2);
    struct shared shared = {0};
    ck_assert_ok(cover_backbone_create(&shared.backbone, context, config));
    for (int i = 0; i < 3; i++) {
        cover_features *features;
        shared.x[i] = random_tensor((int64_t[]){1, 1, 32 + 16 * i, 48}, 4, 0, 1, (uint32_t)i);
        ck_assert_ok(cover_backbone_forward(&features, shared.backbone, shared.x[i]));
        shared.first[i] = *(float *)cover_tensor_data_const(cover_features_level(features, 4));
        cover_features_destroy(features);
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, use_shared, &shared);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(shared.wrong, 0);
    for (int i = 0; i < 3; i++) cover_tensor_destroy(shared.x[i]);
    cover_backbone_destroy(shared.backbone);
}
END_TEST

/* Backward passes beside a reader of their gradients: what it reads is a sum of whole passes. */
enum { PASSES = 60 };
struct adding {
    cover_backbone *backbone;
    cover_tensor *x, *dlevel[LEVEL_COUNT];
    atomic_int done;
};
static void *add_gradients(void *argument) {
    struct adding *adding = argument;
    for (int i = 0; i < PASSES; i++)
        if (cover_backbone_backward(NULL, adding->backbone, adding->x, (const cover_tensor *const *)adding->dlevel, LEVEL_COUNT))
            break;
    atomic_store(&adding->done, 1);
    return NULL;
}
static float *read_gradient(cover_backbone *backbone, size_t *bytes) {
    cover_tensor *gradient;
    ck_assert_ok(cover_backbone_gradient(&gradient, backbone, "backbone.down4.maxpool_conv.1.double_conv.3.weight"));
    *bytes = sizeof(float);
    for (int i = 0; i < cover_tensor_rank(gradient); i++) *bytes *= (size_t)cover_tensor_shape(gradient)[i];
    float *values = malloc(*bytes);
    memcpy(values, cover_tensor_data(gradient), *bytes);
    cover_tensor_destroy(gradient);
    return values;
}
START_TEST(a_gradient_that_is_read_beside_backward_passes_is_a_sum_of_whole_ones) {
    small_config(2);
    struct adding adding = {.x = random_tensor((int64_t[]){1, 1, 32, 48}, 4, 0, 1, 1)};
    float *sum[PASSES + 1];
    size_t bytes;
    ck_assert_ok(cover_backbone_create(&adding.backbone, context, config));
    adding.dlevel[LEVEL_COUNT - 1] = random_tensor((int64_t[]){1, 8, 32, 48}, 4, -1, 1, 2);
    sum[0] = read_gradient(adding.backbone, &bytes);
    for (int i = 1; i <= PASSES; i++) {
        ck_assert_ok(
            cover_backbone_backward(NULL, adding.backbone, adding.x, (const cover_tensor *const *)adding.dlevel, LEVEL_COUNT));
        sum[i] = read_gradient(adding.backbone, &bytes);
        ck_assert_mem_ne(sum[i], sum[i - 1], bytes);
    }
    ck_assert_ok(cover_backbone_zero_gradient(adding.backbone));
    pthread_t thread;
    pthread_create(&thread, NULL, add_gradients, &adding);
    int at = 0;
    for (bool last = false; !last;) {
        last = atomic_load(&adding.done);
        float *read = read_gradient(adding.backbone, &bytes);
        while (at <= PASSES && memcmp(read, sum[at], bytes) != 0) at++;
        free(read);
        if (at > PASSES) break;
    }
    pthread_join(thread, NULL);
    ck_assert_msg(at == PASSES, at > PASSES ? "a torn sum was read" : "the last pass is missing");
    for (int i = 0; i <= PASSES; i++) free(sum[i]);
    cover_tensor_destroy(adding.dlevel[LEVEL_COUNT - 1]);
    cover_tensor_destroy(adding.x);
    cover_backbone_destroy(adding.backbone);
}
END_TEST

/* Large enough to be cut into slabs: a forward pass of one image, of two, and the levels' values in a row. */
static float *features_with(int threads, int dims, const char *precision, int64_t *count) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *own;
    cover_config *widths;
    cover_backbone *backbone;
    cover_features *features;
    options.threads = threads;
    ck_assert_ok(cover_context_create(&own, &options));
    ck_assert_ok(cover_config_create(&widths, own, dims == 3 ? "paper-3d" : "paper-2d"));
    ck_assert_ok(cover_config_set(widths, "widths", dims == 3 ? "16,16,16,16,16,16,16,16,16" : "16,32,32,32,64,32,32,32,16"));
    ck_assert_ok(cover_config_set(widths, "precision", precision));
    ck_assert_ok(cover_backbone_create(&backbone, own, widths));
    cover_tensor *x = dims == 3 ? random_tensor((const int64_t[]){1, 1, 32, 16, 32}, 5, 0, 1, 1)
                                : random_tensor((const int64_t[]){2, 1, 112, 64}, 4, 0, 1, 1);
    ck_assert_ok(cover_backbone_forward(&features, backbone, x));
    float *values = NULL;
    *count = 0;
    for (int i = 0; i < cover_features_count(features); i++) {
        const cover_tensor *level = cover_features_level(features, i);
        int64_t elements = 1;
        for (int a = 0; a < dims + 2; a++) elements *= cover_tensor_shape(level)[a];
        values = realloc(values, (size_t)(*count + elements) * sizeof *values);
        const float *from = cover_tensor_data((cover_tensor *)level);
        memcpy(values + *count, from, (size_t)elements * sizeof *values);
        *count += elements;
    }
    cover_features_destroy(features);
    cover_tensor_destroy(x);
    cover_backbone_destroy(backbone);
    cover_config_destroy(widths);
    cover_context_destroy(own);
    return values;
}

START_TEST(features_are_the_same_bits_for_any_number_of_threads) {
    static const char *const precisions[] = {"fp32", "bf16"};
    for (int way = 0; way < 4; way++) {
        const char *precision = precisions[way % 2];
        const int dims = 2 + way / 2;
        int64_t count, other_count;
        float *one = features_with(1, dims, precision, &count);
        for (int threads = 2; threads <= 5; threads++) {
            float *other = features_with(threads, dims, precision, &other_count);
            ck_assert_int_eq(count, other_count);
            ck_assert_mem_eq(one, other, (size_t)count * sizeof *one);
            free(other);
        }
        free(one);
    }
}
END_TEST

START_TEST(features_in_bf16_are_near_those_in_fp32) {
    for (int dims = 2; dims <= 3; dims++) {
        int64_t count, other_count;
        float *whole = features_with(2, dims, "fp32", &count), *half = features_with(2, dims, "bf16", &other_count);
        double difference = 0, square = 0;
        ck_assert_int_eq(count, other_count);
        for (int64_t i = 0; i < count; i++) {
            difference += ((double)half[i] - whole[i]) * ((double)half[i] - whole[i]);
            square += (double)whole[i] * whole[i];
        }
        ck_assert_double_gt(difference, 0);
        ck_assert_double_le(difference, 0.03 * 0.03 * square);
        free(whole), free(half);
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused_with_a_reason) {
    small_config(2);
    cover_backbone *backbone, *none = NULL;
    cover_features *features = NULL;
    ck_assert_ok(cover_backbone_create(&backbone, context, config));
    cover_tensor *two = random_tensor((int64_t[]){1, 2, 32, 32}, 4, 0, 1, 1),
                 *flat = random_tensor((int64_t[]){32, 32}, 2, 0, 1, 1);
    ck_assert_int_eq(cover_backbone_forward(&features, backbone, two), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "channels"));
    ck_assert_int_eq(cover_backbone_forward(&features, backbone, flat), COVER_ERROR_SHAPE);
    ck_assert_int_eq(cover_backbone_forward(NULL, backbone, two), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(cover_backbone_load(&none, context, "/no/such/weights", NULL), COVER_ERROR_IO);
    cover_tensor *value = NULL;
    ck_assert_int_eq(cover_backbone_get(&value, backbone, "nosuch"), COVER_ERROR_ARGUMENT);
    ck_assert_ok(cover_backbone_get(&value, backbone, "backbone.inc.double_conv.0.weight"));
    ck_assert_int_eq(cover_backbone_set(backbone, "backbone.inc.double_conv.0.bias", value), COVER_ERROR_SHAPE);
    ck_assert_str_eq(cover_backbone_parameter_at(backbone, 0), "backbone.inc.double_conv.0.weight");
    ck_assert_ptr_null(cover_backbone_parameter_at(backbone, 10000));
    double loss;
    cover_tensor *mask;
    ck_assert_ok(cover_tensor_create(&mask, context, COVER_F32, 4, (int64_t[]){1, 1, 32, 32}));
    ck_assert_int_eq(cover_loss_vector(&loss, NULL, context, two, two, mask), COVER_ERROR_NUMERIC);
    cover_tensor_destroy(mask);
    cover_tensor_destroy(value);
    cover_tensor_destroy(two);
    cover_tensor_destroy(flat);
    cover_backbone_destroy(backbone);
    cover_backbone_destroy(NULL);
    cover_head_destroy(NULL);
    cover_features_destroy(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("components");
    TCase *tcase = tcase_create("components");
    tcase_set_timeout(tcase, 200);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, components_put_together_are_the_objective_in_2d);
    ADD(tcase, components_put_together_are_the_objective_in_3d);
    ADD(tcase, odd_sizes_are_padded_and_features_cropped);
    ADD(tcase, several_threads_share_one_network);
    ADD(tcase, a_gradient_that_is_read_beside_backward_passes_is_a_sum_of_whole_ones);
    ADD(tcase, features_are_the_same_bits_for_any_number_of_threads);
    ADD(tcase, features_in_bf16_are_near_those_in_fp32);
    ADD(tcase, wrong_arguments_are_refused_with_a_reason);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
