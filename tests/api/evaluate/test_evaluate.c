/* Evaluation of files: who is compared with whom, what is said about what does not fit, the same figures for any number
 * of threads, nothing lost when memory is refused. */
#include "../../io/files.h"
#include "io/bytes/csv.h"

#include <libcover/evaluate.h>

#include <math.h>

/* A label map of one PNG row, "001122"; in 2D and without spacing. */
static void write_map(const char *path, const char *digits) {
    uint8_t pixels[256], *bytes;
    size_t count, length = strlen(digits);
    for (size_t i = 0; i < length; i++) pixels[i] = (uint8_t)(digits[i] - '0');
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, 1, (int64_t)length, 1));
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
}

/* An nnU-Net dataset of three cases, and predictions of it. */
static void write_dataset(void) {
    write_text(at("ds/dataset.json"), "{\"labels\": {\"heart\": 2, \"background\": 0, \"lung\": 1}}");
    write_map(at("ds/labelsTr/a.png"), "0011220000");
    write_map(at("ds/labelsTr/b.png"), "0011110000");
    write_map(at("ds/labelsTr/c.png"), "0022220011");
    write_map(at("pred/a.png"), "0011120000");
    write_map(at("pred/b.png"), "0001111000");
    write_map(at("pred/c.png"), "0022220000");
}

/* The call and its text in one. */
static cover_status evaluate_text(char **text, cover_context *of, const char *prediction, const char *truth,
                                  const cover_evaluate_options *options) {
    cover_evaluation *evaluation = NULL;
    cover_status status = cover_evaluation_compute(&evaluation, of, prediction, truth, options);
    if (status == COVER_OK) status = cover_evaluation_json(text, evaluation);
    cover_evaluation_destroy(evaluation);
    return status;
}

static json_t *evaluated(const char *prediction, const char *truth, const cover_evaluate_options *options) {
    char *text = NULL;
    ck_assert_ok(evaluate_text(&text, context, prediction, truth, options));
    json_t *result = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(result);
    cover_text_release(context, text);
    return result;
}
static cover_status evaluate(const char *prediction, const char *truth, const cover_evaluate_options *options) {
    char *text = NULL;
    const cover_status status = evaluate_text(&text, context, prediction, truth, options);
    cover_text_release(context, text);
    return status;
}
static double real(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}
#define NEAR(value, expected) ck_assert_msg(fabs((value) - (expected)) < 1e-9, "%s is %.12g", #value, (double)(value))

/* ---- label maps */

START_TEST(folders_are_matched_by_name_and_means_are_over_cases) {
    write_dataset();
    json_t *result = evaluated(at("pred"), at("ds"), NULL);
    const json_t *classes = json_object_get(result, "classes"), *first = json_array_get(json_object_get(result, "cases"), 0);
    const json_t *third = json_array_get(json_object_get(result, "cases"), 2);
    ck_assert_str_eq(json_string_value(json_object_get(first, "case")), "a");
    NEAR(real(json_object_get(first, "dice"), "lung"), 0.8);
    NEAR(real(json_object_get(first, "dice"), "heart"), 2.0 / 3);
    NEAR(real(first, "mean_dice"), (0.8 + 2.0 / 3) / 2);
    ck_assert(json_is_null(json_object_get(json_object_get(third, "hd95"), "lung"))); /* missed */
    NEAR(real(classes, "lung"), (0.8 + 0.75 + 0) / 3);
    NEAR(real(classes, "heart"), (2.0 / 3 + 1) / 2); /* b has none */
    NEAR(real(result, "mean_dice"), ((0.8 + 2.0 / 3) / 2 + 0.75 + 0.5) / 3);
    ck_assert_int_eq(number(json_object_get(result, "hd95_missed"), "lung"), 1);
    ck_assert_int_eq(number(result, "count"), 3);
    ck_assert(json_is_false(json_object_get(result, "spacing_known")));
    json_decref(result);
}
END_TEST

START_TEST(a_dataset_its_labels_and_two_files_name_the_same_classes) {
    write_dataset();
    static const char *const pairs[][2] = {{"pred", "ds"}, {"pred", "ds/labelsTr"}, {"pred/a.png", "ds/labelsTr/a.png"}};
    for (int i = 0; i < 3; i++) {
        json_t *result = evaluated(at("%s", pairs[i][0]), at("%s", pairs[i][1]), NULL);
        const json_t *dice = json_object_get(json_array_get(json_object_get(result, "cases"), 0), "dice");
        NEAR(real(dice, "lung"), 0.8);
        ck_assert_uint_eq(json_object_size(dice), 2);
        json_decref(result);
    }
}
END_TEST

START_TEST(classes_may_be_given_with_or_without_labels) {
    write_map(at("p.png"), "0033355"), write_map(at("t.png"), "0003355");
    static const struct {
        const char *classes, *name;
    } cases[] = {{NULL, "3"}, {"x=3,y=5", "x"}, {"a,b,c,d,e", "c"}, {"background,a,b,c,d,e", "c"}};
    for (int i = 0; i < 4; i++) {
        cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
        options.classes = cases[i].classes;
        json_t *result = evaluated(at("p.png"), at("t.png"), &options);
        NEAR(real(json_object_get(result, "classes"), cases[i].name), 0.8);
        json_decref(result);
    }
    cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
    static const char *const wrong[] = {"", "a,,b", "a=", "a=x", "a=-1", "a=65536", "a,a", "a=2,b=2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.classes = wrong[i];
        ck_assert_int_eq(evaluate(at("p.png"), at("t.png"), &options), COVER_ERROR_ARGUMENT);
    }
    options.classes = "a,b,c,d";
    ck_assert_fails(evaluate(at("p.png"), at("t.png"), &options), COVER_ERROR_FORMAT, "p.png: voxel 5 has label 5");
}
END_TEST

START_TEST(unnamed_labels_that_have_none_in_common_are_refused_but_for_masks) {
    write_map(at("p.png"), "0011110022");
    write_map(at("t.png"), "0033333044");
    ck_assert_fails(evaluate(at("p.png"), at("t.png"), NULL), COVER_ERROR_MISMATCH, "holds the labels 1, 2, but ");
    write_map(at("p.png"), "0011110000");
    write_map(at("t.png"), "0099999900"); /* as masks of 0 and 255 */
    json_t *result = evaluated(at("p.png"), at("t.png"), NULL);
    NEAR(real(json_object_get(result, "classes"), "9"), 0.8);
    ck_assert_uint_eq(json_object_size(json_object_get(result, "classes")), 1);
    json_decref(result);
}
END_TEST

START_TEST(pixels_to_ignore_count_for_neither_side) {
    write_text(at("ds/dataset.json"), "{\"labels\": {\"background\": 0, \"lung\": 1, \"ignore\": 2}}");
    write_map(at("ds/labelsTr/a.png"), "0011220000");
    write_map(at("pred/a.png"), "0011110000");
    json_t *result = evaluated(at("pred"), at("ds"), NULL);
    NEAR(real(result, "mean_dice"), 1);
    ck_assert_uint_eq(json_object_size(json_object_get(result, "classes")), 1);
    json_decref(result);
}
END_TEST

START_TEST(cases_that_one_list_lacks_are_named) {
    write_dataset();
    cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
    ck_assert_int_eq(remove(at("pred/b.png")), 0);
    ck_assert_fails(evaluate(at("pred"), at("ds"), NULL), COVER_ERROR_MISMATCH, "1 of 3 labels have no prediction");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), ": b;"));
    options.subset = 1;
    json_t *result = evaluated(at("pred"), at("ds"), &options);
    ck_assert_int_eq(number(result, "count"), 2);
    json_decref(result);
    write_map(at("pred/z.png"), "0");
    ck_assert_fails(evaluate(at("pred"), at("ds"), &options), COVER_ERROR_MISMATCH, "1 of 3 predictions have no label");
    write_map(at("pred/z.tif.png"), "0"), rename(at("pred/z.tif.png"), at("pred/z.nii"));
    ck_assert_fails(evaluate(at("pred"), at("ds"), &options), COVER_ERROR_FORMAT, "are the same case");
    ck_assert_fails(evaluate(at("pred"), at("ds/labelsTr/a.png"), NULL), COVER_ERROR_MISMATCH, "give two files or two folders");
    ck_assert_fails(evaluate(at("none"), at("ds"), NULL), COVER_ERROR_IO, "none: no such file");
}
END_TEST

START_TEST(another_geometry_is_refused_with_both_values) {
    const double spacing[3] = {2, 1, 1}, other[3] = {2, 1, 1.5};
    uint8_t labels[60] = {0};
    for (int i = 20; i < 40; i++) labels[i] = 1;
    write_nifti(at("t.nii"), 2, (int[3]){3, 4, 5}, spacing, labels);
    write_nifti(at("size.nii"), 2, (int[3]){4, 3, 5}, spacing, labels);
    write_nifti(at("spacing.nii"), 2, (int[3]){3, 4, 5}, other, labels);
    write_nifti(at("same.nii"), 2, (int[3]){3, 4, 5}, spacing, labels);
    ck_assert_int_eq(evaluate(at("same.nii"), at("t.nii"), NULL), COVER_OK);
    ck_assert_fails(evaluate(at("size.nii"), at("t.nii"), NULL), COVER_ERROR_MISMATCH, "is 4x3x5 (D, H, W), but its label");
    ck_assert_fails(evaluate(at("spacing.nii"), at("t.nii"), NULL), COVER_ERROR_MISMATCH, "1.5 mm along W");
    FILE *file = fopen(at("same.nii"), "r+b"); /* 3 mm to the side */
    ck_assert_int_eq(fseek(file, 280 + 12, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(&(float){13}, 4, 1, file), 1);
    fclose(file);
    ck_assert_fails(evaluate(at("same.nii"), at("t.nii"), NULL), COVER_ERROR_MISMATCH, "a corner 3 mm apart");
    file = fopen(at("same.nii"), "r+b"); /* 0.09 mm: what pack takes as one place, this takes, too */
    ck_assert_int_eq(fseek(file, 280 + 12, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(&(float){10.09f}, 4, 1, file), 1);
    fclose(file);
    ck_assert_int_eq(evaluate(at("same.nii"), at("t.nii"), NULL), COVER_OK);
}
END_TEST

START_TEST(hd95_counts_millimetres) {
    const double spacing[3] = {2, 1, 0.5};
    uint8_t truth[60] = {0}, shifted[60] = {0};
    for (int i = 0; i < 20; i++) truth[i] = shifted[20 + i] = 1; /* one slice on: 2 mm */
    write_nifti(at("t.nii"), 2, (int[3]){3, 4, 5}, spacing, truth);
    write_nifti(at("p.nii"), 2, (int[3]){3, 4, 5}, spacing, shifted);
    json_t *result = evaluated(at("p.nii"), at("t.nii"), NULL);
    NEAR(real(result, "mean_hd95"), 2);
    NEAR(real(result, "mean_dice"), 0);
    ck_assert(json_is_true(json_object_get(result, "spacing_known")));
    json_decref(result);
}
END_TEST

/* An 8-bit TIFF of a square at column `x`, with a resolution in dots an inch, or a centimetre. */
static void write_tiff(const char *path, int x, double spacing_mm, bool inch) {
    uint8_t labels[100] = {0}, *bytes;
    size_t count, at = 0;
    struct image image = {.dtype = COVER_U8, .dims = 2, .channels = 1, .size = {1, 10, 10}, .data = labels};
    for (int y = 3; y < 6; y++) memset(labels + 10 * y + x, 1, 3);
    image.spacing_mm[1] = image.spacing_mm[2] = spacing_mm;
    ck_assert_ok(label_write(context, path, &image, NULL));
    if (!inch) return;
    ck_assert_ok(file_read(context, path, 1 << 20, &bytes, &count));
    const uint8_t unit[] = {296 & 255, 296 >> 8, 3, 0, 1, 0, 0, 0, 3};
    while (at + sizeof unit < count && memcmp(bytes + at, unit, sizeof unit) != 0) at++;
    ck_assert_uint_lt(at + sizeof unit, count);
    bytes[at + 8] = 2;
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
}

START_TEST(a_resolution_for_printing_is_no_distance) {
    write_tiff(at("p.tif"), 2, 0.3, true);
    write_tiff(at("t.tif"), 4, 0.7, true);
    json_t *result = evaluated(at("p.tif"), at("t.tif"), NULL);
    NEAR(real(result, "mean_hd95"), 2); /* pixels */
    ck_assert(json_is_false(json_object_get(result, "spacing_known")));
    json_decref(result);
    ck_assert_ptr_nonnull(strstr(logged, "for printing; distances count pixels"));
    write_tiff(at("p.tif"), 2, 0.5, false); /* by whoever measured it */
    write_tiff(at("t.tif"), 4, 0.5, false);
    result = evaluated(at("p.tif"), at("t.tif"), NULL);
    NEAR(real(result, "mean_hd95"), 1);
    json_decref(result);
    write_tiff(at("t.tif"), 4, 0.7, false);
    ck_assert_fails(evaluate(at("p.tif"), at("t.tif"), NULL), COVER_ERROR_MISMATCH, "resample one to the other");
}
END_TEST

START_TEST(what_is_no_label_map_is_named) {
    write_map(at("t.png"), "0011"), write_map(at("empty.png"), "0000");
    write_png(at("colour.png"), 1, 4, 3, 1);
    write_text(at("text.png"), "hello");
    const float values[4] = {0, 1, 0.25f, 1};
    write_nifti(at("float.nii"), 16, (int[3]){1, 1, 4}, (double[3]){1, 1, 1}, values);
    ck_assert_fails(evaluate(at("colour.png"), at("t.png"), NULL), COVER_ERROR_FORMAT, "colour.png: 3 channels");
    ck_assert_fails(evaluate(at("text.png"), at("t.png"), NULL), COVER_ERROR_FORMAT, "text.png");
    ck_assert_fails(evaluate(at("float.nii"), at("t.png"), NULL), COVER_ERROR_FORMAT, "voxel 2 holds 0.25");
    ck_assert_fails(evaluate(at("empty.png"), at("empty.png"), NULL), COVER_ERROR_ARGUMENT, "background alone");
}
END_TEST

static char *text_with_threads(int threads) {
    char *text = NULL, *kept;
    cover_context_destroy(context);
    make_context(threads);
    ck_assert_ok(evaluate_text(&text, context, at("pred"), at("ds"), NULL));
    kept = strdup(text);
    cover_text_release(context, text);
    return kept;
}

START_TEST(threads_change_neither_figures_nor_errors) {
    write_dataset();
    char *one = text_with_threads(1), *four = text_with_threads(4);
    ck_assert_str_eq(one, four);
    free(one), free(four);
    write_map(at("pred/b.png"), "00"), write_map(at("pred/c.png"), "000");
    for (int i = 0; i < 5; i++) ck_assert_fails(evaluate(at("pred"), at("ds"), NULL), COVER_ERROR_MISMATCH, "pred/b.png");
}
END_TEST

START_TEST(a_row_a_case_is_written_as_csv) {
    write_dataset();
    cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
    const char *path = at("rows.csv");
    options.csv = path, options.classes = "lung,\"he\"art";
    ck_assert_int_eq(evaluate(at("pred"), at("ds"), &options), COVER_OK);
    struct csv rows;
    ck_assert_ok(csv_read(&rows, context, path, true));
    ck_assert(rows.rows == 4 && rows.columns == 6);
    ck_assert_str_eq(csv_cell(&rows, 0, 3), "dice \"he\"art");
    ck_assert_str_eq(csv_cell(&rows, 2, 0), "b");
    ck_assert_str_eq(csv_cell(&rows, 2, 2), "0.75");
    ck_assert_str_eq(csv_cell(&rows, 2, 3), ""); /* no heart there */
    csv_free(&rows);
}
END_TEST

/* ---- scores */

static void write_scores(void) {
    write_text(at("scores.csv"), "file,cat,dog\nx/1.png,0.9,0.1\nx/2.png,0.4,0.6\ny/3.png,0.3,0.7\ny/4.png,0.2,0.8\n");
    for (int i = 1; i <= 4; i++) write_png(at("tree/%s/%d.png", i < 3 ? "cat" : "dog", i), 2, 2, 1, i);
    write_text(at("labels.csv"), "label,file\ncat,x/1.jpg\ncat,x/2\ndog,y/3.png\ndog,y/4.png\n");
}

START_TEST(scores_meet_class_folders_or_a_list) {
    write_scores();
    for (int i = 0; i < 2; i++) {
        json_t *result = evaluated(at("scores.csv"), at(i ? "labels.csv" : "tree"), NULL);
        NEAR(real(result, "auc"), 1);
        NEAR(real(result, "accuracy"), 0.75);
        json_t *row = json_array_get(json_object_get(result, "confusion"), 0);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 0)), 1);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 1)), 1);
        ck_assert_uint_eq(json_array_size(json_object_get(result, "cases")), 4);
        json_decref(result);
    }
}
END_TEST

START_TEST(scores_of_several_labels_are_multi_label) {
    write_text(at("s.csv"), "file;a;b\n1;0.9;0.1\n2;0.8;0.7\n3;0.2;0.6\n4;0.1;0.2\n");
    write_text(at("l.csv"), "file,label\n1,a\n2, a | b\n3,b\n4,None\n");
    ck_assert_fails(evaluate(at("s.csv"), at("l.csv"), NULL), COVER_ERROR_MISMATCH, "'4' is of class 'None'");
    cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
    options.negative = "None";
    json_t *result = evaluated(at("s.csv"), at("l.csv"), &options);
    ck_assert_str_eq(json_string_value(json_object_get(result, "kind")), "multi-label");
    NEAR(real(result, "auc"), 1);
    NEAR(real(result, "accuracy"), 1);
    ck_assert_ptr_null(json_object_get(result, "confusion"));
    json_decref(result);
}
END_TEST

/* ---- the same as structs */

START_TEST(figures_of_maps_are_there_without_json) {
    write_dataset();
    cover_evaluation *evaluation;
    cover_evaluation_info info = COVER_EVALUATION_INFO_INIT;
    cover_evaluation_class heart = COVER_EVALUATION_CLASS_INIT;
    cover_evaluation_case third = COVER_EVALUATION_CASE_INIT;
    json_t *result = evaluated(at("pred"), at("ds"), NULL), *cases = json_object_get(result, "cases");
    ck_assert_ok(cover_evaluation_compute(&evaluation, context, at("pred"), at("ds"), NULL));
    ck_assert_ok(cover_evaluation_get_info(&info, evaluation));
    ck_assert(info.kind == COVER_EVALUATION_MAPS && info.classes == 2 && info.cases == 3 && info.resamples == 2000);
    ck_assert(!info.spacing_known && info.confidence == 0.95 && info.struct_size == sizeof info);
    NEAR(info.mean_dice, real(result, "mean_dice"));
    NEAR(info.mean_dice_interval[1], json_number_value(json_array_get(json_object_get(result, "mean_dice_interval"), 1)));
    NEAR(info.mean_hd95, real(result, "mean_hd95"));
    ck_assert(isnan(info.auc) && isnan(info.accuracy_interval[0]) && !info.confusion);
    ck_assert_ok(cover_evaluation_class_at(&heart, evaluation, 1));
    ck_assert_str_eq(heart.name, "heart");
    NEAR(heart.dice, real(json_object_get(result, "classes"), "heart"));
    ck_assert_int_eq(heart.hd95_missed, json_integer_value(json_object_get(json_object_get(result, "hd95_missed"), "heart")));
    ck_assert(isnan(heart.auc));
    ck_assert_ok(cover_evaluation_case_at(&third, evaluation, 2));
    ck_assert_str_eq(third.name, "c");
    NEAR(third.dice[1], real(json_object_get(json_array_get(cases, 2), "dice"), "heart"));
    ck_assert(third.dice[0] == 0 && isinf(third.hd95[0])); /* lung: in the label alone */
    ck_assert(!third.scores && !third.labels && third.class_index == -1 && isnan(third.right));
    ck_assert_fails(cover_evaluation_class_at(&heart, evaluation, 2), COVER_ERROR_ARGUMENT, "class 2: there are 2");
    ck_assert_fails(cover_evaluation_case_at(&third, evaluation, -1), COVER_ERROR_ARGUMENT, "case -1: there are 3");
    cover_evaluation_info small = {.struct_size = offsetof(cover_evaluation_info, classes), .classes = 77};
    ck_assert_ok(cover_evaluation_get_info(&small, evaluation));
    ck_assert_int_eq(small.classes, 77); /* behind what its caller knows */
    cover_evaluation_destroy(evaluation);
    json_decref(result);
}
END_TEST

START_TEST(figures_of_scores_are_there_without_json) {
    write_scores();
    cover_evaluation *evaluation;
    cover_evaluation_info info = COVER_EVALUATION_INFO_INIT;
    cover_evaluation_class dog = COVER_EVALUATION_CLASS_INIT;
    cover_evaluation_case second = COVER_EVALUATION_CASE_INIT;
    ck_assert_ok(cover_evaluation_compute(&evaluation, context, at("scores.csv"), at("tree"), NULL));
    ck_assert_ok(cover_evaluation_get_info(&info, evaluation));
    ck_assert(info.kind == COVER_EVALUATION_CLASSES && info.classes == 2 && info.cases == 4);
    ck_assert(info.auc == 1 && info.accuracy == 0.75 && isnan(info.mean_dice));
    ck_assert(info.confusion[0] == 1 && info.confusion[1] == 1 && info.confusion[2] == 0 && info.confusion[3] == 2);
    ck_assert_ok(cover_evaluation_class_at(&dog, evaluation, 1));
    ck_assert_str_eq(dog.name, "dog");
    ck_assert(dog.auc == 1 && isnan(dog.dice));
    ck_assert_ok(cover_evaluation_case_at(&second, evaluation, 1));
    ck_assert_str_eq(second.name, "x/2.png");
    ck_assert(second.right == 0 && second.class_index == 0 && second.labels[0] && !second.labels[1]);
    ck_assert(second.scores[0] == 0.4f && second.scores[1] == 0.6f && !second.dice);
    cover_evaluation_destroy(evaluation);
}
END_TEST

START_TEST(scores_that_do_not_fit_are_named) {
    static const struct {
        const char *scores, *labels, *text;
        cover_status status;
    } cases[] = {
        {"file,a,b\n1,0.5,nan\n2,1,0\n", "file,label\n1,a\n2,b\n", "line 2: the score of class 'b' is NaN", COVER_ERROR_NUMERIC},
        {"file,a,b\n1,0.5,x\n2,1,0\n", "file,label\n1,a\n2,b\n", "'x' is no score", COVER_ERROR_FORMAT},
        {"file,a,b\n1,0.5\n", "file,label\n1,a\n", "line 2 has 2 values", COVER_ERROR_FORMAT},
        {"name,a,b\n1,0.5,1\n", "file,label\n1,a\n", "first column is 'name'", COVER_ERROR_FORMAT},
        {"file,a,a\n1,0.5,1\n", "file,label\n1,a\n", "two columns are named 'a'", COVER_ERROR_FORMAT},
        {"file,a,b\n", "file,label\n1,a\n", "no rows", COVER_ERROR_FORMAT},
        {"file,a,b\n1,1,0\n2,1,0\n", "file,label\n1,a\n2,a\n", "class 'a': all of the 2 cases", COVER_ERROR_ARGUMENT},
        {"file,a,b\n1,1,0\n2,1,0\n", "file,label\n1,a\n", "'2' is not in", COVER_ERROR_MISMATCH},
        {"file,a,b\n1,1,0\n", "file,label\n1,a\n2,a\n", "'2' of", COVER_ERROR_MISMATCH},
        {"file,a,b\n1,1,0\n1,1,0\n", "file,label\n1,a\n2,b\n", "'1' is there twice", COVER_ERROR_MISMATCH},
        {"file,a,b\n1,1,0\n2,1,0\n", "file,label\n1,a\n2,c\n", "'2' is of class 'c'", COVER_ERROR_MISMATCH},
        {"file,a,b\n1,1,0\n2,1,0\n", "file,label\n1,a\n1,b\n", "two lines are about '1'", COVER_ERROR_FORMAT},
        {"file,a,b\n1,1,0\n2,1,0\n", "file,kind\n1,a\n2,b\n", "no column \"label\"", COVER_ERROR_FORMAT},
        {"file,a,b\n1,1,0\n2,1,0\n", "file,label\nu/1,a\nv/1,b\n", "may be u/1 or v/1", COVER_ERROR_MISMATCH},
        {"file,a,b\n\"1,1,0\n", "file,label\n1,a\n", "a quote is not closed", COVER_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(at("s.csv"), cases[i].scores), write_text(at("l.csv"), cases[i].labels);
        ck_assert_fails(evaluate(at("s.csv"), at("l.csv"), NULL), cases[i].status, cases[i].text);
    }
    write_scores();
    write_png(at("tree/bird/5.png"), 2, 2, 1, 5);
    ck_assert_fails(evaluate(at("scores.csv"), at("tree"), NULL), COVER_ERROR_MISMATCH, "bird/5.png: lies in no folder");
}
END_TEST

/* ---- agreement */

START_TEST(two_evaluations_agree_as_pearson_says) {
    static const char form[] = "{\"kind\": \"segmentation\", \"classes\": {\"lung\": 0.8}, \"cases\": ["
                               "{\"case\": \"a\", \"mean_dice\": %s, \"dice\": {\"lung\": 0.9}},"
                               "{\"case\": \"b\", \"mean_dice\": 0.8, \"dice\": {\"lung\": 0.7}},"
                               "{\"case\": \"%s\", \"mean_dice\": 0.7, \"dice\": {\"lung\": 0.7}}]}";
    char text[1024], *out = NULL;
    snprintf(text, sizeof text, form, "0.9", "c"), write_text(at("1.json"), text);
    snprintf(text, sizeof text, form, "0.85", "c"), write_text(at("2.json"), text);
    snprintf(text, sizeof text, form, "0.85", "d"), write_text(at("3.json"), text);
    snprintf(text, sizeof text, form, "null", "c"), write_text(at("4.json"), text);
    ck_assert_ok(cover_evaluation_agreement(&out, context, at("1.json"), at("2.json")));
    json_t *result = json_loads(out, 0, NULL);
    NEAR(real(result, "r"), 0.98198050606196574);
    NEAR(real(result, "mean_difference"), -0.05 / 3);
    NEAR(real(json_object_get(json_object_get(result, "classes"), "lung"), "r"), 1);
    json_decref(result);
    cover_text_release(context, out);
    write_text(at("tuned.json"), "{\"task\": \"seg\", \"best\": {\"step\": 3, \"classes\": {\"lung\": 0.8}, \"cases\": ["
                                 "{\"name\": \"c\", \"mean_dice\": 0.7, \"dice\": {\"lung\": 0.7}},"
                                 "{\"name\": \"a\", \"mean_dice\": 0.85, \"dice\": {\"lung\": 0.9}},"
                                 "{\"name\": \"b\", \"mean_dice\": 0.8, \"dice\": {\"lung\": 0.7}}]}}");
    ck_assert_ok(cover_evaluation_agreement(&out, context, at("1.json"), at("tuned.json")));
    result = json_loads(out, 0, NULL);
    NEAR(real(result, "r"), 0.98198050606196574);
    json_decref(result);
    cover_text_release(context, out);
    write_text(at("cls.json"), "{\"task\": \"cls\", \"best\": {\"cases\": []}}");
    ck_assert_fails(cover_evaluation_agreement(&out, context, at("1.json"), at("cls.json")), COVER_ERROR_ARGUMENT, "no Dice");
    ck_assert_fails(cover_evaluation_agreement(&out, context, at("1.json"), at("3.json")), COVER_ERROR_MISMATCH, "case 'c'");
    ck_assert_fails(cover_evaluation_agreement(&out, context, at("1.json"), at("4.json")), COVER_ERROR_ARGUMENT, "2 cases");
    write_text(at("5.json"), "{}"), write_text(at("6.json"), "{\"kind\": \"classification\", \"cases\": []}");
    ck_assert_fails(cover_evaluation_agreement(&out, context, at("5.json"), at("1.json")), COVER_ERROR_FORMAT, "no evaluation");
    ck_assert_fails(cover_evaluation_agreement(&out, context, at("1.json"), at("6.json")), COVER_ERROR_ARGUMENT, "no Dice");
}
END_TEST

/* ---- hostile surroundings */

START_TEST(any_refused_request_is_an_error_and_nothing_is_lost) {
    write_dataset(), write_scores();
    const cover_allocator allocator = {refusing_allocate, refusing_release, NULL};
    static const char *const pairs[][2] = {{"pred", "ds"}, {"scores.csv", "tree"}, {"scores.csv", "labels.csv"}};
    for (int pair = 0; pair < 3; pair++)
        for (long long n = 0, ended = 0; !ended; n++) {
            cover_context_options with = COVER_CONTEXT_OPTIONS_INIT;
            cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
            cover_context *poor = NULL;
            char *text = NULL;
            const char *csv = at("out.csv");
            with.allocator = &allocator, with.threads = 1, options.resamples = 3, options.csv = csv;
            atomic_store(&refuse_at, -1);
            ck_assert_ok(cover_context_create(&poor, &with));
            atomic_store(&requests, 0);
            atomic_store(&refuse_at, n);
            const cover_status status = evaluate_text(&text, poor, at("%s", pairs[pair][0]), at("%s", pairs[pair][1]), &options);
            ended = atomic_load(&requests) <= n;
            ck_assert_msg(status == (ended ? COVER_OK : COVER_ERROR_MEMORY), "request %lld: %s: %s", n, cover_status_name(status),
                          cover_error_text());
            cover_text_release(poor, text);
            cover_context_destroy(poor);
            ck_assert_int_eq(atomic_load(&alive), 0);
        }
}
END_TEST

static int stop_at_once(void *user, int64_t done, int64_t total, const char *what) {
    (void)user, (void)done, (void)total, (void)what;
    return 1;
}

START_TEST(an_evaluation_can_be_stopped) {
    write_dataset();
    cover_evaluate_options options = COVER_EVALUATE_OPTIONS_INIT;
    options.progress = stop_at_once;
    ck_assert_int_eq(evaluate(at("pred"), at("ds"), &options), COVER_ERROR_CANCELLED);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("evaluate");
    TCase *tcase = tcase_create("evaluate");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, folders_are_matched_by_name_and_means_are_over_cases);
    ADD(tcase, a_dataset_its_labels_and_two_files_name_the_same_classes);
    ADD(tcase, classes_may_be_given_with_or_without_labels);
    ADD(tcase, unnamed_labels_that_have_none_in_common_are_refused_but_for_masks);
    ADD(tcase, pixels_to_ignore_count_for_neither_side);
    ADD(tcase, cases_that_one_list_lacks_are_named);
    ADD(tcase, another_geometry_is_refused_with_both_values);
    ADD(tcase, hd95_counts_millimetres);
    ADD(tcase, a_resolution_for_printing_is_no_distance);
    ADD(tcase, what_is_no_label_map_is_named);
    ADD(tcase, threads_change_neither_figures_nor_errors);
    ADD(tcase, a_row_a_case_is_written_as_csv);
    ADD(tcase, scores_meet_class_folders_or_a_list);
    ADD(tcase, scores_of_several_labels_are_multi_label);
    ADD(tcase, figures_of_maps_are_there_without_json);
    ADD(tcase, figures_of_scores_are_there_without_json);
    ADD(tcase, scores_that_do_not_fit_are_named);
    ADD(tcase, two_evaluations_agree_as_pearson_says);
    ADD(tcase, any_refused_request_is_an_error_and_nothing_is_lost);
    ADD(tcase, an_evaluation_can_be_stopped);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
