/* The report of fine-tuning: its log of any keys, which cases are shown, and its page, self-contained and well-formed
 * whatever it is given. */
#include "core/base/files.h"
#include "page_test.h"
#include "report/task_section.h"

#include <math.h>
#include <unistd.h>

static cover_context *context;
static char path[64];

static void setup(void) {
    strcpy(path, "/tmp/cover-report-XXXXXX");
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    ck_assert_ok(cover_context_create(&context, NULL));
}
static void teardown(void) {
    remove(path);
    cover_context_destroy(context);
}

/* ---- log.jsonl */

static cover_status read_text(struct report_log *log, const char *text) {
    FILE *file = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
    return report_log_read(log, context, path);
}

START_TEST(a_log_of_any_keys_reads_back_as_series) {
    static struct report_log log;
    ck_assert_ok(read_text(&log,
                           "{\"step\": 10, \"loss\": 2, \"note\": \"x\"}\n{\"step\": 20, \"loss\": 1, \"val.dice.lung\": 0.5}\n"
                           "{\"step\": 30, \"loss\": null}\n{\"step\": 40, \"lo"));
    ck_assert_int_eq(log.count, 2);
    const struct report_series *loss = report_find(&log, "loss"), *dice = report_find(&log, "val.dice.lung");
    ck_assert(loss->count == 2 && loss->step[1] == 20 && loss->value[1] == 1);
    ck_assert(dice->count == 1 && dice->step[0] == 20 && dice->value[0] == 0.5);
    ck_assert_ptr_null(report_find(&log, "step"));
    report_log_free(&log, context);
}
END_TEST

START_TEST(steps_that_are_said_again_replace_the_first) {
    static struct report_log log;
    ck_assert_ok(
        read_text(&log, "{\"step\":10,\"a\":1}\n{\"step\":20,\"a\":2,\"b\":7}\n{\"step\":30,\"a\":3}\n{\"step\":20,\"a\":9}\n"));
    const struct report_series *a = report_find(&log, "a");
    ck_assert(a->count == 2 && a->value[1] == 9);
    ck_assert_int_eq(report_find(&log, "b")->count, 0);
    report_log_free(&log, context);
}
END_TEST

START_TEST(many_lines_and_keys_are_taken_and_wrong_ones_named) {
    static struct report_log log;
    static char text[1 << 16];
    size_t length = 0;
    for (int i = 0; i < 1000; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "{\"step\": %d, \"a\": %d}\n", i, -i);
    ck_assert_ok(read_text(&log, text));
    ck_assert(report_find(&log, "a")->count == 1000 && report_find(&log, "a")->value[999] == -999);
    report_log_free(&log, context);
    length = (size_t)snprintf(text, sizeof text, "{\"step\": 1");
    for (int i = 0; i < 2000; i++) length += (size_t)snprintf(text + length, sizeof text - length, ", \"k%d\": 1", i);
    snprintf(text + length, sizeof text - length, "}\n");
    ck_assert_ok(read_text(&log, text));
    ck_assert_int_eq(log.count, REPORT_SERIES_MAX);
    report_log_free(&log, context);
    ck_assert_int_eq(read_text(&log, "{\"step\": 1}\n[]\n"), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "line 2"));
    ck_assert_int_eq(report_log_read(&log, context, "/nowhere/log.jsonl"), COVER_ERROR_IO);
}
END_TEST

/* ---- parts of a page */

enum { CASES = 9, SIDE = 20, MOST_CLASSES = 4 };
static const char *const class_names[MOST_CLASSES] = {"background", "lung", "a<b>&c", "heart"};
static const char *const case_names[CASES] = {"a", "b", "c", "d", "e", "f", "<g>", "h", "i"};
static double dice[CASES * MOST_CLASSES];
static float score[CASES * MOST_CLASSES], image[SIDE * SIDE * SIDE * 3];
static int truth[CASES];
static uint8_t label[CASES * MOST_CLASSES];
static uint16_t is[SIDE * SIDE * SIDE], taken[SIDE * SIDE * SIDE];
static struct task_example examples[2];
static double steps[30], values[30];

static struct task_report make_report(bool segmentation, int dims) {
    struct task_report report = {.run = "<run>",
                                 .config_json = "{\"lr\": 0.1}",
                                 .dataset = "9 cases",
                                 .section = segmentation ? &task_section_seg : &task_section_cls,
                                 .classes = segmentation ? 4 : 3,
                                 .names = class_names,
                                 .best_step = 20,
                                 .cases = CASES,
                                 .case_names = case_names,
                                 .example = examples,
                                 .examples = 2};
    for (int i = 0; i < CASES * MOST_CLASSES; i++) {
        dice[i] = 0.5 + 0.4 * sin(i), score[i] = 0.5f + 0.4f * cosf((float)i);
        truth[i % CASES] = i % 3, label[i] = i % 5 < 2;
    }
    for (int i = 0; i < SIDE * SIDE * SIDE; i++) {
        image[3 * i] = sinf((float)i), image[3 * i + 1] = image[3 * i + 2] = 0;
        is[i] = (uint16_t)(i / 7 % 4), taken[i] = (uint16_t)((i + 3) / 9 % 4);
    }
    for (int k = 0; k < 2; k++)
        examples[k] = (struct task_example){.name = "x\"y",
                                            .grid = {.ndim = dims, .size = {dims == 3 ? SIDE : 1, SIDE, SIDE}},
                                            .channels = 1 + 2 * k,
                                            .image = image,
                                            .truth = segmentation ? is : NULL,
                                            .predicted = segmentation ? taken : NULL,
                                            .row = k};
    for (int i = 0; i < 30; i++) steps[i] = 10 * (i + 1), values[i] = 1.0 / (i + 1);
    static const char *const keys[] = {"loss", "val.mean_dice", "val.dice.lung", "val.dice.a<b>&c", "val.auc", "val.accuracy",
                                       "lr",   "grad_norm",     "samples_per_s", "seconds"};
    static struct report_series series[10];
    for (int i = 0; i < 10; i++) {
        series[i] = (struct report_series){.step = steps, .value = values, .count = 30};
        snprintf(series[i].name, sizeof series[i].name, "%s", keys[i]);
    }
    report.log = (struct report_log){.lines = {.step = steps, .count = 30}, .series = series, .count = 10};
    if (segmentation) {
        report.figure = dice;
        return report;
    }
    report.score = score, report.truth = truth;
    return report;
}

static char *write_page(const struct task_report *report) {
    ck_assert_ok(task_page_write(context, path, report));
    uint8_t *html;
    size_t bytes;
    ck_assert_ok(file_read(context, path, 1 << 28, &html, &bytes));
    ck_assert_uint_eq(strlen((char *)html), bytes);
    assert_well_formed((char *)html);
    const char *page = (char *)html;
    ck_assert_int_eq(count_of(page, "http") + count_of(page, "url(") + count_of(page, "<script"), 0);
    ck_assert_int_eq(count_of(page, "href"),
                     count_of(page, "href=\"#picture-") + count_of(page, "href=\"data:image/png;base64,iVBOR"));
    ck_assert_int_eq(count_of(page, "nan") + count_of(page, "inf\"") + count_of(page, "a<b>"), 0);
    return (char *)html;
}

START_TEST(a_page_of_segmentation_holds_outlines_over_each_plane) {
    const struct task_report report = make_report(true, _i + 2);
    char *html = write_page(&report);
    const int planes = _i ? 6 : 2;
    ck_assert_int_eq(count_of(html, "<image "), planes);
    ck_assert_int_eq(count_of(html, "<use "), 3 * planes);
    ck_assert_int_eq(count_of(html, "<path class=\"outline"), 6 * planes);
    ck_assert_int_eq(count_of(html, "<path class=\"area"), 3 * planes);
    ck_assert_int_eq(count_of(html, "<rect class=\"box\""), 3);
    ck_assert_int_eq(count_of(html, "class=\"case\""), 3 * CASES);
    ck_assert_int_eq(count_of(html, "<tr>"), 1 + CASES);
    memory_free(context, html);
}
END_TEST

START_TEST(an_outline_goes_around_its_pixels) {
    struct task_report report = make_report(true, 2);
    memset(is, 0, sizeof is), memset(taken, 0, sizeof taken);
    is[SIDE * 5 + 6] = is[SIDE * 5 + 7] = 1; /* two pixels of row 5, columns 6 and 7 */
    taken[SIDE * 5 + 7] = 1;
    report.examples = 1;
    char *html = write_page(&report);
    ck_assert_ptr_nonnull(strstr(html, "<path class=\"outline c0\" d=\"M6 5h2M6 6h2M6 5v1M8 5v1\"/>"));
    ck_assert_ptr_nonnull(strstr(html, "<path class=\"outline c0\" d=\"M7 5h1M7 6h1M7 5v1M8 5v1\"/>"));
    ck_assert_ptr_nonnull(strstr(html, "<path class=\"area missed\" d=\"M6 5h1v1h-1z\"/>"));
    memory_free(context, html);
}
END_TEST

START_TEST(a_page_of_classification_holds_confusion_and_curves) {
    struct task_report report = make_report(false, 2);
    char *html = write_page(&report);
    ck_assert_int_eq(count_of(html, "<td style=\"--share:"), 9);
    ck_assert_int_eq(count_of(html, "<img "), 2);
    ck_assert_ptr_nonnull(strstr(html, "ROC"));
    memory_free(context, html);
    report.truth = NULL, report.label = label;
    html = write_page(&report);
    ck_assert_int_eq(count_of(html, "<td style=\"--share:"), 0);
    memory_free(context, html);
    for (int i = 0; i < CASES; i++) truth[i] = 1; /* no class has a curve */
    report.truth = truth, report.label = NULL;
    html = write_page(&report);
    ck_assert_int_eq(count_of(html, "no curve"), 3);
    score[4] = NAN;
    memory_free(context, html);
    memory_free(context, write_page(&report));
}
END_TEST

START_TEST(missing_parts_are_left_out) {
    struct task_report report = {.run = "run", .section = &task_section_seg, .classes = 2, .names = class_names};
    memory_free(context, write_page(&report));
    report.section = &task_section_cls;
    memory_free(context, write_page(&report));
    report = make_report(true, 2);
    for (int i = 0; i < CASES * MOST_CLASSES; i++) dice[i] = NAN;
    for (size_t i = 0; i < sizeof image / sizeof *image; i++) image[i] = NAN;
    memset(is, 0, sizeof is);
    memory_free(context, write_page(&report));
    report.cases = 1, report.figure = (double[]){1, 1, 1, 1}, report.examples = 0;
    memory_free(context, write_page(&report));
    ck_assert_int_eq(task_page_write(context, "/nowhere/x.html", &report), COVER_ERROR_IO);
}
END_TEST

START_TEST(what_is_no_better_than_nothing_is_warned_of) {
    struct task_report report = make_report(true, 2);
    char *html = write_page(&report);
    ck_assert_int_eq(count_of(html, "class=\"warn\""), 0);
    memory_free(context, html);
    for (int i = 0; i < CASES * MOST_CLASSES; i++) dice[i] = 0;
    html = write_page(&report);
    ck_assert_int_eq(count_of(html, "class=\"warn\""), 1);
    memory_free(context, html);
}
END_TEST

START_TEST(a_kind_that_shows_nothing_of_its_own_has_a_page) {
    static const struct task_section bare = {.noun = "sizes", .figure = "mean error"};
    struct task_report report = make_report(true, 2);
    int64_t row[2];
    int chosen;
    report.section = &bare;
    char *html = write_page(&report);
    ck_assert_ptr_nonnull(strstr(html, "fine-tuning &middot; sizes"));
    ck_assert_int_eq(count_of(html, "<tr>"), 1 + CASES);
    ck_assert_int_eq(count_of(html, "<h3>"), 0);
    memory_free(context, html);
    ck_assert_ok(task_examples_choose(row, &chosen, 2, context, &report));
    ck_assert_int_eq(chosen, 0);
}
END_TEST

START_TEST(cases_are_shown_from_the_lowest_dice_to_the_highest) {
    struct task_report report = make_report(true, 2);
    static const double mean[CASES] = {0.5, 0.9, NAN, 0.1, 0.7, 0.3, 0.6, 0.4, 0.2};
    int64_t row[CASES];
    int chosen;
    for (int i = 0; i < CASES * MOST_CLASSES; i++) dice[i] = mean[i / MOST_CLASSES];
    ck_assert_ok(task_examples_choose(row, &chosen, 3, context, &report));
    ck_assert(chosen == 3 && row[0] == 3 && row[1] == 7 && row[2] == 1);
    ck_assert_ok(task_examples_choose(row, &chosen, 100, context, &report));
    ck_assert_int_eq(chosen, 8);
}
END_TEST

START_TEST(cases_taken_for_another_class_are_shown_first) {
    struct task_report report = make_report(false, 2);
    int64_t row[4];
    int chosen;
    report.cases = 4, report.classes = 2;
    const float scores[8] = {0.9f, 0.1f, 0.4f, 0.6f, 0.2f, 0.8f, 0.55f, 0.45f};
    memcpy(score, scores, sizeof scores);
    truth[0] = 0, truth[1] = 0, truth[2] = 0, truth[3] = 0;
    ck_assert_ok(task_examples_choose(row, &chosen, 4, context, &report));
    ck_assert(chosen == 4 && row[0] == 2 && row[1] == 1 && row[2] == 3 && row[3] == 0);
}
END_TEST

START_TEST(each_refused_allocation_is_reported_and_leaks_nothing) {
    for (int segmentation = 0; segmentation < 2; segmentation++) {
        const struct task_report report = make_report(segmentation, 2);
        struct refusal refusal = {.until = -1};
        cover_allocator allocator = {refusing_allocate, refusing_release, &refusal};
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        options.allocator = &allocator;
        cover_context *poor;
        ck_assert_ok(cover_context_create(&poor, &options));
        int refused = 0, open = refusal.open;
        for (int n = 0;; n++) {
            refusal.until = n;
            cover_status status = task_page_write(poor, path, &report);
            ck_assert_int_eq(refusal.open, open);
            if (status == COVER_OK) break;
            ck_assert_int_eq(status, COVER_ERROR_MEMORY);
            refused++;
        }
        ck_assert_int_gt(refused, 10);
        refusal.until = -1;
        cover_context_destroy(poor);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("task report");
    TCase *tcase = tcase_create("task report");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, a_log_of_any_keys_reads_back_as_series);
    ADD(tcase, steps_that_are_said_again_replace_the_first);
    ADD(tcase, many_lines_and_keys_are_taken_and_wrong_ones_named);
    tcase_add_loop_test(tcase, a_page_of_segmentation_holds_outlines_over_each_plane, 0, 2);
    ADD(tcase, an_outline_goes_around_its_pixels);
    ADD(tcase, a_page_of_classification_holds_confusion_and_curves);
    ADD(tcase, missing_parts_are_left_out);
    ADD(tcase, what_is_no_better_than_nothing_is_warned_of);
    ADD(tcase, a_kind_that_shows_nothing_of_its_own_has_a_page);
    ADD(tcase, cases_are_shown_from_the_lowest_dice_to_the_highest);
    ADD(tcase, cases_taken_for_another_class_are_shown_first);
    ADD(tcase, each_refused_allocation_is_reported_and_leaks_nothing);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
