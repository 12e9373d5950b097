/* nnU-Net raw datasets: channels, labels, the label to ignore, listed cases, geometry, folds, and what is wrong in
 * them. */
#include "../files.h"

#include "io/dataset/reader.h"
#include "io/image/image_rules.h"

/* name, split and class of a sample in one text, to compare in one line. */
static const char *told(const cover_dataset *dataset, int64_t index) {
    static char text[512];
    const cover_sample_info info = sample_of(dataset, index);
    snprintf(text, sizeof text, "%s split %d class %d label %d", info.name, info.split, info.class_index, info.has_label);
    return text;
}

static json_t *about_of(const cover_dataset *dataset) {
    size_t bytes;
    const char *text = dataset_about(dataset, &bytes);
    json_t *about = json_loadb(text, bytes, 0, NULL);
    ck_assert_ptr_nonnull(about);
    return about;
}

static const char nnunet_json[] = "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"labels\": {\"background\": 0, "
                                  "\"lung\": 1, \"heart\": 2}, \"numTraining\": 2, \"file_ending\": \".png\"}";

static void write_nnunet(void) {
    write_text(at("raw/dataset.json"), nnunet_json);
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 2; c++)
            write_png(at("raw/images%s/case_%02d_%04d.png", i < 2 ? "Tr" : "Ts", i, c), 6, 5 + i, 1, 2 * i + c);
    for (int i = 0; i < 2; i++) write_label(at("raw/labelsTr/case_%02d.png", i), 6, 5 + i, 3);
}

START_TEST(an_nnunet_raw_dataset_keeps_channels_labels_and_splits) {
    write_nnunet();
    json_t *summary;
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "samples"), 3);
    ck_assert_int_eq(number(summary, "channels"), 2);
    ck_assert_int_eq(number(summary, "classes"), 3);
    ck_assert_int_eq(number(summary, "labels"), 2);
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "case_00 split 1 class -1 label 1");
    ck_assert_str_eq(told(dataset, 2), "case_02 split 3 class -1 label 0");
    cover_tensor *image;
    ck_assert_ok(cover_dataset_read(&image, dataset, 1));
    ck_assert_int_eq(cover_tensor_shape(image)[0], 2);
    for (int c = 0; c < 2; c++)
        for (int k = 0; k < 36; k++) {
            const uint8_t *pixels = cover_tensor_data(image);
            ck_assert_uint_eq(pixels[c * cover_tensor_strides(image)[0] + k * cover_tensor_strides(image)[2]], value_of(2 + c, k));
        }
    cover_tensor_destroy(image);
    json_t *about = about_of(dataset);
    ck_assert_int_eq(number(json_object_get(about, "label_names"), "heart"), 2);
    static const char *const names[] = {"background", "lung", "heart"};
    for (int c = 0; c < 3; c++) ck_assert_str_eq(cover_dataset_class_name(dataset, c), names[c]);
    json_decref(about);
    cover_dataset_destroy(dataset);
    ck_assert_ok(pack(at("raw/dataset.json"), at("again.h5"), NULL, NULL));
}
END_TEST

START_TEST(a_broken_nnunet_dataset_names_case_and_remedy) {
    write_nnunet();
    write_label(at("raw/labelsTr/case_01.png"), 6, 6, 4); /* value 3 has no name */
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "names labels up to 2");
    unlink(at("raw/labelsTr/case_01.png"));
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "labelsTr/case_01.png is missing");
    write_label(at("raw/labelsTr/case_01.png"), 6, 6, 3);
    unlink(at("raw/imagesTr/case_01_0000.png"));
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "case case_01 has no channel 0000: ");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "raw/imagesTr/case_01_0000.png is missing"));
    unlink(at("raw/imagesTr/case_01_0001.png"));
    write_png(at("raw/imagesTr/case_01_0000.png"), 6, 6, 1, 9);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "1 channel in 1 file, but dataset.json names 2");
    write_png(at("raw/imagesTr/case_01_0001.png"), 7, 6, 1, 9);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "but the channels before it are 1x6x6");
    write_png(at("raw/imagesTr/case_01_0001.png"), 6, 6, 1, 9);
    write_png(at("raw/imagesTr/stray.png"), 6, 6, 1, 9);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "not named CASE_0000.png");
    unlink(at("raw/imagesTr/stray.png"));
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
}
END_TEST

START_TEST(a_broken_dataset_json_names_the_field) {
    static const struct {
        const char *json, *part;
        cover_status status;
    } cases[] = {
        {"", "not sound JSON", COVER_ERROR_FORMAT},
        {"{\"channel_names\": ", "not sound JSON", COVER_ERROR_FORMAT},
        {"[]", "not a JSON object", COVER_ERROR_FORMAT},
        {"{\"file_ending\": \".png\"}", "\"channel_names\" is missing", COVER_ERROR_FORMAT},
        {"{\"channel_names\": {}, \"file_ending\": \".png\"}", "\"channel_names\" is missing", COVER_ERROR_FORMAT},
        {"{\"channel_names\": {\"0\": \"a\"}}", "\"file_ending\" is missing", COVER_ERROR_FORMAT},
        {"{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \".mha\"}", "a format that is not read", COVER_ERROR_UNSUPPORTED},
        {"{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \"../x\"}", "\"file_ending\"", COVER_ERROR_FORMAT},
        {"{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \".png\", \"labels\": 3}", "\"labels\"", COVER_ERROR_FORMAT},
        {"{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \".png\", \"labels\": {\"a\": -1}}", "0 to 65535",
         COVER_ERROR_FORMAT},
        {"{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \".png\", \"labels\": {\"a\": [1, \"b\"]}}", "region",
         COVER_ERROR_FORMAT},
        {"{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \".png\", \"labels\": {}}", "names no label", COVER_ERROR_FORMAT},
    };
    write_nnunet();
    write_text(at("raw/dataset.json"), cases[_i].json);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), cases[_i].status, cases[_i].part);
}
END_TEST

START_TEST(regions_and_version_1_labels_are_understood) {
    write_nnunet();
    write_text(at("raw/dataset.json"), "{\"modality\": {\"0\": \"T1\", \"1\": \"T2\"}, \"file_ending\": \".png\", "
                                       "\"labels\": {\"0\": \"background\", \"1\": \"lung\", \"2\": \"heart\"}}");
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(cover_dataset_class_name(dataset, 2), "heart");
    cover_dataset_destroy(dataset);
    write_text(at("raw/dataset.json"), "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"file_ending\": \".png\", "
                                       "\"labels\": {\"background\": 0, \"whole\": [1, 2], \"core\": 2}}");
    json_t *summary;
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "classes"), 3);
    json_decref(summary);
    dataset = open_dataset(at("out.h5"));
    ck_assert_ptr_null(cover_dataset_class_name(dataset, 1));
    ck_assert_ptr_nonnull(strstr(logged, "'whole' is a region of several labels"));
    ck_assert_str_eq(dataset_region(dataset), "whole");
    ck_assert_str_eq(cover_dataset_class_name(dataset, 2), "core");
    cover_dataset_destroy(dataset);
}
END_TEST

/* A dataset of this dataset.json with two 2D cases of one channel; labels of the given number of values. */
static void write_small(const char *json, int values) {
    write_text(at("raw/dataset.json"), json);
    for (int i = 0; i < 2; i++) {
        write_png(at("raw/imagesTr/c%d_0000.png", i), 6, 6, 1, i);
        write_label(at("raw/labelsTr/c%d.png", i), 6, 6, values);
    }
}

#define ONE_CHANNEL "{\"channel_names\": {\"0\": \"a\"}, \"file_ending\": \".png\", "

START_TEST(the_label_to_ignore_is_no_class) {
    write_small(ONE_CHANNEL "\"labels\": {\"background\": 0, \"lung\": 1, \"ignore\": 2}}", 3);
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    ck_assert_ok(cover_dataset_get_info(&info, dataset));
    ck_assert_int_eq(info.classes, 2);
    ck_assert_int_eq(info.ignore_label, 2);
    ck_assert_ptr_null(cover_dataset_class_name(dataset, 2));
    cover_tensor *label;
    ck_assert_ok(cover_dataset_read_label(&label, dataset, 0));
    ck_assert_uint_eq(((const uint8_t *)cover_tensor_data(label))[6], 2); /* it stays where it is */
    cover_tensor_destroy(label);
    cover_dataset_destroy(dataset);
    write_small(ONE_CHANNEL "\"labels\": {\"background\": 0, \"ignore\": 1, \"lung\": 2}}", 3);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "ignore is 1, but it must be the highest");
}
END_TEST

START_TEST(without_a_label_to_ignore_there_is_none) {
    write_small(ONE_CHANNEL "\"labels\": {\"background\": 0, \"lung\": 1}}", 2);
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    ck_assert_ok(cover_dataset_get_info(&info, dataset));
    ck_assert_int_eq(info.ignore_label, -1);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_class_that_no_label_map_holds_is_a_warning) {
    write_small(ONE_CHANNEL "\"labels\": {\"background\": 0, \"lung\": 1, \"heart\": 2}}", 2);
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "class 2 (heart) is empty: no label map holds it"));
    ck_assert_ptr_null(strstr(logged, "(lung)"));
}
END_TEST

START_TEST(cases_may_be_listed_in_dataset_json) {
    char json[1024];
    write_png(at("else/x.png"), 6, 6, 1, 3);
    write_label(at("raw/masks/x.png"), 6, 6, 2);
    write_png(at("raw/y.png"), 6, 6, 1, 4);
    snprintf(json, sizeof json,
             ONE_CHANNEL "\"labels\": {\"background\": 0, \"lung\": 1}, \"dataset\": {"
                         "\"case_y\": {\"images\": [\"y.png\"], \"label\": \"masks/x.png\"}, "
                         "\"case_x\": {\"images\": [\"%s\"], \"label\": \"./masks/x.png\"}}}",
             at("else/x.png"));
    write_text(at("raw/dataset.json"), json);
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "case_x split 1 class -1 label 1");
    ck_assert_str_eq(told(dataset, 1), "case_y split 1 class -1 label 1");
    cover_dataset_destroy(dataset);
    ck_assert_ptr_nonnull(strstr(logged, "1 files that it lists lie outside of its folder; the first is "));
    unlink(at("raw/y.png"));
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "case case_y has no channel 0000: ");
    unlink(at("raw/masks/x.png"));
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "masks/x.png is missing");
    write_text(at("raw/dataset.json"), ONE_CHANNEL "\"dataset\": {\"a\": {\"images\": []}}}");
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "case a must have \"images\"");
}
END_TEST

static const char decathlon[] = "{\"name\": \"Hippocampus\", \"tensorImageSize\": \"3D\", \"modality\": {\"0\": \"MRI\"}, "
                                "\"labels\": {\"0\": \"background\", \"1\": \"Anterior\", \"2\": \"Posterior\"}, "
                                "\"training\": [{\"image\": \"./imagesTr/h_007.nii\", \"label\": \"./labelsOther/h_007.nii\"}], "
                                "\"test\": [\"./imagesTs/h_001.nii\"]}";

START_TEST(the_medical_segmentation_decathlon_is_read_as_it_comes) {
    const int size[3] = {3, 4, 5};
    const double spacing[3] = {1, 1, 1};
    uint8_t voxels[60];
    for (int k = 0; k < 60; k++) voxels[k] = (uint8_t)(k * 3);
    write_text(at("task/dataset.json"), decathlon);
    write_nifti(at("task/imagesTr/h_007.nii"), 2, size, spacing, voxels);
    write_nifti(at("task/imagesTs/h_001.nii"), 2, size, spacing, voxels);
    write_nifti(at("task/labelsTr/h_007.nii"), 2, size, spacing, voxels); /* not the one that is listed */
    for (int k = 0; k < 60; k++) voxels[k] = (uint8_t)(k % 3);
    write_nifti(at("task/labelsOther/h_007.nii"), 2, size, spacing, voxels);
    ck_assert_ok(pack(at("task"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "h_007 split 1 class -1 label 1");
    ck_assert_str_eq(told(dataset, 1), "h_001 split 3 class -1 label 0");
    ck_assert_str_eq(cover_dataset_class_name(dataset, 2), "Posterior");
    cover_dataset_destroy(dataset);
    rename(at("task/imagesTr/h_007.nii"), at("task/imagesTr/h_007_0000.nii")); /* as nnU-Net's first version has them */
    ck_assert_ok(pack(at("task"), at("out.h5"), NULL, NULL));
    unlink(at("task/imagesTr/h_007_0000.nii"));
    ck_assert_fails(pack(at("task"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "h_007.nii: dataset.json lists it, but there is no");
    write_text(at("task/dataset.json"), "{\"modality\": {\"0\": \"MRI\"}, \"training\": [{\"image\": \"a.png\"}, {\"label\": 3}]}");
    ck_assert_fails(pack(at("task"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "\"training\": entry 1 must have \"image\"");
}
END_TEST

START_TEST(a_missing_channel_is_named_with_its_file) {
    write_text(at("raw/dataset.json"), "{\"channel_names\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}, "
                                       "\"file_ending\": \".png\"}");
    for (int c = 0; c < 2; c++) write_png(at("raw/imagesTr/k_%04d.png", c), 6, 6, 1, c);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "case k has no channel 0002: ");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "raw/imagesTr/k_0002.png is missing"));
}
END_TEST

START_TEST(a_label_map_without_its_image_is_not_passed_over) {
    write_nnunet();
    write_label(at("raw/labelsTr/case_07.png"), 6, 6, 3);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "labelsTr/case_07.png: a label map without its image in imagesTr");
    unlink(at("raw/labelsTr/case_07.png"));
    write_label(at("raw/labelsTs/case_02.png"), 6, 7, 3);
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 2), "case_02 split 3 class -1 label 1");
    cover_dataset_destroy(dataset);
}
END_TEST

/* A 3D dataset: each case with its own spacing, its label with another. */
static void write_volumes(const double spacing[][3], const double label_spacing[][3], int count) {
    static const int size[3] = {4, 5, 6};
    uint8_t values[120], labels[120];
    write_text(at("raw/dataset.json"), "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"b\": 0, \"o\": 1}, "
                                       "\"file_ending\": \".nii\"}");
    for (int k = 0; k < 120; k++) values[k] = value_of(3, k), labels[k] = k % 2;
    for (int i = 0; i < count; i++) {
        write_nifti(at("raw/imagesTr/v%d_0000.nii", i), 2, size, spacing[i], values);
        write_nifti(at("raw/labelsTr/v%d.nii", i), 2, size, label_spacing[i], labels);
    }
}

START_TEST(a_label_map_that_lies_elsewhere_than_its_image_is_an_error_with_both_places) {
    static const double spacing[][3] = {{2, 1, 1}}, close[][3] = {{2, 1, 1.001}}, far[][3] = {{2, 1, 1.5}};
    write_volumes(spacing, close, 1);
    ck_assert_ok(pack(at("raw"), at("out.h5"), NULL, NULL));
    write_volumes(spacing, far, 1);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "it lies elsewhere");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "its corner is at (17.5, 20, 30) mm, that of the image at (15, 20, 30) mm"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "2, 1, 1.5 and 2, 1, 1 mm"));
}
END_TEST

START_TEST(channels_that_lie_elsewhere_than_the_first_are_an_error) {
    static const int size[3] = {4, 5, 6};
    static const double here[3] = {2, 1, 1}, there[3] = {2, 1.2, 1};
    uint8_t values[120];
    for (int k = 0; k < 120; k++) values[k] = value_of(3, k);
    write_text(at("raw/dataset.json"), "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"file_ending\": \".nii\"}");
    for (int c = 0; c < 2; c++) write_nifti(at("raw/imagesTr/v_%04d.nii", c), 2, size, c ? there : here, values);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "v_0001.nii lies elsewhere");
}
END_TEST

START_TEST(the_median_spacing_is_found_and_recorded) {
    static const double spacing[][3] = {{2, 1, 1}, {4, 1, 1}, {3, 0.5, 1}, {3.5, 2, 1}};
    write_volumes(spacing, spacing, 4);
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.spacing_median = 1;
    ck_assert_ok(pack(at("raw"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    struct image_rules rules;
    ck_assert_ok(dataset_rules(&rules, dataset));
    ck_assert(rules.spacing_mm[0] == 3.25 && rules.spacing_mm[1] == 1 && rules.spacing_mm[2] == 1);
    ck_assert_int_eq(sample_of(dataset, 3).size[1], 10);
    cover_dataset_destroy(dataset);
    options.size[2] = 7;
    ck_assert_fails(pack(at("raw"), at("out.h5"), &options, NULL), COVER_ERROR_ARGUMENT, "use one of them");
    options.size[2] = 0;
    write_png(at("flat/a.png"), 6, 6, 1, 1);
    ck_assert_fails(pack(at("flat"), at("out.h5"), &options, NULL), COVER_ERROR_SHAPE, "no image says its spacing");
}
END_TEST

START_TEST(a_fold_of_splits_final_json_is_a_split) {
    write_nnunet();
    write_text(at("raw/splits_final.json"), "[{\"train\": [\"case_00\"], \"val\": [\"case_01\"]}, "
                                            "{\"train\": [\"case_01\", \"gone\"], \"val\": [\"case_00\"]}]");
    static const char *const folds[] = {"", ":0", ":1"};
    for (int f = 0; f < 3; f++) {
        char split[512];
        snprintf(split, sizeof split, "%s%s", at("raw/splits_final.json"), folds[f]);
        cover_pack_options options = COVER_PACK_OPTIONS_INIT;
        options.split = split;
        ck_assert_ok(pack(at("raw"), at("out.h5"), &options, NULL));
        cover_dataset *dataset = open_dataset(at("out.h5"));
        ck_assert_int_eq(sample_of(dataset, 0).split, f < 2 ? 1 : 2);
        ck_assert_int_eq(sample_of(dataset, 1).split, f < 2 ? 2 : 1);
        ck_assert_int_eq(sample_of(dataset, 2).split, 3); /* of imagesTs */
        cover_dataset_destroy(dataset);
    }
    ck_assert_ptr_nonnull(strstr(logged, "1 of 3 cases of fold 1 are not in the sources"));
}
END_TEST

START_TEST(a_broken_list_of_folds_says_where) {
    static const struct {
        const char *json, *fold, *part;
    } cases[] = {
        {"{}", "", "not a list of folds"},
        {"[]", "", "not a list of folds"},
        {"[{\"train\": [], \"val\": []}]", ":1", "fold 1 was asked for, but there are folds 0 to 0"},
        {"[{\"train\": []}]", "", "fold 0 has no list \"val\""},
        {"[{\"train\": [3], \"val\": []}]", "", "holds what is no name"},
        {"[{\"train\": [\"a\"], \"val\": [\"a\"]}]", "", "has case a twice"},
        {"[{\"train\": [\"case_00\"], \"val\": []}]", "", "case_01_0000.png: not listed in this fold"},
    };
    write_nnunet();
    write_text(at("raw/splits_final.json"), cases[_i].json);
    char split[512];
    snprintf(split, sizeof split, "%s%s", at("raw/splits_final.json"), cases[_i].fold);
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.split = split;
    ck_assert_int_ne(pack(at("raw"), at("out.h5"), &options, NULL), COVER_OK);
    ck_assert_msg(strstr(cover_error_text(), cases[_i].part) != NULL, "%s", cover_error_text());
}
END_TEST

START_TEST(refused_memory_is_an_error) {
    write_nnunet();
    write_text(at("raw/splits_final.json"), "[{\"train\": [\"case_00\"], \"val\": [\"case_01\"]}]");
    pack_with_refusals(at("raw"), at("raw/splits_final.json"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pack: nnU-Net");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    ADD(all, an_nnunet_raw_dataset_keeps_channels_labels_and_splits);
    ADD(all, a_broken_nnunet_dataset_names_case_and_remedy);
    tcase_add_loop_test(all, a_broken_dataset_json_names_the_field, 0, 12);
    ADD(all, regions_and_version_1_labels_are_understood);
    ADD(all, the_label_to_ignore_is_no_class);
    ADD(all, without_a_label_to_ignore_there_is_none);
    ADD(all, a_class_that_no_label_map_holds_is_a_warning);
    ADD(all, cases_may_be_listed_in_dataset_json);
    ADD(all, the_medical_segmentation_decathlon_is_read_as_it_comes);
    ADD(all, a_missing_channel_is_named_with_its_file);
    ADD(all, a_label_map_without_its_image_is_not_passed_over);
    ADD(all, a_label_map_that_lies_elsewhere_than_its_image_is_an_error_with_both_places);
    ADD(all, channels_that_lie_elsewhere_than_the_first_are_an_error);
    ADD(all, the_median_spacing_is_found_and_recorded);
    ADD(all, a_fold_of_splits_final_json_is_a_split);
    tcase_add_loop_test(all, a_broken_list_of_folds_says_where, 0, 7);
    ADD(all, refused_memory_is_an_error);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
