/* PNG files of every kind, written by libpng, read by ours: exact values; then the three attacks and lying headers. */
#include "io_test.h"

#include <png.h>
#include <zlib.h>

/* What to write: `bits` and `kind` as in IHDR; samples of a row as libpng takes them. */
struct png_spec {
    int width, height, bits, kind;
    bool interlaced;
    const png_color *palette;
    int entries;
    bool transparent_colour; /* a tRNS chunk for grey or RGB */
};

static void add(png_structp png, png_bytep from, size_t count) { bytes_add(png_get_io_ptr(png), from, count); }
static void flush(png_structp png) { (void)png; }

/* Rows are `row_bytes` apart; samples below 8 bits lie one in a byte. */
static struct bytes png_file(const struct png_spec *spec, const uint8_t *rows, size_t row_bytes) {
    struct bytes file = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    ck_assert_int_eq(setjmp(png_jmpbuf(png)), 0);
    png_set_write_fn(png, &file, add, flush);
    png_set_IHDR(png, info, (png_uint_32)spec->width, (png_uint_32)spec->height, spec->bits, spec->kind,
                 spec->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (spec->palette) {
        uint8_t alpha[256] = {0};
        png_set_PLTE(png, info, spec->palette, spec->entries);
        png_set_tRNS(png, info, alpha, spec->entries, NULL);
    }
    if (spec->transparent_colour) png_set_tRNS(png, info, NULL, 1, &(png_color_16){.gray = 1, .red = 1});
    png_set_text(png, info, &(png_text){.compression = PNG_TEXT_COMPRESSION_NONE, .key = "Title", .text = "x"}, 1);
    png_write_info(png, info);
    if (spec->bits < 8) png_set_packing(png);
    if (spec->bits == 16) png_set_swap(png);
    int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < spec->height; y++) png_write_row(png, rows + (size_t)y * row_bytes);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return file;
}

enum { W = 11, H = 9 };

/* A pattern without symmetry. */
static unsigned pattern(int i) { return (unsigned)i * 2654435761u >> 13; }

START_TEST(grey_of_1_2_4_8_bits_is_expanded_to_8) {
    for (int bits = 1; bits <= 8; bits *= 2)
        for (int interlaced = 0; interlaced < 2; interlaced++) {
            uint8_t rows[W * H];
            for (int i = 0; i < W * H; i++) rows[i] = (uint8_t)(pattern(i) & ((1u << bits) - 1));
            struct bytes file =
                png_file(&(struct png_spec){W, H, bits, PNG_COLOR_TYPE_GRAY, interlaced, .transparent_colour = true}, rows, W);
            struct image image = decoded(&file);
            ck_assert_shape(&image, COVER_U8, 2, 1, 1, H, W);
            for (int i = 0; i < W * H; i++) ck_assert_int_eq(((uint8_t *)image.data)[i], rows[i] * 255 / ((1 << bits) - 1));
            ck_assert(image.spacing_mm[1] == 0 && image.affine[0] == 0);
            image_free(&image, context);
            bytes_free(&file);
        }
}
END_TEST

START_TEST(alpha_is_dropped_and_colour_kept_in_8_and_16_bits) {
    static const struct {
        int kind, stored, kept;
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, 1, 1},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, 2, 1},
                 {PNG_COLOR_TYPE_RGB, 3, 3},
                 {PNG_COLOR_TYPE_RGB_ALPHA, 4, 3}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int bits = 8; bits <= 16; bits += 8)
            for (int interlaced = 0; interlaced < 2; interlaced++) {
                const int stored = kinds[k].stored, kept = kinds[k].kept;
                uint16_t wide[W * H * 4];
                uint8_t narrow[W * H * 4];
                for (int i = 0; i < W * H * stored; i++) wide[i] = (uint16_t)pattern(i), narrow[i] = (uint8_t)pattern(i);
                struct bytes file = png_file(&(struct png_spec){W, H, bits, kinds[k].kind, interlaced},
                                             bits == 8 ? narrow : (uint8_t *)wide, (size_t)(W * stored * bits / 8));
                struct image image = decoded(&file);
                ck_assert_shape(&image, bits == 8 ? COVER_U8 : COVER_U16, 2, kept, 1, H, W);
                for (int i = 0; i < W * H; i++)
                    for (int c = 0; c < kept; c++)
                        if (bits == 8) ck_assert_int_eq(((uint8_t *)image.data)[i * kept + c], narrow[i * stored + c]);
                        else ck_assert_int_eq(((uint16_t *)image.data)[i * kept + c], wide[i * stored + c]);
                image_free(&image, context);
                bytes_free(&file);
            }
}
END_TEST

START_TEST(a_palette_is_resolved_and_one_of_greys_gives_one_channel) {
    for (int grey = 0; grey < 2; grey++)
        for (int bits = 1; bits <= 8; bits *= 2)
            for (int interlaced = 0; interlaced < 2; interlaced++) {
                png_color palette[256];
                const int entries = 1 << bits, channels = grey ? 1 : 3;
                for (int i = 0; i < entries; i++) {
                    palette[i].red = palette[i].green = palette[i].blue = (uint8_t)(pattern(i + 7));
                    if (!grey) palette[i].blue = (uint8_t)~palette[i].blue;
                }
                uint8_t rows[W * H];
                for (int i = 0; i < W * H; i++) rows[i] = (uint8_t)(pattern(i) % (unsigned)entries);
                struct bytes file =
                    png_file(&(struct png_spec){W, H, bits, PNG_COLOR_TYPE_PALETTE, interlaced, palette, entries}, rows, W);
                struct image image = decoded(&file);
                ck_assert_shape(&image, COVER_U8, 2, channels, 1, H, W);
                const uint8_t *pixels = image.data;
                for (int i = 0; i < W * H; i++) {
                    ck_assert_int_eq(pixels[i * channels], palette[rows[i]].red);
                    if (grey) continue;
                    ck_assert_int_eq(pixels[i * 3 + 1], palette[rows[i]].green);
                    ck_assert_int_eq(pixels[i * 3 + 2], palette[rows[i]].blue);
                }
                image_free(&image, context);
                bytes_free(&file);
            }
}
END_TEST

/* Put a chunk's checksum right after its content was changed. */
static void sign_chunk(uint8_t *chunk, uint32_t length) {
    uint32_t sum = (uint32_t)crc32(crc32(0, NULL, 0), chunk + 4, length + 4);
    for (int i = 0; i < 4; i++) chunk[8 + length + (uint32_t)i] = (uint8_t)(sum >> (24 - 8 * i));
}

START_TEST(a_colour_outside_the_palette_is_refused) {
    png_color palette[4] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}};
    uint8_t rows[W * H] = {3};
    struct bytes file = png_file(&(struct png_spec){W, H, 8, PNG_COLOR_TYPE_PALETTE, false, palette, 4}, rows, W);
    /* the chunks begin at 8: IHDR of 13 bytes, then PLTE of 12: shorten it to 3 entries by moving the rest */
    uint8_t *plte = file.data + 8 + 25;
    ck_assert_mem_eq(plte + 4, "PLTE", 4);
    plte[3] = 9;
    memmove(plte + 8 + 9, plte + 8 + 12, file.count - (size_t)(plte + 8 + 12 - file.data));
    file.count -= 3;
    sign_chunk(plte, 9);
    /* tRNS of 4 entries is now too long for the palette; libpng drops it */
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "colour 3 of a palette of 3");
    bytes_free(&file);
}
END_TEST

static struct bytes small_file(bool interlaced, int kind) {
    uint8_t rows[7 * 5 * 4];
    png_color palette[256];
    for (int i = 0; i < 256; i++) palette[i] = (png_color){(uint8_t)i, (uint8_t)(i * 3), 9};
    for (size_t i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)pattern((int)i);
    bool indexed = kind == PNG_COLOR_TYPE_PALETTE;
    return png_file(&(struct png_spec){7, 5, 8, kind, interlaced, indexed ? palette : NULL, indexed ? 256 : 0}, rows,
                    (size_t)7 * (kind == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : 1));
}

START_TEST(every_truncated_png_is_refused) {
    struct bytes plain = small_file(false, PNG_COLOR_TYPE_RGB_ALPHA), woven = small_file(true, PNG_COLOR_TYPE_PALETTE);
    every_shorter_file_is_refused(&plain);
    every_shorter_file_is_refused(&woven);
    bytes_free(&plain);
    bytes_free(&woven);
}
END_TEST

START_TEST(every_changed_byte_of_a_png_is_survived) {
    struct bytes plain = small_file(false, PNG_COLOR_TYPE_RGB_ALPHA), woven = small_file(true, PNG_COLOR_TYPE_PALETTE);
    every_changed_byte_is_survived(&plain, plain.count);
    every_changed_byte_is_survived(&woven, woven.count);
    bytes_free(&plain);
    bytes_free(&woven);
}
END_TEST

START_TEST(every_changed_byte_of_a_png_header_with_a_right_checksum_is_survived) {
    struct bytes file = small_file(false, PNG_COLOR_TYPE_RGB_ALPHA);
    for (size_t i = 16; i < 29; i++)
        for (int value = 0; value < 256; value++) {
            struct bytes changed = {0};
            struct image image;
            bytes_add(&changed, file.data, file.count);
            changed.data[i] = (uint8_t)value;
            sign_chunk(changed.data + 8, 13);
            if (decode_exactly(&image, changed.data, changed.count) == COVER_OK) image_free(&image, context);
            bytes_free(&changed);
        }
    bytes_free(&file);
}
END_TEST

START_TEST(refused_memory_leaks_nothing) {
    struct bytes plain = small_file(false, PNG_COLOR_TYPE_RGB_ALPHA), woven = small_file(true, PNG_COLOR_TYPE_PALETTE);
    every_refused_allocation_is_survived(&plain);
    every_refused_allocation_is_survived(&woven);
    bytes_free(&plain);
    bytes_free(&woven);
}
END_TEST

START_TEST(a_header_that_promises_more_than_the_file_holds_is_refused) {
    struct bytes file = small_file(false, PNG_COLOR_TYPE_RGB_ALPHA);
    const uint8_t huge[8] = {0, 2, 0, 0, 0, 3, 0, 0}; /* 131072 x 196608, 103 GB */
    memcpy(file.data + 16, huge, 8);
    sign_chunk(file.data + 8, 13);
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "IHDR says 131072 x 196608 pixels");
    bytes_free(&file);
}
END_TEST

START_TEST(pixels_over_the_limit_are_refused) {
    struct bytes file = small_file(false, PNG_COLOR_TYPE_RGB_ALPHA);
    struct image image;
    ck_assert_int_eq(image_decode(&image, context, "a.png", file.data, file.count, 7 * 5 * 3 - 1), COVER_ERROR_MEMORY);
    ck_assert_str_eq(cover_error_text(),
                     "a.png: 1 x 5 x 7 (D, H, W) with 3 channels of u8 would take more than the limit of 104 bytes");
    ck_assert_ok(image_decode(&image, context, "a.png", file.data, file.count, 7 * 5 * 3));
    image_free(&image, context);
    bytes_free(&file);
}
END_TEST

START_TEST(an_encoded_png_reads_back_exactly) {
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t pixels[33 * 21 * 3];
        for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)pattern((int)i);
        struct bytes file = {0};
        ck_assert_ok(png_encode(context, &file.data, &file.count, pixels, 33, 21, channels));
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U8, 2, channels, 1, 33, 21);
        ck_assert_mem_eq(image.data, pixels, (size_t)(33 * 21 * channels));
        image_free(&image, context);
        memory_free(context, file.data);
    }
}
END_TEST

START_TEST(encoding_refuses_what_png_cannot_hold_and_survives_refused_memory) {
    uint8_t pixels[64 * 64], *bytes = NULL;
    size_t count;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)pattern((int)i);
    ck_assert_int_eq(png_encode(context, &bytes, &count, pixels, 8, 8, 2), COVER_ERROR_ARGUMENT);
    ck_assert_int_eq(png_encode(context, &bytes, &count, pixels, 0, 8, 1), COVER_ERROR_SHAPE);
    ck_assert_int_eq(png_encode(context, &bytes, &count, pixels, 1, (int64_t)1 << 31, 1), COVER_ERROR_SHAPE);
    long before = watched.alive;
    for (long call = 1;; call++) {
        watched.calls = 0, watched.fail_at = call;
        cover_status status = png_encode(context, &bytes, &count, pixels, 64, 64, 1);
        watched.fail_at = 0;
        if (status == COVER_OK) {
            memory_free(context, bytes);
            ck_assert_int_gt(call, 3);
            break;
        }
        ck_assert_int_eq(status, COVER_ERROR_MEMORY);
        ck_assert_int_eq(watched.alive, before);
    }
    ck_assert_int_eq(watched.alive, before);
}
END_TEST

RUN_IO_TESTS("io png", grey_of_1_2_4_8_bits_is_expanded_to_8, alpha_is_dropped_and_colour_kept_in_8_and_16_bits,
             a_palette_is_resolved_and_one_of_greys_gives_one_channel, a_colour_outside_the_palette_is_refused,
             every_truncated_png_is_refused, every_changed_byte_of_a_png_is_survived,
             every_changed_byte_of_a_png_header_with_a_right_checksum_is_survived, refused_memory_leaks_nothing,
             a_header_that_promises_more_than_the_file_holds_is_refused, pixels_over_the_limit_are_refused,
             an_encoded_png_reads_back_exactly, encoding_refuses_what_png_cannot_hold_and_survives_refused_memory)
