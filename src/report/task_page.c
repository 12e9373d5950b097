/* The page of a fine-tuning run: summary, curves, figures of the validation cases, examples, settings.  What a kind of task shows
 * there its row says (task_section.h).  Called by cover_run_finetune(). */
#include "report.h"
#include "task_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLASS_LINES = TASK_COLOURS, TABLE_CASES = 500 };

/* ---- summary */

static bool has_cases(const struct task_report *report) { return report->cases > 0 && (report->figure || report->score); }

static void add_tiles(struct text *html, const struct task_report *report) {
    text_add(html, "<dl class=\"tiles\">");
    if (report->section->tile) report->section->tile(html, report);
    page_tile_number(html, "validation cases", (double)report->cases, "");
    page_tile_number(html, "best step", report->best_step > 0 ? (double)report->best_step : NAN, "");
    page_tile_number(html, "steps", report_last_step(&report->log), "");
    page_tile_speed(html, &report->log);
    page_tile_time(html, "time in steps", report_seconds(&report->log));
    text_add(html, "</dl></div>");
}

static cover_status add_summary(struct text *html, const void *data) {
    const struct task_report *report = data;
    const struct task_section *section = report->section;
    struct interval figure = {.mean = NAN};
    bool known = false;
    if (section->main_figure && has_cases(report)) TRY(section->main_figure(&figure, &known, html->context, report));
    known = known && isfinite(figure.mean);
    text_add(html, "<div class=\"summary\"><div class=\"big\"><p class=\"soft\">%s</p>", section->figure);
    if (known) text_add(html, "<b>%.3f</b>", figure.mean);
    else text_add(html, "<b>&ndash;</b>");
    if (known && isfinite(figure.low))
        text_add(html, "<p class=\"soft\">%.3f to %.3f in 95&thinsp;%% of 2000 bootstrap draws of the %lld validation cases.</p>",
                 figure.low, figure.high, (long long)figure.count);
    if (known && figure.mean <= section->nothing)
        page_warn(html,
                  "No better than nothing. If the predictions below are empty: more steps, more labelled cases, another lr, or a "
                  "crop that sees more of what is looked for; if the images look empty, their intensities are the matter (pack "
                  "with a window or percentiles).");
    text_add(html, "</div>");
    add_tiles(html, report);
    return COVER_OK;
}

/* ---- curves */

/* The figure of each class over the steps: a line each, in the colour that the class has everywhere. */
static void add_classes(struct text *html, const struct task_report *report, const struct chart *chart) {
    static const char *const colours[TASK_COLOURS] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"};
    const char *prefix = report->section->class_figure;
    const int first = report->section->first_class;
    struct chart_line lines[CLASS_LINES];
    int count = 0;
    for (int i = 0; i < report->log.count && count < CLASS_LINES; i++) {
        const struct report_series *series = &report->log.series[i];
        if (strncmp(series->name, prefix, strlen(prefix)) != 0) continue;
        const char *name = series->name + strlen(prefix);
        int colour = count;
        for (int c = 0; c < report->classes; c++)
            if (strcmp(report->names[c], name) == 0) colour = (c + report->classes - first) % report->classes;
        lines[count++] = (struct chart_line){name, colours[colour % TASK_COLOURS], series->step, series->value, series->count};
    }
    chart_lines(html, chart, lines, count);
}

static cover_status add_curves(struct text *html, const void *data) {
    const struct task_report *report = data;
    struct chart loss = report->section->loss, validation = report->section->validation, classes = report->section->classes;
    if (report->log.count == 0) return COVER_OK;
    loss.from_zero = true;
    validation.exact = validation.dots = classes.exact = classes.dots = true;
    validation.mark_step = classes.mark_step = (double)report->best_step;
    classes.last_step = report_last_step(&report->log);
    page_curves_begin(html, " The dashed line is the step whose weights are kept.");
    if (loss.title) chart_add(html, &loss, &report->log);
    if (validation.title) chart_add(html, &validation, &report->log);
    if (classes.title && (report->classes == 0 || report->classes > 2)) /* of two classes one says it all */
        add_classes(html, report, &classes);
    page_curves_end(html, &report->log);
    return COVER_OK;
}

/* ---- figures of the cases */

void task_cell(struct text *html, double value) {
    if (isfinite(value)) text_add(html, "<td>%.4f</td>", value);
    else text_add(html, "<td>\xe2\x80\x93</td>");
}

static void add_case_table(struct text *html, const struct task_report *report) {
    const struct task_section *section = report->section;
    const char *column = section->column ? section->column(report) : NULL;
    text_add(html, "<details><summary>All %lld cases</summary><div class=\"wide\"><table><tr><th>case</th>",
             (long long)report->cases);
    if (column) text_add(html, "<th>%s</th>", column);
    for (int c = section->first_class; c < report->classes; c++) {
        text_add(html, "<th>");
        html_add(html, report->names[c]);
        text_add(html, "</th>");
    }
    for (int64_t i = 0; i < report->cases && i < TABLE_CASES; i++) {
        text_add(html, "</tr><tr><th>");
        html_add(html, report->case_names && report->case_names[i] ? report->case_names[i] : "");
        text_add(html, "</th>");
        if (column) section->cell(html, report, i);
        for (int c = section->first_class; c < report->classes; c++) {
            const int64_t at = i * report->classes + c;
            task_cell(html, report->figure ? report->figure[at] : (double)report->score[at]);
        }
    }
    text_add(html, "</tr></table></div>");
    if (report->cases > TABLE_CASES) text_add(html, "<p>The first %d are shown.</p>", TABLE_CASES);
    text_add(html, "</details>");
}

static cover_status add_cases(struct text *html, const void *data) {
    const struct task_report *report = data;
    enum { MOST_CLASSES = 40 }; /* beyond, figures of classes are only in the table */
    if (!has_cases(report)) return COVER_OK;
    text_add(html, "<h2>Validation</h2>");
    if (report->section->charts && report->classes <= MOST_CLASSES) TRY(report->section->charts(html, report));
    add_case_table(html, report);
    return COVER_OK;
}

static cover_status add_examples(struct text *html, const void *data) {
    const struct task_report *report = data;
    return report->examples && report->section->examples ? report->section->examples(html, report) : COVER_OK;
}

static cover_status (*const sections[])(struct text *html, const void *report) = {add_summary, add_curves, add_cases, add_examples};

cover_status task_page_write(cover_context *context, const char *path, const struct task_report *report) {
    char kicker[96];
    snprintf(kicker, sizeof kicker, "COVER fine-tuning &middot; %s", report->section->noun);
    const struct page page = {.kicker = kicker,
                              .run = report->run,
                              .dataset = report->dataset,
                              .config_json = report->config_json,
                              .section = sections,
                              .sections = 4,
                              .report = report};
    return page_write(context, path, &page);
}
