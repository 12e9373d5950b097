/* Label maps as they come: black and white, with a palette, as JPEG, as floats that rounding has moved, and what they hold. */
#include "../files.h"

#include <png.h>
#include <stdlib.h>

#include <jpeglib.h>

/* A label map of these values, row by row. */
static void write_values(const char *path, const uint8_t *values, int height, int width) {
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(png_encode(context, &bytes, &count, values, height, width, 1));
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
}

/* in/images/N.png and in/labels/N.png of the values, again and again. */
static void write_pairs(int pairs, const char *values) {
    uint8_t pixels[64];
    const int kinds = (int)strlen(values);
    for (int i = 0; i < pairs; i++) {
        for (int k = 0; k < 64; k++) pixels[k] = (uint8_t)((values[(k / 3 + i) % kinds] - '0') * 255 / 9);
        write_png(at("in/images/%d.png", i), 8, 8, 1, i);
        write_values(at("in/labels/%d.png", i), pixels, 8, 8);
    }
}

static const uint8_t *label_of(cover_tensor **label, const char *path) {
    cover_dataset *dataset = open_dataset(path);
    ck_assert_ok(cover_dataset_read_label(label, dataset, 0));
    ck_assert_int_eq(cover_tensor_dtype(*label), COVER_U8);
    cover_dataset_destroy(dataset);
    return cover_tensor_data(*label);
}

START_TEST(masks_in_black_and_white_are_refused_with_what_to_do) {
    write_pairs(3, "09");
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "hold 0, 255 alone");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "option number_labels makes 255 class 1"));
}
END_TEST

START_TEST(values_that_occur_are_numbered_when_asked) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.number_labels = 1;
    for (int grey = 0; grey < 2; grey++) {
        json_t *summary;
        cover_tensor *label;
        write_pairs(3, grey ? "039" : "09");
        ck_assert_ok(pack(at("in"), at("out.h5"), &options, &summary));
        ck_assert_int_eq(number(summary, "classes"), grey ? 3 : 2);
        json_decref(summary);
        const uint8_t *values = label_of(&label, at("out.h5"));
        for (int k = 0; k < 64; k++) ck_assert_uint_eq(values[k], k / 3 % (grey ? 3 : 2));
        cover_tensor_destroy(label);
    }
    ck_assert_ok(pack(at("in"), at("first.h5"), &options, NULL));
    cover_context_destroy(context);
    make_context(1);
    ck_assert_ok(pack(at("in"), at("second.h5"), &options, NULL));
    same_files(at("first.h5"), at("second.h5"));
}
END_TEST

START_TEST(numbers_of_dataset_json_stay_what_they_are) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.number_labels = 1;
    write_text(at("raw/dataset.json"),
               "{\"channel_names\": {\"0\": \"x\"}, \"labels\": {\"background\": 0, \"a\": 1}, \"file_ending\": \".png\"}");
    write_png(at("raw/imagesTr/a_0000.png"), 8, 8, 1, 1);
    write_label(at("raw/labelsTr/a.png"), 8, 8, 2);
    ck_assert_fails(pack(at("raw"), at("out.h5"), &options, NULL), COVER_ERROR_ARGUMENT, "leave option number_labels out");
}
END_TEST

START_TEST(many_empty_classes_between_the_values_are_a_warning) {
    write_pairs(3, "039");
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "hold 3 of the values 0 to 255 (0, 85, 255)"));
    write_pairs(3, "0");
    logged[0] = 0;
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL)); /* nothing but background */
    ck_assert_str_eq(logged, "");
}
END_TEST

/* Indices 0, 1, 2 of black, red and grey. */
static void write_palette(const char *path) {
    png_color colours[3] = {{0, 0, 0}, {200, 30, 30}, {90, 90, 90}};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t row[8];
    write_text(path, "");
    FILE *file = fopen(path, "wb");
    png_init_io(png, file);
    png_set_IHDR(png, info, 8, 8, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_PLTE(png, info, colours, 3);
    png_write_info(png, info);
    for (int y = 0; y < 8; y++) {
        for (int x = 0; x < 8; x++) row[x] = (uint8_t)((x + y) % 3);
        png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

START_TEST(indices_of_a_palette_are_the_classes) {
    cover_tensor *label;
    write_png(at("in/images/a.png"), 8, 8, 1, 1);
    write_palette(at("in/labels/a.png"));
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    const uint8_t *values = label_of(&label, at("out.h5"));
    for (int k = 0; k < 64; k++) ck_assert_uint_eq(values[k], (k % 8 + k / 8) % 3);
    cover_tensor_destroy(label);
}
END_TEST

START_TEST(a_jpeg_is_no_label_map) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long count = 0;
    uint8_t row[16];
    JSAMPROW rows = row;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &count);
    jpeg.image_width = jpeg.image_height = 16, jpeg.input_components = 1, jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < 16; y++) {
        for (int x = 0; x < 16; x++) row[x] = (x - 8) * (x - 8) + (y - 8) * (y - 8) < 30 ? 255 : 0;
        jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    write_png(at("in/images/a.png"), 16, 16, 1, 1);
    write_bytes(at("in/labels/a.jpg"), bytes, count);
    free(bytes);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "labels/a.jpg: JPEG changes values");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "different ones"));
}
END_TEST

START_TEST(a_number_that_rounding_moved_is_the_whole_one_beside_it) {
    const int size[3] = {4, 4, 4};
    const double spacing[3] = {1, 1, 1};
    float values[64];
    cover_tensor *label;
    for (int k = 0; k < 64; k++) values[k] = (float)k;
    write_nifti(at("in/images/a.nii"), 16, size, spacing, values);
    for (int k = 0; k < 64; k++) values[k] = (float)(k % 3) * (k % 2 ? 1.00001526f : 0.9999999f) - (k % 3 ? 0 : 1e-5f);
    write_nifti(at("in/labels/a.nii"), 16, size, spacing, values);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    const uint8_t *whole = label_of(&label, at("out.h5"));
    for (int k = 0; k < 64; k++) ck_assert_uint_eq(whole[k], k % 3);
    cover_tensor_destroy(label);
    values[5] = 1.9951172f; /* shown with all its digits, it is seen to be none */
    write_nifti(at("in/labels/a.nii"), 16, size, spacing, values);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "in/labels/a.nii: voxel 5 holds 1.99511719, which is no whole number");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("labels of pack");
    TCase *all = tcase_create("labels");
    tcase_add_checked_fixture(all, setup, teardown);
    suite_add_tcase(suite, all);
    ADD(all, masks_in_black_and_white_are_refused_with_what_to_do);
    ADD(all, values_that_occur_are_numbered_when_asked);
    ADD(all, numbers_of_dataset_json_stay_what_they_are);
    ADD(all, many_empty_classes_between_the_values_are_a_warning);
    ADD(all, indices_of_a_palette_are_the_classes);
    ADD(all, a_jpeg_is_no_label_map);
    ADD(all, a_number_that_rounding_moved_is_the_whole_one_beside_it);
    return run_suite(suite);
}
