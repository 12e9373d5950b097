/* cover_file_check(): a sound file of each kind is ok, and every damaged byte of a dataset is found. */
#include "../files.h"
#include "core/method/supervised.h"
#include "io/bytes/hdf5.h"
#include "io/bytes/seal.h"
#include "io/dataset/dataset.h"
#include "io/weights/safetensors.h"
#include "io/weights/task_file.h"

#include <libcover/weights.h>

#include <fcntl.h>

static json_t *check(const char *path) {
    char *text = NULL;
    ck_assert_ok(cover_file_check(&text, context, path));
    json_error_t error;
    json_t *report = json_loads(text, 0, &error);
    ck_assert_msg(report != NULL, "%s: %s", error.text, text);
    ck_assert_int_eq(json_is_true(json_object_get(report, "ok")), json_array_size(json_object_get(report, "errors")) == 0);
    cover_text_release(context, text);
    return report;
}

/* "" when all is well, else the first finding. */
static const char *first_finding(const char *path) {
    static char text[2048];
    json_t *report = check(path);
    const char *first = json_string_value(json_array_get(json_object_get(report, "errors"), 0));
    snprintf(text, sizeof text, "%s", first ? first : "");
    json_decref(report);
    return text;
}

static void make_dataset(void) {
    for (int i = 0; i < 5; i++) write_png(at("in/images/%d.png", i), 6 + i % 2, 9, 1, i);
    write_label(at("in/labels/1.png"), 7, 9, 3);
    ck_assert_ok(pack(at("in"), at("data.h5"), NULL, NULL));
}

START_TEST(a_sound_dataset_is_ok) {
    make_dataset();
    json_t *report = check(at("data.h5"));
    ck_assert(json_is_true(json_object_get(report, "ok")));
    ck_assert_str_eq(json_string_value(json_object_get(report, "kind")), "dataset");
    ck_assert_int_eq(number(report, "samples"), 5);
    json_decref(report);
}
END_TEST

START_TEST(every_damaged_byte_of_a_dataset_is_found) {
    make_dataset();
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(file_read(context, at("data.h5"), 0, &bytes, &count));
    int descriptor = open(at("data.h5"), O_WRONLY);
    for (size_t byte = 8; byte < count; byte += 5) { /* without the magic it is no dataset at all */
        ck_assert_int_eq(pwrite(descriptor, &(uint8_t){bytes[byte] ^ 0x10}, 1, (off_t)byte), 1);
        ck_assert_msg(*first_finding(at("data.h5")), "byte %zu was damaged and not found", byte);
        ck_assert_int_eq(pwrite(descriptor, &bytes[byte], 1, (off_t)byte), 1);
    }
    ck_assert_str_eq(first_finding(at("data.h5")), "");
    for (size_t keep = count - 1; keep > 24; keep -= keep > 125 ? 101 : 1) {
        ck_assert_int_eq(ftruncate(descriptor, (off_t)keep), 0);
        ck_assert(*first_finding(at("data.h5")));
    }
    close(descriptor);
    memory_free(context, bytes);
}
END_TEST

/* ---- datasets of somebody who can compute hashes */

/* Seal it again after a change that left tables and pixels where they were. */
static void seal_again(const struct dataset_extent *extents, int64_t count) {
    struct dataset_extent sorted[16];
    struct source source;
    struct seal seal;
    uint8_t block[SEAL_BYTES];
    ck_assert_ok(source_open(&source, at("data.h5")));
    ck_assert_ok(source_read(&source, 0, block, sizeof block));
    struct source head = source_memory("head", block, sizeof block);
    memcpy(&head.bytes, block + 32, sizeof head.bytes); /* the length that it had */
    ck_assert_ok(seal_read(&seal, &head, DATASET_FORMAT, DATASET_MAJOR));
    seal.file_bytes = source.bytes;
    memcpy(sorted, extents, (size_t)count * sizeof *sorted);
    ck_assert_ok(dataset_rest_hash(seal.rest, context, &source, sorted, count));
    source_close(&source);
    seal_encode(block, &seal);
    const int descriptor = open(at("data.h5"), O_WRONLY);
    ck_assert_int_eq(pwrite(descriptor, block, sizeof block, 0), sizeof block);
    close(descriptor);
}

static int64_t pixels_of(struct dataset_extent *extents) {
    cover_dataset *dataset;
    int64_t count = 0;
    ck_assert_ok(cover_dataset_open(&dataset, context, at("data.h5")));
    for (int64_t i = 0; i < dataset->directory.samples; i++) {
        struct dataset_row row;
        ck_assert_ok(dataset_row(dataset, i, &row));
        extents[count++] = (struct dataset_extent){row.image_offset, row.image_bytes};
        if (row.label_bytes > 0) extents[count++] = (struct dataset_extent){row.label_offset, row.label_bytes};
    }
    cover_dataset_destroy(dataset);
    return count;
}

static const char array_name[] = "images/u8_6x9";
static void link_nowhere(hid_t file) {
    ck_assert_int_ge(H5Lcreate_hard(file, "kept", file, array_name, H5P_DEFAULT, H5P_DEFAULT), 0);
}
static void link_fifo(hid_t file) { H5Lcreate_external(at("fifo"), "/x", file, array_name, H5P_DEFAULT, H5P_DEFAULT); }
static void link_soft(hid_t file) { H5Lcreate_soft("/kept", file, array_name, H5P_DEFAULT, H5P_DEFAULT); }
static void link_virtual(hid_t file) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, (hsize_t[]){3, 6, 9}, NULL);
    H5Pset_virtual(list, space, at("fifo"), "/x", space);
    hid_t array = H5Dcreate2(file, array_name, H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    ck_assert_int_ge(array, 0);
    H5Dclose(array), H5Sclose(space), H5Pclose(list);
}

/* A FIFO without a writer would hold an open() for ever: a test that ends shows that none was tried. */
START_TEST(links_of_a_hostile_dataset_are_not_followed) {
    static const struct {
        void (*link)(hid_t file);
        const char *finding;
    } hostile[] = {{link_nowhere, ""}, {link_fifo, "u8_6x9"}, {link_soft, "u8_6x9"}, {link_virtual, "u8_6x9"}};
    ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct dataset_extent extents[16];
        make_dataset();
        const int64_t count = pixels_of(extents);
        hid_t file = H5Fopen(at("data.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
        ck_assert_int_ge(file, 0);
        ck_assert_int_ge(H5Lmove(file, array_name, file, "kept", H5P_DEFAULT, H5P_DEFAULT), 0);
        hostile[i].link(file);
        H5Fclose(file);
        seal_again(extents, count);
        const char *finding = first_finding(at("data.h5"));
        ck_assert_msg(*hostile[i].finding ? strstr(finding, hostile[i].finding) != NULL : *finding == 0, "%zu: %s", i, finding);
    }
}
END_TEST

START_TEST(a_run_folder_is_checked_file_by_file) {
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}     ";
    uint8_t file[8 + sizeof header - 1 + 8] = {sizeof header - 1};
    float values[2] = {1, 2};
    memcpy(file + 8, header, sizeof header - 1);
    memcpy(file + 8 + sizeof header - 1, values, 8);
    write_text(at("run/config.json"), "{\"dims\": 2}");
    ck_assert_ptr_nonnull(strstr(first_finding(at("run")), "neither a checkpoint nor weights.safetensors"));
    write_bytes(at("run/weights.safetensors"), file, sizeof file);
    write_text(at("run/log.jsonl"), "{\"step\": 1}\n{\"step\": 2}\n{\"ste");
    ck_assert_str_eq(first_finding(at("run")), "");
    ck_assert_str_eq(first_finding(at("run/weights.safetensors")), "");
    write_text(at("run/log.jsonl"), "{\"step\": 1}\n{\"step\n");
    ck_assert_ptr_nonnull(strstr(first_finding(at("run")), "log.jsonl: line 2"));
    unlink(at("run/log.jsonl"));
    values[1] = -1.0f / 0.0f;
    memcpy(file + 8 + sizeof header - 1, values, 8);
    write_bytes(at("run/weights.safetensors"), file, sizeof file);
    ck_assert_ptr_nonnull(strstr(first_finding(at("run")), "tensor w: 1 of 2 values are NaN or infinite"));
    write_bytes(at("run/weights.safetensors"), file, sizeof file - 3);
    ck_assert(*first_finding(at("run")));
    unlink(at("run/weights.safetensors"));
    write_text(at("run/checkpoint.h5"), "");
    ck_assert(*first_finding(at("run")));
    write_text(at("run/config.json"), "{");
    ck_assert_ptr_nonnull(strstr(first_finding(at("run")), "checkpoint.h5"));
}
END_TEST

START_TEST(a_weight_file_says_whether_it_has_a_hash) {
    static const float values[2] = {1, 2};
    static const int64_t shape[1] = {2};
    static const struct tensor_output output = {"w", TENSOR_F32, 1, shape, values, NULL, NULL};
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(safetensors_write(context, at("new.safetensors"), &output, 1, NULL, 0));
    json_t *report = check(at("new.safetensors"));
    ck_assert(json_is_true(json_object_get(report, "ok")) && json_is_true(json_object_get(report, "hash")));
    json_decref(report);
    ck_assert_ok(file_read(context, at("new.safetensors"), 0, &bytes, &count));
    bytes[count - 2] ^= 1; /* still a finite number */
    write_bytes(at("changed.safetensors"), bytes, count);
    memory_free(context, bytes);
    ck_assert_ptr_nonnull(
        strstr(first_finding(at("changed.safetensors")), "the values of 1 of 1 tensors are not those that were written"));
    static const char old[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    uint8_t file[8 + sizeof old - 1 + 4] = {sizeof old - 1};
    memcpy(file + 8, old, sizeof old - 1);
    write_bytes(at("old.safetensors"), file, sizeof file);
    report = check(at("old.safetensors"));
    ck_assert(json_is_true(json_object_get(report, "ok")) && json_is_false(json_object_get(report, "hash")));
    json_decref(report);
}
END_TEST

/* The file without one of its tensors, sound otherwise. */
static void write_without(const char *path, const char *from, const char *missing) {
    struct tensor_file *file;
    struct tensor_output outputs[256];
    int64_t count = 0;
    ck_assert_ok(tensor_file_open(&file, context, from));
    ck_assert_int_lt(file->count, 256);
    for (int64_t i = 0; i < file->count; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        if (strcmp(entry->name, missing) != 0)
            outputs[count++] = (struct tensor_output){entry->name, entry->type, entry->rank, entry->shape, NULL, file, entry};
    }
    ck_assert_int_eq(count, file->count - 1);
    ck_assert_ok(safetensors_write(context, path, outputs, count, file->metadata, file->metadata_count));
    tensor_file_close(file);
}

START_TEST(weights_that_lack_a_tensor_are_no_whole_network) {
    struct task_about about = {.context = context, .class_names = (char *[2]){(char *)"none", (char *)"disc"}};
    struct parameters parameters;
    ck_assert_ok(cover_config_create(&about.config, context, "seg-2d"));
    ck_assert_ok(cover_config_set(about.config, "widths", "8,8,8,8,8,8,8,8,8"));
    ck_assert_ok(cover_config_set(about.config, "classes", "2"));
    ck_assert_ok(task_parameters(&parameters, context, config_settings(about.config)));
    float *flat = memory_zero(context, (size_t)parameters.floats * sizeof *flat);
    ck_assert_ok(task_weights_write(context, at("task.safetensors"), &parameters, flat, &about, 1));
    ck_assert_str_eq(first_finding(at("task.safetensors")), "");
    write_without(at("headless.safetensors"), at("task.safetensors"), "head.bias");
    ck_assert_ptr_nonnull(strstr(first_finding(at("headless.safetensors")), "1 missing: head.bias"));
    ck_assert_ok(cover_weights_export(context, at("task.safetensors"), at("bare.safetensors"), 1));
    ck_assert_str_eq(first_finding(at("bare.safetensors")), "");
    write_without(at("less.safetensors"), at("bare.safetensors"), "backbone.up4.conv.double_conv.4.bias");
    ck_assert_ptr_nonnull(strstr(first_finding(at("less.safetensors")), "1 missing: backbone.up4.conv.double_conv.4.bias"));
    memory_free(context, flat);
    parameters_free(&parameters);
    cover_config_destroy(about.config);
}
END_TEST

START_TEST(other_files_are_said_to_be_none) {
    char *report = NULL;
    write_text(at("x.h5"), "");
    ck_assert_ptr_nonnull(strstr(first_finding(at("x.h5")), "neither a dataset"));
    ck_assert_ptr_nonnull(strstr(first_finding(folder), "neither a dataset"));
    ck_assert_fails(cover_file_check(&report, context, at("none.h5")), COVER_ERROR_IO, "no such file");
    ck_assert_int_eq(cover_file_check(&report, context, NULL), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_null(report);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("check");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 180);
    ADD(all, a_sound_dataset_is_ok);
    ADD(all, every_damaged_byte_of_a_dataset_is_found);
    ADD(all, links_of_a_hostile_dataset_are_not_followed);
    ADD(all, a_run_folder_is_checked_file_by_file);
    ADD(all, a_weight_file_says_whether_it_has_a_hash);
    ADD(all, weights_that_lack_a_tensor_are_no_whole_network);
    ADD(all, other_files_are_said_to_be_none);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
