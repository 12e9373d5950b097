/* Broken copies of kernels (faults/, each says what is wrong with it): playing their rows must find every fault, be it by wrong
 * numbers, by guard bytes, or by what the emulator sees. */
#include "scene.h"

#include <string.h>

enum { SEEDS = 40 };

static const char *const broken[] = {"norm_act",    "norm_grad",   "max_pool2_grad",   "upsample", "upsample_grad",
                                     "vector_loss", "cosine_loss", "cosine_loss_grad", "add_bias"};

START_TEST(a_fault_is_found) {
    for (int i = 0; i < operation_count; i++) {
        if (strcmp(operations[i].kernel, broken[_i])) continue;
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            if (scene_play(&operations[i], seed, ELEMENT_F32, false)) return;
        ck_abort_msg("the fault in %s was not found", broken[_i]);
    }
    ck_abort_msg("%s is no row", broken[_i]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("faults");
    TCase *tcase = tcase_create("broken copies");
    tcase_add_loop_test(tcase, a_fault_is_found, 0, sizeof broken / sizeof *broken);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
