/* JPEG 2000 and HTJ2K by libcover-codecs.so, which stands beside this program (R6, R18, R23), and what is said without it. */
#include "codec_test.h"

#include "core/base/memory.h"
#include "io/dicom/codecs.h"

#define J2K "1.2.840.10008.1.2.4.90"
#define LOSSY_J2K "1.2.840.10008.1.2.4.91"
#define HTJ2K "1.2.840.10008.1.2.4.201"
#define MR "b8d9a6cee6ff2ea9edbe8b476e54b80cfab8c6a15aff4d431b6c38840a20f7df"
#define RGB "b96da11cfac56c6fbc8b668749a32283b29536b10cab0a98e151f6dc3420ec69"
#define RAMP "478527e3fb78861e050cd7ccc64c46ce2a8a3227014645d33afe3b762b6c33d6"
#define SIGNED "cec83ead65e77cac5761e1c2cc518c7c0e48b7e4fed19c3a7f83c368683c74b4"

static const struct frame_case frames[] = {
    {"ct_j2k", J2K, {40, 32, 1, 16, 12, 11, false}, "77763e6bd87e6aa81af1fa5d4d65bd7c76a63c18d890fe8a87d0fba5be9e090d"},
    {"mr_j2k", J2K, {64, 64, 1, 16, 16, 15, true}, MR},
    {"mask_j2k", J2K, {512, 512, 1, 1, 1, 0, false}, "36ed5e257c356eca6de297967f3081aac0f6565ac30bbf2413e7aed44ede2089"},
    {"rgb_j2k", J2K, {24, 20, 3, 8, 8, 7, false}, RGB},
    {"raw_j2k", J2K, {24, 20, 3, 8, 8, 7, false}, RGB},
    {"unsigned13_j2k", J2K, {24, 20, 1, 16, 13, 12, true}, "957c898e815eea828afd31f409b383c0cfac6d0ae4f9f4725628c545dced4668"},
    {"signed16_j2k", J2K, {24, 20, 1, 16, 16, 15, true}, SIGNED},
    {"boxed_j2k", J2K, {24, 20, 1, 16, 16, 15, false}, RAMP},
    {"ct_htj2k", HTJ2K, {24, 20, 1, 16, 16, 15, false}, RAMP},
    {"rgb_htj2k", HTJ2K, {24, 20, 3, 8, 8, 7, false}, RGB},
    {"signed_htj2k", HTJ2K, {24, 20, 1, 16, 16, 15, true}, SIGNED},
    {"tiled_htj2k", HTJ2K, {24, 20, 1, 16, 16, 15, false}, RAMP},
    {"cr_j2k", LOSSY_J2K, {1024, 256, 1, 16, 16, 15, true}, "aaa27310e46c0603620ad0122bc8f89405147c0cbd29de36a1d294a23b25bcba"},
    {"ct_j2k_lossy",
     LOSSY_J2K,
     {512, 512, 1, 16, 14, 13, true},
     "ef7e87ffc722f7f9171381a2efb8597252625654444658c57981eaba1a5eb3e9"},
};
enum { FRAMES = sizeof frames / sizeof *frames };

#ifdef SANITIZED
#if __has_include(<sanitizer/lsan_interface.h>)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() ((void)0)
#endif
/* A sanitizer has the module's assertions of OpenJPEG looked for in the program (codecs/assertion.c). */
__attribute__((visibility("default"))) _Noreturn void __assert_fail(const char *text, const char *file, unsigned line,
                                                                    const char *function) {
    const struct codecs_module *module;
    if (dicom_codecs_open(&module, "an assertion") == COVER_OK) module->assertion_failed();
    fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, text);
    abort();
}
/* A decode that is left in its middle keeps 120 bytes. */
static void let_assertions_leak(void) { __lsan_disable(); }
#else
static void let_assertions_leak(void) {}
#endif

static const struct frame_case *named(const char *name) {
    for (int i = 0; i < FRAMES; i++)
        if (strcmp(frames[i].name, name) == 0) return &frames[i];
    ck_abort_msg("no frame %s", name);
}

START_TEST(every_frame_of_the_module_gives_the_values_of_pydicom) {
    const struct dicom_decoded decoded = ck_assert_frame(&frames[_i]);
    ck_assert(decoded.sign_known);
}
END_TEST

/* The same samples into words of 32 bits, and planes that are joined there. */
START_TEST(samples_are_spread_to_the_words_that_the_header_allocates) {
    static const char *const names[] = {"ct_j2k", "rgb_j2k", "rgb_htj2k"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct frame_case wide = *named(names[i]);
        wide.shape.bits_allocated = 32;
        ck_assert_frame(&wide);
        if (wide.shape.bits_stored > 8) continue;
        wide.shape.bits_allocated = 16;
        ck_assert_frame(&wide);
    }
}
END_TEST

START_TEST(r18_what_the_codestream_says_of_bits_and_sign_is_told) {
    const struct dicom_decoded sixteen = ck_assert_frame(named("signed16_j2k")),
                               thirteen = ck_assert_frame(named("unsigned13_j2k"));
    ck_assert(sixteen.sign_known && sixteen.is_signed && sixteen.precision == 16);
    ck_assert(thirteen.sign_known && !thirteen.is_signed && thirteen.precision == 13);
}
END_TEST

START_TEST(r23_a_transform_of_colours_is_undone_and_without_one_the_header_says_them) {
    ck_assert_int_eq(ck_assert_frame(named("rgb_j2k")).colour, DICOM_COLOUR_RGB);
    ck_assert_int_eq(ck_assert_frame(named("raw_j2k")).colour, DICOM_COLOUR_UNSAID);
    ck_assert_int_eq(ck_assert_frame(named("ct_j2k")).colour, DICOM_COLOUR_GREY);
}
END_TEST

/* ---- hostile */

/* The status of one frame with `count` bytes at `at` written over. */
static void ck_assert_marred(const char *name, size_t at, const void *bytes, size_t count, const char *words) {
    const struct frame_case *given = named(name);
    struct bytes file = frame_file(name);
    bytes_put(&file, at, bytes, count);
    ck_assert_frame_refused(given->uid, &file, &given->shape, words);
    bytes_free(&file);
}

START_TEST(headers_that_lie_are_refused_before_the_decoder_sees_them) {
    ck_assert_marred("ct_j2k", 8, "\0\1\0\0", 4, "the JPEG 2000 says 65536 x 40 pixels of 1 samples, the header 32 x 40 of 1");
    ck_assert_marred("ct_j2k", 8, "\0\0\0\0", 4, "no pixels");
    ck_assert_marred("ct_j2k", 24, "\0\0\0\0", 4, "tiles without any");
    ck_assert_marred("ct_j2k", 40, "\0\2", 2, "2 components in a size header");
    ck_assert_marred("ct_j2k", 42, "\x10", 1, "has 17 bits a sample, the header allocates 16");
    ck_assert_marred("rgb_j2k", 45, "\3", 1, "several precisions");
    ck_assert_marred("ct_j2k", 43, "\2", 1, "subsampled");
    ck_assert_marred("ct_j2k", 0, "\xFF\xD8", 2, "does not begin as one");
}
END_TEST

/* A codestream of a few bytes may ask for tiles, precincts, blocks and layers by the million. */
START_TEST(few_bytes_that_ask_for_much_memory_are_refused) {
    const struct dicom_frame_shape large = {2048, 2048, 1, 16, 12, 11, false};
    struct bytes file = frame_file("ct_j2k");
    const uint8_t size[8] = {0, 0, 8, 0, 0, 0, 8, 0};
    size_t cod = 2;
    while (file.data[cod] != 0xFF || file.data[cod + 1] != 0x52) cod += 2 + (size_t)(file.data[cod + 2] << 8 | file.data[cod + 3]);
    bytes_put(&file, 8, size, 8);
    bytes_put(&file, 24, size, 8);
    ck_assert_ok(dicom_check_frame(dicom_syntax_of(J2K), file.data, file.count, &large));
#define ASKS(at, ...)                                                                                                              \
    do {                                                                                                                           \
        const uint8_t with[] = {__VA_ARGS__};                                                                                      \
        uint8_t honest[sizeof with];                                                                                               \
        memcpy(honest, file.data + (at), sizeof with);                                                                             \
        bytes_put(&file, at, with, sizeof with);                                                                                   \
        ck_assert_fails(dicom_check_frame(dicom_syntax_of(J2K), file.data, file.count, &large), COVER_ERROR_FORMAT, "ask for");    \
        bytes_put(&file, at, honest, sizeof with);                                                                                 \
    } while (0)
    ASKS(24, 0, 0, 0, 1, 0, 0, 0, 1); /* tiles of one pixel */
    ASKS(cod + 6, 0xFF, 0xFF, 0, 32); /* layers, and levels for them */
    ASKS(cod + 10, 0, 0);             /* blocks of 4 x 4 */
    bytes_free(&file);
}
END_TEST

START_TEST(few_bytes_that_claim_a_large_frame_are_refused) {
    const struct dicom_frame_shape large = {65535, 65535, 1, 16, 12, 11, false};
    struct bytes coded = frame_file("ct_j2k");
    const uint8_t size[8] = {0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF};
    bytes_put(&coded, 8, size, 8);
    ck_assert_fails(dicom_check_frame(dicom_syntax_of(J2K), coded.data, coded.count, &large), COVER_ERROR_FORMAT, "ask for");
    bytes_free(&coded);
}
END_TEST

START_TEST(memory_of_the_decoder_is_counted_against_the_limit) {
    const struct frame_case *given = named("mask_j2k");
    struct bytes file = frame_file(given->name);
    struct dicom_decoded decoded;
    void *out;
    context->memory_limit_bytes = 1 << 20;
    ck_assert_int_eq(decode_frame(given->uid, file.data, file.count, &given->shape, &out, &decoded), COVER_ERROR_MEMORY);
    context->memory_limit_bytes = 0;
    ck_assert_uint_eq(memory_now(context), 0);
    bytes_free(&file);
}
END_TEST

START_TEST(no_first_part_of_a_frame_is_the_whole) {
    if (frames[_i].shape.rows <= 40) every_shorter_frame_is_refused(&frames[_i], 4);
}
END_TEST

START_TEST(every_changed_byte_of_a_frame_is_outlived) {
    if (strstr(frames[_i].name, "htj2k")) let_assertions_leak();
    if (frames[_i].shape.rows <= 40) every_changed_byte_of_a_frame_is_survived(&frames[_i]);
}
END_TEST

/* ---- the module */

START_TEST(without_its_module_a_frame_is_refused_by_name) {
    const struct codecs_module *module;
    ck_assert_fails(dicom_codecs_open_file(&module, "/nowhere/libcover-codecs.so", "JPEG 2000"), COVER_ERROR_UNSUPPORTED,
                    "JPEG 2000 needs libcover-codecs.so, which is not beside libcover.so");
    ck_assert_fails(dicom_codecs_open_file(&module, file_of("broken.so", "no library", 10), "JPEG 2000"), COVER_ERROR_UNSUPPORTED,
                    "JPEG 2000 needs libcover-codecs.so, which cannot be opened", "install OpenJPEG");
    ck_assert_fails(dicom_codecs_open_file(&module, STALE_MODULE, "JPEG 2000"), COVER_ERROR_UNSUPPORTED,
                    "was not made with this libcover", CODECS_INTERFACE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("codecs");
    TCase *tcase = tcase_create("codecs");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, every_frame_of_the_module_gives_the_values_of_pydicom, 0, FRAMES);
    ADD(tcase, samples_are_spread_to_the_words_that_the_header_allocates);
    ADD(tcase, r18_what_the_codestream_says_of_bits_and_sign_is_told);
    ADD(tcase, r23_a_transform_of_colours_is_undone_and_without_one_the_header_says_them);
    ADD(tcase, headers_that_lie_are_refused_before_the_decoder_sees_them);
    ADD(tcase, few_bytes_that_ask_for_much_memory_are_refused);
    ADD(tcase, few_bytes_that_claim_a_large_frame_are_refused);
    ADD(tcase, memory_of_the_decoder_is_counted_against_the_limit);
    tcase_add_loop_test(tcase, no_first_part_of_a_frame_is_the_whole, 0, FRAMES);
    tcase_add_loop_test(tcase, every_changed_byte_of_a_frame_is_outlived, 0, FRAMES);
    ADD(tcase, without_its_module_a_frame_is_refused_by_name);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
