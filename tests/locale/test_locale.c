/* A host program with a decimal comma: numbers go in and out with a point, files are the same bytes as without. */
#include "../blobs.h"
#include "../fixture.h"

#include "core/base/json.h"
#include "core/base/number.h"

#include <libcover/cover.h>

#include <locale.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

START_TEST(this_host_has_a_decimal_comma_and_other_letters) {
    char text[16];
    snprintf(text, sizeof text, "%g", 1.5);
    ck_assert_str_eq(text, "1,5");
    ck_assert_int_ne(strcasecmp("TIF", "tif"), 0);
}
END_TEST

START_TEST(numbers_have_a_point_and_words_their_letters) {
    char text[16], *end;
    ck_assert(number_read("2.5x", &end) == 2.5 && *end == 'x');
    ck_assert(number_read_float("2.5", &end) == 2.5f && *end == 0);
    ck_assert(number_read("2,5", &end) == 2 && *end == ',');
    number_print(text, sizeof text, "%.2f %s", 0.25, "a");
    ck_assert_str_eq(text, "0.25 a");
    ck_assert(same_word("SCANI.TIFF", "scani.tiff") && !same_word("a", "ab") && !same_word("\xc9", "\xe9"));
    ck_assert(has_suffix("A.NII.GZ", ".nii.gz"));
}
END_TEST

START_TEST(json_has_a_point_both_ways_and_what_is_not_finite_is_null) {
    json_t *value;
    ck_assert_ok(json_read(&value, "a text", "[0.5]", 5));
    ck_assert(json_number_or_nan(json_array_get(value, 0)) == 0.5 && isnan(json_number_or_nan(value)));
    struct text line = {.context = context};
    text_add_value(&line, value);
    ck_assert_str_eq(line.data, "[0.5]");
    text_free(&line), json_decref(value);
    line = (struct text){.context = context};
    text_add_number(&line, 1.0 / 3, 4), text_add(&line, " "), text_add_number(&line, NAN, 4);
    ck_assert_str_eq(line.data, "0.3333 null");
    text_free(&line);
}
END_TEST

START_TEST(errors_and_log_lines_have_a_point) {
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    ck_assert_int_eq(cover_config_set(config, "rotate_degrees", "180.5"), COVER_ERROR_ARGUMENT);
    ck_assert_str_eq(cover_error_text(), "rotate_degrees=180.5: out of range; use 0..180");
    ck_assert_int_eq(cover_config_set(config, "lr", "0,5"), COVER_ERROR_ARGUMENT);
    cover_config_destroy(config);
}
END_TEST

START_TEST(the_callers_own_locale_stays_as_it_was) {
    char text[16];
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    ck_assert_str_eq(cover_config_get(config, "translate"), "0.2");
    snprintf(text, sizeof text, "%g", 1.5);
    ck_assert_str_eq(text, "1,5");
    cover_config_destroy(config);
}
END_TEST

/* ---- a whole run, in two locales */

/* Packs, trains two steps, looks back and writes the run's report into folder/name. */
static void work(const char *name, const char *locale) {
    char images[96], data[96], run[96], page[128], *summary;
    ck_assert_ptr_nonnull(setlocale(LC_ALL, locale));
    snprintf(images, sizeof images, "%s/images", folder), snprintf(data, sizeof data, "%s/%s.h5", folder, name);
    snprintf(run, sizeof run, "%s/%s", folder, name), snprintf(page, sizeof page, "%s/page.html", run);
    cover_pack_options pack = COVER_PACK_OPTIONS_INIT;
    pack.window[0] = 10.5, pack.window[1] = 200.25;
    ck_assert_ok(cover_dataset_pack(&summary, context, (const char *[]){images}, 1, data, &pack));
    json_t *object = json_loads(summary, 0, NULL);
    ck_assert_msg(json_is_object(object), "%s", summary);
    json_decref(object), cover_text_release(context, summary);
    cover_config *config;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    static const char *const settings[][2] = {{"widths", "8,8,8,16,16,16,8,8,8"},
                                              {"heads", "2,2,1,1,1"},
                                              {"crop", "32x32"},
                                              {"work", "40x40"},
                                              {"batch", "2"},
                                              {"steps", "2"},
                                              {"log_every", "1"},
                                              {"lr", "0.0015"},
                                              {"schedule", "constant"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ck_assert_ok(cover_config_set(config, settings[i][0], settings[i][1]));
    cover_dataset *dataset;
    ck_assert_ok(cover_dataset_open(&dataset, context, data));
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, &options));
    ck_assert_ok(cover_report_write(context, run, page));
    cover_dataset_destroy(dataset), cover_config_destroy(config);
}

/* The file of both runs, `fold` of its digits: a time is another each run, its form is not. */
static char *content(const char *run, const char *file, bool fold, size_t *bytes) {
    char path[160];
    uint8_t *data;
    snprintf(path, sizeof path, "%s/%s%s", folder, run, file);
    ck_assert_ok(file_read(context, path, 0, &data, bytes));
    char *text = (char *)data;
    if (!fold) return text;
    size_t kept = 0;
    for (size_t i = 0; i < *bytes; i++)
        if (text[i] < '0' || text[i] > '9') text[kept++] = text[i];
    text[ *bytes = kept] = 0;
    return text;
}

static void files_alike(const char *file, bool fold) {
    size_t a, b;
    char *one = content("point", file, fold, &a), *other = content("comma", file, fold, &b);
    ck_assert_msg(a == b && memcmp(one, other, a) == 0, "%s differs", file);
    memory_free(context, one), memory_free(context, other);
}

START_TEST(a_run_is_the_same_files_with_a_point_and_with_a_comma) {
    char images[96];
    snprintf(images, sizeof images, "%s/images", folder);
    write_blobs(context, images, 4, 1, 48, 56);
    work("point", "C");
    work("comma", getenv("TEST_LOCALE"));
    files_alike(".h5", false);
    files_alike("/config.json", false);
    files_alike("/weights.safetensors", false);
    size_t bytes;
    char *log = content("comma", "/log.jsonl", false, &bytes);
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *object = json_loads(line, 0, NULL);
        ck_assert_msg(json_is_real(json_object_get(object, "l_vec")), "%s", line);
        json_decref(object);
    }
    memory_free(context, log);
}
END_TEST

START_TEST(a_run_begun_with_a_point_goes_on_with_a_comma) {
    char images[96], data[96], run[96];
    snprintf(images, sizeof images, "%s/images", folder);
    write_blobs(context, images, 4, 1, 48, 56);
    work("point", "C");
    ck_assert_ptr_nonnull(setlocale(LC_ALL, getenv("TEST_LOCALE")));
    snprintf(data, sizeof data, "%s/point.h5", folder), snprintf(run, sizeof run, "%s/point", folder);
    cover_dataset *dataset;
    cover_config *config;
    ck_assert_ok(cover_dataset_open(&dataset, context, data));
    size_t bytes;
    char *json = content("point", "/config.json", false, &bytes);
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    ck_assert_ok(cover_config_read_json(config, json));
    ck_assert_ok(cover_config_set(config, "steps", "3"));
    cover_pretrain_options options = COVER_PRETRAIN_OPTIONS_INIT;
    options.resume = 1;
    ck_assert_ok(cover_run_pretrain(context, dataset, config, run, &options));
    memory_free(context, json);
    cover_dataset_destroy(dataset), cover_config_destroy(config);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("locale");
    TCase *tcase = tcase_create("locale");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, with_folder, without_folder);
    ADD(tcase, this_host_has_a_decimal_comma_and_other_letters);
    ADD(tcase, numbers_have_a_point_and_words_their_letters);
    ADD(tcase, json_has_a_point_both_ways_and_what_is_not_finite_is_null);
    ADD(tcase, errors_and_log_lines_have_a_point);
    ADD(tcase, the_callers_own_locale_stays_as_it_was);
    ADD(tcase, a_run_is_the_same_files_with_a_point_and_with_a_comma);
    ADD(tcase, a_run_begun_with_a_point_goes_on_with_a_comma);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
