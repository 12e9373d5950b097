/* Sets of DICOM objects by libcover/dicom.h: from memory, from readers, from files; one object cut at every byte and with every byte
 * changed, in each form of a data set. */
#include "../../fixture.h"

#include "core/base/base.h"
#include "core/base/files.h"
#include "core/base/sha256.h"
#include "io/dicom/seg_read.h"

#include <libcover/dicom.h>

#include <dirent.h>
#include <unistd.h>

/* A file of a series of the cases, by its place among their names. */
static uint8_t *load(const char *series, int number, size_t *count) {
    char path[1024];
    uint8_t *bytes;
    struct dirent **names;
    snprintf(path, sizeof path, "%s/series/%s", CASES, series);
    const int files = scandir(path, &names, NULL, alphasort); /* . and .. come first */
    ck_assert_int_gt(files, number + 2);
    snprintf(path, sizeof path, "%s/series/%s/%s", CASES, series, names[number + 2]->d_name);
    for (int i = 0; i < files; i++) free(names[i]);
    free(names);
    ck_assert_ok(file_read(context, path, 1 << 24, &bytes, count));
    return bytes;
}

static cover_dicom *set_of(const cover_dicom_options *options) {
    cover_dicom *set = NULL;
    ck_assert_ok(cover_dicom_create(&set, context, options));
    return set;
}

static uint64_t sum_of(const cover_dicom *set, int index) {
    cover_tensor *image;
    ck_assert_ok(cover_dicom_read(set, index, &image, NULL, NULL));
    uint64_t sum = 1469598103934665603u;
    size_t bytes = cover_dtype_bytes(cover_tensor_dtype(image));
    for (int i = 0; i < cover_tensor_rank(image); i++) bytes *= (size_t)cover_tensor_shape(image)[i];
    const uint8_t *data = cover_tensor_data_const(image);
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ data[i]) * 1099511628211u;
    cover_tensor_destroy(image);
    return sum;
}

/* ---- where objects come from */

struct reading {
    const uint8_t *bytes;
    size_t count, asked, most; /* bytes read; of one call at most, 0 = all */
    int64_t fail_after;        /* calls; -1 = never */
};
static int64_t read_some(void *user, uint64_t offset, void *to, uint64_t bytes) {
    struct reading *reading = user;
    if (reading->fail_after == 0) return -1;
    if (reading->fail_after > 0) reading->fail_after--;
    if (offset >= reading->count) return 0;
    uint64_t some = reading->count - offset < bytes ? reading->count - offset : bytes;
    if (reading->most && some > reading->most) some = reading->most;
    memcpy(to, reading->bytes + offset, some);
    reading->asked += some;
    return (int64_t)some;
}

START_TEST(memory_readers_and_files_give_the_same_volume) {
    enum { SLICES = 24 };
    uint8_t *bytes[SLICES];
    size_t counts[SLICES];
    struct reading readings[SLICES];
    char path[512];
    int count;
    cover_dicom *sets[4];
    for (int s = 0; s < 4; s++) sets[s] = set_of(NULL);
    for (int i = 0; i < SLICES; i++) {
        bytes[i] = load("ct", i, &counts[i]);
        readings[i] = (struct reading){bytes[i], counts[i], 0, 1000, -1};
        ck_assert_ok(cover_dicom_add_bytes(sets[0], bytes[i], counts[i], 0));
        ck_assert_ok(cover_dicom_add_bytes(sets[1], bytes[i], counts[i], 1));
        ck_assert_ok(cover_dicom_add_reader(sets[2], read_some, counts[i], &readings[i]));
    }
    snprintf(path, sizeof path, "%s/series/ct", CASES);
    ck_assert_ok(cover_dicom_add_path(sets[3], path));
    uint64_t sums[4];
    for (int s = 0; s < 4; s++) {
        cover_dicom_volume_info info = COVER_DICOM_VOLUME_INFO_INIT;
        ck_assert_ok(cover_dicom_volumes(sets[s], &count));
        ck_assert_int_eq(count, 1);
        ck_assert_ok(cover_dicom_volume(sets[s], 0, &info));
        ck_assert_int_eq(info.size[0], SLICES);
        ck_assert_str_eq(info.modality, "CT");
        ck_assert_ptr_null(info.refusal);
        sums[s] = sum_of(sets[s], 0);
        ck_assert_uint_eq(sums[s], sums[0]);
    }
    for (int s = 0; s < 4; s++) cover_dicom_destroy(sets[s]);
    for (int i = 0; i < SLICES; i++) memory_free(context, bytes[i]);
}
END_TEST

START_TEST(a_reader_is_asked_for_the_header_and_later_for_the_pixels) {
    size_t count;
    uint8_t *bytes = load("ct_single", 0, &count);
    struct reading reading = {bytes, count, 0, 0, -1};
    cover_dicom *set = set_of(NULL);
    int volumes;
    ck_assert_ok(cover_dicom_add_reader(set, read_some, count, &reading));
    ck_assert_uint_le(reading.asked, 256 << 10);
    ck_assert_ok(cover_dicom_volumes(set, &volumes));
    sum_of(set, 0);
    cover_dicom_destroy(set);
    memory_free(context, bytes);
}
END_TEST

START_TEST(a_reader_that_fails_at_any_call_is_an_error_and_nothing_worse) {
    size_t count;
    uint8_t *bytes = load("ct_rle", 0, &count);
    for (int64_t calls = 0; calls < 40; calls++) {
        struct reading reading = {bytes, count, 0, 700, calls};
        cover_dicom *set = set_of(NULL);
        cover_tensor *image;
        int volumes;
        cover_status status = cover_dicom_add_reader(set, read_some, count, &reading);
        if (status == COVER_OK) ck_assert_ok(cover_dicom_volumes(set, &volumes));
        if (status == COVER_OK) status = cover_dicom_read(set, 0, &image, NULL, NULL);
        if (status == COVER_OK) cover_tensor_destroy(image);
        else ck_assert_msg(status == COVER_ERROR_IO, "%s", cover_error_text());
        cover_dicom_destroy(set);
    }
    memory_free(context, bytes);
}
END_TEST

START_TEST(what_cannot_be_read_refuses_its_series_unless_it_is_left_out) {
    for (int skip = 0; skip < 2; skip++) {
        cover_dicom_options options = COVER_DICOM_OPTIONS_INIT;
        options.skip_bad = skip;
        cover_dicom *set = set_of(&options);
        int volumes;
        for (int i = 0; i < 24; i++) {
            size_t count;
            uint8_t *bytes = load("ct", i, &count);
            if (i < 23) ck_assert_ok(cover_dicom_add_bytes(set, bytes, count, 0));
            else
                ck_assert_fails(cover_dicom_add_bytes(set, bytes, count - 2, 0), COVER_ERROR_FORMAT, "image 24 (sha256 ",
                                "Pixel Data");
            memory_free(context, bytes);
        }
        ck_assert_ok(cover_dicom_volumes(set, &volumes));
        cover_dicom_volume_info info = COVER_DICOM_VOLUME_INFO_INIT;
        ck_assert_ok(cover_dicom_volume(set, 0, &info));
        if (skip) ck_assert_int_eq(info.images, 23);
        else ck_assert_ptr_nonnull(strstr(info.refusal, "cannot be read (image 24 (sha256 "));
        cover_dicom_destroy(set);
    }
}
END_TEST

START_TEST(misuse_is_an_argument_error) {
    size_t count, length;
    const void *value;
    int volumes, index;
    char *json;
    uint8_t *bytes = load("ct", 0, &count);
    cover_dicom_options options = COVER_DICOM_OPTIONS_INIT;
    cover_dicom *set;
    options.tilt = "yes";
    ck_assert_fails(cover_dicom_create(&set, context, &options), COVER_ERROR_ARGUMENT, "tilt \"yes\": known are refuse, resample");
    options = (cover_dicom_options)COVER_DICOM_OPTIONS_INIT, options.spacing_tolerance = 2;
    ck_assert_fails(cover_dicom_create(&set, context, &options), COVER_ERROR_ARGUMENT, "spacing_tolerance 2");
    set = set_of(NULL);
    ck_assert_fails(cover_dicom_report(set, &json), COVER_ERROR_ARGUMENT, "cover_dicom_volumes()");
    ck_assert_ok(cover_dicom_add_bytes(set, bytes, count, 1));
    ck_assert_ok(cover_dicom_volumes(set, &volumes));
    ck_assert_fails(cover_dicom_add_bytes(set, bytes, count, 1), COVER_ERROR_ARGUMENT, "nothing can be added");
    ck_assert_fails(cover_dicom_value(set, 1, 0, 0x00100010, &value, &length), COVER_ERROR_ARGUMENT, "volume 1: there are 1");
    ck_assert_fails(cover_dicom_value(set, 0, 1, 0x00100010, &value, &length), COVER_ERROR_ARGUMENT, "1 slices");
    ck_assert_ok(cover_dicom_value(set, 0, 0, 0x00100010, &value, &length));
    ck_assert_int_eq(memcmp(value, "CANARY", 6), 0);
    ck_assert_fails(cover_dicom_find(set, "Modality=MR", &index), COVER_ERROR_ARGUMENT, "no series");
    ck_assert_ok(cover_dicom_find(set, "Modality=CT", &index));
    ck_assert_ok(cover_dicom_find(set, NULL, &index));
    cover_dicom_destroy(set);
    memory_free(context, bytes);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits) {
    char path[512];
    uint64_t sums[2];
    snprintf(path, sizeof path, "%s/series/ct_rle", CASES);
    for (int i = 0; i < 2; i++) {
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.threads = i ? 5 : 1;
        cover_context *other;
        cover_dicom *set;
        int volumes;
        ck_assert_ok(cover_context_create(&other, &options));
        ck_assert_ok(cover_dicom_create(&set, other, NULL));
        ck_assert_ok(cover_dicom_add_path(set, path));
        ck_assert_ok(cover_dicom_volumes(set, &volumes));
        cover_context_destroy(other); /* the set keeps it */
        sums[i] = sum_of(set, 0);
        cover_dicom_destroy(set);
    }
    ck_assert_uint_eq(sums[0], sums[1]);
}
END_TEST

START_TEST(an_object_keeps_to_the_memory_limit) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.memory_limit_bytes = 48 << 10;
    cover_context *small;
    cover_dicom *set;
    cover_tensor *image;
    char path[512];
    int volumes;
    snprintf(path, sizeof path, "%s/series/enhanced_ct", CASES);
    ck_assert_ok(cover_context_create(&small, &options));
    ck_assert_ok(cover_dicom_create(&set, small, NULL));
    ck_assert_ok(cover_dicom_add_path(set, path));
    ck_assert_ok(cover_dicom_volumes(set, &volumes));
    ck_assert_int_eq(cover_dicom_read(set, 0, &image, NULL, NULL), COVER_ERROR_MEMORY);
    cover_dicom_destroy(set);
    cover_context_destroy(small);
}
END_TEST

/* ---- segmentations of another writer */

START_TEST(segmentations_of_another_writer_are_the_labels_they_say) {
    static const struct {
        const char *name, *series, *sha256;
    } cases[] = {
        {"binary", "ct", "fc1f6cc1a527fe984182a422ec170c80ad8b0da37833afe72634f447baa5d52c"},
        {"binary_all_frames", "ct", "fc1f6cc1a527fe984182a422ec170c80ad8b0da37833afe72634f447baa5d52c"},
        {"binary_column_negated", "ct_column_negated", "1022452cf773cfaedbaff34ac43da2ebeb9f99a7db21ad1847ef796080ee1582"},
        {"binary_oblique", "ct_oblique", "1a5d184b0991092c3ab0d7164d6bc8253658649081ff1b9bef6de0f85fdc1c9f"},
        {"labelmap", "ct", "fc1f6cc1a527fe984182a422ec170c80ad8b0da37833afe72634f447baa5d52c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[1024], text[SHA256_TEXT];
        uint8_t digest[SHA256_BYTES];
        cover_dicom *set = set_of(NULL);
        struct dicom_seg seg;
        cover_dtype dtype;
        void *labels;
        int volumes;
        snprintf(path, sizeof path, "%s/series/%s", CASES, cases[i].series);
        ck_assert_ok(cover_dicom_add_path(set, path));
        snprintf(path, sizeof path, "%s/seg/%s.dcm", CASES, cases[i].name);
        ck_assert_ok(cover_dicom_add_path(set, path));
        ck_assert_ok(cover_dicom_volumes(set, &volumes));
        ck_assert_int_eq(volumes, 1);
        ck_assert_ok(dicom_seg_open(&seg, context, set->objects[set->count - 1]));
        ck_assert_ok(dicom_seg_labels(&labels, &dtype, &seg, set, 0));
        ck_assert_int_eq(dtype, COVER_U8);
        const struct dicom_frame_shape *shape = &set->volumes[0].slices[0]->object->shape;
        sha256(labels, (size_t)set->volumes[0].count * (size_t)shape->rows * (size_t)shape->columns, digest);
        sha256_text(digest, text);
        ck_assert_str_eq(text, cases[i].sha256);
        memory_free(context, labels);
        dicom_seg_close(&seg);
        cover_dicom_destroy(set);
    }
}
END_TEST

/* ---- hostile */

static const char *const forms[] = {"ct",        "ct_implicit", "ct_bigendian",   "ct_deflated", "ct_rle",
                                    "ct_jpegll", "enhanced_ct", "cr_monochrome1", "us_cine",     "nm_negative_spacing"};

/* Whatever it is: read or refused with a text, and nothing that identifies a person in it. */
static void try_bytes(const uint8_t *bytes, size_t count) {
    cover_dicom *set = set_of(NULL);
    cover_tensor *image;
    int volumes = 0;
    cover_status status = cover_dicom_add_bytes(set, bytes, count, 1);
    if (status == COVER_OK) status = cover_dicom_volumes(set, &volumes);
    for (int i = 0; i < volumes && status == COVER_OK; i++) {
        status = cover_dicom_read(set, i, &image, NULL, NULL);
        if (status == COVER_OK) cover_tensor_destroy(image);
    }
    if (status != COVER_OK) {
        ck_assert_msg(status == COVER_ERROR_FORMAT || status == COVER_ERROR_UNSUPPORTED || status == COVER_ERROR_MEMORY, "%s: %s",
                      cover_status_name(status), cover_error_text());
        ck_assert_ptr_null(strstr(cover_error_text(), "CANARY"));
        ck_assert_ptr_null(strstr(cover_error_text(), "19010203"));
    }
    cover_dicom_destroy(set);
}

START_TEST(an_object_that_ends_anywhere_is_refused) {
    size_t count;
    uint8_t *bytes = load(forms[_i], 0, &count);
    for (size_t length = 0; length < count; length += length < 8192 ? 1 : 37) {
        uint8_t *cut = memory_copy(context, bytes, length ? length : 1); /* of its own size, for the sanitizer */
        try_bytes(cut, length);
        memory_free(context, cut);
    }
    memory_free(context, bytes);
}
END_TEST

START_TEST(an_object_with_any_byte_changed_is_read_or_refused) {
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    size_t count;
    uint8_t *bytes = load(forms[_i], 0, &count);
    for (size_t at = 0; at < count; at += at < 8192 ? 1 : 61)
        for (size_t c = 0; c < sizeof changes; c++) {
            bytes[at] ^= changes[c];
            try_bytes(bytes, count);
            bytes[at] ^= changes[c];
        }
    memory_free(context, bytes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dicom set");
    TCase *tcase = tcase_create("set");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    ADD(tcase, memory_readers_and_files_give_the_same_volume);
    ADD(tcase, a_reader_is_asked_for_the_header_and_later_for_the_pixels);
    ADD(tcase, a_reader_that_fails_at_any_call_is_an_error_and_nothing_worse);
    ADD(tcase, what_cannot_be_read_refuses_its_series_unless_it_is_left_out);
    ADD(tcase, misuse_is_an_argument_error);
    ADD(tcase, any_number_of_threads_gives_the_same_bits);
    ADD(tcase, an_object_keeps_to_the_memory_limit);
    ADD(tcase, segmentations_of_another_writer_are_the_labels_they_say);
    tcase_add_loop_test(tcase, an_object_that_ends_anywhere_is_refused, 0, sizeof forms / sizeof *forms);
    tcase_add_loop_test(tcase, an_object_with_any_byte_changed_is_read_or_refused, 0, sizeof forms / sizeof *forms);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
