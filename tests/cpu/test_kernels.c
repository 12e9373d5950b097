/* Every kernel, by the table in operations.c: all forms against plain C, plain C against finite differences, guard bytes,
 * slabs.  A kernel that no operation runs fails the suite. */
#include "../check_main.h"
#include "cpu/features.h"
#include "operations.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS = 60, SEEDS_SMALL = 12, PROBES = 12 };

static const struct kernels *tables[4];
static int count_tables;

static void setup(void) {
    unsigned features;
    ck_assert_ok(cpu_features_capped(&features, NULL));
    count_tables = kernels_available(tables, features);
}

static void run(const struct kernels *kernels, const struct operation *operation, struct scene *scene) {
    char what[64];
    snprintf(what, sizeof what, "%s, form %s", operation->name, kernels->isa);
    operation->forward(kernels, scene);
    if (operation->backward) operation->backward(kernels, scene);
    scene_check_guards(scene, what);
}

START_TEST(every_kernel_of_every_table_is_run_by_an_operation) {
    const size_t first = offsetof(struct kernels, isa) + sizeof(char *);
    for (size_t at = first; at < sizeof(struct kernels); at += sizeof(void (*)(void))) {
        bool covered = false;
        for (int i = 0; i < count_operations; i++)
            for (int k = 0; k < 3; k++) covered = covered || operations[i].kernels[k] == at;
        ck_assert_msg(covered, "kernel number %zu of struct kernels is in no operation's list",
                      (at - first) / sizeof(void (*)(void)));
        for (int t = 0; t < count_tables; t++) {
            void (*kernel)(void);
            memcpy(&kernel, (const char *)tables[t] + at, sizeof kernel);
            ck_assert_msg(kernel != NULL, "a kernel is missing from the table %s", tables[t]->isa);
        }
    }
}
END_TEST

START_TEST(every_form_equals_plain) {
    const struct operation *operation = &operations[_i];
    for (int t = 1; t < count_tables; t++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct scene plain, form;
            const struct array *expected[ARRAYS], *found[ARRAYS];
            scene_draw(&plain, operation, seed, false), scene_draw(&form, operation, seed, false);
            run(tables[0], operation, &plain), run(tables[t], operation, &form);
            const int count = scene_results(&plain, expected);
            ck_assert_int_eq(scene_results(&form, found), count);
            for (int i = 0; i < count; i++) {
                const double error = distance(found[i]->data, expected[i]->data, expected[i]->count, 1);
                ck_assert_msg(error <= operation->tolerance, "%s, form %s, seed %d, result %d of %d: off by %g (%d x %d x %d, %d channels)",
                              operation->name, tables[t]->isa, (int)seed, i, count, error, (int)plain.grid.size[0],
                              (int)plain.grid.size[1], (int)plain.grid.size[2], (int)plain.channels);
            }
            scene_free(&plain), scene_free(&form);
        }
}
END_TEST

START_TEST(slabs_do_not_change_a_bit) {
    const struct operation *operation = &operations[_i];
    for (int t = 0; t < count_tables; t++)
        for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
            struct scene whole;
            const struct array *expected[ARRAYS], *found[ARRAYS];
            scene_draw(&whole, operation, seed, false);
            run(tables[t], operation, &whole);
            const int count = scene_results(&whole, expected);
            for (int slabs = 2; slabs <= 5; slabs++) {
                struct scene parts;
                scene_draw(&parts, operation, seed, false);
                parts.slabs = slabs;
                run(tables[t], operation, &parts);
                scene_results(&parts, found);
                for (int i = 0; i < count; i++)
                    ck_assert_msg(!memcmp(found[i]->data, expected[i]->data, (size_t)expected[i]->count * sizeof(float)),
                                  "%s, form %s, %d slabs", operation->name, tables[t]->isa, slabs);
                scene_free(&parts);
            }
            scene_free(&whole);
        }
}
END_TEST

static double objective(const struct operation *operation, struct scene *scene) {
    double sum = 0;
    operation->forward(tables[0], scene);
    for (int64_t i = 0; i < scene->out.count; i++) sum += (double)scene->out.data[i] * scene->out_grad.data[i];
    return sum;
}

START_TEST(plain_gradients_are_the_slopes_of_plain) {
    const struct operation *operation = &operations[_i];
    if (!operation->backward) return;
    for (uint64_t seed = 0; seed < SEEDS_SMALL; seed++) {
        struct scene scene;
        scene_draw(&scene, operation, seed, true);
        run(tables[0], operation, &scene);
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
                ck_assert_msg(between || fabs(given - slope) <= bound, "%s, seed %d, input %d, element %d: %g, but the slope is %g (%g, %g)",
                              operation->name, (int)seed, i, (int)at, given, slope, low, high);
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
    ADD(tcase, every_kernel_of_every_table_is_run_by_an_operation);
    tcase_add_loop_test(tcase, every_form_equals_plain, 0, count_operations);
    tcase_add_loop_test(tcase, slabs_do_not_change_a_bit, 0, count_operations);
    tcase_add_loop_test(tcase, plain_gradients_are_the_slopes_of_plain, 0, count_operations);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
