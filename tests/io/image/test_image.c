/* The table of formats and reading from disk: extensions, unknown content, missing and unreadable files; and the
 * real files that are shipped. */
#include "io_test.h"

START_TEST(extensions_choose_a_format_whatever_their_case) {
    static const struct {
        const char *path, *name;
    } cases[] = {{"a/b.png", "PNG"}, {"a/b.PNG", "PNG"},          {"b.jpg", "JPEG"},       {"b.JPEG", "JPEG"}, {"b.tif", "TIFF"},
                 {"b.tiff", "TIFF"}, {"b.nii", "NIfTI"},          {"x.y.nii.gz", "NIfTI"}, {"b.gz", NULL},     {"b.csv", NULL},
                 {"png", NULL},      {"folder.png/readme", NULL}, {"folder/.png", NULL},   {"", NULL},         {"b.png.txt", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct image_format *format = image_format_of(cases[i].path);
        ck_assert_msg(!format == !cases[i].name, "%s", cases[i].path);
        if (format) ck_assert_str_eq(format->name, cases[i].name);
    }
}
END_TEST

static void ck_assert_unreadable(const char *path, cover_status expected, const char *words) {
    struct image image;
    cover_status status = image_read(&image, context, path, 0);
    ck_assert_str_eq(cover_status_name(status), cover_status_name(expected));
    ck_assert_msg(strncmp(cover_error_text(), path, strlen(path)) == 0, "%s", cover_error_text());
    ck_assert_msg(strstr(cover_error_text(), words) != NULL, "'%s' should say '%s'", cover_error_text(), words);
}

START_TEST(missing_empty_and_unknown_files_are_refused_with_their_path) {
    ck_assert_unreadable(in_folder("none.png"), COVER_ERROR_IO, "No such file");
    ck_assert_unreadable(file_of("empty.png", "", 0), COVER_ERROR_FORMAT, "the file is empty");
    ck_assert_unreadable(file_of("text.png", "hello", 5), COVER_ERROR_FORMAT,
                         "its name says PNG, but its content is not; known are PNG, JPEG, TIFF, NIfTI");
    ck_assert_unreadable(file_of("text.csv", "hello", 5), COVER_ERROR_UNSUPPORTED,
                         "not an image that is known here (PNG, JPEG, TIFF, NIfTI)");
    ck_assert_unreadable(test_folder, COVER_ERROR_IO, "is a folder");
}
END_TEST

START_TEST(the_content_decides_not_the_name) {
    uint8_t pixels[6] = {1, 2, 3, 4, 5, 6}, *bytes;
    size_t count;
    struct image image;
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, 2, 3, 1));
    ck_assert_ok(image_read(&image, context, file_of("really.nii.gz", bytes, count), 0));
    ck_assert_shape(&image, COVER_U8, 2, 1, 1, 2, 3);
    ck_assert_mem_eq(image.data, pixels, 6);
    image_free(&image, context);
    ck_assert_ptr_null(image.data);
    memory_free(context, bytes);
}
END_TEST

/* The numbers come from pillow and nibabel. */
START_TEST(a_real_chest_radiograph_is_read_exactly) {
    struct image image;
    uint64_t sum = 0;
    ck_assert_ok(image_read(&image, context, CHEST, 0));
    ck_assert_shape(&image, COVER_U8, 2, 1, 1, 256, 256);
    for (int i = 0; i < 256 * 256; i++) sum += ((uint8_t *)image.data)[i];
    ck_assert_uint_eq(sum, 8395570);
    ck_assert_int_eq(((uint8_t *)image.data)[100 * 256 + 50], 137);
    image_free(&image, context);
}
END_TEST

START_TEST(a_real_hippocampus_and_its_labels_are_read_exactly) {
    struct image image;
    uint64_t sum = 0, counts[256] = {0};
    ck_assert_ok(image_read(&image, context, TEST_DATA "/hippocampus.nii.gz", 0));
    ck_assert_shape(&image, COVER_U8, 3, 1, 34, 47, 33);
    for (int i = 0; i < 34 * 47 * 33; i++) sum += ((uint8_t *)image.data)[i];
    ck_assert_uint_eq(sum, 2705119);
    ck_assert_int_eq(((uint8_t *)image.data)[(20 * 47 + 40) * 33 + 3], 41);
    for (int axis = 0; axis < 3; axis++) {
        ck_assert(image.spacing_mm[axis] == 1);
        for (int i = 0; i < 4; i++) ck_assert(image.affine[4 * axis + i] == (i == axis || i == 3 ? 1 : 0));
    }
    image_free(&image, context);

    ck_assert_ok(image_read(&image, context, TEST_DATA "/hippocampus_label.nii.gz", 0));
    ck_assert_shape(&image, COVER_U8, 3, 1, 34, 47, 33);
    for (int i = 0; i < 34 * 47 * 33; i++) counts[((uint8_t *)image.data)[i]]++;
    ck_assert_uint_eq(counts[0], 50283);
    ck_assert_uint_eq(counts[1], 1054);
    ck_assert_uint_eq(counts[2], 1397);
    image_free(&image, context);
}
END_TEST

RUN_IO_TESTS("io image", extensions_choose_a_format_whatever_their_case,
             missing_empty_and_unknown_files_are_refused_with_their_path, the_content_decides_not_the_name,
             a_real_chest_radiograph_is_read_exactly, a_real_hippocampus_and_its_labels_are_read_exactly)
