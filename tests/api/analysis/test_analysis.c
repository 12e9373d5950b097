/* The analyses against what their definitions say, on a small network over small labelled images. */
#include "../../io/files.h"
#include "core/base/philox.h"

#include <libcover/cover.h>

#include <math.h>

enum { HEIGHT = 40, WIDTH = 37, IMAGES = 3, RARE = 5 };

static uint8_t pixels[IMAGES][HEIGHT * WIDTH], labels[IMAGES][HEIGHT * WIDTH];

static void write_image(const char *path, const uint8_t *values) {
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(png_encode(context, &bytes, &count, values, HEIGHT, WIDTH, 1));
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
}

/* Three images of two halves and five pixels of a third label in all, packed, and a network that was trained for a step. */
static void make_run(void) {
    cover_config *config;
    cover_dataset *dataset;
    write_text(at("raw/dataset.json"),
               "{\"channel_names\": {\"0\": \"grey\"}, \"labels\": {\"background\": 0, \"a\": 1, \"b\": 2}, "
               "\"numTraining\": 3, \"file_ending\": \".png\"}");
    for (int i = 0; i < IMAGES; i++) {
        for (int k = 0; k < HEIGHT * WIDTH; k++) {
            labels[i][k] = k % WIDTH > WIDTH / 2;
            pixels[i][k] = (uint8_t)(value_of(i, k) / 4 + 120 * labels[i][k]);
        }
        for (int k = 0; k < (i ? 0 : RARE); k++) labels[i][7 * WIDTH + 3 * k] = 2;
        write_image(at("raw/imagesTr/c%d_0000.png", i), pixels[i]);
        write_image(at("raw/labelsTr/c%d.png", i), labels[i]);
    }
    ck_assert_ok(pack(at("raw"), at("data.h5"), NULL, NULL));
    ck_assert_ok(cover_config_create(&config, context, "paper-2d"));
    const char *const settings[][2] = {{"widths", "8,8,8,16,16,16,8,8,8"},
                                       {"heads", "1,1,1,1,1"},
                                       {"radius", "1"},
                                       {"crop", "32x32"},
                                       {"work", "40x40"},
                                       {"batch", "1"},
                                       {"steps", "1"},
                                       {"seed", "2"},
                                       {"normalise", "max"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ck_assert_ok(cover_config_set(config, settings[i][0], settings[i][1]));
    dataset = open_dataset(at("data.h5"));
    ck_assert_ok(cover_run_pretrain(context, dataset, config, at("run"), NULL));
    cover_dataset_destroy(dataset);
    cover_config_destroy(config);
}

static void setup_run(void) {
    setup();
    make_run();
}

/* Features of image i at a level by the public calls, of length 1 a pixel: (pixels, channels). */
static float *features_of(int image, int level, int64_t *height, int64_t *width, int64_t *channels) {
    float values[HEIGHT * WIDTH];
    cover_backbone *network;
    cover_tensor *x;
    cover_features *features;
    for (int k = 0; k < HEIGHT * WIDTH; k++) values[k] = (float)pixels[image][k] / 255;
    ck_assert_ok(cover_backbone_load(&network, context, at("run"), NULL));
    ck_assert_ok(cover_tensor_wrap(&x, context, COVER_F32, 4, (int64_t[]){1, 1, HEIGHT, WIDTH}, NULL, values));
    ck_assert_ok(cover_backbone_forward(&features, network, x));
    const cover_tensor *tensor = cover_features_level(features, level);
    const int64_t *shape = cover_tensor_shape(tensor), *strides = cover_tensor_strides(tensor);
    *channels = shape[1], *height = shape[2], *width = shape[3];
    float *out = malloc((size_t)(shape[1] * shape[2] * shape[3]) * sizeof *out);
    for (int64_t k = 0; k < shape[2] * shape[3]; k++) {
        double square = 0;
        for (int64_t c = 0; c < shape[1]; c++) {
            float value = ((const float *)cover_tensor_data_const(
                tensor))[c * strides[1] + k / shape[3] * strides[2] + k % shape[3] * strides[3]];
            out[k * shape[1] + c] = value, square += (double)value * (double)value;
        }
        for (int64_t c = 0; c < shape[1]; c++) out[k * shape[1] + c] = (float)((double)out[k * shape[1] + c] / sqrt(square));
    }
    cover_features_destroy(features);
    cover_tensor_destroy(x);
    cover_backbone_destroy(network);
    return out;
}

static int label_of(int image, int64_t y, int64_t x, int stride) {
    int64_t row = y * stride + stride / 2, column = x * stride + stride / 2;
    return labels[image][(row < HEIGHT ? row : HEIGHT - 1) * WIDTH + (column < WIDTH ? column : WIDTH - 1)];
}

START_TEST(points_are_balanced_over_classes_and_are_features_of_pixels_of_their_label) {
    cover_feature_options options = COVER_FEATURE_OPTIONS_INIT;
    cover_tensor *features, *drawn;
    options.points = 65, options.seed = 4;
    ck_assert_ok(cover_analysis_features(&features, &drawn, context, at("run"), at("data.h5"), &options));
    ck_assert_int_eq(cover_tensor_shape(features)[0], 65);
    const uint16_t *label = cover_tensor_data(drawn);
    const float *feature = cover_tensor_data(features);
    int64_t channels, height, width, count[3] = {0}, found = 0;
    float *all[IMAGES];
    for (int i = 0; i < IMAGES; i++) all[i] = features_of(i, 4, &height, &width, &channels);
    for (int n = 0; n < 65; n++) {
        count[label[n]]++;
        bool here = false;
        for (int64_t k = 0; k < IMAGES * HEIGHT * WIDTH && !here; k++)
            here = labels[k / (HEIGHT * WIDTH)][k % (HEIGHT * WIDTH)] == label[n] &&
                   memcmp(all[k / (HEIGHT * WIDTH)] + k % (HEIGHT * WIDTH) * channels, feature + n * channels,
                          (size_t)channels * sizeof *feature) == 0;
        found += here;
    }
    ck_assert(count[0] == 30 && count[1] == 30 && count[2] == RARE);
    ck_assert_int_eq(found, 65);
    for (int i = 0; i < IMAGES; i++) free(all[i]);
    cover_tensor_destroy(features);
    cover_tensor_destroy(drawn);
}
END_TEST

START_TEST(dispersion_is_the_mean_distance_of_neighbours) {
    char *text;
    ck_assert_ok(cover_analysis_dispersion(&text, context, at("run"), at("data.h5"), NULL));
    json_t *json = json_loads(text, 0, NULL), *levels = json_object_get(json, "levels");
    ck_assert_int_eq(number(json, "images"), IMAGES);
    ck_assert_uint_eq(json_array_size(levels), 5);
    for (int level = 3; level < 5; level++) {
        double sum[2] = {0}, square = 0;
        int64_t pairs[2] = {0}, any = 0;
        for (int image = 0; image < IMAGES; image++) {
            int64_t height, width, channels;
            float *value = features_of(image, level, &height, &width, &channels);
            for (int64_t a = 0; a < height * width; a++)
                for (int64_t b = 0; b < height * width; b++) {
                    double away = 0;
                    for (int64_t c = 0; c < channels; c++)
                        away += pow((double)value[a * channels + c] - (double)value[b * channels + c], 2);
                    square += away, any++;
                    bool beside = b == a + width || (b == a + 1 && b % width);
                    if (!beside) continue;
                    int stride = 1 << (4 - level);
                    int across = label_of(image, a / width, a % width, stride) != label_of(image, b / width, b % width, stride);
                    sum[across] += sqrt(away), pairs[across]++;
                }
            free(value);
        }
        const json_t *row = json_array_get(levels, (size_t)level);
        const double expected[] = {sum[0] / (double)pairs[0], sum[1] / (double)pairs[1], sqrt(square / (double)any)};
        const char *const names[] = {"within", "across", "spread"};
        for (int k = 0; k < 3; k++) {
            double is = json_number_value(json_object_get(row, names[k]));
            ck_assert_msg(fabs(is - expected[k]) < 1e-5 * expected[k], "level %d, %s: %g, not %g", level, names[k], is,
                          expected[k]);
        }
        ck_assert_int_eq(number(row, "within_pairs"), pairs[0]);
        ck_assert_int_eq(number(row, "across_pairs"), pairs[1]);
    }
    json_decref(json);
    cover_text_release(context, text);
}
END_TEST

START_TEST(tsne_of_features_is_written_by_the_ending_and_is_the_same_for_any_number_of_threads) {
    cover_feature_options features = COVER_FEATURE_OPTIONS_INIT;
    cover_tsne_options tsne = COVER_TSNE_OPTIONS_INIT;
    features.points = 50, features.level = 3, tsne.iterations = 30, tsne.theta = 0.5;
    const char *const endings[] = {"csv", "html", "png"};
    for (int e = 0; e < 3; e++) {
        char *text;
        ck_assert_ok(cover_analysis_tsne(&text, context, at("run"), at("data.h5"), at("plane.%s", endings[e]), &features, &tsne));
        json_t *json = json_loads(text, 0, NULL);
        ck_assert_int_eq(number(json, "points"), 50);
        ck_assert_int_eq(number(json, "level"), 3);
        json_decref(json);
        cover_text_release(context, text);
    }
    cover_context_destroy(context);
    make_context(1);
    ck_assert_ok(cover_analysis_tsne(NULL, context, at("run"), at("data.h5"), at("again.csv"), &features, &tsne));
    same_files(at("plane.csv"), at("again.csv"));
    ck_assert_fails(cover_analysis_tsne(NULL, context, at("run"), at("data.h5"), at("plane.gif"), &features, &tsne),
                    COVER_ERROR_ARGUMENT, ".html, .png or .csv");
    tsne.perplexity = 40;
    ck_assert_fails(cover_analysis_tsne(NULL, context, at("run"), at("data.h5"), at("no.csv"), &features, &tsne),
                    COVER_ERROR_ARGUMENT, "perplexity of 40 for 50 points");
    features.level = 5;
    ck_assert_fails(cover_analysis_tsne(NULL, context, at("run"), at("data.h5"), at("no.csv"), &features, &tsne),
                    COVER_ERROR_ARGUMENT, "level 5");
    ck_assert(!file_exists(at("no.csv")));
}
END_TEST

START_TEST(a_fine_tuned_network_is_taken_from_its_checkpoint_as_from_its_weights) {
    cover_dataset *dataset = open_dataset(at("data.h5"));
    cover_config *config;
    char *text;
    ck_assert_ok(cover_task_config(&config, context, dataset, "seg", at("run")));
    const char *const settings[][2] = {{"crop", "32x32"}, {"work", "40x40"}, {"batch", "1"},
                                       {"steps", "1"},    {"val", "1"},      {"val_every", "1"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ck_assert_ok(cover_config_set(config, settings[i][0], settings[i][1]));
    ck_assert_ok(cover_run_finetune(NULL, context, dataset, config, at("run"), at("tuned"), NULL));
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    ck_assert_ok(cover_file_check(&text, context, at("tuned/checkpoint.h5")));
    ck_assert_msg(strstr(text, "\"ok\": true") != NULL, "%s", text);
    cover_text_release(context, text);
    const char *const files[] = {"tuned/checkpoint.h5", "tuned/weights.safetensors"};
    json_t *found[2];
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(cover_analysis_dispersion(&text, context, at("%s", files[i]), at("data.h5"), NULL));
        found[i] = json_loads(text, 0, NULL);
        cover_text_release(context, text);
    }
    ck_assert(json_equal(found[0], found[1]));
    for (int i = 0; i < 2; i++) json_decref(found[i]);
}
END_TEST

START_TEST(images_without_labels_or_of_another_kind_are_refused) {
    char *text;
    for (int i = 0; i < IMAGES; i++) write_image(at("plain/%d.png", i), pixels[i]);
    ck_assert_ok(pack(at("plain"), at("plain.h5"), NULL, NULL));
    ck_assert_fails(cover_analysis_dispersion(&text, context, at("run"), at("plain.h5"), NULL), COVER_ERROR_ARGUMENT,
                    "no image has a label map or a class");
    write_png(at("colour/a.png"), 20, 20, 3, 1);
    ck_assert_ok(pack(at("colour"), at("colour.h5"), NULL, NULL));
    ck_assert_fails(cover_analysis_dispersion(&text, context, at("run"), at("colour.h5"), NULL), COVER_ERROR_SHAPE,
                    "3 channels, but the network takes 2D with 1");
}
END_TEST

START_TEST(tsne_takes_any_tensor_and_names_a_point_that_is_no_number) {
    float values[3 * 20];
    cover_tensor *points, *plane;
    for (int i = 0; i < 60; i++) values[i] = (float)(i * i % 23);
    ck_assert_ok(cover_tensor_wrap(&points, context, COVER_F32, 2, (int64_t[]){20, 3}, (int64_t[]){1, 20}, values));
    double kl = NAN;
    ck_assert_ok(cover_points_tsne(&plane, &kl, context, points, NULL));
    ck_assert(isfinite(kl) && cover_tensor_shape(plane)[0] == 20 && cover_tensor_shape(plane)[1] == 2);
    cover_tensor_destroy(plane);
    values[45] = INFINITY;
    ck_assert_fails(cover_points_tsne(&plane, &kl, context, points, NULL), COVER_ERROR_NUMERIC, "value 2 of point 5 is inf");
    cover_tensor_destroy(points);
    ck_assert_ok(cover_tensor_wrap(&points, context, COVER_F32, 1, (int64_t[]){20}, NULL, values));
    ck_assert_fails(cover_points_tsne(&plane, &kl, context, points, NULL), COVER_ERROR_SHAPE, "(N, C)");
    cover_tensor_destroy(points);
}
END_TEST

START_TEST(flops_are_those_of_the_formulas) {
    cover_config *config;
    char *text;
    ck_assert_ok(cover_config_create(&config, context, "paper-2d"));
    ck_assert_ok(cover_config_set(config, "radius", "2"));
    ck_assert_ok(cover_config_set(config, "heads", "2,1,1,1,1"));
    ck_assert_ok(cover_config_set(config, "crop", "96x64"));
    ck_assert_ok(cover_analysis_flops(&text, context, config, at("cost.html")));
    ck_assert(file_exists(at("cost.html")));
    json_t *json = json_loads(text, 0, NULL), *rows = json_object_get(json, "rows");
    double widths[9], head = 8, expected = 0;
    const char *word = cover_config_get(config, "widths");
    for (int i = 0; i < 9; i++) widths[i] = strtod(word, (char **)&word), word += *word == ',';
    for (int n = 1; n <= 5; n++) {
        const json_t *row = json_array_get(rows, (size_t)(n - 1));
        int64_t reach = 2 * ((1 << n) - 1), stride = 1 << (n - 1);
        double area = 96 * 64, coarse = area / (double)(stride * stride), heads = n == 5 ? 2 : 1;
        /* projections of both images, and MoV of one, of this level */
        expected += 2 * 2 * coarse * widths[9 - n] * heads * head + 2 * coarse * 25 * heads * head;
        double direct = 2 * 2 * area * widths[8] * head + 2 * area * pow(2 * (double)reach + 1, 2) * head;
        ck_assert_int_eq(number(row, "field"), 2 * reach + 1);
        ck_assert_int_eq(number(row, "direct_radius"), reach);
        ck_assert_msg(json_number_value(json_object_get(row, "vpa_flops")) == expected, "%d levels: %g, not %g", n,
                      json_number_value(json_object_get(row, "vpa_flops")), expected);
        ck_assert(json_number_value(json_object_get(row, "direct_flops")) == direct);
    }
    json_decref(json);
    cover_text_release(context, text);
    ck_assert_fails(cover_analysis_flops(&text, context, config, at("cost.png")), COVER_ERROR_ARGUMENT, ".html or .csv");
    cover_config_destroy(config);
}
END_TEST

START_TEST(curves_are_those_of_the_logs) {
    char *text;
    write_text(at("one/log.jsonl"),
               "{\"step\": 1, \"loss\": 4, \"l_vec\": 3, \"l_zero\": 6, \"lr\": 1}\n{\"step\": 2, \"loss\": 3}\n"
               "{\"step\": 3, \"loss\": 9}\n{\"step\": 3, \"loss\": 2, \"mean_dice\": 0.5}\n{\"step\": 4, \"lo");
    write_text(at("two/log.jsonl"), "{\"step\": 5, \"loss\": 1}\n{\"step\": 9, \"loss\": 8}\n{\"step\": 6, \"loss\": 7}\n");
    char one_path[64], two_path[64], absent[64];
    strcpy(one_path, at("one")), strcpy(two_path, at("two")), strcpy(absent, at("absent"));
    const char *runs[] = {one_path, two_path};
    ck_assert_ok(cover_analysis_curves(&text, context, runs, 2, at("curves.csv")));
    json_t *json = json_loads(text, 0, NULL), *one = json_array_get(json_object_get(json, "runs"), 0),
           *two = json_array_get(json_object_get(json, "runs"), 1);
    ck_assert(number(one, "steps") == 3 && number(two, "steps") == 6);
    ck_assert(json_number_value(json_object_get(json_object_get(one, "last"), "loss")) == 2);
    ck_assert(json_number_value(json_object_get(json_object_get(one, "last"), "mean_dice")) == 0.5);
    ck_assert(json_number_value(json_object_get(json_object_get(one, "last"), "l_vec / l_zero")) == 0.5);
    ck_assert_ptr_null(json_object_get(json_object_get(one, "last"), "lr"));
    json_decref(json);
    cover_text_release(context, text);
    ck_assert_ok(cover_analysis_curves(NULL, context, runs, 2, at("curves.html")));
    ck_assert_fails(cover_analysis_curves(NULL, context, runs, 0, at("curves.html")), COVER_ERROR_ARGUMENT, "1 to 10");
    ck_assert_int_eq(symlink("two/log.jsonl", at("link.csv")), 0);
    ck_assert_fails(cover_analysis_curves(NULL, context, runs, 2, at("link.csv")), COVER_ERROR_ARGUMENT,
                    "link.csv: is what the result is made of");
    write_text(at("two/log.jsonl"), "{\"step\": 5, \"loss\": 1}\nhello\n");
    ck_assert_fails(cover_analysis_curves(NULL, context, runs, 2, at("curves.html")), COVER_ERROR_FORMAT, "two/log.jsonl: line 2");
    runs[1] = absent;
    ck_assert_fails(cover_analysis_curves(NULL, context, runs, 2, at("curves.html")), COVER_ERROR_IO, "absent");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("analysis");
    TCase *tcase = tcase_create("features");
    tcase_add_checked_fixture(tcase, setup_run, teardown);
    ADD(tcase, points_are_balanced_over_classes_and_are_features_of_pixels_of_their_label);
    ADD(tcase, dispersion_is_the_mean_distance_of_neighbours);
    ADD(tcase, tsne_of_features_is_written_by_the_ending_and_is_the_same_for_any_number_of_threads);
    ADD(tcase, a_fine_tuned_network_is_taken_from_its_checkpoint_as_from_its_weights);
    ADD(tcase, images_without_labels_or_of_another_kind_are_refused);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("other");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, tsne_takes_any_tensor_and_names_a_point_that_is_no_number);
    ADD(tcase, flops_are_those_of_the_formulas);
    ADD(tcase, curves_are_those_of_the_logs);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
