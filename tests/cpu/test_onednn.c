/* oneDNN throws when memory is refused: each refusal comes out of a convolution as a status, and the next try has the same result. */
#include "../check_main.h"

#include "cpu/conv.h"

extern long new_left, new_refused; /* refusing_new.cpp */

static cover_context *context;
static const struct conv_shape shape = {
    .grid = {.ndim = 2, .size = {1, 24, 40}}, .c_in = 24, .c_out = 40, .kernel = 3, .bias = true, .gradient = true};
enum { PIXELS = 24 * 40, IN = 24, OUT = 40 };

static cover_status run_all(float *y) {
    static float x[PIXELS * IN], weights[OUT * IN * 9];
    const struct conv_source source[CONV_SOURCES] = {{.data = x}};
    struct conv *conv = NULL;
    void *packed = NULL, *scratch = NULL;
    cover_status status;
    for (int i = 0; i < PIXELS * IN; i++) x[i] = (float)(i % 13 - 6);
    for (int i = 0; i < OUT * IN * 9; i++) weights[i] = (float)(i % 7 - 3);
    GO(conv_create_form(&conv, context, &shape, "onednn"));
    packed = memory_zero(context, conv_packed_bytes(conv)), scratch = memory_zero(context, conv_scratch_bytes(conv));
    GO(conv_pack(conv, packed, weights, scratch));
    GO(conv_forward(conv, 0, y, NULL, source, packed, NULL, scratch));
done:
    memory_free(context, packed), memory_free(context, scratch);
    conv_destroy(conv);
    return status;
}

START_TEST(each_refusal_is_a_status_and_the_next_try_succeeds) {
    static float wanted[PIXELS * OUT], y[PIXELS * OUT];
    int refusals = 0;
    bool served = true;
    ck_assert_ok(cover_context_create(&context, NULL));
    for (long n = 0;; n++) { /* the first tries also make what oneDNN keeps for ever */
        new_refused = 0, new_left = n;
        const cover_status status = run_all(wanted);
        new_left = -1;
        served = status != COVER_ERROR_UNSUPPORTED || new_refused; /* by oneDNN, on this processor */
        if (!served) break;
        ck_assert_msg(status == (new_refused ? COVER_ERROR_MEMORY : COVER_OK), "%ld: %s", n, cover_error_text());
        if (!new_refused) break;
        refusals++;
        if (n % 16 == 0) ck_assert_ok(run_all(y));
    }
    if (served) ck_assert_int_gt(refusals, 100);
    if (served) ck_assert_mem_eq(y, wanted, sizeof y);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("oneDNN's border");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    ADD(all, each_refusal_is_a_status_and_the_next_try_succeeds);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
