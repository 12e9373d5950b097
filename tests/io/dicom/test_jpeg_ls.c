/* JPEG-LS by the own decoder, beside what CharLS 2.4 wrote and read (R6, R18). */
#include "codec_test.h"

#define JPEG_LS "1.2.840.10008.1.2.4.80"
#define NEAR "1.2.840.10008.1.2.4.81"
#define RGB "b96da11cfac56c6fbc8b668749a32283b29536b10cab0a98e151f6dc3420ec69"

static const struct frame_case frames[] = {
    {"ct_jpegls", JPEG_LS, {40, 32, 1, 16, 12, 11, false}, "7283ee5472dc1ba8bee0db1ded8bd677f7c596356dbd6750f2f323924645da87"},
    {"mr_jpegls", JPEG_LS, {64, 64, 1, 16, 16, 15, true}, "b8d9a6cee6ff2ea9edbe8b476e54b80cfab8c6a15aff4d431b6c38840a20f7df"},
    {"rgb_jpegls_0", JPEG_LS, {24, 20, 3, 8, 8, 7, false}, RGB},
    {"rgb_jpegls_1", JPEG_LS, {24, 20, 3, 8, 8, 7, false}, RGB},
    {"rgb_jpegls_2", JPEG_LS, {24, 20, 3, 8, 8, 7, false}, RGB},
    {"near_jpegls", NEAR, {24, 20, 1, 16, 12, 11, false}, "0ab71795b18fce0a85c764c5c1fae5dcf320b06dbafcb5b6d1d17d72a93c2bae"},
};
enum { FRAMES = sizeof frames / sizeof *frames };

START_TEST(every_jpeg_ls_gives_the_values_of_charls) {
    const struct dicom_decoded decoded = ck_assert_frame(&frames[_i]);
    ck_assert(!decoded.sign_known);
    ck_assert_int_eq(decoded.precision, frames[_i].shape.bits_stored);
    ck_assert_int_eq(decoded.colour, frames[_i].shape.samples == 1 ? DICOM_COLOUR_GREY : DICOM_COLOUR_UNSAID);
}
END_TEST

START_TEST(samples_are_spread_to_the_words_that_the_header_allocates) {
    struct frame_case wide = frames[_i];
    wide.shape.bits_allocated = 32;
    ck_assert_frame(&wide);
    if (wide.shape.bits_stored > 8) return;
    wide.shape.bits_allocated = 16;
    ck_assert_frame(&wide);
}
END_TEST

/* A segment of coding parameters behind the first marker. */
static struct bytes with_segment(const void *segment, size_t count) {
    struct bytes file = frame_file("ct_jpegls"), made = {0};
    bytes_add(&made, file.data, 2);
    bytes_add(&made, segment, count);
    bytes_add(&made, file.data + 2, file.count - 2);
    bytes_free(&file);
    return made;
}

START_TEST(coding_parameters_may_be_said_and_a_zero_is_the_default) {
    static const uint8_t said[][15] = {{0xFF, 0xF8, 0, 13, 1, 15, 255, 0, 18, 0, 67, 1, 20, 0, 64}, {0xFF, 0xF8, 0, 13, 1}};
    for (size_t i = 0; i < 2; i++) {
        struct bytes file = with_segment(said[i], sizeof said[i]);
        struct dicom_decoded decoded;
        char hash[SHA256_TEXT];
        void *out;
        ck_assert_ok(decode_frame(JPEG_LS, file.data, file.count, &frames[0].shape, &out, &decoded));
        stored_hash(hash, out, &frames[0].shape);
        ck_assert_str_eq(hash, frames[0].sha256);
        free(out);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(what_is_not_read_or_lies_is_refused_with_what_is_wrong) {
    static const struct {
        uint8_t segment[15];
        size_t count;
        const char *words;
    } cases[] = {
        {{0xFF, 0xF8, 0, 13, 1, 31, 255}, 15, "values to 8191"},
        {{0xFF, 0xF8, 0, 13, 1, 0, 0, 0, 70, 0, 67}, 15, "thresholds 70, 67"},
        {{0xFF, 0xF8, 0, 13, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 15, "reset 1"},
        {{0xFF, 0xF8, 0, 5, 1, 0, 0}, 7, "coding parameters of 3 bytes"},
        {{0xFF, 0xF8, 0, 5, 2, 0, 0}, 7, "tables of its values"},
        {{0xFF, 0xDD, 0, 4, 0, 9}, 6, "restart intervals"},
        {{0xFF, 0xE8, 0, 7, 'm', 'r', 'f', 'x', 1}, 9, "a transform of colours"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = with_segment(cases[i].segment, cases[i].count);
        ck_assert_frame_refused(JPEG_LS, &file, &frames[0].shape, cases[i].words);
        bytes_free(&file);
    }
}
END_TEST

/* The scan header of the first frame, marred: number of components, component, table, NEAR, interleave mode, point transform. */
START_TEST(a_scan_header_that_lies_is_refused) {
    static const struct {
        size_t at;
        uint8_t byte;
        const char *words;
    } cases[] = {{4, 2, "a scan header of"},     {5, 9, "a component that is not there"},
                 {6, 1, "tables of its values"}, {8, 1, "interleave mode 1"},
                 {9, 3, "interleave mode 0"},    {7, 255, "damaged JPEG-LS"}};
    struct bytes file = frame_file("ct_jpegls");
    size_t scan = 2;
    while (file.data[scan + 1] != 0xDA) scan += 2 + (size_t)(file.data[scan + 2] << 8 | file.data[scan + 3]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint8_t honest = file.data[scan + cases[i].at];
        file.data[scan + cases[i].at] = cases[i].byte;
        ck_assert_frame_refused(JPEG_LS, &file, &frames[0].shape, cases[i].words);
        file.data[scan + cases[i].at] = honest;
    }
    bytes_free(&file);
}
END_TEST

START_TEST(few_bytes_that_claim_a_large_frame_are_refused) {
    const struct dicom_frame_shape large = {65535, 65535, 1, 16, 12, 11, false};
    struct bytes file = frame_file("ct_jpegls");
    ck_assert_int_eq(file.data[3], 0xF7);
    memset(file.data + 7, 0xFF, 4);
    ck_assert_fails(dicom_check_frame(dicom_syntax_of(JPEG_LS), file.data, file.count, &large), COVER_ERROR_FORMAT,
                    "cannot hold 65535 x 65535");
    bytes_free(&file);
}
END_TEST

START_TEST(no_first_part_of_a_jpeg_ls_is_the_whole) { every_shorter_frame_is_refused(&frames[_i], 1); }
END_TEST

START_TEST(every_changed_byte_of_a_jpeg_ls_is_survived) { every_changed_byte_of_a_frame_is_survived(&frames[_i]); }
END_TEST

START_TEST(a_refused_allocation_of_a_jpeg_ls_is_an_error) {
    struct bytes file = frame_file("ct_jpegls");
    struct dicom_decoded decoded;
    void *out;
    for (long call = 1; call <= 3; call++) {
        watched.calls = 0, watched.fail_at = call;
        ck_assert_int_eq(decode_frame(JPEG_LS, file.data, file.count, &frames[0].shape, &out, &decoded), COVER_ERROR_MEMORY);
    }
    watched.fail_at = 0;
    bytes_free(&file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("jpeg_ls");
    TCase *tcase = tcase_create("jpeg_ls");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_jpeg_ls_gives_the_values_of_charls, 0, FRAMES);
    tcase_add_loop_test(tcase, samples_are_spread_to_the_words_that_the_header_allocates, 0, FRAMES);
    ADD(tcase, coding_parameters_may_be_said_and_a_zero_is_the_default);
    ADD(tcase, what_is_not_read_or_lies_is_refused_with_what_is_wrong);
    ADD(tcase, a_scan_header_that_lies_is_refused);
    ADD(tcase, few_bytes_that_claim_a_large_frame_are_refused);
    tcase_add_loop_test(tcase, no_first_part_of_a_jpeg_ls_is_the_whole, 0, FRAMES);
    tcase_add_loop_test(tcase, every_changed_byte_of_a_jpeg_ls_is_survived, 0, FRAMES);
    ADD(tcase, a_refused_allocation_of_a_jpeg_ls_is_an_error);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
