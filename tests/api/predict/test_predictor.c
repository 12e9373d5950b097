/* The predictor: images of any size and their labels in the same geometry, in memory and in files; bad input is listed by
 * name, and nothing is ever half written. */
#include "../../check_main.h"
#include "api/predict/small_components.h"
#include "core/base/files.h"
#include "core/base/memory.h"
#include "core/base/philox.h"
#include "core/method/supervised.h"
#include "io/image/image.h"
#include "io/weights/task_file.h"

#include <libcover/cover.h>

#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static cover_context *context;
static cover_predictor *predictor;

static void setup(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.threads = 2;
    strcpy(folder, "/tmp/cover-predict-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ok(cover_context_create(&context, &options));
}
static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}
static void teardown(void) {
    cover_predictor_destroy(predictor);
    predictor = NULL;
    cover_context_destroy(context);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path below the test's folder; valid until the eighth next call. */
static const char *at(const char *name) {
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* A task of random weights in TASK.safetensors. */
static void write_task(const char *preset, const char *const *pairs, const struct image_rules *rules) {
    struct task_about about = {.context = context};
    struct parameters parameters;
    if (rules) about.rules = *rules;
    ck_assert_ok(cover_config_create(&about.config, context, preset));
    ck_assert_ok(cover_config_set(about.config, "widths", "8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(about.config, "classes", "3"));
    for (; *pairs; pairs += 2) ck_assert_ok(cover_config_set(about.config, pairs[0], pairs[1]));
    const struct settings *settings = config_settings(about.config);
    about.class_names = memory_zero(context, (size_t)settings->task.classes * sizeof *about.class_names);
    for (int64_t c = 0; c < settings->task.classes; c++) {
        char name[32];
        snprintf(name, sizeof name, c == 2 ? "two, \"quoted\"" : "class %lld", (long long)c);
        about.class_names[c] = memory_text(context, name);
    }
    ck_assert_ok(task_parameters(&parameters, context, settings));
    float *flat = memory_zero(context, (size_t)parameters.floats * sizeof *flat);
    parameters_initialise(&parameters, flat, 17);
    ck_assert_ok(task_weights_write(context, at("TASK.safetensors"), &parameters, flat, &about, 1));
    memory_free(context, flat);
    parameters_free(&parameters);
    task_about_free(&about);
}

static void load(const cover_predictor_options *options) {
    cover_predictor_destroy(predictor);
    ck_assert_ok(cover_predictor_load(&predictor, context, at("TASK.safetensors"), options));
}

static const char *const small_2d[] = {"crop", "32x32", "work", "32x32", NULL};
static const char *const small_3d[] = {"crop", "16x16x16", NULL};

static cover_tensor *random_tensor(cover_dtype dtype, int rank, const int64_t *shape) {
    cover_tensor *tensor;
    struct random_stream stream = random_stream(5, RANDOM_TEST, 0, 3);
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= shape[i];
    ck_assert_ok(cover_tensor_create(&tensor, context, dtype, rank, shape));
    for (int64_t i = 0; i < count; i++) {
        float value = random_uniform(&stream, 0, 255);
        if (dtype == COVER_U8) ((uint8_t *)cover_tensor_data(tensor))[i] = (uint8_t)value;
        else ((float *)cover_tensor_data(tensor))[i] = value;
    }
    return tensor;
}

static void check_shape(const cover_tensor *tensor, cover_dtype dtype, int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
    const int64_t shape[4] = {a, b, c, d};
    ck_assert_int_eq(cover_tensor_dtype(tensor), dtype);
    ck_assert_int_eq(cover_tensor_rank(tensor), rank);
    for (int i = 0; i < rank; i++) ck_assert_int_eq(cover_tensor_shape(tensor)[i], shape[i]);
}

/* The label is the class of the largest score; the scores of a pixel sum to 1. */
static void check_scores(const cover_tensor *label, const cover_tensor *scores, int64_t pixels, int classes) {
    const uint8_t *map = cover_tensor_data_const(label);
    const float *values = cover_tensor_data_const(scores);
    for (int64_t p = 0; p < pixels; p++) {
        int best = 0;
        double sum = 0;
        for (int c = 0; c < classes; c++) {
            sum += (double)values[c * pixels + p];
            if (values[c * pixels + p] > values[best * pixels + p]) best = c;
        }
        ck_assert_double_eq_tol(sum, 1, 1e-5);
        ck_assert_int_eq(map[p], best);
    }
}

/* ---- in memory */

START_TEST(labels_and_scores_have_the_images_own_size) {
    cover_tensor *label, *scores, *image = random_tensor(COVER_U8, 3, (const int64_t[]){1, 50, 41});
    write_task("seg-2d", small_2d, NULL);
    load(NULL);
    ck_assert_int_eq(cover_predictor_classes(predictor), 3);
    ck_assert_str_eq(cover_predictor_class_name(predictor, 1), "class 1");
    ck_assert_ptr_null(cover_predictor_class_name(predictor, 3));
    ck_assert_str_eq(cover_config_get(cover_predictor_config(predictor), "crop"), "32x32");
    ck_assert_ok(cover_predictor_run(&label, &scores, predictor, image, NULL));
    check_shape(label, COVER_U8, 2, 50, 41, 0, 0);
    check_shape(scores, COVER_F32, 3, 3, 50, 41, 0);
    check_scores(label, scores, 50 * 41, 3);
    cover_tensor_destroy(label);
    cover_tensor_destroy(scores);
    cover_tensor_destroy(image);
}
END_TEST

START_TEST(strides_and_channels_do_not_matter_to_the_prediction) {
    enum { D = 12, H = 18, W = 10, C = 2 };
    cover_tensor *label[2], *scores[2], *image = random_tensor(COVER_F32, 4, (const int64_t[]){C, D, H, W}), *turned;
    float *last = malloc(C * D * H * W * sizeof *last);
    const float *planar = cover_tensor_data(image);
    for (int64_t p = 0; p < D * H * W; p++)
        for (int c = 0; c < C; c++) last[p * C + c] = planar[c * D * H * W + p];
    ck_assert_ok(cover_tensor_wrap(&turned, context, COVER_F32, 4, (const int64_t[]){C, D, H, W},
                                   (const int64_t[]){1, H * W * C, W * C, C}, last));
    write_task("seg-3d", (const char *[]){"crop", "16x16x16", "channels", "2", NULL}, NULL);
    load(NULL);
    ck_assert_ok(cover_predictor_run(&label[0], &scores[0], predictor, image, NULL));
    ck_assert_ok(cover_predictor_run(&label[1], &scores[1], predictor, turned, NULL));
    check_shape(label[0], COVER_U8, 3, D, H, W, 0);
    ck_assert_mem_eq(cover_tensor_data(label[0]), cover_tensor_data(label[1]), D * H * W);
    ck_assert_mem_eq(cover_tensor_data(scores[0]), cover_tensor_data(scores[1]), 3 * D * H * W * sizeof(float));
    for (int i = 0; i < 2; i++) cover_tensor_destroy(label[i]), cover_tensor_destroy(scores[i]);
    cover_tensor_destroy(image);
    cover_tensor_destroy(turned);
    free(last);
}
END_TEST

START_TEST(a_task_packed_to_a_spacing_takes_the_images_own) {
    const struct image_rules rules = {.dims = 3, .spacing_mm = {1, 1, 1}, .window = {20, 200}};
    cover_tensor *label, *scores, *none, *image = random_tensor(COVER_F32, 4, (const int64_t[]){1, 7, 20, 24});
    write_task("seg-3d", small_3d, &rules);
    load(NULL);
    ck_assert_ok(cover_predictor_run(&label, &scores, predictor, image, (const double[]){2.5, 0.8, 0.7}));
    check_shape(label, COVER_U8, 3, 7, 20, 24, 0);
    check_scores(label, scores, 7 * 20 * 24, 3);
    ck_assert_int_eq(cover_predictor_run(&none, NULL, predictor, image, NULL), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "spacing"));
    cover_tensor_destroy(label);
    cover_tensor_destroy(scores);
    cover_tensor_destroy(image);
}
END_TEST

START_TEST(classification_gives_a_class_or_a_flag_a_class) {
    cover_tensor *label, *scores, *image = random_tensor(COVER_U8, 3, (const int64_t[]){1, 40, 64});
    for (int multilabel = 0; multilabel < 2; multilabel++) {
        write_task("cls-2d", (const char *[]){"crop", "32x32", "work", "32x32", "multilabel", multilabel ? "on" : "off", NULL},
                   NULL);
        load(NULL);
        ck_assert_ok(cover_predictor_run(&label, &scores, predictor, image, NULL));
        check_shape(label, COVER_U8, 1, multilabel ? 3 : 1, 0, 0, 0);
        check_shape(scores, COVER_F32, 1, 3, 0, 0, 0);
        const float *values = cover_tensor_data(scores);
        const uint8_t *classes = cover_tensor_data(label);
        for (int c = 0; c < 3; c++) {
            if (multilabel) ck_assert_int_eq(classes[c], values[c] >= 0.5f);
            else ck_assert(values[classes[0]] >= values[c]);
        }
        cover_tensor_destroy(label);
        cover_tensor_destroy(scores);
    }
    cover_tensor_destroy(image);
}
END_TEST

START_TEST(options_change_what_the_task_says) {
    cover_predictor_options options = COVER_PREDICTOR_OPTIONS_INIT;
    write_task("seg-2d", small_2d, NULL);
    options.mirror = "all", options.overlap = 0.25, options.keep_component = 9, options.precision = "bf16";
    load(&options);
    ck_assert_str_eq(cover_config_get(cover_predictor_config(predictor), "precision"), "bf16");
    ck_assert_str_eq(cover_config_get(cover_predictor_config(predictor), "mirror"), "all");
    ck_assert_str_eq(cover_config_get(cover_predictor_config(predictor), "overlap"), "0.25");
    ck_assert_str_eq(cover_config_get(cover_predictor_config(predictor), "keep_component"), "9");
    cover_predictor *none = NULL;
    options.mirror = "vertical";
    ck_assert_int_eq(cover_predictor_load(&none, context, at("TASK.safetensors"), &options), COVER_ERROR_ARGUMENT);
    options.mirror = NULL, options.precision = "fp8";
    ck_assert_int_eq(cover_predictor_load(&none, context, at("TASK.safetensors"), &options), COVER_ERROR_ARGUMENT);
    options.precision = NULL, options.overlap = 1;
    ck_assert_int_eq(cover_predictor_load(&none, context, at("TASK.safetensors"), &options), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(images_that_do_not_fit_are_refused_with_the_reason) {
    static const struct {
        int rank;
        int64_t shape[4];
        const char *text;
    } cases[] = {{4, {1, 16, 32, 32}, "(C, H, W) is taken"}, {3, {2, 32, 32}, "2 channels"}, {2, {32, 32}, "(C, H, W) is taken"}};
    cover_tensor *label = NULL;
    write_task("seg-2d", small_2d, NULL);
    load(NULL);
    for (size_t i = 0; i < 3; i++) {
        cover_tensor *image = random_tensor(COVER_F32, cases[i].rank, cases[i].shape);
        ck_assert_int_eq(cover_predictor_run(&label, NULL, predictor, image, NULL), COVER_ERROR_SHAPE);
        ck_assert_msg(strstr(cover_error_text(), cases[i].text), "%s", cover_error_text());
        cover_tensor_destroy(image);
    }
    cover_tensor *image = random_tensor(COVER_F32, 3, (const int64_t[]){1, 32, 32});
    ((float *)cover_tensor_data(image))[5] = NAN;
    ck_assert_int_eq(cover_predictor_run(&label, NULL, predictor, image, NULL), COVER_ERROR_NUMERIC);
    ck_assert_int_eq(cover_predictor_run(&label, NULL, predictor, image, (const double[]){0, -1, 1}), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_null(label);
    cover_tensor_destroy(image);
}
END_TEST

struct caller {
    pthread_t thread;
    cover_tensor *image, *label;
};
static void *call(void *data) {
    struct caller *caller = data;
    ck_assert_ok(cover_predictor_run(&caller->label, NULL, predictor, caller->image, NULL));
    return NULL;
}

START_TEST(several_threads_share_one_predictor) {
    struct caller callers[4];
    write_task("seg-2d", (const char *[]){"crop", "32x32", "work", "0x0", NULL}, NULL);
    load(NULL);
    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){.image = random_tensor(COVER_U8, 3, (const int64_t[]){1, 33 + 16 * (i % 2), 40})};
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        cover_tensor *alone;
        pthread_join(callers[i].thread, NULL);
        ck_assert_ok(cover_predictor_run(&alone, NULL, predictor, callers[i].image, NULL));
        ck_assert_mem_eq(cover_tensor_data(alone), cover_tensor_data(callers[i].label), (size_t)(33 + 16 * (i % 2)) * 40);
        cover_tensor_destroy(alone);
        cover_tensor_destroy(callers[i].label);
        cover_tensor_destroy(callers[i].image);
    }
}
END_TEST

START_TEST(small_components_become_background) {
    static const char before[] = "1100020"
                                 "1000020"
                                 "0011100"
                                 "2011001"
                                 "2200001";
    static const char after[] = "1100000" /* corners do not connect, classes do not either */
                                "1000000"
                                "0011100"
                                "2011000"
                                "2200000";
    for (int wide = 0; wide < 2; wide++)
        for (int deep = 0; deep < 2; deep++) { /* along H and W, or along D and W */
            struct image label = {.dtype = wide ? COVER_U16 : COVER_U8, .channels = 1, .size = {deep ? 5 : 1, deep ? 1 : 5, 7}};
            uint8_t small[35];
            uint16_t large[35];
            for (int i = 0; i < 35; i++) small[i] = (uint8_t)(before[i] - '0'), large[i] = small[i];
            label.data = wide ? (void *)large : small;
            ck_assert_ok(small_components_drop(&label, context, 3));
            for (int i = 0; i < 35; i++) ck_assert_int_eq(wide ? large[i] : small[i], after[i] - '0');
        }
}
END_TEST

/* ---- files */

static void write_image(const char *name, cover_dtype dtype, int64_t depth, int64_t height, int64_t width, uint32_t what) {
    struct random_stream stream = random_stream(6, RANDOM_TEST, 0, what);
    int64_t count = depth * height * width;
    if (has_suffix(name, ".nii") || has_suffix(name, ".nii.gz")) {
        const struct image like = {.size = {depth, height, width}, .affine = {0, -0.75, 0.1, 10, 0.5, 0, 0, 20, 0, 0.2, -2, 30}};
        float *values = malloc((size_t)count * sizeof *values);
        for (int64_t i = 0; i < count; i++) values[i] = random_uniform(&stream, 0, 1);
        ck_assert_ok(nifti_write(context, at(name), values, &like));
        free(values);
        return;
    }
    struct image image = {.dtype = dtype, .dims = 2, .channels = 1, .size = {depth, height, width}};
    image.data = malloc((size_t)count * cover_dtype_bytes(dtype));
    for (int64_t i = 0; i < count * (int64_t)cover_dtype_bytes(dtype); i++)
        ((uint8_t *)image.data)[i] = (uint8_t)random_uniform(&stream, 0, 255);
    ck_assert_ok(label_write(context, at(name), &image, NULL));
    free(image.data);
}

static cover_status predict(const char *input, const char *output, int scores) {
    cover_predict_options options = COVER_PREDICT_OPTIONS_INIT;
    options.scores = scores;
    return cover_images_predict(NULL, context, at("TASK.safetensors"), at(input), at(output), &options);
}

/* What the predictor says of the file alone. */
static void check_label(const char *source, const char *result) {
    struct image image, label;
    cover_tensor *tensor, *expected;
    ck_assert_ok(image_read(&image, context, at(source), 0));
    ck_assert_ok(image_read(&label, context, at(result), 0));
    const int64_t shape[4] = {1, image.size[0], image.size[1], image.size[2]}, flat[3] = {1, image.size[1], image.size[2]};
    ck_assert_int_eq(label.dtype, COVER_U8);
    ck_assert_mem_eq(label.size, image.size, sizeof image.size);
    ck_assert_mem_eq(label.affine, image.affine, sizeof image.affine);
    ck_assert_mem_eq(label.spacing_mm, image.spacing_mm, sizeof image.spacing_mm);
    ck_assert_ok(
        cover_tensor_wrap(&tensor, context, image.dtype, image.dims + 1, image.dims == 3 ? shape : flat, NULL, image.data));
    ck_assert_ok(cover_predictor_run(&expected, NULL, predictor, tensor, NULL));
    ck_assert_mem_eq(label.data, cover_tensor_data(expected), (size_t)(image.size[0] * image.size[1] * image.size[2]));
    cover_tensor_destroy(tensor);
    cover_tensor_destroy(expected);
    image_free(&image, context);
    image_free(&label, context);
}

START_TEST(a_folder_of_images_becomes_a_folder_of_labels_in_their_formats) {
    write_task("seg-2d", small_2d, NULL);
    load(NULL);
    ck_assert_ok(folder_create(at("in/deep")));
    write_image("in/a.png", COVER_U8, 1, 40, 30, 1);
    write_image("in/b.png", COVER_U16, 1, 33, 47, 2);
    write_image("in/deep/c_001.tif", COVER_U8, 1, 32, 32, 3);
    write_image("in/d.nii.gz", COVER_F32, 1, 21, 40, 4);
    ck_assert_ok(predict("in", "out", 1));
    check_label("in/a.png", "out/a.png");
    check_label("in/b.png", "out/b.png");
    check_label("in/deep/c_001.tif", "out/deep/c_001.tif");
    check_label("in/d.nii.gz", "out/d.nii.gz");
    uint8_t *npy;
    size_t count;
    ck_assert_ok(file_read(context, at("out/d.npy"), 1 << 20, &npy, &count));
    ck_assert_uint_eq(count, 128 + 3 * 21 * 40 * 4);
    ck_assert_mem_eq(npy, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 21, 40), }", 71);
    memory_free(context, npy);
    ck_assert_int_eq(predict("in", "in", 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(predict("in", "in/deep", 0), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(predict("in/a.png", "in", 0), COVER_ERROR_ARGUMENT);
}
END_TEST

START_TEST(a_volume_keeps_its_oblique_geometry) {
    write_task("seg-3d", small_3d, &(struct image_rules){.dims = 3});
    load(NULL);
    write_image("v.nii", COVER_F32, 9, 21, 14, 1);
    ck_assert_ok(predict("v.nii", "out", 0));
    check_label("v.nii", "out/v.nii");
}
END_TEST

START_TEST(channels_in_files_of_their_own_are_one_case) {
    write_task("seg-2d", (const char *[]){"crop", "32x32", "work", "32x32", "channels", "2", NULL}, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/x_0000.png", COVER_U8, 1, 40, 30, 1);
    write_image("in/x_0001.png", COVER_U8, 1, 40, 30, 2);
    write_image("in/y_0001.png", COVER_U8, 1, 40, 30, 2);
    ck_assert_int_eq(predict("in", "out", 0), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "1 of 2 images could not be predicted (the others are done)"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "y_0001.png: channel 0000 of this case is missing: there is no y_0000.png"));
    ck_assert(file_exists(at("out/x.png")) && !file_exists(at("out/y.png")));
    ck_assert_ok(predict("in/x_0000.png", "single", 0));
    ck_assert(file_exists(at("single/x.png")));
    ck_assert_int_eq(predict("in/y_0001.png", "single", 0), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "1 channel, but the task was trained on 2"));
}
END_TEST

START_TEST(numbered_images_of_a_one_channel_task_stay_apart) {
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("frames")));
    ck_assert_ok(folder_create(at("nnunet/imagesTs")));
    write_image("frames/f_0000.png", COVER_U8, 1, 32, 32, 1);
    write_image("frames/f_0001.png", COVER_U8, 1, 32, 32, 2);
    write_image("nnunet/imagesTs/case_0000.png", COVER_U8, 1, 32, 32, 1);
    ck_assert_ok(file_replace(context, at("nnunet/dataset.json"), "{}", 2));
    ck_assert_ok(predict("frames", "out", 0));
    ck_assert(file_exists(at("out/f_0000.png")) && file_exists(at("out/f_0001.png")));
    ck_assert_ok(predict("nnunet", "out", 0));
    ck_assert(file_exists(at("out/case.png")));
}
END_TEST

START_TEST(what_cannot_be_used_is_listed_and_the_rest_is_done) {
    static const char *const listed[] = {"damaged.png: ", "volume.nii: a 3D image",
                                         "3D image (4x20x20), but the task was trained on 2D",
                                         "nan.nii: ", "good.png: its result would have the name of that of "};
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/good.png", COVER_U8, 1, 40, 30, 1);
    ck_assert_int_eq(link(at("in/good.png"), at("in/good.jpg")), 0);
    ck_assert_ok(file_replace(context, at("in/damaged.png"), "\x89PNG\r\n\x1a\n", 8));
    write_image("in/volume.nii", COVER_F32, 4, 20, 20, 1);
    float values[400];
    for (int i = 0; i < 400; i++) values[i] = i == 7 ? NAN : (float)i;
    ck_assert_ok(nifti_write(context, at("in/nan.nii"), values, &(struct image){.size = {1, 20, 20}}));
    ck_assert_int_eq(predict("in", "out", 0), COVER_ERROR_FORMAT);
    for (int i = 0; i < 5; i++) ck_assert_msg(strstr(cover_error_text(), listed[i]), "'%s' in %s", listed[i], cover_error_text());
    ck_assert(file_exists(at("out/good.png")) && !file_exists(at("out/damaged.png")) && !file_exists(at("out/nan.nii")));
    ck_assert_ok(folder_create(at("empty")));
    ck_assert_int_eq(predict("empty", "out", 0), COVER_ERROR_IO);
    ck_assert_int_eq(predict("nowhere.png", "out", 0), COVER_ERROR_IO);
}
END_TEST

static char told[8192];
static void take_log(void *user, cover_log_level level, const char *line) {
    (void)user, (void)level;
    strncat(told, line, sizeof told - strlen(told) - 1);
}

/* A context that keeps what it is told. */
static void listen(void) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_predictor_destroy(predictor);
    predictor = NULL;
    cover_context_destroy(context);
    options.threads = 2, options.log = take_log;
    told[0] = 0;
    ck_assert_ok(cover_context_create(&context, &options));
}

START_TEST(each_bad_image_is_told_once_and_an_empty_folder_goes_away) {
    listen();
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    ck_assert_ok(file_replace(context, at("in/damaged.png"), "\x89PNG\r\n\x1a\n", 8));
    ck_assert_int_eq(predict("in", "out", 0), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "damaged.png: "));
    ck_assert_str_eq(told, "");
    ck_assert(!folder_exists(at("out")));
}
END_TEST

START_TEST(two_images_of_one_name_have_two_labels_but_no_two_arrays_of_scores) {
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/a.png", COVER_U8, 1, 40, 30, 1);
    write_image("in/a.tif", COVER_U8, 1, 20, 30, 1);
    ck_assert_ok(predict("in", "out", 0));
    ck_assert(file_exists(at("out/a.png")) && file_exists(at("out/a.tif")));
    ck_assert_int_eq(predict("in", "scores", 1), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "a.tif: its result would have the name of that of "));
    ck_assert(file_exists(at("scores/a.npy")) && !file_exists(at("scores/a.tif")));
}
END_TEST

static void write_colours(const char *name, int spread) {
    uint8_t pixels[40 * 30 * 3], *bytes;
    size_t count;
    for (int i = 0; i < 40 * 30 * 3; i++) pixels[i] = (uint8_t)(i / 3 * 7 % 200 + i % 3 * spread);
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, 40, 30, 3));
    ck_assert_ok(file_replace(context, at(name), bytes, count));
    memory_free(context, bytes);
}

START_TEST(grey_that_was_saved_as_rgb_is_grey_and_colours_are_converted_when_asked) {
    cover_predict_options options = COVER_PREDICT_OPTIONS_INIT;
    cover_predictor_options how = COVER_PREDICTOR_OPTIONS_INIT;
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_colours("in/grey.png", 0);
    ck_assert_ok(predict("in", "out", 0));
    write_colours("in/grey.png", 20);
    ck_assert_int_eq(predict("in", "out", 0), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "3 channels, but the task was trained on 1; use channels=grey"));
    options.predictor = &how, how.channels = 1;
    ck_assert_ok(cover_images_predict(NULL, context, at("TASK.safetensors"), at("in"), at("out"), &options));
    how.channels = 3;
    ck_assert_int_eq(cover_images_predict(NULL, context, at("TASK.safetensors"), at("in"), at("out"), &options),
                     COVER_ERROR_ARGUMENT);
}
END_TEST

/* The file with its x axis stored the other way round: the same image. */
static void write_mirrored(const char *name, const char *from) {
    struct image image;
    const struct turn turn = {{0, 1, 2}, {true, false, false}};
    ck_assert_ok(image_read(&image, context, at(from), 0));
    ck_assert_ok(image_turn(&image, context, &turn));
    ck_assert_ok(nifti_write(context, at(name), image.data, &image));
    image_free(&image, context);
}

static void same_map(const char *name, const char *mirrored) {
    struct image a, b;
    const struct turn turn = {{0, 1, 2}, {true, false, false}};
    ck_assert_ok(image_read(&a, context, at(name), 0));
    ck_assert_ok(image_read(&b, context, at(mirrored), 0));
    ck_assert_ok(image_turn(&b, context, &turn));
    ck_assert_mem_eq(a.size, b.size, sizeof a.size);
    ck_assert_mem_eq(a.data, b.data, (size_t)(a.size[0] * a.size[1] * a.size[2]));
    image_free(&a, context);
    image_free(&b, context);
}

START_TEST(an_image_that_is_stored_otherwise_is_turned_as_in_training_or_told) {
    static const char *const volume[] = {"crop", "16x16x16", "keep_component", "0", NULL};
    struct image_rules rules = {.orientation = "SAR", .orient = true}; /* another one than the files': axes change places */
    listen();
    write_task("seg-3d", volume, &rules);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/a.nii", COVER_F32, 8, 18, 12, 1);
    write_mirrored("in/b.nii", "in/a.nii");
    ck_assert_ok(predict("in", "out", 1));
    ck_assert_str_eq(told, "");
    same_map("out/a.nii", "out/b.nii");
    uint8_t *npy;
    size_t count;
    ck_assert_ok(file_read(context, at("out/a.npy"), 1 << 20, &npy, &count));
    ck_assert_ptr_nonnull(memmem(npy, 128, "(3, 8, 18, 12)", 14));
    /* the likeliest class of each voxel is that of the label map */
    struct image label;
    ck_assert_ok(image_read(&label, context, at("out/a.nii"), 0));
    const int64_t pixels = 8 * 18 * 12;
    const float *scores = (const float *)(void *)(npy + count - 3 * (size_t)pixels * sizeof(float));
    int64_t wrong = 0;
    for (int64_t p = 0; p < pixels; p++) {
        int best = 0;
        for (int c = 1; c < 3; c++)
            if (scores[c * pixels + p] > scores[best * pixels + p]) best = c;
        wrong += ((const uint8_t *)label.data)[p] != best;
    }
    ck_assert_int_eq(wrong, 0);
    image_free(&label, context);
    memory_free(context, npy);
    rules.orient = false;
    write_task("seg-3d", volume, &rules);
    ck_assert_ok(predict("in", "out", 0));
    ck_assert_ptr_nonnull(strstr(told, "a.nii: it is stored as "));
    ck_assert_ptr_nonnull(strstr(told, "the training images as SAR"));
}
END_TEST

START_TEST(a_single_slice_of_a_volume_is_one_for_a_task_of_volumes) {
    const struct image like = {.size = {1, 20, 20}, .volume = true};
    float values[400];
    for (int i = 0; i < 400; i++) values[i] = (float)i;
    write_task("seg-3d", small_3d, NULL);
    ck_assert_ok(folder_create(at("in")));
    ck_assert_ok(nifti_write(context, at("in/a.nii"), values, &like));
    ck_assert_ok(predict("in", "out", 0));
    ck_assert(file_exists(at("out/a.nii")));
}
END_TEST

START_TEST(an_image_and_what_is_made_of_it_keep_to_the_memory_limit) {
    uint64_t most = 0;
    write_task("seg-3d", small_3d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/a.nii", COVER_F32, 40, 64, 64, 1);
    for (int part = 0; part < 3; part++) { /* without a limit, with plenty, with too little */
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        cover_predictor_destroy(predictor);
        predictor = NULL;
        cover_context_destroy(context);
        options.threads = 2, options.memory_limit_bytes = part == 0 ? 0 : part == 1 ? 2 * most : most * 3 / 4;
        ck_assert_ok(cover_context_create(&context, &options));
        ck_assert_int_eq(predict("in", "out", 1), part < 2 ? COVER_OK : COVER_ERROR_MEMORY);
        if (part == 0) most = memory_most(context);
    }
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "a.nii: "));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "raise option memory_limit"));
    ck_assert_uint_le(memory_most(context), most * 3 / 4);
}
END_TEST

START_TEST(classification_writes_a_table_of_scores) {
    uint8_t *csv;
    size_t count;
    write_task("cls-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/a.png", COVER_U8, 1, 40, 30, 1);
    write_image("in/b, c.png", COVER_U8, 1, 40, 30, 2);
    ck_assert_ok(predict("in", "out", 0));
    ck_assert_ok(file_read(context, at("out/scores.csv"), 4096, &csv, &count));
    static const char start[] = "file,class 0,class 1,\"two, \"\"quoted\"\"\"\na.png,0.";
    ck_assert_msg(strncmp((char *)csv, start, strlen(start)) == 0, "%s", (char *)csv);
    ck_assert_ptr_nonnull(strstr((char *)csv, "\n\"b, c.png\",0."));
    memory_free(context, csv);
}
END_TEST

static int stop_after_one(void *user, int64_t done, int64_t total, const char *what) {
    (void)user, (void)total, (void)what;
    return done == 1;
}

START_TEST(a_table_of_scores_holds_what_was_done_before_the_stop) {
    cover_predict_options options = COVER_PREDICT_OPTIONS_INIT;
    uint8_t *csv;
    size_t count;
    write_task("cls-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/a.png", COVER_U8, 1, 40, 30, 1);
    write_image("in/b.png", COVER_U8, 1, 40, 30, 2);
    options.progress = stop_after_one;
    ck_assert_int_eq(cover_images_predict(NULL, context, at("TASK.safetensors"), at("in"), at("out"), &options),
                     COVER_ERROR_CANCELLED);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "cancelled"));
    ck_assert_ok(file_read(context, at("out/scores.csv"), 4096, &csv, &count));
    ck_assert(strstr((char *)csv, "\na.png,0.") && !strstr((char *)csv, "b.png"));
    memory_free(context, csv);
}
END_TEST

START_TEST(where_bad_images_are_skipped_the_summary_has_them) {
    cover_predict_options options = COVER_PREDICT_OPTIONS_INIT;
    char *summary;
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/good.png", COVER_U8, 1, 40, 30, 1);
    ck_assert_ok(file_replace(context, at("in/bad.png"), "\x89PNG\r\n\x1a\n", 8));
    options.skip_bad = 1;
    ck_assert_ok(cover_images_predict(&summary, context, at("TASK.safetensors"), at("in"), at("out"), &options));
    const char *failed = strstr(summary, "\"failed\": [{\"file\": \"");
    ck_assert_msg(failed && strstr(failed, "in/bad.png\", \"reason\": \"") && strstr(summary, "\"written\": 1"), "%s", summary);
    cover_text_release(context, summary);
    ck_assert(file_exists(at("out/good.png")));
}
END_TEST

START_TEST(no_folder_is_left_for_results_of_which_there_are_none) {
    write_task("seg-2d", small_2d, NULL);
    ck_assert_ok(folder_create(at("in")));
    ck_assert_ok(folder_create(at("there")));
    ck_assert_ok(file_replace(context, at("in/bad.png"), "\x89PNG\r\n\x1a\n", 8));
    ck_assert_int_eq(predict("in", "not/there", 0), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "1 of 1 images could not be predicted:"));
    ck_assert(!folder_exists(at("not")));
    ck_assert_int_eq(predict("in", "there/not", 0), COVER_ERROR_FORMAT);
    ck_assert(folder_exists(at("there")) && !folder_exists(at("there/not")));
    ck_assert_int_eq(predict("in", "there", 0), COVER_ERROR_FORMAT);
    ck_assert(folder_exists(at("there")));
}
END_TEST

START_TEST(killed_in_the_middle_no_label_is_half_written) {
    write_task("seg-2d", (const char *[]){"crop", "32x32", "work", "64x64", NULL}, NULL);
    ck_assert_ok(folder_create(at("in")));
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, i % 2 ? "in/%02d.nii.gz" : "in/%02d.png", i);
        write_image(name, COVER_U8, 1, 90, 110, (uint32_t)i);
    }
    for (int attempt = 0; attempt < 6; attempt++) {
        pid_t child = fork();
        if (child == 0) {
            cover_context *own;
            cover_context_create(&own, NULL);
            for (;;) cover_images_predict(NULL, own, at("TASK.safetensors"), at("in"), at("out"), NULL);
        }
        usleep(40000 + 13000 * (unsigned)attempt);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        for (int i = 0; i < 12; i++) {
            char name[32];
            struct image label;
            snprintf(name, sizeof name, i % 2 ? "out/%02d.nii.gz" : "out/%02d.png", i);
            if (!file_exists(at(name))) continue;
            ck_assert_ok(image_read(&label, context, at(name), 0));
            ck_assert_int_eq(label.size[1], 90);
            image_free(&label, context);
        }
    }
}
END_TEST

/* An allocator that refuses call number `fail_at` and counts what is alive. */
static struct { long calls, fail_at, alive; } refusing;
static void *refusing_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    void *memory = NULL;
    if (++refusing.calls == refusing.fail_at || posix_memalign(&memory, alignment, bytes) != 0) return NULL;
    refusing.alive++;
    return memory;
}
static void refusing_release(void *user, void *memory) {
    (void)user;
    refusing.alive--;
    free(memory);
}

START_TEST(refused_memory_is_reported_and_nothing_leaks) {
    cover_allocator allocator = {refusing_allocate, refusing_release, NULL};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *own;
    struct pool *pool;
    options.allocator = &allocator, options.threads = 1;
    write_task("seg-2d", (const char *[]){"crop", "16x16", "work", "16x16", "keep_component", "3", NULL}, NULL);
    ck_assert_ok(folder_create(at("in")));
    write_image("in/a.png", COVER_U8, 1, 20, 30, 1);
    write_image("in/b.nii.gz", COVER_U8, 1, 20, 30, 1);
    ck_assert_ok(cover_context_create(&own, &options));
    ck_assert_ok(context_pool(own, &pool));
    long before = refusing.alive, call = 1;
    cover_predict_options predict_options = COVER_PREDICT_OPTIONS_INIT;
    predict_options.scores = 1;
    for (cover_status status = COVER_ERROR_MEMORY; status != COVER_OK; call += call < 20 ? 1 : 17) {
        char *summary = NULL;
        refusing.calls = 0, refusing.fail_at = call;
        status = cover_images_predict(&summary, own, at("TASK.safetensors"), at("in"), at("out"), &predict_options);
        refusing.fail_at = 0;
        ck_assert_msg(status == (refusing.calls < call ? COVER_OK : COVER_ERROR_MEMORY), "refused call %ld gave %s: %s", call,
                      cover_status_name(status), cover_error_text());
        cover_text_release(own, summary);
        ck_assert_msg(refusing.alive == before, "refused call %ld: %ld pieces leaked", call, refusing.alive - before);
    }
    ck_assert_int_gt(call, 100);
    cover_context_destroy(own);
    ck_assert_int_eq(refusing.alive, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("predictor");
    TCase *tcase = tcase_create("predictor");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, labels_and_scores_have_the_images_own_size);
    ADD(tcase, strides_and_channels_do_not_matter_to_the_prediction);
    ADD(tcase, a_task_packed_to_a_spacing_takes_the_images_own);
    ADD(tcase, classification_gives_a_class_or_a_flag_a_class);
    ADD(tcase, options_change_what_the_task_says);
    ADD(tcase, images_that_do_not_fit_are_refused_with_the_reason);
    ADD(tcase, several_threads_share_one_predictor);
    ADD(tcase, small_components_become_background);
    ADD(tcase, a_folder_of_images_becomes_a_folder_of_labels_in_their_formats);
    ADD(tcase, a_volume_keeps_its_oblique_geometry);
    ADD(tcase, channels_in_files_of_their_own_are_one_case);
    ADD(tcase, numbered_images_of_a_one_channel_task_stay_apart);
    ADD(tcase, what_cannot_be_used_is_listed_and_the_rest_is_done);
    ADD(tcase, each_bad_image_is_told_once_and_an_empty_folder_goes_away);
    ADD(tcase, two_images_of_one_name_have_two_labels_but_no_two_arrays_of_scores);
    ADD(tcase, grey_that_was_saved_as_rgb_is_grey_and_colours_are_converted_when_asked);
    ADD(tcase, an_image_that_is_stored_otherwise_is_turned_as_in_training_or_told);
    ADD(tcase, a_single_slice_of_a_volume_is_one_for_a_task_of_volumes);
    ADD(tcase, an_image_and_what_is_made_of_it_keep_to_the_memory_limit);
    ADD(tcase, classification_writes_a_table_of_scores);
    ADD(tcase, a_table_of_scores_holds_what_was_done_before_the_stop);
    ADD(tcase, where_bad_images_are_skipped_the_summary_has_them);
    ADD(tcase, no_folder_is_left_for_results_of_which_there_are_none);
    ADD(tcase, refused_memory_is_reported_and_nothing_leaks);
    ADD(tcase, killed_in_the_middle_no_label_is_half_written);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
