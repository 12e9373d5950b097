/* The table of transfer syntaxes, RLE (R6), and stored values from decoded words (R17). */
#include "codec_test.h"

#define RLE "1.2.840.10008.1.2.5"

static const struct frame_case frames[] = {
    {"ct_rle", RLE, {40, 32, 1, 16, 12, 11, false}, "77763e6bd87e6aa81af1fa5d4d65bd7c76a63c18d890fe8a87d0fba5be9e090d"},
    {"mr_rle", RLE, {64, 64, 1, 16, 16, 15, true}, "b8d9a6cee6ff2ea9edbe8b476e54b80cfab8c6a15aff4d431b6c38840a20f7df"},
    {"rgb8_rle", RLE, {100, 100, 3, 8, 8, 7, false}, "89ad10bbda73de0db000da69e9246d9cb7cfa4a2e84d457658aeb40227fdafc3"},
    {"rgb16_rle", RLE, {100, 100, 3, 16, 16, 15, false}, "f83371994262775faa2399179f10daf0a7affb5d47228f7b3ae68d531b347428"},
    {"rgb32_rle", RLE, {100, 100, 3, 32, 32, 31, false}, "1a243c9351e3a9aeadbe667627e8bae4d38950bf570c2fadab4fef93f766aafa"},
    {"mask_rle", RLE, {512, 512, 1, 1, 1, 0, false}, "36ed5e257c356eca6de297967f3081aac0f6565ac30bbf2413e7aed44ede2089"},
};
enum { FRAMES = sizeof frames / sizeof *frames };

/* ---- the table */

START_TEST(the_syntaxes_of_the_contract_are_read_or_refused_by_name) {
    static const char *const read[] = {"", ".1", ".2", ".1.99", ".5"};
    static const char *const refused[] = {".4.92",  ".4.93",  ".4.94",  ".4.95",  ".4.204", ".4.205", ".4.100", ".4.102",
                                          ".4.107", ".4.108", ".4.110", ".4.111", ".4.112", ".8.1",   ".4.52",  ".4.66"};
    const struct dicom_syntax *syntax;
    char uid[64];
    for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
        snprintf(uid, sizeof uid, "1.2.840.10008.1.2%s", read[i]);
        ck_assert_ok(dicom_syntax_find(&syntax, uid));
        ck_assert_str_eq(syntax->uid, uid);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        snprintf(uid, sizeof uid, "1.2.840.10008.1.2%s", refused[i]);
        ck_assert_fails(dicom_syntax_find(&syntax, uid), COVER_ERROR_UNSUPPORTED, uid, syntax->name);
    }
    ck_assert_fails(dicom_syntax_find(&syntax, "1.2.840.10008.1.2.4.999"), COVER_ERROR_UNSUPPORTED,
                    "transfer syntax 1.2.840.10008.1.2.4.999 is not known");
    ck_assert_fails(dicom_syntax_find(&syntax, ""), COVER_ERROR_UNSUPPORTED, "transfer syntax");
}
END_TEST

START_TEST(no_syntax_stands_twice_and_each_says_what_it_is) {
    for (int i = 0; dicom_syntax_at(i); i++) {
        const struct dicom_syntax *row = dicom_syntax_at(i);
        ck_assert_ptr_eq(dicom_syntax_of(row->uid), row);
        ck_assert(row->name && *row->name);
        ck_assert_int_eq(row->codec != NULL, row->kind > DICOM_DEFLATED && row->kind != DICOM_REFUSED);
        ck_assert_int_eq(row->refusal != NULL, row->kind == DICOM_REFUSED);
    }
}
END_TEST

START_TEST(a_header_that_no_frame_can_have_is_refused) {
    struct bytes file = frame_file("ct_rle");
    const struct dicom_frame_shape good = frames[0].shape;
    struct dicom_frame_shape shape = good;
    shape.rows = 0;
    ck_assert_frame_refused(RLE, &file, &shape, "0 rows and 32 columns");
    shape = good, shape.columns = 65536;
    ck_assert_frame_refused(RLE, &file, &shape, "40 rows and 65536 columns");
    shape = good, shape.samples = 2;
    ck_assert_frame_refused(RLE, &file, &shape, "2 samples a pixel");
    shape = good, shape.bits_allocated = 12;
    ck_assert_frame_refused(RLE, &file, &shape, "12 bits allocated");
    bytes_free(&file);
}
END_TEST

/* ---- RLE */

START_TEST(rle_of_every_width_gives_the_values_of_pydicom) { ck_assert_frame(&frames[_i]); }
END_TEST

/* A frame of a table and segments that follow each other. */
static struct bytes made(int count, const char *const packed[], const size_t sizes[]) {
    struct bytes file = {0};
    uint8_t table[64] = {(uint8_t)count};
    uint32_t at = 64;
    for (int s = 0; s < count; s++) {
        memcpy(table + 4 + 4 * s, &at, 4);
        at += (uint32_t)sizes[s];
    }
    bytes_add(&file, table, sizeof table);
    for (int s = 0; s < count; s++) bytes_add(&file, packed[s], sizes[s]);
    return file;
}

static const struct dicom_frame_shape two_by_four = {2, 4, 1, 8, 8, 7, false};

START_TEST(runs_and_literals_and_nothings_are_unpacked_and_runs_may_cross_rows) {
    const char packed[] = "\xfb\x07\x80\x01\x08\x09"; /* six times 7, nothing, two of their own */
    struct bytes file = made(1, (const char *[]){packed}, (size_t[]){6});
    struct dicom_decoded decoded;
    void *out;
    ck_assert_ok(decode_frame(RLE, file.data, file.count, &two_by_four, &out, &decoded));
    ck_assert_mem_eq(out, "\7\7\7\7\7\7\10\11", 8);
    ck_assert_int_eq(decoded.colour, DICOM_COLOUR_GREY);
    free(out);
    bytes_add(&file, "\0", 1); /* made even */
    ck_assert_ok(decode_frame(RLE, file.data, file.count, &two_by_four, &out, &decoded));
    free(out);
    bytes_free(&file);
}
END_TEST

START_TEST(rle_that_gives_more_or_less_than_the_frame_is_refused) {
    static const struct {
        const char *packed;
        size_t size;
        const char *words;
    } cases[] = {
        {"\xfa\x07", 2, "ends early: less than 8 bytes"},
        {"\xf8\x07", 2, "goes on behind its 8 bytes"},
        {"\xf9\x07\x00\x07", 4, "goes on behind its 8 bytes"},
        {"\x07\x01\x02", 3, "ends early"},
        {"\xf9", 1, "ends early"},
        {"", 0, "ends early"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = made(1, (const char *[]){cases[i].packed}, (size_t[]){cases[i].size});
        ck_assert_frame_refused(RLE, &file, &two_by_four, cases[i].words);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(a_table_of_segments_that_lies_is_refused) {
    struct bytes file = frame_file("ct_rle");
    const struct dicom_frame_shape *shape = &frames[0].shape;
    const uint32_t lies[] = {0, 63, 5, 0x7FFFFFFF, 0xFFFFFFFF};
    uint32_t honest;
    for (int entry = 1; entry <= 2; entry++) {
        memcpy(&honest, file.data + 4 * entry, 4);
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            memcpy(file.data + 4 * entry, &lies[i], 4);
            ck_assert_frame_refused(RLE, &file, shape, "begins at byte");
        }
        memcpy(file.data + 4 * entry, &honest, 4);
    }
    for (uint32_t count = 0; count < 17; count++) {
        if (count == 2) continue;
        memcpy(file.data, &count, 4);
        ck_assert_frame_refused(RLE, &file, shape, "1 samples of 16 bits have 2");
    }
    bytes_free(&file);
}
END_TEST

START_TEST(few_bytes_that_claim_a_large_frame_are_refused_before_memory_is_taken) {
    struct bytes file = made(1, (const char *[]){"\x81\x00\x81\x00"}, (size_t[]){4});
    const struct dicom_frame_shape large = {65535, 65535, 1, 8, 8, 7, false};
    ck_assert_fails(dicom_check_frame(dicom_syntax_of(RLE), file.data, file.count, &large), COVER_ERROR_FORMAT,
                    "cannot hold 4294836225");
    bytes_free(&file);
}
END_TEST

START_TEST(no_first_part_of_an_rle_frame_is_the_whole) {
    if (_i != FRAMES - 1) every_shorter_frame_is_refused(&frames[_i], 64); /* what ends in a run may be padded */
}
END_TEST

START_TEST(every_changed_byte_of_an_rle_frame_is_survived) { every_changed_byte_of_a_frame_is_survived(&frames[_i]); }
END_TEST

/* ---- stored values */

static int32_t stored(uint32_t word, struct dicom_frame_shape shape, const struct dicom_decoded *decoded) {
    uint32_t words = word;
    dicom_stored_values(&words, 1, &shape, decoded);
    return stored_value(&words, &shape, 0);
}

START_TEST(r17_the_value_is_bits_high_minus_stored_plus_1_to_high_and_the_others_are_garbage) {
    const struct dicom_frame_shape low12 = {1, 1, 1, 16, 12, 11, false}, high12 = {1, 1, 1, 16, 12, 15, false};
    const struct dicom_frame_shape signed12 = {1, 1, 1, 16, 12, 11, true}, signed_high12 = {1, 1, 1, 16, 12, 15, true};
    const struct dicom_frame_shape signed7 = {1, 1, 1, 8, 7, 6, true}, signed30 = {1, 1, 1, 32, 30, 30, true};
    ck_assert_int_eq(stored(0xF123, low12, NULL), 0x123);
    ck_assert_int_eq(stored(0x1234, high12, NULL), 0x123);
    ck_assert_int_eq(stored(0x7801, signed12, NULL), -2047);
    ck_assert_int_eq(stored(0xF7FF, signed12, NULL), 2047);
    ck_assert_int_eq(stored(0x8017, signed_high12, NULL), -2047);
    ck_assert_int_eq(stored(0x40, signed7, NULL), -64);
    ck_assert_int_eq(stored(0xBF, signed7, NULL), 63);
    ck_assert_int_eq(stored(0x7FFFFFFD, signed30, NULL), -2);
    ck_assert_int_eq(stored(0xFFFF, (struct dicom_frame_shape){1, 1, 1, 16, 16, 15, true}, NULL), -1);
    ck_assert_int_eq(stored(0xFFFF, (struct dicom_frame_shape){1, 1, 1, 16, 16, 15, false}, NULL), 65535);
}
END_TEST

START_TEST(r18_the_codestream_says_precision_and_pixel_representation_the_sign) {
    const struct dicom_frame_shape signed12 = {1, 1, 1, 16, 12, 11, true}, signed_high12 = {1, 1, 1, 16, 12, 15, true};
    const struct dicom_frame_shape signed16 = {1, 1, 1, 16, 16, 15, true}, low12 = {1, 1, 1, 16, 12, 11, false};
    const struct dicom_decoded lossless12 = {.precision = 12}, lossless16 = {.precision = 16};
    const struct dicom_decoded unsigned13 = {.precision = 13, .sign_known = true};
    const struct dicom_decoded signed16_marked = {.precision = 16, .sign_known = true, .is_signed = true};
    ck_assert_int_eq(stored(0x0801, signed12, &lossless12), -2047);
    ck_assert_int_eq(stored(0x0801, signed12, &lossless16), -2047);
    ck_assert_int_eq(stored(0x0801, signed_high12, &lossless12), -2047); /* coded without the bits below */
    ck_assert_int_eq(stored(0x8017, signed_high12, &lossless16), -2047); /* coded with them */
    ck_assert_int_eq(stored(0x0FFF, signed16, &lossless12), 4095);       /* extended from Bits Stored, which are 16 */
    ck_assert_int_eq(stored(0x1FFF, signed16, &unsigned13), -1);         /* two's complement of its own precision */
    ck_assert_int_eq(stored(0xF7FE, signed12, &signed16_marked), -2050); /* lossy: over Bits Stored */
    ck_assert_int_eq(stored(0x1001, low12, &unsigned13), 4097);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rle");
    TCase *tcase = tcase_create("rle");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, the_syntaxes_of_the_contract_are_read_or_refused_by_name);
    ADD(tcase, no_syntax_stands_twice_and_each_says_what_it_is);
    ADD(tcase, a_header_that_no_frame_can_have_is_refused);
    tcase_add_loop_test(tcase, rle_of_every_width_gives_the_values_of_pydicom, 0, FRAMES);
    ADD(tcase, runs_and_literals_and_nothings_are_unpacked_and_runs_may_cross_rows);
    ADD(tcase, rle_that_gives_more_or_less_than_the_frame_is_refused);
    ADD(tcase, a_table_of_segments_that_lies_is_refused);
    ADD(tcase, few_bytes_that_claim_a_large_frame_are_refused_before_memory_is_taken);
    tcase_add_loop_test(tcase, no_first_part_of_an_rle_frame_is_the_whole, 0, FRAMES);
    tcase_add_loop_test(tcase, every_changed_byte_of_an_rle_frame_is_survived, 0, FRAMES);
    ADD(tcase, r17_the_value_is_bits_high_minus_stored_plus_1_to_high_and_the_others_are_garbage);
    ADD(tcase, r18_the_codestream_says_precision_and_pixel_representation_the_sign);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
