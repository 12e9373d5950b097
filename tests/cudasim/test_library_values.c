/* The emulator's cuda_runtime_api.h, cudnn.h and nccl.h say what the real ones say. */
#include "../check_main.h"

#include "library_values.h"

START_TEST(each_constant_has_its_real_value) {
    int count = 0;
    for (; library_values_emulated[count].name; count++)
        ck_assert_msg(library_values_emulated[count].value == library_values_real[count].value, "%s is %lld, but really %lld",
                      library_values_emulated[count].name, library_values_emulated[count].value, library_values_real[count].value);
    ck_assert_int_gt(count, 100);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cudasim: constants of CUDA, cuDNN and NCCL");
    TCase *tcase = tcase_create("constants");
    ADD(tcase, each_constant_has_its_real_value);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
