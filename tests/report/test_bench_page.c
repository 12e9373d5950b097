/* The page of bench, from figures made up here. */
#include "page_test.h"

#include "core/base/files.h"
#include "report/bench_page.h"

#include <unistd.h>

enum { COUNT = 3 };
static const struct bench_row rows[COUNT] = {
    {.op = "conv", .count = 2, .seconds = 0.01, .flops = 4e9, .bytes = 4e7, .floor_seconds = 0.016},
    {.op = "mov", .count = 1, .seconds = 0.005, .flops = 1e8, .bytes = 1e7, .floor_seconds = 4e-4},
    {.op = "norm_act", .count = 2, .seconds = 0.002, .bytes = 4e7, .floor_seconds = 0.001, .memory_bound = true},
};
static struct bench_row layers[] = {
    {.op = "conv",
     .count = 1,
     .layer = "a<b>.weight",
     .size = "16x16, 8",
     .seconds = 0.01,
     .flops = 4e9,
     .bytes = 4e7,
     .floor_seconds = 0.016},
};

static char *page_of(const struct bench_figures *figures) {
    char path[] = "/tmp/cover-bench-XXXXXX";
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    cover_context *context;
    uint8_t *data;
    size_t bytes;
    ck_assert_ok(cover_context_create(&context, NULL));
    ck_assert_ok(bench_page_write(context, path, figures));
    ck_assert_ok(file_read(context, path, 1 << 24, &data, &bytes));
    char *page = strdup((const char *)data);
    memory_free(context, data);
    cover_context_destroy(context);
    unlink(path);
    return page;
}

static struct bench_figures figures_of(double bf16) {
    return (struct bench_figures){.part = "step",
                                  .precision = "fp32",
                                  .dims = 2,
                                  .size = 384,
                                  .pairs = 2,
                                  .threads = 2,
                                  .lanes = 2,
                                  .team = 1,
                                  .rounds = 3,
                                  .seconds = 1.5,
                                  .seconds_min = 1.4,
                                  .floor_seconds = 1.2,
                                  .flops = 7e11,
                                  .peak_bytes = 1 << 30,
                                  .peak = {{2.5e11, bf16, 6e10}, {5e11, 2 * bf16, 7e10}},
                                  .ops = (struct bench_row *)rows,
                                  .op_count = COUNT,
                                  .layers = layers,
                                  .layer_count = 1,
                                  .ops_seconds = 0.017,
                                  .ops_floor_seconds = 0.0174};
}

START_TEST(the_page_is_well_formed_and_names_everything) {
    struct bench_figures figures = figures_of(4.6e11);
    char *page = page_of(&figures);
    assert_well_formed(page);
    ck_assert_int_eq(count_of(page, "<svg"), 2);
    ck_assert_int_eq(count_of(page, "class=\"op "), 2); /* what has FLOPs */
    ck_assert_int_eq(count_of(page, "class=\"layer "), 1);
    ck_assert_int_eq(count_of(page, "a&#60;b&#62;.weight"), 2); /* a dot and a row */
    for (int i = 0; i < COUNT; i++) ck_assert_int_ge(count_of(page, rows[i].op), 2);
    ck_assert_ptr_nonnull(strstr(page, "bf16, 460 GFLOP/s"));
    ck_assert_ptr_nonnull(strstr(page, "1.25 times its convolutions alone"));
    free(page);
}
END_TEST

START_TEST(an_operation_that_undercuts_its_floor_is_drawn_so) {
    struct bench_figures figures = figures_of(0);
    char *page = page_of(&figures);
    ck_assert_int_eq(count_of(page, "class=\"roof\" d=\"M"), 3); /* memory, fp32, and the floor beyond the bar of conv */
    ck_assert_ptr_null(strstr(page, "bf16, "));
    ck_assert_ptr_null(strstr(page, "nan"));
    ck_assert_ptr_null(strstr(page, "inf"));
    free(page);
}
END_TEST

START_TEST(without_flops_there_is_no_roofline) {
    struct bench_figures figures = figures_of(0);
    figures.part = "sevr", figures.floor_seconds = 0;
    figures.ops = (struct bench_row *)&rows[2], figures.op_count = 1, figures.layer_count = 0;
    char *page = page_of(&figures);
    assert_well_formed(page);
    ck_assert_ptr_null(strstr(page, "Roofline"));
    ck_assert_ptr_null(strstr(page, "convolutions alone"));
    free(page);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bench page");
    TCase *tcase = tcase_create("bench page");
    ADD(tcase, the_page_is_well_formed_and_names_everything);
    ADD(tcase, an_operation_that_undercuts_its_floor_is_drawn_so);
    ADD(tcase, without_flops_there_is_no_roofline);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
