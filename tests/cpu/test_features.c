/* CPU features, their caps, and the tables of kernels that they allow. */
#include "../check_main.h"
#include "cpu/features.h"
#include "cpu/kernels.h"

#include <string.h>

START_TEST(a_cap_never_adds_a_feature) {
    static const char *const caps[] = {"plain", "avx2", "avx512", "avx512_bf16", NULL};
    const unsigned all = cpu_features();
    for (int i = 0; i < 4; i++) {
        unsigned features = ~0u;
        ck_assert_ok(cpu_features_capped(&features, caps[i]));
        ck_assert_uint_eq(features & ~all, 0);
        if (!caps[i]) ck_assert_uint_eq(features, all);
    }
}
END_TEST

START_TEST(the_lowest_cap_leaves_plain_c) {
    unsigned features;
    const struct kernels *tables[KERNEL_TABLES];
    ck_assert_ok(cpu_features_capped(&features, "plain"));
    ck_assert_uint_eq(features, 0);
    ck_assert_int_eq(kernels_available(tables, features, ELEMENT_F32), 1);
    ck_assert_str_eq(tables[0]->isa, "plain");
    ck_assert_str_eq(kernels_best(features, ELEMENT_F32)->isa, "plain");
}
END_TEST

START_TEST(an_unknown_cap_is_an_error_that_names_it) {
    unsigned features = 77;
    ck_assert_int_eq(cpu_features_capped(&features, "sse9"), COVER_ERROR_ARGUMENT);
    ck_assert_uint_eq(features, 77);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "sse9"));
}
END_TEST

START_TEST(the_last_table_is_the_best_and_within_the_features) {
    const struct kernels *tables[KERNEL_TABLES];
    static const unsigned features[] = {0, CPU_AVX2, CPU_AVX2 | CPU_AVX512, CPU_AVX512, ~0u};
    static const int expected[] = {1, 2, 3, 1, 3, 1, 2, 3, 1, 4};
    for (int i = 0; i < 10; i++) {
        const enum element element = i < 5 ? ELEMENT_F32 : ELEMENT_BF16;
        const int count = kernels_available(tables, features[i % 5], element);
#ifdef __x86_64__
        ck_assert_int_eq(count, expected[i]);
#endif
        ck_assert_ptr_eq(kernels_best(features[i % 5], element), tables[count - 1]);
        ck_assert_int_eq(tables[count - 1]->element, element);
    }
}
END_TEST

START_TEST(features_have_names) {
    char text[64];
    cpu_features_name(0, text);
    ck_assert_str_eq(text, "plain");
    cpu_features_name(CPU_AVX2 | CPU_AVX512, text);
    ck_assert_str_eq(text, "avx2 avx512");
    cpu_features_name(~0u, text);
    ck_assert_str_eq(text, "avx2 avx512 avx512_bf16 amx_bf16");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cpu features");
    TCase *tcase = tcase_create("features");
    ADD(tcase, a_cap_never_adds_a_feature);
    ADD(tcase, the_lowest_cap_leaves_plain_c);
    ADD(tcase, an_unknown_cap_is_an_error_that_names_it);
    ADD(tcase, the_last_table_is_the_best_and_within_the_features);
    ADD(tcase, features_have_names);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
