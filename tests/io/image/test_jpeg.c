/* JPEG files of every kind, written by libjpeg, read by ours: the values of blocks that the code holds exactly, then
 * the three attacks, half files and lying headers. */
#include "io_test.h"

#include <jpeglib.h>

struct jpeg_spec {
    int width, height, components;
    J_COLOR_SPACE space;
    int quality;
    bool progressive;
    const jpeg_scan_info *scans; /* of a progressive file; NULL = the usual ones */
    int scan_count;
};

static struct bytes jpeg_file(const struct jpeg_spec *spec, const uint8_t *pixels) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *memory = NULL;
    unsigned long count = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &memory, &count);
    jpeg.image_width = (JDIMENSION)spec->width, jpeg.image_height = (JDIMENSION)spec->height;
    jpeg.input_components = spec->components, jpeg.in_color_space = spec->space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, spec->quality, TRUE);
    if (spec->progressive) jpeg_simple_progression(&jpeg);
    if (spec->scans) jpeg.scan_info = spec->scans, jpeg.num_scans = spec->scan_count;
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)jpeg.next_scanline * (size_t)(spec->width * spec->components));
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    struct bytes file = {0};
    bytes_add(&file, memory, count);
    free(memory);
    return file;
}

enum { W = 37, H = 29 };

/* Blocks of 16 x 16 of one value each: at quality 100 such a block is its mean alone, which is coded exactly. */
static int block_value(int y, int x, int c) { return (y / 16 * 5 + x / 16 * 40 + c * 70 + 17) % 256; }

START_TEST(flat_blocks_of_grey_come_back_exactly) {
    for (int progressive = 0; progressive < 2; progressive++) {
        uint8_t pixels[W * H];
        for (int i = 0; i < W * H; i++) pixels[i] = (uint8_t)block_value(i / W, i % W, 0);
        struct bytes file = jpeg_file(&(struct jpeg_spec){W, H, 1, JCS_GRAYSCALE, 100, progressive}, pixels);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U8, 2, 1, 1, H, W);
        ck_assert_mem_eq(image.data, pixels, sizeof pixels);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(colour_comes_back_as_rgb_within_two_steps) {
    for (int progressive = 0; progressive < 2; progressive++) {
        uint8_t pixels[W * H * 3];
        for (int i = 0; i < W * H; i++)
            for (int c = 0; c < 3; c++) pixels[3 * i + c] = (uint8_t)block_value(0, 0, c);
        struct bytes file = jpeg_file(&(struct jpeg_spec){W, H, 3, JCS_RGB, 100, progressive}, pixels);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U8, 2, 3, 1, H, W);
        for (size_t i = 0; i < sizeof pixels; i++) ck_assert_int_le(abs(((uint8_t *)image.data)[i] - pixels[i]), 2);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(print_colours_and_odd_components_are_refused_by_name) {
    uint8_t pixels[16 * 16 * 4] = {0};
    struct bytes cmyk = jpeg_file(&(struct jpeg_spec){16, 16, 4, JCS_CMYK, 90, false}, pixels);
    struct bytes pair = jpeg_file(&(struct jpeg_spec){16, 16, 2, JCS_UNKNOWN, 90, false}, pixels);
    ck_assert_refused(&cmyk, COVER_ERROR_UNSUPPORTED, "CMYK");
    ck_assert_refused(&pair, COVER_ERROR_UNSUPPORTED, "2 components");
    bytes_free(&cmyk);
    bytes_free(&pair);
}
END_TEST

static struct bytes small_file(bool progressive, int components) {
    uint8_t pixels[21 * 17 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 20);
    return jpeg_file(&(struct jpeg_spec){21, 17, components, components == 1 ? JCS_GRAYSCALE : JCS_RGB, 50, progressive}, pixels);
}

START_TEST(every_truncated_jpeg_is_refused) {
    struct bytes baseline = small_file(false, 1), progressive = small_file(true, 3);
    every_shorter_file_is_refused(&baseline);
    every_shorter_file_is_refused(&progressive);
    bytes_free(&baseline);
    bytes_free(&progressive);
}
END_TEST

START_TEST(half_a_picture_says_that_it_is_cut) {
    struct bytes file = small_file(false, 3);
    file.count -= 100;
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "damaged JPEG: Premature end");
    bytes_free(&file);
}
END_TEST

START_TEST(every_changed_byte_of_a_jpeg_is_survived) {
    struct bytes baseline = small_file(false, 1), progressive = small_file(true, 3);
    every_changed_byte_is_survived(&baseline, baseline.count);
    every_changed_byte_is_survived(&progressive, progressive.count);
    bytes_free(&baseline);
    bytes_free(&progressive);
}
END_TEST

/* The frame header (SOF0 or SOF2): marker, length, precision, height, width. */
static uint8_t *frame_of(struct bytes *file) {
    for (size_t i = 0; i + 9 < file->count; i++)
        if (file->data[i] == 0xff && (file->data[i + 1] == 0xc0 || file->data[i + 1] == 0xc2)) return file->data + i;
    ck_abort_msg("no frame header");
    return NULL;
}

START_TEST(a_frame_that_promises_more_than_the_file_holds_is_refused) {
    struct bytes file = small_file(true, 3);
    memset(frame_of(&file) + 5, 0xff, 4); /* 65535 x 65535, over JPEG_MAX_DIMENSION */
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "damaged JPEG: Maximum supported image dimension");
    const uint8_t huge[4] = {0xff, 0, 0xff, 0};
    memcpy(frame_of(&file) + 5, huge, 4);
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "the frame header says 65280 x 65280 pixels");
    bytes_free(&file);
}
END_TEST

START_TEST(twelve_bits_are_refused_as_unsupported) {
    struct bytes file = small_file(false, 1);
    frame_of(&file)[4] = 12;
    ck_assert_refused(&file, COVER_ERROR_UNSUPPORTED, "precision 12");
    bytes_free(&file);
}
END_TEST

START_TEST(thousands_of_scans_are_refused) {
    /* two scans of full precision; the second may come again, as it says nothing new */
    static const jpeg_scan_info scans[2] = {{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
    uint8_t pixels[8 * 8];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 20);
    struct bytes honest = jpeg_file(&(struct jpeg_spec){8, 8, 1, JCS_GRAYSCALE, 50, true, scans, 2}, pixels);
    size_t last = 0;
    for (size_t i = 0; i + 1 < honest.count; i++)
        if (honest.data[i] == 0xff && honest.data[i + 1] == 0xda) last = i;
    for (int repeats = 100; repeats <= 600; repeats += 500) {
        struct bytes file = {0};
        bytes_add(&file, honest.data, last);
        for (int i = 0; i < repeats; i++) bytes_add(&file, honest.data + last, honest.count - 2 - last);
        bytes_add(&file, honest.data + honest.count - 2, 2);
        if (repeats < 500) {
            struct image image = decoded(&file);
            image_free(&image, context);
        } else {
            ck_assert_refused(&file, COVER_ERROR_FORMAT, "more than 500 scans");
        }
        bytes_free(&file);
    }
    bytes_free(&honest);
}
END_TEST

START_TEST(refused_memory_leaks_nothing) {
    struct bytes baseline = small_file(false, 1);
    every_refused_allocation_is_survived(&baseline);
    bytes_free(&baseline);
}
END_TEST

RUN_IO_TESTS("io jpeg", flat_blocks_of_grey_come_back_exactly, colour_comes_back_as_rgb_within_two_steps,
             print_colours_and_odd_components_are_refused_by_name, every_truncated_jpeg_is_refused,
             half_a_picture_says_that_it_is_cut, every_changed_byte_of_a_jpeg_is_survived,
             a_frame_that_promises_more_than_the_file_holds_is_refused, twelve_bits_are_refused_as_unsupported,
             thousands_of_scans_are_refused, refused_memory_leaks_nothing)
