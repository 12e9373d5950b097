/* Every kernel, by the table in operations.c: all forms against plain C, plain C against finite differences, guard bytes,
 * slabs.  A kernel that neither is an op, which tests/core/graph/test_ops.c plays, nor stands in a row here fails the suite. */
#include "../check_main.h"
#include "core/graph/graph.h"
#include "cpu/features.h"
#include "operations.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS = 60, SEEDS_SMALL = 12, PROBES = 12 };

static const enum element elements[] = {ELEMENT_F32, ELEMENT_BF16};
static const char *const element_names[] = {"f32", "bf16"};
enum { ELEMENTS = 2 };
static const struct kernels *tables[ELEMENTS][KERNEL_TABLES];
static int count_tables[ELEMENTS];

/* The body that follows runs for every table of both elements. */
#define EACH_TABLE(k)                                                                                                              \
    for (int e = 0; e < ELEMENTS; e++)                                                                                             \
        for (const struct kernels **at = tables[e], *k; at < tables[e] + count_tables[e] && (k = *at, true); at++)

static void setup(void) {
    unsigned features;
    ck_assert_ok(cpu_features_capped(&features, NULL));
    for (int e = 0; e < ELEMENTS; e++) {
        count_tables[e] = kernels_available(tables[e], features, elements[e]);
        for (int t = 0; t < count_tables[e]; t++) ck_assert_int_eq(tables[e][t]->element, elements[e]);
    }
}

static void run(const struct kernels *kernels, const struct operation *operation, struct scene *scene) {
    char what[64];
    snprintf(what, sizeof what, "%s, form %s of %s", operation->name, kernels->isa, element_names[kernels->element]);
    operation->forward(kernels, scene);
    if (operation->backward) operation->backward(kernels, scene);
    scene_check_guards(scene, what);
}

static bool is_op(const char *name) {
    for (int op = 0; op < OP_COUNT; op++)
        if (strcmp(op_rows[op].name, name) == 0) return true;
    return false;
}

START_TEST(every_kernel_of_every_table_is_an_op_or_in_an_operation) {
    static const struct {
        const char *name;
        size_t offset;
    } kernels[] = {
#define KERNEL(kind, type, name, arguments) {#name, offsetof(struct kernels, name)},
#include "cpu/kernels.def"
    };
    for (size_t n = 0; n < sizeof kernels / sizeof *kernels; n++) {
        bool covered = is_op(kernels[n].name);
        for (int i = 0; i < count_operations; i++)
            for (int k = 0; k < 4; k++) covered = covered || operations[i].kernels[k] == kernels[n].offset;
        ck_assert_msg(covered, "kernel %s is no op and in no operation's list", kernels[n].name);
        EACH_TABLE(table) {
            void (*kernel)(void);
            memcpy(&kernel, (const char *)table + kernels[n].offset, sizeof kernel);
            ck_assert_msg(kernel != NULL, "%s is missing from the table %s", kernels[n].name, table->isa);
        }
    }
}
END_TEST

/* What feature maps of bfloat16 differ by, beyond one unit in the last place of those expected. */
static double excess(const struct array *found, const struct array *expected) {
    struct array bounded = array_make(expected->count);
    for (int64_t i = 0; i < expected->count; i++) {
        const float want = expected->data[i], unit = want == 0 || !isfinite(want) ? 0 : ldexpf(1, ilogbf(want) - 7);
        bounded.data[i] = fabsf(found->data[i] - want) <= unit ? want : found->data[i];
    }
    const double result = distance(bounded.data, expected->data, expected->count, 1);
    array_free(&bounded);
    return result;
}

/* All results of a table against another's, on the same inputs. */
static void compare(const struct operation *operation, const struct kernels *kernels, const struct kernels *oracle, uint64_t seed) {
    struct scene by_oracle, by_form;
    const struct array *expected[ARRAYS], *found[ARRAYS];
    scene_draw(&by_oracle, operation, seed, false), scene_draw(&by_form, operation, seed, false);
    if (kernels->element == ELEMENT_BF16) scene_round(&by_oracle), scene_round(&by_form);
    run(oracle, operation, &by_oracle), run(kernels, operation, &by_form);
    const int count = scene_results(&by_oracle, expected);
    ck_assert_int_eq(scene_results(&by_form, found), count);
    for (int i = 0; i < count; i++) {
        const bool coarse = kernels->element == ELEMENT_BF16 && found[i]->feature;
        const double error =
            coarse ? excess(found[i], expected[i]) : distance(found[i]->data, expected[i]->data, expected[i]->count, 1);
        ck_assert_msg(error <= operation->tolerance,
                      "%s, form %s of %s, seed %d, result %d of %d: off by %g (%d x %d x %d, %d channels)", operation->name,
                      kernels->isa, element_names[kernels->element], (int)seed, i, count, error, (int)by_form.grid.size[0],
                      (int)by_form.grid.size[1], (int)by_form.grid.size[2], (int)by_form.channels);
    }
    scene_free(&by_oracle), scene_free(&by_form);
}

START_TEST(every_form_equals_plain) {
    EACH_TABLE(k) for (uint64_t seed = 0; at > tables[e] && seed < SEEDS; seed++) compare(&operations[_i], k, tables[e][0], seed);
}
END_TEST

START_TEST(plain_bfloat16_is_plain_float_of_the_rounded_inputs) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) compare(&operations[_i], tables[1][0], tables[0][0], seed);
}
END_TEST

START_TEST(slabs_do_not_change_a_bit) {
    const struct operation *operation = &operations[_i];
    EACH_TABLE(k)
    for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
        struct scene whole;
        const struct array *expected[ARRAYS], *found[ARRAYS];
        scene_draw(&whole, operation, seed, false);
        run(k, operation, &whole);
        const int count = scene_results(&whole, expected);
        for (int slabs = 2; slabs <= 5; slabs++) {
            struct scene parts;
            scene_draw(&parts, operation, seed, false);
            parts.slabs = slabs;
            run(k, operation, &parts);
            scene_results(&parts, found);
            for (int i = 0; i < count; i++)
                ck_assert_msg(!memcmp(found[i]->data, expected[i]->data, (size_t)expected[i]->count * sizeof(float)),
                              "%s, form %s, %d slabs", operation->name, k->isa, slabs);
            scene_free(&parts);
        }
        scene_free(&whole);
    }
}
END_TEST

static double objective(const struct operation *operation, struct scene *scene) {
    double sum = 0;
    operation->forward(tables[0][0], scene);
    for (int64_t i = 0; i < scene->out.count; i++) sum += (double)scene->out.data[i] * scene->out_grad.data[i];
    return sum;
}

START_TEST(plain_gradients_are_the_slopes_of_plain) {
    const struct operation *operation = &operations[_i];
    if (!operation->backward) return;
    for (uint64_t seed = 0; seed < SEEDS_SMALL; seed++) {
        struct scene scene;
        scene_draw(&scene, operation, seed, true);
        run(tables[0][0], operation, &scene);
        const double here = objective(operation, &scene);
        for (int i = 0; i < INPUTS; i++)
            for (int probe = 0; probe < PROBES && scene.grad[i].count > 0; probe++) {
                const int64_t at = random_word(&scene.random) % (uint64_t)scene.grad[i].count;
                float *x = &scene.in[i].data[at], kept = *x, step = operation->step;
                *x = kept + step;
                const double high = (objective(operation, &scene) - here) / (*x - kept);
                *x = kept - step;
                const double low = (here - objective(operation, &scene)) / (kept - *x);
                *x = kept;
                const double slope = (high + low) / 2, given = scene.grad[i].data[at];
                const double bound = 2e-3 * (1 + fabs(slope)) + 1e-5 * (1 + fabs(here)) / step;
                const bool between = operation->kinked && given >= fmin(low, high) - bound && given <= fmax(low, high) + bound;
                ck_assert_msg(between || fabs(given - slope) <= bound,
                              "%s, seed %d, input %d, element %d: %g, but the slope is %g (%g, %g)", operation->name, (int)seed, i,
                              (int)at, given, slope, low, high);
            }
        scene_free(&scene);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels");
    TCase *tcase = tcase_create("every operation");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 240);
    ADD(tcase, every_kernel_of_every_table_is_an_op_or_in_an_operation);
    tcase_add_loop_test(tcase, every_form_equals_plain, 0, count_operations);
    tcase_add_loop_test(tcase, plain_bfloat16_is_plain_float_of_the_rounded_inputs, 0, count_operations);
    tcase_add_loop_test(tcase, slabs_do_not_change_a_bit, 0, count_operations);
    tcase_add_loop_test(tcase, plain_gradients_are_the_slopes_of_plain, 0, count_operations);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
