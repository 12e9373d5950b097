/* Frames of JPEG: lossless of both processes by the own decoder, baseline and extended through libjpeg-turbo (R6, R18, R23). */
#include "codec_test.h"
#include "lossless_coder.h"

#define BASELINE "1.2.840.10008.1.2.4.50"
#define EXTENDED "1.2.840.10008.1.2.4.51"
#define LOSSLESS "1.2.840.10008.1.2.4.57"
#define SV1 "1.2.840.10008.1.2.4.70"

#define CT_57 "aa8aa9ef44ff31f6f4af79c7312ba40475c0e44b264a0760ce5fc60cafe2c5fa"
#define RGB_57 "89ad10bbda73de0db000da69e9246d9cb7cfa4a2e84d457658aeb40227fdafc3"
#define MR_57 "b8d9a6cee6ff2ea9edbe8b476e54b80cfab8c6a15aff4d431b6c38840a20f7df"
static const struct frame_case frames[] = {
    {"ct_jpegll_1", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_2", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_3", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_4", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_5", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_6", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_7", LOSSLESS, {40, 32, 1, 16, 12, 11, false}, CT_57},
    {"ct_jpegll_point",
     LOSSLESS,
     {40, 32, 1, 16, 12, 11, false},
     "5bdb06e022930193f5795c7b1954db0cf6e6627345d1e4e566f14a997250cdb8"},
    {"rgb_jpegll_4", LOSSLESS, {100, 100, 3, 8, 8, 7, false}, RGB_57},
    {"mr_jpegll_5", LOSSLESS, {64, 64, 1, 16, 16, 15, true}, MR_57},
    {"ct_jpegll", SV1, {40, 32, 1, 16, 12, 11, false}, "7283ee5472dc1ba8bee0db1ded8bd677f7c596356dbd6750f2f323924645da87"},
    {"mr_jpegll", SV1, {128, 128, 1, 16, 12, 11, false}, "dfa723e36785e27941a975f6bcbb1658761cefb0efbc7e4e38cac07722ba65e0"},
    {"rgb_jpegll", SV1, {100, 100, 3, 8, 8, 7, false}, RGB_57},
};
enum { FRAMES = sizeof frames / sizeof *frames };

/* ---- lossless */

START_TEST(lossless_jpeg_of_every_predictor_gives_the_values_of_pydicom) { ck_assert_frame(&frames[_i]); }
END_TEST

static uint64_t state;
static uint32_t draw(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 40);
}

/* Smooth, with noise and a few jumps over the whole range. */
static uint16_t *scene(const struct coded *form) {
    const int count = form->rows * form->columns * form->components;
    uint16_t *values = malloc((size_t)count * sizeof *values);
    const uint32_t mask = (1u << form->precision) - 1;
    for (int i = 0; i < count; i++) {
        const uint32_t smooth = (uint32_t)(i / form->components * 7) + draw() % 9;
        values[i] = (uint16_t)((draw() % 29 == 0 ? draw() : smooth) & mask & ~((1u << form->point) - 1));
    }
    return values;
}

static void ck_assert_coded(const struct coded *form, int bits_allocated) {
    const struct dicom_frame_shape shape = {form->rows,          form->columns, form->components, bits_allocated, form->precision,
                                            form->precision - 1, false};
    uint16_t *values = scene(form);
    struct bytes file = code_lossless(form, values);
    struct dicom_decoded decoded;
    void *out;
    ck_assert_ok(decode_frame(LOSSLESS, file.data, file.count, &shape, &out, &decoded));
    ck_assert_int_eq(decoded.precision, form->precision);
    ck_assert(!decoded.sign_known);
    for (size_t i = 0; i < values_of(&shape); i++)
        ck_assert_msg(stored_value(out, &shape, i) == values[i], "value %zu is %d, not %d", i, stored_value(out, &shape, i),
                      values[i]);
    free(out);
    free(values);
    bytes_free(&file);
}

START_TEST(every_precision_and_predictor_in_short_and_long_codes_comes_back) {
    for (int precision = 2; precision <= 16; precision++)
        for (int predictor = 1; predictor <= 7; predictor++)
            for (int long_codes = 0; long_codes < 2; long_codes++) {
                const struct coded form = {23, 19, 1, precision, predictor, .long_codes = long_codes != 0};
                ck_assert_coded(&form, precision <= 8 ? 8 : 16);
                ck_assert_coded(&form, 32);
            }
}
END_TEST

START_TEST(point_transform_restarts_fill_bytes_and_components_in_scans_come_back) {
    for (int variant = 0; variant < 48; variant++) {
        const struct coded form = {.rows = 17 + variant % 5,
                                   .columns = variant % 6 == 5 ? 1 : 13,
                                   .components = variant & 1 ? 3 : 1,
                                   .precision = variant & 2 ? 8 : 14,
                                   .predictor = 1 + variant % 7,
                                   .point = variant & 4 ? 3 : 0,
                                   .interval = variant & 8 ? 1 + variant % 3 : 0,
                                   .long_codes = variant & 16,
                                   .scans = variant & 32,
                                   .fill = variant % 3};
        ck_assert_coded(&form, form.precision > 8 ? 16 : 8);
    }
}
END_TEST

START_TEST(one_row_and_one_column_come_back) {
    for (int predictor = 1; predictor <= 7; predictor++) {
        ck_assert_coded(&(struct coded){1, 30, 1, 12, predictor}, 16);
        ck_assert_coded(&(struct coded){30, 1, 1, 12, predictor}, 16);
        ck_assert_coded(&(struct coded){1, 1, 3, 8, predictor}, 8);
    }
}
END_TEST

/* A coded frame with bytes of it changed behind a marker; offset 0 is the marker's second byte. */
static void ck_assert_marred(const struct coded *form, int marker, size_t offset, int byte, const char *words) {
    const struct dicom_frame_shape shape = {form->rows,          form->columns, form->components, 16, form->precision,
                                            form->precision - 1, false};
    uint16_t *values = scene(form);
    struct bytes file = code_lossless(form, values);
    for (size_t i = 0; i + 1 < file.count; i++)
        if (file.data[i] == 0xFF && file.data[i + 1] == marker) {
            file.data[i + 1 + offset] = (uint8_t)byte;
            break;
        }
    ck_assert_frame_refused(LOSSLESS, &file, &shape, words);
    free(values);
    bytes_free(&file);
}

START_TEST(a_lossless_jpeg_that_lies_is_refused_with_what_is_wrong) {
    const struct coded form = {9, 8, 1, 12, 1}, colour = {9, 8, 3, 12, 1}, restarts = {9, 8, 1, 12, 1, .interval = 2};
    ck_assert_marred(&form, 0xC3, 3, 17, "17 bits a sample, the header allocates 16");
    ck_assert_marred(&form, 0xC3, 3, 1, "1 bits a sample");
    ck_assert_marred(&form, 0xC3, 5, 10, "the JPEG says 8 x 10 pixels of 1 samples, the header 8 x 9 of 1");
    ck_assert_marred(&form, 0xC3, 5, 0, "DNL");
    ck_assert_marred(&form, 0xC3, 7, 9, "the JPEG says 9 x 9 pixels");
    ck_assert_marred(&form, 0xC3, 8, 2, "2 components in a frame header of 9 bytes");
    ck_assert_marred(&form, 0xC3, 10, 0x10, "without sampling factors");
    ck_assert_marred(&colour, 0xC3, 10, 0x21, "subsampled colour");
    ck_assert_marred(&form, 0xC3, 0, 0xC9, "arithmetic process (SOF9)");
    ck_assert_marred(&form, 0xC4, 3, 1, "a scan without its Huffman table");
    ck_assert_marred(&form, 0xC4, 4, 3, "too many codes");
    ck_assert_marred(&form, 0xDA, 3, 2, "a scan header");
    ck_assert_marred(&form, 0xDA, 4, 9, "a component that is not there");
    ck_assert_marred(&form, 0xDA, 5, 0x40, "without its Huffman table");
    ck_assert_marred(&form, 0xDA, 6, 0, "predictor 0");
    ck_assert_marred(&form, 0xDA, 6, 8, "predictor 8");
    ck_assert_marred(&form, 0xDA, 8, 12, "point transform 12");
    ck_assert_marred(&restarts, 0xDD, 4, 17, "a restart interval of 17 pixels in lines of 8");
    ck_assert_marred(&restarts, 0xD1, 0, 0xD2, "no restart marker before row 4");
    ck_assert_marred(&form, 0xD8, 0, 0xD9, "does not begin as one");
}
END_TEST

START_TEST(few_bytes_that_claim_a_large_jpeg_are_refused_before_memory_is_taken) {
    static const uint8_t lie[] = {0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 16, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x11, 0, 0xFF, 0xD9};
    const struct dicom_frame_shape large = {65535, 65535, 1, 16, 16, 15, false};
    uint8_t baseline[sizeof lie];
    memcpy(baseline, lie, sizeof lie);
    baseline[3] = 0xC0, baseline[6] = 8;
    ck_assert_fails(dicom_check_frame(dicom_syntax_of(SV1), lie, sizeof lie, &large), COVER_ERROR_FORMAT,
                    "cannot hold 65535 x 65535");
    ck_assert_fails(dicom_check_frame(dicom_syntax_of(BASELINE), baseline, sizeof lie, &large), COVER_ERROR_FORMAT,
                    "cannot hold 65535 x 65535");
}
END_TEST

START_TEST(no_first_part_of_a_lossless_jpeg_is_the_whole) {
    if (frames[_i].shape.rows < 128)
        every_shorter_frame_is_refused(&frames[_i], 4); /* EOI, the last bits, a byte that makes it even */
}
END_TEST

START_TEST(every_changed_byte_of_a_lossless_jpeg_is_survived) {
    if (frames[_i].shape.rows < 64) every_changed_byte_of_a_frame_is_survived(&frames[_i]);
}
END_TEST

START_TEST(a_refused_allocation_of_a_lossless_jpeg_is_an_error) {
    struct bytes file = frame_file("ct_jpegll");
    struct dicom_decoded decoded;
    void *out;
    for (long call = 1; call <= 2; call++) {
        watched.calls = 0, watched.fail_at = call;
        ck_assert_int_eq(decode_frame(SV1, file.data, file.count, &frames[10].shape, &out, &decoded), COVER_ERROR_MEMORY);
    }
    watched.calls = 0, watched.fail_at = 3;
    ck_assert_ok(decode_frame(SV1, file.data, file.count, &frames[10].shape, &out, &decoded));
    watched.fail_at = 0;
    free(out);
    bytes_free(&file);
}
END_TEST

/* ---- coefficients */

struct lossy {
    const char *name;
    struct dicom_frame_shape shape;
    enum dicom_colour colour;
    double mean[3]; /* pydicom's, of the samples as coded */
    int centre[3];
};
static const struct lossy lossy[] = {
    {"ybr_jpeg", {100, 100, 3, 8, 8, 7, false}, DICOM_COLOUR_YBR_FULL, {127.69, 128.01, 127.94}, {143, 192, 115}},
    {"rgb_jpeg", {100, 100, 3, 8, 8, 7, false}, DICOM_COLOUR_RGB, {127.75, 127.72, 127.75}, {129, 129, 255}},
    {"odd_jpeg", {3, 3, 3, 8, 8, 7, false}, DICOM_COLOUR_YBR_FULL, {128.667, 127.333, 128.0}, {90, 178, 108}},
    {"ybr422_jpeg", {240, 320, 3, 8, 8, 7, false}, DICOM_COLOUR_YBR_FULL, {9.482, 127.964, 127.797}, {7, 128, 128}},
};
enum { LOSSY = sizeof lossy / sizeof *lossy };

static void ck_assert_lossy(const struct lossy *given, int bits_allocated) {
    struct dicom_frame_shape shape = given->shape;
    struct bytes file = frame_file(given->name);
    struct dicom_decoded decoded;
    void *out;
    shape.bits_allocated = bits_allocated;
    ck_assert_ok(decode_frame(BASELINE, file.data, file.count, &shape, &out, &decoded));
    ck_assert_int_eq(decoded.precision, 8);
    ck_assert_int_eq(decoded.colour, given->colour);
    const size_t pixels = (size_t)shape.rows * (size_t)shape.columns;
    const size_t centre = (size_t)(shape.rows / 2) * (size_t)shape.columns + (size_t)(shape.columns / 2);
    for (size_t c = 0; c < 3; c++) {
        double sum = 0;
        for (size_t i = 0; i < pixels; i++) sum += stored_value(out, &shape, 3 * i + c);
        ck_assert_double_lt(fabs(sum / (double)pixels - given->mean[c]), 0.7); /* decoders round in their own ways */
        ck_assert_int_le(abs(stored_value(out, &shape, 3 * centre + c) - given->centre[c]), 2);
    }
    free(out);
    bytes_free(&file);
}

START_TEST(r23_a_baseline_jpeg_gives_its_samples_as_coded_and_says_which_colours_they_are) {
    ck_assert_lossy(&lossy[_i], 8);
    ck_assert_lossy(&lossy[_i], 16);
    ck_assert_lossy(&lossy[_i], 32);
}
END_TEST

/* Without a word of JFIF or Adobe it is Photometric Interpretation that counts. */
START_TEST(r23_a_baseline_jpeg_without_markers_leaves_the_colours_to_the_header) {
    struct bytes file = frame_file("rgb_jpeg");
    const struct dicom_frame_shape shape = lossy[1].shape;
    struct dicom_decoded decoded;
    void *out;
    ck_assert_mem_eq(file.data + 6, "Adobe", 5);
    memcpy(file.data + 6, "other", 5);
    for (size_t i = 0; i + 16 < file.count; i++)
        if (file.data[i] == 0xFF && file.data[i + 1] == 0xC0)
            ck_assert_mem_eq(file.data + i + 10, ((uint8_t[]){'R', 0x11, 0, 'G', 0x11, 0, 'B'}), 7);
    ck_assert_ok(decode_frame(BASELINE, file.data, file.count, &shape, &out, &decoded));
    ck_assert_int_eq(decoded.colour, DICOM_COLOUR_RGB);
    free(out);
    for (size_t i = 0; i + 16 < file.count; i++)
        for (int c = 0; c < 3; c++)
            if (file.data[i] == 0xFF && (file.data[i + 1] == 0xC0 || file.data[i + 1] == 0xDA))
                file.data[i + (file.data[i + 1] == 0xC0 ? 10 + 3 * c : 5 + 2 * c)] = (uint8_t)(c + 1);
    ck_assert_ok(decode_frame(BASELINE, file.data, file.count, &shape, &out, &decoded));
    ck_assert_int_eq(decoded.colour, DICOM_COLOUR_UNSAID);
    free(out);
    bytes_free(&file);
}
END_TEST

START_TEST(twelve_bits_are_read_where_libjpeg_reads_them_and_else_refused_by_name) {
    const struct dicom_frame_shape shape = {1024, 256, 1, 16, 12, 11, false};
    struct bytes file = frame_file("cr_jpeg12");
#ifdef HAVE_JPEG12
    struct dicom_decoded decoded;
    void *out;
    double sum = 0;
    ck_assert_ok(decode_frame(EXTENDED, file.data, file.count, &shape, &out, &decoded));
    for (size_t i = 0; i < values_of(&shape); i++) sum += stored_value(out, &shape, i);
    ck_assert_double_lt(fabs(sum / (double)values_of(&shape) - 14.383), 0.1);
    free(out);
#else
    ck_assert_frame_refused(EXTENDED, &file, &shape,
                            "JPEG with 12 bits (1.2.840.10008.1.2.4.51) needs libjpeg-turbo 3; dcmdjpeg IN OUT decompresses it");
#endif
    bytes_free(&file);
}
END_TEST

START_TEST(the_process_is_the_codestreams_whatever_the_syntax) {
    struct frame_case mixed = frames[10];
    mixed.uid = BASELINE;
    ck_assert_frame(&mixed);
}
END_TEST

START_TEST(a_second_frame_header_of_another_size_does_not_reach_the_pixels) {
    struct bytes file = frame_file("rgb_jpeg"), twice = {0};
    size_t at = 2;
    while (file.data[at + 1] != 0xC0) at += 2 + (size_t)(file.data[at + 2] << 8 | file.data[at + 3]);
    const size_t size = 2 + (size_t)(file.data[at + 2] << 8 | file.data[at + 3]);
    bytes_add(&twice, file.data, at + size);
    bytes_add(&twice, file.data + at, file.count - at);
    twice.data[at + size + 5] = 0xFF; /* rows */
    ck_assert_frame_refused(BASELINE, &twice, &lossy[1].shape, "damaged JPEG");
    bytes_free(&file), bytes_free(&twice);
}
END_TEST

START_TEST(no_first_part_of_a_baseline_jpeg_is_the_whole) {
    const struct frame_case given = {lossy[_i].name, BASELINE, lossy[_i].shape, NULL};
    every_shorter_frame_is_refused(&given, 4);
}
END_TEST

START_TEST(every_changed_byte_of_a_baseline_jpeg_is_survived) {
    const struct frame_case given = {lossy[_i].name, BASELINE, lossy[_i].shape, NULL};
    if (given.shape.rows < 200) every_changed_byte_of_a_frame_is_survived(&given);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("jpeg");
    TCase *tcase = tcase_create("jpeg");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, lossless_jpeg_of_every_predictor_gives_the_values_of_pydicom, 0, FRAMES);
    ADD(tcase, every_precision_and_predictor_in_short_and_long_codes_comes_back);
    ADD(tcase, point_transform_restarts_fill_bytes_and_components_in_scans_come_back);
    ADD(tcase, one_row_and_one_column_come_back);
    ADD(tcase, a_lossless_jpeg_that_lies_is_refused_with_what_is_wrong);
    ADD(tcase, few_bytes_that_claim_a_large_jpeg_are_refused_before_memory_is_taken);
    tcase_add_loop_test(tcase, no_first_part_of_a_lossless_jpeg_is_the_whole, 0, FRAMES);
    tcase_add_loop_test(tcase, every_changed_byte_of_a_lossless_jpeg_is_survived, 0, FRAMES);
    ADD(tcase, a_refused_allocation_of_a_lossless_jpeg_is_an_error);
    tcase_add_loop_test(tcase, r23_a_baseline_jpeg_gives_its_samples_as_coded_and_says_which_colours_they_are, 0, LOSSY);
    ADD(tcase, r23_a_baseline_jpeg_without_markers_leaves_the_colours_to_the_header);
    ADD(tcase, twelve_bits_are_read_where_libjpeg_reads_them_and_else_refused_by_name);
    ADD(tcase, the_process_is_the_codestreams_whatever_the_syntax);
    ADD(tcase, a_second_frame_header_of_another_size_does_not_reach_the_pixels);
    tcase_add_loop_test(tcase, no_first_part_of_a_baseline_jpeg_is_the_whole, 0, LOSSY);
    tcase_add_loop_test(tcase, every_changed_byte_of_a_baseline_jpeg_is_survived, 0, LOSSY);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
