/* What each kind of source becomes: folders, splits and classes, pairs, collections, and what CSV files say of them. */
#include "../files.h"

#include "io/dataset/dataset.h"

/* name, split and class of a sample in one text, to compare in one line. */
static const char *told(const cover_dataset *dataset, int64_t index) {
    static char text[512];
    const cover_sample_info info = sample_of(dataset, index);
    snprintf(text, sizeof text, "%s split %d class %d label %d", info.name, info.split, info.class_index, info.has_label);
    return text;
}

static const char *patient_of(const cover_dataset *dataset, int64_t index) {
    static char name[DATASET_NAME_MAX + 1], patient[DATASET_NAME_MAX + 1];
    struct dataset_row row;
    ck_assert_ok(dataset_row(dataset, index, &row));
    ck_assert_ok(dataset_names(dataset, &row, name, patient));
    return patient;
}

static json_t *about_of(const cover_dataset *dataset) {
    size_t bytes;
    const char *text = dataset_about(dataset, &bytes);
    json_t *about = json_loadb(text, bytes, 0, NULL);
    ck_assert_ptr_nonnull(about);
    return about;
}

START_TEST(a_folder_is_walked_in_the_order_of_names) {
    json_t *summary;
    write_png(at("in/b/x.png"), 6, 5, 1, 1);
    write_png(at("in/a.png"), 7, 5, 1, 2);
    write_png(at("in/b/deep/er/y.PNG"), 6, 9, 1, 3);
    write_text(at("in/labels.csv"), "file\n");
    write_text(at("in/readme.txt"), "hello");
    write_text(at("in/.hidden.png"), "not an image");
    write_text(at("in/.cache/z.png"), "not an image");
    ck_assert_int_eq(symlink(at("in"), at("in/b/loop")), 0);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "samples"), 3);
    ck_assert_int_eq(number(summary, "skipped"), 2);
    ck_assert_int_eq(number(summary, "dims"), 2);
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "a.png split 0 class -1 label 0");
    ck_assert_str_eq(told(dataset, 1), "b/deep/er/y.PNG split 0 class -1 label 0");
    ck_assert_str_eq(told(dataset, 2), "b/x.png split 0 class -1 label 0");
    cover_tensor *image;
    ck_assert_ok(cover_dataset_read(&image, dataset, 1));
    ck_assert_int_eq(cover_tensor_rank(image), 3);
    const uint8_t *pixels = cover_tensor_data(image);
    for (int k = 0; k < 54; k++) ck_assert_uint_eq(pixels[k], value_of(3, k));
    cover_tensor_destroy(image);
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    ck_assert_ok(cover_dataset_get_info(&info, dataset));
    ck_assert(info.min_size[1] == 6 && info.max_size[1] == 7 && info.min_size[2] == 5 && info.max_size[2] == 9);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(single_images_and_several_sources_are_taken_in_their_order) {
    write_png(at("one.png"), 6, 5, 1, 1);
    write_png(at("more/two.png"), 6, 5, 1, 2);
    const char *sources[] = {at("one.png"), at("more/")};
    ck_assert_ok(cover_dataset_pack(NULL, context, sources, 2, at("out.h5"), NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "one.png split 0 class -1 label 0");
    ck_assert_str_eq(told(dataset, 1), "more/two.png split 0 class -1 label 0");
    json_t *about = about_of(dataset), *listed = json_object_get(about, "sources");
    ck_assert_uint_eq(json_array_size(listed), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(listed, 1), "layout")), "folder");
    json_decref(about);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(class_folders_give_splits_and_classes) {
    for (int i = 0; i < 8; i++)
        write_png(at("in/%s/%s/%d.png", i < 4 ? "train" : i < 6 ? "val" : "test", i % 2 ? "sick" : "fine", i), 6, 6, 1, i);
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "classes"), 2);
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "test/fine/6.png split 3 class 0 label 0");
    ck_assert_str_eq(told(dataset, 1), "test/sick/7.png split 3 class 1 label 0");
    ck_assert_str_eq(told(dataset, 2), "train/fine/0.png split 1 class 0 label 0");
    ck_assert_str_eq(told(dataset, 7), "val/sick/5.png split 2 class 1 label 0");
    json_t *about = about_of(dataset);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(about, "class_names"), 1)), "sick");
    json_decref(about);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(split_folders_without_classes_keep_the_split) {
    write_png(at("in/train/a.png"), 6, 6, 1, 1);
    write_png(at("in/val/b.png"), 6, 6, 1, 2);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "train/a.png split 1 class -1 label 0");
    ck_assert_str_eq(told(dataset, 1), "val/b.png split 2 class -1 label 0");
    cover_dataset_destroy(dataset);
    write_png(at("in/train/sick/c.png"), 6, 6, 1, 3);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "put every image into SPLIT/CLASS/");
}
END_TEST

START_TEST(subfolders_of_a_plain_folder_are_no_classes) {
    write_png(at("in/fine/a.png"), 6, 6, 1, 1);
    write_png(at("in/sick/b.png"), 6, 6, 1, 2);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 1), "sick/b.png split 0 class -1 label 0");
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(images_and_labels_are_paired_by_name) {
    write_png(at("in/images/a.png"), 6, 5, 1, 1);
    write_png(at("in/images/sub/b.png"), 8, 5, 1, 2);
    write_png(at("in/images/c.png"), 6, 5, 1, 3);
    write_label(at("in/labels/a.png"), 6, 5, 3);
    write_label(at("in/labels/sub/b.png"), 8, 5, 4);
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "samples"), 3);
    ck_assert_int_eq(number(summary, "labels"), 2);
    ck_assert_int_eq(number(summary, "classes"), 4);
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "a.png split 0 class -1 label 1");
    ck_assert_str_eq(told(dataset, 1), "c.png split 0 class -1 label 0");
    ck_assert_str_eq(told(dataset, 2), "sub/b.png split 0 class -1 label 1");
    cover_tensor *label;
    ck_assert_ok(cover_dataset_read_label(&label, dataset, 2));
    ck_assert_int_eq(cover_tensor_dtype(label), COVER_U8);
    for (int k = 0; k < 40; k++) ck_assert_uint_eq(((uint8_t *)cover_tensor_data(label))[k], k / 3 % 4);
    cover_tensor_destroy(label);
    cover_dataset_destroy(dataset);

    write_label(at("in/labels/lonely.png"), 6, 5, 3);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "labels/lonely.png: a label without an image");
    unlink(at("in/labels/lonely.png"));
    write_label(at("in/labels/c.png"), 5, 5, 3);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "labels/c.png: it is 1x5x5, but its image ");
    unlink(at("in/labels/c.png"));
    write_png(at("in/preview.png"), 6, 5, 1, 4);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "move it into images/");
}
END_TEST

START_TEST(label_maps_have_many_names_and_splits_may_lie_above_or_below) {
    static const char *const forms[][4] = {
        {"images/%s", "masks/%s", "x.png", "0"},
        {"Images/%s", "Annotations/%s", "x.png", "0"},
        {"img/%s", "gt/%s", "x.png", "0"},
        {"images/valid/%s", "masks/valid/%s", "valid/x.png", "2"},
        {"valid/images/%s", "valid/masks/%s", "valid/x.png", "2"},
        {"data/set/test/imgs/%s", "data/set/test/seg/%s", "test/x.png", "3"},
    };
    char text[64], path[128];
    for (int f = 0; f < 6; f++) {
        snprintf(path, sizeof path, "%d/%s", f, forms[f][0]);
        write_png(at(path, "x.png"), 6, 5, 1, 1);
        snprintf(path, sizeof path, "%d/%s", f, forms[f][1]);
        write_label(at(path, "x.png"), 6, 5, 3);
        ck_assert_ok(pack(at("%d", f), at("out.h5"), NULL, NULL));
        cover_dataset *dataset = open_dataset(at("out.h5"));
        snprintf(text, sizeof text, "%s split %s class -1 label 1", forms[f][2], forms[f][3]);
        ck_assert_str_eq(told(dataset, 0), text);
        cover_dataset_destroy(dataset);
    }
    write_label(at("0/annotations/x.png"), 6, 5, 3);
    ck_assert_fails(pack(at("0"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "holds label maps in annotations/ and in masks/");
    write_label(at("4/valid/masks/lonely.png"), 6, 5, 3);
    ck_assert_fails(pack(at("4"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "lonely.png: a label without an image");
    write_png(at("raw/imagesTr/x_0000.png"), 6, 5, 1, 1);
    write_label(at("raw/labelsTr/x.png"), 6, 5, 3);
    ck_assert_fails(pack(at("raw"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "no dataset.json");
    write_png(at("all/one/imagesTr/x_0000.png"), 6, 5, 1, 1);
    write_label(at("all/one/labelsTr/x.png"), 6, 5, 3);
    write_png(at("all/two/imagesTr/y_0000.png"), 6, 5, 1, 1);
    ck_assert_fails(pack(at("all"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "one/labelsTr/x.png lies in an nnU-Net raw dataset");
}
END_TEST

START_TEST(a_folder_of_the_same_names_that_is_taken_for_images_is_a_warning) {
    write_png(at("in/images/a.png"), 6, 5, 1, 1);
    write_png(at("in/images/b.png"), 6, 5, 1, 2);
    write_png(at("in/outlines/a.png"), 6, 5, 1, 3);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "1 images such as outlines/a.png have the name of one in the folder of images"));
    logged[0] = 0;
    write_png(at("deep/p1/images/a.png"), 6, 5, 1, 1);
    write_png(at("deep/p2/Masks/a.png"), 6, 5, 1, 2);
    ck_assert_ok(pack(at("deep"), at("out.h5"), NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "1 files such as p2/Masks/a.png look like label maps, but become images"));
    logged[0] = 0;
    rename(at("in/images"), at("in/first"));
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL)); /* two patients may have the same names */
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(splits_have_many_names_and_an_unknown_one_is_named) {
    static const char *const words[] = {"valid", "validation", "dev", "Val"};
    char text[64];
    for (int w = 0; w < 4; w++) {
        write_png(at("%d/train/ill/a.png", w), 6, 6, 1, 1);
        write_png(at("%d/%s/well/b.png", w, words[w]), 6, 6, 1, 2);
        ck_assert_ok(pack(at("%d", w), at("out.h5"), NULL, NULL));
        cover_dataset *dataset = open_dataset(at("out.h5"));
        const bool first = words[w][0] < 't'; /* names are sorted */
        snprintf(text, sizeof text, "%s/well/b.png split 2 class 1 label 0", words[w]);
        ck_assert_str_eq(told(dataset, first ? 0 : 1), text);
        ck_assert_str_eq(told(dataset, first ? 1 : 0), "train/ill/a.png split 1 class 0 label 0");
        cover_dataset_destroy(dataset);
    }
    write_png(at("0/holdout/ill/c.png"), 6, 6, 1, 3);
    ck_assert_fails(pack(at("0"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "beside it holdout/ill/c.png, which is in none of the splits");
}
END_TEST

START_TEST(links_multiply_nothing_and_lead_nowhere_twice) {
    enum { FOLDERS = 30 };
    for (int i = 0; i < FOLDERS; i++) ck_assert_ok(folder_create(at("in/d%02d", i)));
    for (int i = 0; i < FOLDERS; i++)
        for (int j = 0; j < FOLDERS; j++) ck_assert_int_eq(symlink(at("in/d%02d", j), at("in/d%02d/l%02d", i, j)), 0);
    write_png(at("in/d05/a.png"), 6, 6, 1, 1);
    ck_assert_int_eq(symlink("a.png", at("in/d05/again.png")), 0);
    ck_assert_int_eq(link(at("in/d05/a.png"), at("in/d07/hard.png")), 0);
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "samples"), 1);
    json_decref(summary);
    ck_assert_ptr_nonnull(strstr(logged, "again.png is "));
    ck_assert_ptr_nonnull(strstr(logged, "2 images are others by another name"));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "d05/a.png split 0 class -1 label 0"); /* the name that needs no link */
    cover_dataset_destroy(dataset);
    logged[0] = 0;
    const char *twice[] = {at("in/d05/a.png"), at("in/d05/a.png")};
    ck_assert_ok(cover_dataset_pack(NULL, context, twice, 2, at("out.h5"), NULL));
    ck_assert_ptr_nonnull(strstr(logged, "by another name"));
}
END_TEST

START_TEST(links_out_of_the_folder_are_followed_and_told) {
    write_png(at("store/one.png"), 6, 6, 1, 1);
    write_png(at("store/more/two.png"), 6, 6, 1, 2);
    ck_assert_ok(folder_create(at("in")));
    ck_assert_int_eq(symlink(at("store/one.png"), at("in/1.png")), 0);
    ck_assert_int_eq(symlink("../store/more", at("in/2")), 0);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "in: 2 links lead out of this folder"));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "1.png split 0 class -1 label 0");
    ck_assert_str_eq(told(dataset, 1), "2/two.png split 0 class -1 label 0");
    cover_dataset_destroy(dataset);
}
END_TEST

static int stop_the_walk(void *user, int64_t done, int64_t total, const char *what) {
    (void)done;
    return total == 0 && strcmp(what, "looking for images") == 0 && ++*(int *)user == 2;
}

START_TEST(a_walk_tells_how_far_it_is_and_can_be_stopped) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    int calls = 0;
    options.progress = stop_the_walk, options.user = &calls;
    for (int i = 0; i < 3000; i++) write_text(at("in/%04d.txt", i), "");
    ck_assert_int_eq(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_CANCELLED);
    ck_assert_int_eq(calls, 2);
    cover_context_cancel(context);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_CANCELLED, "cancelled while its files were looked for");
    cover_context_resume(context);
}
END_TEST

START_TEST(dicom_is_known_by_what_is_in_it_and_what_is_damaged_is_told) {
    char dicom[200] = {0};
    memcpy(dicom + 128, "DICM", 4);
    write_bytes(at("in/IM0001"), dicom, sizeof dicom);
    write_text(at("in/b.dcm"), "x");
    write_text(at("in/README"), "x");
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "1 of 1 images cannot be used",
                    "image 1 (sha256 ");
    write_png(at("in/a.png"), 6, 6, 1, 1);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "1 of 2 images cannot be used",
                    "image 1 (sha256 ");
    ck_assert_fails(pack(at("in/b.dcm"), at("out.h5"), NULL, NULL), COVER_ERROR_UNSUPPORTED, "nor DICOM");
    unlink(at("in/IM0001"));
    write_bytes(at("in/a.png"), dicom, sizeof dicom);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "a.png: DICOM is taken as a study");
}
END_TEST

START_TEST(a_collection_file_gives_images_and_patients) {
    write_png(at("data/x.png"), 6, 5, 1, 1);
    write_png(at("data/y.png"), 6, 5, 1, 2);
    write_png(at("else/z.png"), 6, 5, 1, 3);
    char json[2048];
    snprintf(json, sizeof json,
             "{\"collection_index\": 1, \"collection_name\": \"Test\", \"datasets\": {\"ds2\": {\"dataset_index\": "
             "\"ds2\", "
             "\"subjects\": {\"s1\": {\"subject_id\": \"s1\", \"sessions\": {\"a\": {\"session_id\": \"a\", \"images\": "
             "["
             "{\"name\": \"x.png\", \"modality\": \"T1\", \"image_path\": \"data/x.png\", \"associated_masks\": null}, "
             "{\"name\": \"z.png\", \"image_path\": \"%s\"}]}}}}}, \"ds1\": {\"subjects\": {\"s9\": {\"sessions\": "
             "{\"b\": "
             "{\"images\": [{\"image_path\": \"$COVER_TEST_DATA/y.png\"}]}}}}}}}",
             at("else/z.png"));
    write_text(at("pretrain_data.json"), json);
    unsetenv("COVER_TEST_DATA");
    ck_assert_fails(pack(folder, at("out.h5"), NULL, NULL), COVER_ERROR_ARGUMENT, "COVER_TEST_DATA is not set");
    setenv("COVER_TEST_DATA", at("data"), 1);
    ck_assert_ok(pack(at("pretrain_data.json"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "ds1/s9/b/y.png split 0 class -1 label 0");
    ck_assert_str_eq(patient_of(dataset, 0), "Test/ds1/s9");
    ck_assert_str_eq(told(dataset, 1), "ds2/s1/a/x.png split 0 class -1 label 0");
    ck_assert_str_eq(told(dataset, 2), "ds2/s1/a/z.png split 0 class -1 label 0");
    ck_assert_str_eq(patient_of(dataset, 2), "Test/ds2/s1");
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_broken_collection_file_says_where) {
    static const struct {
        const char *json, *part;
    } cases[] = {
        {"{", "not sound JSON"},
        {"[]", "the collection has no \"datasets\""},
        {"{\"datasets\": {\"d\": {}}}", "dataset d has no \"subjects\""},
        {"{\"datasets\": {\"d\": {\"subjects\": {\"s\": {}}}}}", "dataset d, subject s has no \"sessions\""},
        {"{\"datasets\": {\"d\": {\"subjects\": {\"s\": {\"sessions\": {\"e\": {\"images\": 1}}}}}}}",
         "session e has no \"images\""},
        {"{\"datasets\": {\"d\": {\"subjects\": {\"s\": {\"sessions\": {\"e\": {\"images\": [{}]}}}}}}}", "image 0: no image_path"},
    };
    write_text(at("c.json"), cases[_i].json);
    ck_assert_fails(pack(at("c.json"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, cases[_i].part);
}
END_TEST

START_TEST(sources_that_are_none_are_errors) {
    ck_assert_fails(pack(at("nothing"), at("out.h5"), NULL, NULL), COVER_ERROR_IO, "no such file or folder");
    write_text(at("x.doc"), "hello");
    ck_assert_fails(pack(at("x.doc"), at("out.h5"), NULL, NULL), COVER_ERROR_UNSUPPORTED, "neither a folder, nor an image");
    ck_assert_ok(folder_create(at("empty")));
    ck_assert_fails(pack(at("empty"), at("out.h5"), NULL, NULL), COVER_ERROR_ARGUMENT, "no images found");
    ck_assert_fails(pack("", at("out.h5"), NULL, NULL), COVER_ERROR_ARGUMENT, "source 1 is empty");
    ck_assert_int_eq(cover_dataset_pack(NULL, context, NULL, 1, at("out.h5"), NULL), COVER_ERROR_ARGUMENT);
    ck_assert(!file_exists(at("out.h5")) && !file_exists(at("out.h5.spool")));
}
END_TEST

/* ---- the CSV of patients and splits */

static cover_status pack_split(const char *csv) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.split = at("split.csv");
    write_text(at("split.csv"), csv);
    return pack(at("in"), at("out.h5"), &options, NULL);
}

static void write_four(void) {
    for (int i = 0; i < 4; i++) write_png(at("in/p%d/img%d.png", i / 2, i), 6, 5, 1, i);
}

START_TEST(a_csv_gives_patients_splits_and_classes) {
    write_four();
    ck_assert_ok(pack_split("\xef\xbb\xbf"
                            "Label; split;patient;\"file\"\r\n"
                            "\"a;b\";train;P1;p0/img0.png\r\nc;Train ; P1;img1.png\r\n\r\n"
                            "\"say \"\"x\"\"\";TEST;P2;img2.png\rc;;;img3.png"));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "p0/img0.png split 1 class 0 label 0");
    ck_assert_str_eq(patient_of(dataset, 0), "P1");
    ck_assert_str_eq(told(dataset, 1), "p0/img1.png split 1 class 1 label 0");
    ck_assert_str_eq(told(dataset, 2), "p1/img2.png split 3 class 2 label 0");
    ck_assert_str_eq(told(dataset, 3), "p1/img3.png split 0 class 1 label 0");
    ck_assert_str_eq(patient_of(dataset, 3), "");
    json_t *about = about_of(dataset), *names = json_object_get(about, "class_names");
    ck_assert_str_eq(json_string_value(json_array_get(names, 0)), "a;b");
    ck_assert_str_eq(json_string_value(json_array_get(names, 2)), "say \"x\"");
    json_decref(about);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_patient_in_two_splits_is_an_error_that_names_both_rows) {
    write_four();
    ck_assert_fails(pack_split("file,patient,split\nimg0.png,A,train\nimg1.png,B,val\nimg2.png,C,test\nimg3.png,A,val\n"),
                    COVER_ERROR_FORMAT, "patient A is in 'train' on line 2 (img0.png) and in 'val' on line 5 (img3.png)");
}
END_TEST

START_TEST(without_a_split_column_patients_are_dealt_out_by_their_hash) {
    char csv[1 << 14] = "file,patient\n";
    for (int i = 0; i < 200; i++) {
        write_png(at("in/%03d.png", i), 2, 3, 1, i);
        snprintf(csv + strlen(csv), sizeof csv - strlen(csv), "%03d.png,P%d\n", i, i / 4);
    }
    ck_assert_ok(pack_split(csv));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    int counts[4] = {0};
    for (int i = 0; i < 200; i++) {
        const int split = sample_of(dataset, i).split;
        counts[split]++;
        if (i % 4) ck_assert_int_eq(split, sample_of(dataset, i - 1).split);
    }
    ck_assert_int_eq(counts[0], 0);
    ck_assert(counts[1] > 130 && counts[2] > 0 && counts[3] > 0);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_broken_csv_names_line_and_column) {
    static const struct {
        const char *csv, *part;
    } cases[] = {
        {"", "names no column \"file\""},
        {"name,patient\na,b\n", "names no column \"file\""},
        {"file,age\na,3\n", "neither a column \"patient\" nor \"split\""},
        {"file,split\nimg0.png\n", "line 2 has 1 values"},
        {"file,split\nimg0.png,other\n", "line 2: \"split\" is 'other'; use train, val or test"},
        {"file,split,label\nimg0.png,train,\"a\nb\"\nimg1.png,other,c\n", "line 4: \"split\" is 'other'"},
        {"file,split\n,train\n", "line 2: \"file\" is empty"},
        {"file,patient\nimg0.png,\n", "line 2: \"patient\" is empty"},
        {"file,split\n\"img0.png,train\n", "line 2: a quote is not closed"},
        {"file,split\n\"img0.png\"x,train\n", "line 2: text behind a closing quote"},
        {"file,split\nimg0.png,train\nimg0.png,val\n", "lines 2 and 3 are both about img0.png"},
        {"file,split\nimg0.png,train\nimg1.png,val\n", "img2.png: not listed in the split file"},
    };
    write_four();
    ck_assert_fails(pack_split(cases[_i].csv), COVER_ERROR_FORMAT, cases[_i].part);
    ck_assert(!file_exists(at("out.h5")));
}
END_TEST

/* Five images below in/, of which the labels file speaks. */
static void write_labelled(const char *csv) {
    for (int i = 0; i < 5; i++) write_png(at("in/%c.png", 'a' + i), 6, 6, 1, i);
    write_text(at("labels.csv"), csv);
}

static cover_status pack_labels(const char *negative, json_t **summary) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.labels = at("labels.csv"), options.negative = negative;
    return pack(at("in"), at("out.h5"), &options, summary);
}

START_TEST(a_labels_file_gives_each_sample_its_set_of_classes) {
    write_labelled("Image Index,Finding Labels,Patient ID\na.png,Mass| Effusion "
                   ",p1\nb.png,none,p2\nc.png,Effusion,p2\nd.png,,p3\n"
                   "e.png,Mass,p4\nelsewhere.png,Nodule,p5\n");
    json_t *summary;
    ck_assert_ok(pack_labels("none", &summary));
    ck_assert_int_eq(number(summary, "classes"), 3);
    ck_assert(json_is_true(json_object_get(summary, "multilabel")));
    json_decref(summary);
    ck_assert_ptr_nonnull(strstr(logged, "1 of 6 lines speak of no image"));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    ck_assert_ok(cover_dataset_get_info(&info, dataset));
    ck_assert_int_eq(info.multilabel, 1);
    /* Nodule has its place although its image is not here: parts of a collection agree */
    static const char *const names[] = {"Effusion", "Mass", "Nodule"};
    for (int c = 0; c < 3; c++) ck_assert_str_eq(cover_dataset_class_name(dataset, c), names[c]);
    ck_assert_ptr_null(cover_dataset_class_name(dataset, 3));
    ck_assert_ptr_null(cover_dataset_class_name(dataset, -1));
    static const uint64_t sets[] = {3, 0, 1, 0, 2};
    static const char *const patients[] = {"p1", "p2", "p2", "p3", "p4"};
    for (int i = 0; i < 5; i++) {
        const cover_sample_info sample = sample_of(dataset, i);
        ck_assert_uint_eq(sample.class_set, sets[i]);
        ck_assert_int_eq(sample.class_index, -1);
        ck_assert_str_eq(sample.patient, patients[i]);
    }
    char *report;
    ck_assert_ok(cover_file_check(&report, context, at("out.h5")));
    ck_assert_msg(strstr(report, "\"ok\": true") != NULL, "%s", report);
    cover_text_release(context, report);
    cover_dataset_destroy(dataset);
    /* without the word for none it is a class like the others */
    ck_assert_ok(pack_labels(NULL, &summary));
    ck_assert_int_eq(number(summary, "classes"), 4);
    json_decref(summary);
}
END_TEST

START_TEST(sets_of_classes_are_part_of_the_content) {
    char first[65], second[65];
    write_labelled("file,label\na.png,x|y\nb.png,x\nc.png,x\nd.png,x\ne.png,x\n");
    for (int round = 0; round < 2; round++) {
        json_t *summary;
        ck_assert_ok(pack_labels(NULL, &summary));
        strcpy(round ? second : first, json_string_value(json_object_get(summary, "hash")));
        json_decref(summary);
        write_text(at("labels.csv"), "file,label\na.png,x|y\nb.png,y\nc.png,x\nd.png,x\ne.png,x\n");
    }
    ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(one_label_an_image_makes_plain_classes_and_a_split_column_counts) {
    write_labelled("image;class;set\na.png;sick;train\nb.png;fine;val\nc.png;sick;test\nd.png;fine;\ne.png;;train\n");
    json_t *summary;
    ck_assert_ok(pack_labels(NULL, &summary));
    ck_assert_int_eq(number(summary, "classes"), 2);
    ck_assert(json_is_false(json_object_get(summary, "multilabel")));
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(told(dataset, 0), "a.png split 1 class 1 label 0");
    ck_assert_str_eq(told(dataset, 1), "b.png split 2 class 0 label 0");
    ck_assert_str_eq(told(dataset, 4), "e.png split 1 class -1 label 0");
    ck_assert_str_eq(cover_dataset_class_name(dataset, 1), "sick");
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_broken_labels_file_says_what_is_wrong) {
    char many[8192] = "file,label\na.png,c0";
    for (int c = 1; c < 65; c++) sprintf(many + strlen(many), "|c%d", c);
    const struct {
        const char *csv, *negative, *part;
    } cases[] = {
        {"file,split\na.png,train\n", NULL, "names no column \"label\""},
        {"label\nsick\n", NULL, "it should be like file,patient,label"},
        {"file,label\na.png,x|y\n", NULL, "b.png: not listed in the labels file"},
        {"file,label\na.png,x|none\n", "none", "line 2: 'none' means none of the classes"},
        {"file,label\na.png,x\n", "none", "no line has the label 'none'"},
        {"file,label\na.png,none\n", "none", "names no class"},
        {"file,label\na.png,\n", NULL, "names no class"},
        {many, NULL, "65 classes; a set of labels has at most 64"},
    };
    write_labelled(cases[_i].csv);
    const cover_status status = pack_labels(cases[_i].negative, NULL);
    ck_assert_int_ne(status, COVER_OK);
    ck_assert_msg(strstr(cover_error_text(), cases[_i].part) != NULL, "%s", cover_error_text());
}
END_TEST

START_TEST(label_maps_and_sets_of_classes_exclude_each_other) {
    write_png(at("in/images/a.png"), 6, 6, 1, 1);
    write_label(at("in/labels/a.png"), 6, 6, 2);
    write_text(at("labels.csv"), "file,label\na.png,x|y\n");
    ck_assert_fails(pack_labels(NULL, NULL), COVER_ERROR_SHAPE, "a dataset holds one of them");
}
END_TEST

START_TEST(a_file_name_that_two_images_have_is_ambiguous) {
    write_png(at("in/a/x.png"), 6, 5, 1, 1);
    write_png(at("in/b/x.png"), 6, 5, 1, 2);
    ck_assert_fails(pack_split("file,split\nx.png,train\n"), COVER_ERROR_FORMAT, "write more of the path");
    ck_assert_ok(pack_split("file,split\na/x.png,train\nb/x.png,val\nc/x.png,val\n"));
    ck_assert_ptr_nonnull(strstr(logged, "1 of 3 lines speak of no image"));
}
END_TEST

START_TEST(refused_memory_is_an_error_in_every_layout) {
    for (int i = 0; i < 3; i++) write_png(at("class/%s/%c/x.png", i ? "train" : "test", 'a' + i), 6, 6, 1, i);
    pack_with_refusals(at("class"), NULL);
    write_text(at("c.json"), "{\"datasets\": {\"d\": {\"subjects\": {\"s\": {\"sessions\": {\"e\": {\"images\": ["
                             "{\"image_path\": \"class/test/a/x.png\"}]}}}}}}}");
    pack_with_refusals(at("c.json"), NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pack: layouts");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    ADD(all, a_folder_is_walked_in_the_order_of_names);
    ADD(all, single_images_and_several_sources_are_taken_in_their_order);
    ADD(all, class_folders_give_splits_and_classes);
    ADD(all, split_folders_without_classes_keep_the_split);
    ADD(all, subfolders_of_a_plain_folder_are_no_classes);
    ADD(all, images_and_labels_are_paired_by_name);
    ADD(all, label_maps_have_many_names_and_splits_may_lie_above_or_below);
    ADD(all, a_folder_of_the_same_names_that_is_taken_for_images_is_a_warning);
    ADD(all, splits_have_many_names_and_an_unknown_one_is_named);
    ADD(all, links_multiply_nothing_and_lead_nowhere_twice);
    ADD(all, links_out_of_the_folder_are_followed_and_told);
    ADD(all, a_walk_tells_how_far_it_is_and_can_be_stopped);
    ADD(all, dicom_is_known_by_what_is_in_it_and_what_is_damaged_is_told);
    ADD(all, a_collection_file_gives_images_and_patients);
    tcase_add_loop_test(all, a_broken_collection_file_says_where, 0, 6);
    ADD(all, sources_that_are_none_are_errors);
    ADD(all, a_csv_gives_patients_splits_and_classes);
    ADD(all, a_patient_in_two_splits_is_an_error_that_names_both_rows);
    ADD(all, without_a_split_column_patients_are_dealt_out_by_their_hash);
    tcase_add_loop_test(all, a_broken_csv_names_line_and_column, 0, 12);
    ADD(all, a_labels_file_gives_each_sample_its_set_of_classes);
    ADD(all, sets_of_classes_are_part_of_the_content);
    ADD(all, one_label_an_image_makes_plain_classes_and_a_split_column_counts);
    tcase_add_loop_test(all, a_broken_labels_file_says_what_is_wrong, 0, 8);
    ADD(all, label_maps_and_sets_of_classes_exclude_each_other);
    ADD(all, a_file_name_that_two_images_have_is_ambiguous);
    ADD(all, refused_memory_is_an_error_in_every_layout);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
