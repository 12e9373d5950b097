/* Sealed HDF5 files: what was saved is read back, equal content gives equal bytes, every damage is noticed before
 * libhdf5 sees the file, and the host's error handler survives. */
#include "../../check_main.h"

#include "core/base/files.h"
#include "io/bytes/hdf5.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static cover_context *context;
static char folder[] = "/tmp/cover-hdf5-XXXXXX", path[64];

static void setup(void) {
    strcpy(folder, "/tmp/cover-hdf5-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file.h5", folder);
    ck_assert_ok(cover_context_create(&context, NULL));
}

static void teardown(void) {
    cover_context_destroy(context);
    unlink(path);
    rmdir(folder);
}

static const float numbers[6] = {1, 2, 3, 4, 5, -6.5f};
static const int64_t numbers_shape[2] = {2, 3};

static cover_status save(const char *format, unsigned major) {
    struct hdf5_guard guard;
    hid_t file = -1;
    cover_status status;
    hdf5_begin(&guard);
    GO(hdf5_image_create(&file));
    GO(hdf5_write(file, "weights/a.b.c/values", COVER_F32, 2, numbers_shape, numbers));
    GO(hdf5_write(file, "step", COVER_I64, 0, NULL, &(int64_t){41}));
    GO(hdf5_write_text(file, "config", "{\"lr\": 1}"));
    GO(hdf5_write_text(file, "empty", ""));
    GO(hdf5_image_save(file, context, path, format, major, 0));
done:
    if (file >= 0) H5Fclose(file);
    hdf5_end(&guard);
    return status;
}

static cover_status open_only(const char *format, unsigned major) {
    struct hdf5_guard guard;
    hid_t file = -1;
    hdf5_begin(&guard);
    cover_status status = hdf5_sealed_open(&file, context, path, format, major);
    if (status == COVER_OK) H5Fclose(file);
    hdf5_end(&guard);
    return status;
}

START_TEST(what_was_saved_is_read_back) {
    struct hdf5_guard guard;
    hid_t file;
    float read[6] = {0};
    int64_t step = 0, shape[COVER_MAX_RANK];
    char *text;
    cover_dtype dtype;
    int rank;
    ck_assert_ok(save("checkpoint", 1));
    hdf5_begin(&guard);
    ck_assert_ok(hdf5_sealed_open(&file, context, path, "checkpoint", 1));
    ck_assert(hdf5_has(file, "weights/a.b.c/values"));
    ck_assert(!hdf5_has(file, "weights/none/values"));
    ck_assert_ok(hdf5_shape(file, "weights/a.b.c/values", &dtype, &rank, shape));
    ck_assert(dtype == COVER_F32 && rank == 2 && shape[0] == 2 && shape[1] == 3);
    ck_assert_ok(hdf5_read(file, "weights/a.b.c/values", COVER_F32, 2, numbers_shape, read));
    ck_assert_mem_eq(read, numbers, sizeof numbers);
    ck_assert_ok(hdf5_read(file, "step", COVER_I64, 0, NULL, &step));
    ck_assert_int_eq(step, 41);
    ck_assert_ok(hdf5_read_text(file, context, "config", &text));
    ck_assert_str_eq(text, "{\"lr\": 1}");
    memory_free(context, text);
    ck_assert_ok(hdf5_read_text(file, context, "empty", &text));
    ck_assert_str_eq(text, "");
    memory_free(context, text);
    ck_assert_int_eq(hdf5_read(file, "step", COVER_I32, 0, NULL, &step), COVER_ERROR_FORMAT);
    ck_assert_int_eq(hdf5_read(file, "nothing", COVER_I64, 0, NULL, &step), COVER_ERROR_FORMAT);
    ck_assert_int_eq(hdf5_read_text(file, context, "step", &text), COVER_ERROR_FORMAT);
    H5Fclose(file);
    hdf5_end(&guard);
}
END_TEST

START_TEST(equal_content_gives_equal_bytes) {
    uint8_t *first, *second;
    size_t first_bytes, second_bytes;
    ck_assert_ok(save("checkpoint", 1));
    ck_assert_ok(file_read(context, path, 0, &first, &first_bytes));
    sleep(1); /* times in the file would differ now */
    ck_assert_ok(save("checkpoint", 1));
    ck_assert_ok(file_read(context, path, 0, &second, &second_bytes));
    ck_assert_uint_eq(first_bytes, second_bytes);
    ck_assert_mem_eq(first, second, first_bytes);
    memory_free(context, first);
    memory_free(context, second);
}
END_TEST

START_TEST(plain_libhdf5_reads_the_file_behind_the_seal) {
    ck_assert_ok(save("checkpoint", 1));
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    hsize_t block = 0;
    hid_t creation = H5Fget_create_plist(file);
    H5Pget_userblock(creation, &block);
    ck_assert_uint_eq(block, SEAL_BYTES);
    H5Pclose(creation);
    H5Fclose(file);
}
END_TEST

START_TEST(every_truncation_and_every_flipped_byte_is_an_error) {
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(save("checkpoint", 1));
    ck_assert_ok(file_read(context, path, 0, &bytes, &count));
    for (size_t at = 0; at < count; at += at < 600 ? 1 : 31) {
        int fd = open(path, O_WRONLY);
        ck_assert_int_eq(pwrite(fd, &(uint8_t){bytes[at] ^ 0x40}, 1, (off_t)at), 1);
        ck_assert_int_eq(open_only("checkpoint", 1), COVER_ERROR_FORMAT);
        ck_assert_int_eq(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
        close(fd);
    }
    ck_assert_ok(open_only("checkpoint", 1));
    for (size_t keep = count - 1; keep > 0; keep -= keep > 700 ? 97 : 1) {
        ck_assert_int_eq(truncate(path, (off_t)keep), 0);
        ck_assert_int_eq(open_only("checkpoint", 1), COVER_ERROR_FORMAT);
    }
    memory_free(context, bytes);
}
END_TEST

START_TEST(other_formats_and_higher_majors_are_refused) {
    ck_assert_ok(save("dataset", 1));
    ck_assert_int_eq(open_only("checkpoint", 1), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "a COVER dataset, not a checkpoint"));
    ck_assert_ok(save("checkpoint", 2));
    ck_assert_int_eq(open_only("checkpoint", 1), COVER_ERROR_UNSUPPORTED);
    ck_assert_ok(open_only("checkpoint", 2));
    unlink(path);
    ck_assert_int_eq(open_only("checkpoint", 1), COVER_ERROR_IO);
}
END_TEST

static int printed;
static herr_t host_handler2(hid_t stack, void *data) {
    (void)stack, (void)data;
    printed++;
    return 0;
}
static herr_t host_handler1(void *data) {
    (void)data;
    printed++;
    return 0;
}

START_TEST(the_hosts_error_handler_is_silent_inside_and_restored_after) {
    struct hdf5_guard guard;
    H5Eset_auto2(H5E_DEFAULT, host_handler2, &printed);
    hdf5_begin(&guard);
    H5Fopen("/nonexistent", H5F_ACC_RDONLY, H5P_DEFAULT);
    hdf5_end(&guard);
    ck_assert_int_eq(printed, 0);
    H5Fopen("/nonexistent", H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_eq(printed, 1);
    H5E_auto2_t handler2;
    void *data;
    H5Eget_auto2(H5E_DEFAULT, &handler2, &data);
    ck_assert(handler2 == host_handler2 && data == &printed);
    H5Eset_auto1(host_handler1, &context);
    hdf5_begin(&guard);
    H5Fopen("/nonexistent", H5F_ACC_RDONLY, H5P_DEFAULT);
    hdf5_end(&guard);
    ck_assert_int_eq(printed, 1);
    H5E_auto1_t handler1;
    H5Eget_auto1(&handler1, &data);
    ck_assert(handler1 == host_handler1 && data == &context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sealed HDF5 files");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    ADD(all, what_was_saved_is_read_back);
    ADD(all, equal_content_gives_equal_bytes);
    ADD(all, plain_libhdf5_reads_the_file_behind_the_seal);
    ADD(all, every_truncation_and_every_flipped_byte_is_an_error);
    ADD(all, other_formats_and_higher_majors_are_refused);
    ADD(all, the_hosts_error_handler_is_silent_inside_and_restored_after);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
