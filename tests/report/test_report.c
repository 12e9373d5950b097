/* The report's log reader on hostile input, and its page: self-contained, well-formed, whatever it is given. */
#include "core/base/files.h"
#include "core/objective/objective.h"
#include "page_test.h"
#include "report/report.h"

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

static cover_status read_text(struct report_log *log, const char *text, size_t bytes) {
    FILE *file = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
    return report_log_read(log, context, path);
}
#define READ(log, text) read_text(log, text, strlen(text))

START_TEST(a_log_reads_back) {
    struct report_log log = {0};
    ck_assert_ok(READ(&log, "{\"step\": 10, \"l_vec\": 3.5, \"l_zero\": 7, \"lr\": 1e-4}\n\n{\"step\": 20, \"l_vec\": 3}\n"));
    ck_assert_int_eq(log.lines.count, 2);
    const struct report_series *vector = report_find(&log, "l_vec"), *zero = report_find(&log, "l_zero");
    ck_assert(vector->count == 2 && vector->step[0] == 10 && vector->value[0] == 3.5 && vector->step[1] == 20);
    ck_assert(zero->count == 1 && zero->value[0] == 7 && report_find(&log, "lr")->value[0] == 1e-4);
    ck_assert_ptr_null(report_find(&log, "grad_norm"));
    ck_assert(report_last(&log, "l_vec") == 3 && report_last(&log, "l_zero") == 7 && isnan(report_last(&log, "seconds")));
    ck_assert(report_last_step(&log) == 20);
    report_log_free(&log, context);
}
END_TEST

START_TEST(a_last_line_cut_short_is_left_out) {
    static const char whole[] = "{\"step\": 1, \"l_vec\": 3}\n{\"step\": 2, \"l_vec\": 2}\n";
    size_t first = strchr(whole, '\n') - whole + 1;
    for (size_t bytes = 0; bytes <= strlen(whole); bytes++) {
        struct report_log log = {0};
        ck_assert_ok(read_text(&log, whole, bytes));
        ck_assert_int_eq(log.lines.count, bytes < first ? 0 : bytes < strlen(whole) ? 1 : 2);
        report_log_free(&log, context);
    }
}
END_TEST

START_TEST(a_resumed_run_replaces_the_steps_that_it_repeats) {
    struct report_log log = {0};
    ck_assert_ok(READ(&log, "{\"step\":10}\n{\"step\":20,\"l_vec\":1}\n{\"step\":30}\n{\"step\":20,\"l_vec\":2}\n{\"step\":40}\n"));
    ck_assert_int_eq(log.lines.count, 3);
    ck_assert(log.lines.step[1] == 20 && log.lines.step[2] == 40);
    const struct report_series *vector = report_find(&log, "l_vec");
    ck_assert(vector->count == 1 && vector->step[0] == 20 && vector->value[0] == 2);
    report_log_free(&log, context);
}
END_TEST

static const char *const bad_lines[] = {
    "hello\n",
    "[]\n",
    "{}\n",
    "null\n",
    "3\n",
    "{\"step\": \"7\"}\n",
    "{\"step\": -1}\n",
    "{\"step\": 1.5}\n",
    "{\"step\": 9223372036854775807}\n",
    "{\"step\": 1, \"l_vec\": NaN}\n",
    "{\"step\": 1}}\n",
    "\xff\xfe\n",
    "{\"step\": 99999999999999999999999999}\n",
    "{\"step\": 1, \"l_vec\": 1e999}\n",
};

START_TEST(a_line_that_is_no_log_is_an_error_with_its_number) {
    char text[256];
    struct report_log log = {0};
    snprintf(text, sizeof text, "{\"step\": 0}\n%s", bad_lines[_i]);
    ck_assert_int_eq(READ(&log, text), COVER_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "line 2"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), path));
    ck_assert_ptr_null(log.series);
    ck_assert_ptr_null(log.lines.step);
}
END_TEST

START_TEST(deep_nesting_and_nul_bytes_are_errors) {
    static char text[200001];
    struct report_log log = {0};
    memset(text, '[', sizeof text);
    text[sizeof text - 1] = '\n';
    ck_assert_int_eq(read_text(&log, text, sizeof text), COVER_ERROR_FORMAT);
    memset(text, 0, sizeof text - 1);
    ck_assert_int_eq(read_text(&log, text, sizeof text), COVER_ERROR_FORMAT);
}
END_TEST

START_TEST(a_missing_log_is_an_error_of_io) {
    struct report_log log = {0};
    ck_assert_int_eq(report_log_read(&log, context, "/nowhere/log.jsonl"), COVER_ERROR_IO);
}
END_TEST

START_TEST(quotients_are_of_steps_that_have_both_and_something_to_divide_by) {
    static const struct figure_words figures[] = {{.name = "a", .over = "b"}, {.name = "b"}, {.name = "c", .over = "d"}, {0}};
    struct report_log log = {0};
    ck_assert_ok(READ(&log, "{\"step\":1,\"a\":1,\"b\":2}\n{\"step\":2,\"a\":1}\n{\"step\":3,\"a\":1,\"b\":0}\n"
                            "{\"step\":4,\"b\":7}\n{\"step\":5,\"a\":3,\"b\":4}\n"));
    for (int i = 0; i < 2; i++) ck_assert_ok(report_log_divide(&log, context, figures)); /* the second time changes nothing */
    const struct report_series *ratio = report_find(&log, "a / b");
    ck_assert(ratio && ratio->count == 2 && ratio->step[1] == 5 && ratio->value[0] == 0.5 && ratio->value[1] == 0.75);
    ck_assert_ptr_null(report_find(&log, "c / d"));
    report_log_free(&log, context);
}
END_TEST

/* ---- the page */

enum { SIDE = 24, CHANNELS_MAX = 3 };
static float image[SIDE * SIDE * SIDE * CHANNELS_MAX], other[SIDE * SIDE * SIDE * CHANNELS_MAX];
static float truth[SIDE * SIDE * SIDE * 3], answer[SIDE * SIDE * SIDE * 3], mask[SIDE * SIDE * SIDE];

static struct report_pair make_pair(int ndim, int channels) {
    struct report_pair pair = {.name = "a<b>&\"c\".png",
                               .grid = {.ndim = ndim, .size = {ndim == 3 ? SIDE : 1, SIDE, SIDE}},
                               .channels = channels,
                               .moving = image,
                               .fixed = other,
                               .truth = truth,
                               .predicted = answer,
                               .mask = mask,
                               .levels = 5};
    for (size_t i = 0; i < sizeof image / sizeof *image; i++) image[i] = sinf((float)i), other[i] = cosf((float)i);
    for (size_t i = 0; i < sizeof truth / sizeof *truth; i++) truth[i] = 3 * sinf(0.1f * (float)i), answer[i] = 0.5f * truth[i];
    for (size_t i = 0; i < sizeof mask / sizeof *mask; i++) mask[i] = i % 5 != 0;
    for (int l = 0; l < 5; l++) {
        int64_t side = l < 4 ? SIDE >> (3 - l) : SIDE;
        pair.level[l].grid = (struct grid){.ndim = ndim, .size = {ndim == 3 ? side : 1, side, side}};
        pair.level[l].field = truth;
    }
    return pair;
}

static const char *const figures[] = {"loss", "l_vec", "l_con", "l_zero", "grad_norm", "lr", "seconds", "pairs_per_s"};
enum { FIGURES = 8 };
static void add_line(struct report_log *log, double step, const double values[FIGURES]) {
    ck_assert_ok(report_log_line(log, context, step));
    for (int f = 0; f < FIGURES; f++) ck_assert_ok(report_log_add(log, context, figures[f], values[f]));
}
static const struct figure_words *words(void) { return objective_of(context, &(struct objective_settings){0})->figure; }

static struct report_log make_log(int count) {
    struct report_log log = {0};
    for (int i = 0; i < count; i++)
        add_line(&log, 10 * (i + 1), (double[FIGURES]){5.0 / (i + 1), 4.0 / (i + 1), 1, 6 + i % 3, 2, 1e-4, 0.25, 8});
    ck_assert_ok(report_log_divide(&log, context, words()));
    return log;
}

static char *write_page(const struct report *report) {
    ck_assert_ok(report_page_write(context, path, report));
    uint8_t *html;
    size_t bytes;
    ck_assert_ok(file_read(context, path, 1 << 28, &html, &bytes));
    ck_assert_uint_eq(strlen((char *)html), bytes);
    assert_well_formed((char *)html);
    return (char *)html;
}

START_TEST(a_page_is_well_formed_and_opens_nothing_outside_itself) {
    static const int dims[] = {2, 2, 3}, channels[] = {1, 3, 1}, pictures[] = {1 + 8 + 18, 1 + 8 + 18, 1 + 24 + 18};
    struct report_pair pair = make_pair(dims[_i], channels[_i]);
    struct report report = {.run = "run",
                            .config_json = "{\"steps\": 300, \"crop\": \"128x128\"}",
                            .dataset = "64 images",
                            .objective = "COVER",
                            .figure = words(),
                            .log = make_log(30),
                            .pair = &pair,
                            .pairs = 1};
    char *html = write_page(&report);
    ck_assert_int_eq(count_of(html, "<img "), pictures[_i]);
    ck_assert_int_eq(count_of(html, "src=\"data:image/png;base64,iVBORw0KGgo"), pictures[_i]);
    ck_assert_int_eq(count_of(html, "<svg"), 6);
    ck_assert_int_eq(count_of(html, "alt=\"\""), 0);
    ck_assert_int_eq(count_of(html, "<img alt=\"predicted field, on average "), _i == 2 ? 3 : 1);
    ck_assert_int_eq(count_of(html, "<figcaption>"), pictures[_i] - 1 + 6); /* of all but the wheel, and of the curves */
    ck_assert(count_of(html, "<main>") == 1 && count_of(html, "<summary>Values</summary>") == 6);
    ck_assert_ptr_nonnull(strstr(html, "<tr class=\"at\"><th>300</th><td>0.1333</td><td>8</td>"));
    ck_assert_int_eq(count_of(html, "href"), 0);
    ck_assert_int_eq(count_of(html, "http"), 0);
    ck_assert_int_eq(count_of(html, "<script"), 0);
    ck_assert_int_eq(count_of(html, "url("), 0);
    ck_assert_ptr_nonnull(strstr(html, "a&#60;b&#62;&#38;&#34;c&#34;.png"));
    ck_assert(!strstr(html, ">nan") && !strstr(html, " nan") && !strstr(html, ",nan"));
    memory_free(context, html);
    report_log_free(&report.log, context);
}
END_TEST

START_TEST(a_run_without_pairs_or_log_still_has_a_page) {
    struct report nothing = {.run = "<run>"}, one_row = {.run = "run", .figure = words(), .log = make_log(1)};
    char *html = write_page(&nothing);
    ck_assert_int_eq(count_of(html, "<h1>&#60;run&#62;</h1>"), 1);
    memory_free(context, html);
    html = write_page(&one_row);
    ck_assert_int_eq(count_of(html, "<polyline"), 13);          /* seven curves, raw and smoothed but for the learning rate */
    ck_assert_int_eq(count_of(html, "<circle class=\"dot"), 7); /* a line of one point draws nothing */
    memory_free(context, html);
    report_log_free(&one_row.log, context);
}
END_TEST

START_TEST(a_ratio_above_one_is_warned_of) {
    struct report report = {.run = "run", .figure = words(), .log = make_log(30)};
    char *html = write_page(&report);
    ck_assert_int_eq(count_of(html, "class=\"warn\""), 0);
    memory_free(context, html);
    report_log_free(&report.log, context);
    report.log = (struct report_log){0};
    add_line(&report.log, 10, (double[FIGURES]){5, 8, 1, 7, 2, 1e-4, 0.25, 8});
    ck_assert_ok(report_log_divide(&report.log, context, words()));
    html = write_page(&report);
    ck_assert_ptr_nonnull(strstr(html, "class=\"warn\" role=\"note\">Worse than nothing"));
    memory_free(context, html);
    report_log_free(&report.log, context);
}
END_TEST

START_TEST(hostile_figures_make_a_finite_page) {
    static const double values[] = {0, -1, 1e30, -1e30, NAN, 1e-300, 5e-324};
    struct report report = {.run = "run", .figure = _i % 2 ? words() : NULL};
    for (int i = 0; i < 40; i++) {
        double v = values[(i + _i) % 7], w = _i < 7 ? v : values[_i - 7];
        int64_t step = _i == 3 ? INT64_C(999999999999999) - 40 + i : i * i * INT64_C(400000000000);
        add_line(&report.log, (double)step, (double[FIGURES]){v, w, v, w, v, w, v, w});
    }
    ck_assert_ok(report_log_divide(&report.log, context, report.figure));
    char *html = write_page(&report);
    for (const char *points = html; (points = strstr(points, "points=\"")); points++)
        ck_assert_uint_eq(strspn(points + 8, "0123456789., -"), strcspn(points + 8, "\""));
    ck_assert_uint_lt(strlen(html), 200000);
    memory_free(context, html);
    report_log_free(&report.log, context);
}
END_TEST

START_TEST(nan_pixels_and_fields_do_no_harm) {
    struct report_pair pair = make_pair(2, 1);
    image[7] = NAN, other[9] = INFINITY, truth[11] = NAN, answer[13] = INFINITY, answer[15] = -1e30f;
    struct report report = {.run = "run", .pair = &pair, .pairs = 1};
    memory_free(context, write_page(&report));
    for (size_t i = 0; i < sizeof mask / sizeof *mask; i++) mask[i] = 0, image[i] = 1, truth[i] = 0;
    memory_free(context, write_page(&report));
}
END_TEST

START_TEST(each_refused_allocation_is_reported_and_leaks_nothing) {
    struct report_pair pair = make_pair(2, 1);
    struct report report = {
        .run = "run", .config_json = "{\"steps\": 3}", .figure = words(), .log = make_log(3), .pair = &pair, .pairs = 1};
    struct refusal refusal = {.until = -1};
    cover_allocator allocator = {refusing_allocate, refusing_release, &refusal};
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    options.allocator = &allocator;
    cover_context *poor;
    ck_assert_ok(cover_context_create(&poor, &options));
    int refused = 0, open = refusal.open;
    for (int n = 0;; n += 1 + n / 40) {
        refusal.until = n;
        cover_status status = report_page_write(poor, path, &report);
        ck_assert_int_eq(refusal.open, open);
        if (status == COVER_OK) break;
        ck_assert_int_eq(status, COVER_ERROR_MEMORY);
        refused++;
    }
    ck_assert_int_gt(refused, 20);
    report_log_free(&report.log, context);
    refusal.until = -1;
    cover_context_destroy(poor);
}
END_TEST

START_TEST(an_unwritable_page_is_an_error_that_names_it) {
    struct report report = {.run = "run"};
    ck_assert_int_eq(report_page_write(context, "/nowhere/report.html", &report), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "/nowhere/report.html"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("report");
    TCase *log = tcase_create("log"), *page = tcase_create("page");
    tcase_add_checked_fixture(log, setup, teardown);
    tcase_add_checked_fixture(page, setup, teardown);
    tcase_set_timeout(page, 60);
    ADD(log, a_log_reads_back);
    ADD(log, a_last_line_cut_short_is_left_out);
    ADD(log, a_resumed_run_replaces_the_steps_that_it_repeats);
    tcase_add_loop_test(log, a_line_that_is_no_log_is_an_error_with_its_number, 0, sizeof bad_lines / sizeof *bad_lines);
    ADD(log, deep_nesting_and_nul_bytes_are_errors);
    ADD(log, a_missing_log_is_an_error_of_io);
    ADD(log, quotients_are_of_steps_that_have_both_and_something_to_divide_by);
    tcase_add_loop_test(page, a_page_is_well_formed_and_opens_nothing_outside_itself, 0, 3);
    ADD(page, a_run_without_pairs_or_log_still_has_a_page);
    ADD(page, a_ratio_above_one_is_warned_of);
    tcase_add_loop_test(page, hostile_figures_make_a_finite_page, 0, 14);
    ADD(page, nan_pixels_and_fields_do_no_harm);
    ADD(page, each_refused_allocation_is_reported_and_leaks_nothing);
    ADD(page, an_unwritable_page_is_an_error_that_names_it);
    suite_add_tcase(suite, log);
    suite_add_tcase(suite, page);
    return run_suite(suite);
}
