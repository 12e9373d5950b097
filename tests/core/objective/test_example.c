/* The objective of examples/objective, as a program adds it to its own contexts: it trains, its figure falls, its page and its weights say
 * whose they are. */
#include "../../blobs.h"
#include "core/base/added.h"
#include "core/objective/objective.h"

#include <libcover/cover.h>

#include <string.h>
#include <unistd.h>

extern const struct objective objective_inversion;
static const struct added_row added[] = {{"objective", "inversion", &objective_inversion}, {NULL, NULL, NULL}};
static const char *const values[][2] = {{"objective", "inversion"},
                                        {"widths", "8,8,16,16,16,16,16,8,8"},
                                        {"crop", "32x32"},
                                        {"work", "0x0"},
                                        {"batch", "8"},
                                        {"steps", "120"},
                                        {"lr", "3e-3"}};

START_TEST(a_negative_is_told_from_its_image_after_some_steps) {
    char folder[64], images[80], data[80], run[80], weights[128], command[96];
    cover_context *context;
    cover_dataset *dataset;
    cover_config *config;
    cover_figure found[COVER_FIGURES_MAX];
    int figures = COVER_FIGURES_MAX;
    char *info;
    snprintf(folder, sizeof folder, "/tmp/cover-example-%ld", (long)getpid());
    snprintf(images, sizeof images, "%s/images", folder), snprintf(data, sizeof data, "%s/data.h5", folder);
    snprintf(run, sizeof run, "%s/run", folder), snprintf(weights, sizeof weights, "%s/weights.safetensors", run);
    ck_assert_ok(folder_create(folder));
    ck_assert_ok(cover_context_create(&context, NULL));
    context->added = added;
    write_blobs(context, images, 12, 1, 40, 44);
    ck_assert_ok(cover_dataset_pack(NULL, context, (const char *[]){images}, 1, data, NULL));
    ck_assert_ok(cover_dataset_open(&dataset, context, data));
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) ck_assert_ok(cover_config_set(config, values[i][0], values[i][1]));
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, NULL));
    ck_assert_ok(cover_run_figures(found, &figures, NULL, context, run));
    ck_assert_str_eq(found[0].name, "cross_entropy");
    ck_assert_msg(found[0].value < 0.5 * found[1].value, "%g of %g", found[0].value, found[1].value);
    ck_assert_ok(cover_weights_info(&info, context, weights));
    ck_assert_msg(strstr(info, "\"objective\": \"inversion\"") && !strstr(info, "classifier"), "%s", info);
    cover_text_release(context, info);
    cover_config_destroy(config);
    cover_dataset_destroy(dataset);
    cover_context_destroy(context);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("the example of an objective");
    TCase *tcase = tcase_create("inversion");
    tcase_set_timeout(tcase, 120);
    ADD(tcase, a_negative_is_told_from_its_image_after_some_steps);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
