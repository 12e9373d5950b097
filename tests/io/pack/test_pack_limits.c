/* The memory limit and pack: images, decoders and threads together keep to it, and what cannot be is refused at once. */
#include "../files.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <time.h>

#include <jpeglib.h>

static void limit_to(uint64_t bytes, int threads) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context_destroy(context);
    options.threads = threads, options.memory_limit_bytes = bytes, options.log = take_log;
    ck_assert_ok(cover_context_create(&context, &options));
}

/* A PNG whose pixels are many, and its file small. */
static void write_wide(const char *path, int64_t height, int64_t width) {
    uint8_t *pixels = calloc(1, (size_t)(height * width)), *bytes;
    size_t count;
    pixels[height * width / 2] = 1;
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, height, width, 1));
    write_bytes(path, bytes, count);
    memory_free(context, bytes);
    free(pixels);
}

START_TEST(an_image_that_unpacks_to_more_than_the_limit_is_refused) {
    write_wide(at("in/a.png"), 8000, 8000);
    limit_to(32 << 20, 2);
    ck_assert_int_eq(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "a.png: "));
    ck_assert_uint_lt(memory_most(context), 32 << 20);
}
END_TEST

START_TEST(images_that_fit_alone_are_packed_within_the_limit) {
    enum { IMAGES = 12, LIMIT = 12 << 20 };
    json_t *summary;
    for (int i = 0; i < IMAGES; i++) write_wide(at("in/%02d.png", i), 2000, 2000 + i); /* 4 MB, and as much to compress it */
    limit_to(LIMIT, 4);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "samples"), IMAGES);
    ck_assert_int_lt(number(summary, "most_memory"), LIMIT + (1 << 20));
    json_decref(summary);
}
END_TEST

/* 12x10x8 voxels whose header says metres: 1000 x 1000 x 2000 mm each. */
static void write_metres(void) {
    float values[960];
    for (int k = 0; k < 960; k++) values[k] = (float)k;
    write_nifti(at("in/v.nii"), 16, (int[]){8, 10, 12}, (double[]){2, 1, 1}, values);
    FILE *file = fopen(at("in/v.nii"), "r+b");
    ck_assert(fseek(file, 123, SEEK_SET) == 0 && fputc(1, file) == 1 && fclose(file) == 0);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

START_TEST(a_size_that_cannot_be_is_refused_before_anything_is_resampled) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    write_metres();
    const double start = seconds();
    for (int a = 0; a < 3; a++) options.spacing_mm[a] = 1;
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT,
                    "v.nii: 16000x10000x12000 would be 4 GiB or more once packed");
    limit_to(64 << 20, 2);
    for (int a = 0; a < 3; a++) options.spacing_mm[a] = 20; /* 1.9 GB */
    ck_assert_int_eq(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "v.nii: resampling 8x10x12 to 800x500x600: "));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "the memory limit is 64 MiB; raise option memory_limit"));
    ck_assert_uint_lt(memory_most(context), 1 << 20);
    ck_assert_double_lt(seconds() - start, 20);
}
END_TEST

START_TEST(what_libjpeg_takes_for_a_progressive_file_is_counted) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, row[2000];
    unsigned long count = 0;
    JSAMPROW rows = row;
    struct image image;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &count);
    jpeg.image_width = jpeg.image_height = 2000, jpeg.input_components = 1, jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    memset(row, 99, sizeof row);
    for (int y = 0; y < 2000; y++) jpeg_write_scanlines(&jpeg, &rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    limit_to(8 << 20, 1); /* pixels 4 MB, coefficients 8 MB */
    ck_assert_int_eq(image_decode(&image, context, "a.jpg", bytes, count, 0), COVER_ERROR_MEMORY);
    limit_to(16 << 20, 1);
    ck_assert_ok(image_decode(&image, context, "a.jpg", bytes, count, 0));
    ck_assert_uint_ge(memory_most(context), 12000000);
    image_free(&image, context);
    ck_assert_uint_lt(memory_now(context), 1 << 20);
    free(bytes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("limits of pack");
    TCase *all = tcase_create("limits");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    suite_add_tcase(suite, all);
    ADD(all, an_image_that_unpacks_to_more_than_the_limit_is_refused);
    ADD(all, images_that_fit_alone_are_packed_within_the_limit);
    ADD(all, a_size_that_cannot_be_is_refused_before_anything_is_resampled);
    ADD(all, what_libjpeg_takes_for_a_progressive_file_is_counted);
    return run_suite(suite);
}
