/* The page of a fine-tuning run: summary, curves, figures of the validation cases, examples, settings.  Called by
 * cover_run_finetune(). */
#include "report.h"
#include "task_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLASS_LINES = TASK_COLOURS, TABLE_CASES = 500 };

/* ---- summary */

/* Mean Dice over the cases with its bootstrap interval, or the macro AUC; false without cases. */
static cover_status main_figure(struct interval *figure, bool *known, cover_context *context, const struct task_report *report) {
    static const double CONFIDENCE = 0.95;
    cover_status status = COVER_OK;
    *known = false;
    if (report->cases < 1 || !(report->segmentation ? (const void *)report->dice : (const void *)report->score)) return COVER_OK;
    if (report->segmentation) {
        double *means = memory_alloc(context, (size_t)report->cases * sizeof *means);
        if (!means) return COVER_ERROR_MEMORY;
        for (int64_t i = 0; i < report->cases; i++) means[i] = task_case_dice(report, i);
        status = bootstrap_interval(figure, context, means, report->cases, BOOTSTRAP_RESAMPLES, CONFIDENCE, 0);
        memory_free(context, means);
    } else {
        const struct scored_cases cases = task_scores(report);
        status = ranking_auc_interval(figure, context, &cases, BOOTSTRAP_RESAMPLES, CONFIDENCE, 0);
        if (status == COVER_ERROR_ARGUMENT || status == COVER_ERROR_NUMERIC) return COVER_OK; /* no AUC: not known */
    }
    *known = status == COVER_OK && isfinite(figure->mean);
    return status;
}

static void add_tiles(struct text *html, const struct task_report *report) {
    text_add(html, "<dl class=\"tiles\">");
    if (!report->segmentation && report->score) {
        const struct scored_cases cases = task_scores(report);
        double accuracy = NAN;
        if (ranking_confusion(NULL, &accuracy, &cases) != COVER_OK) accuracy = NAN;
        page_tile_number(html, "accuracy", accuracy, "");
    } else page_tile_number(html, "classes", report->classes > 1 ? report->classes - 1 : NAN, "");
    page_tile_number(html, "validation cases", (double)report->cases, "");
    page_tile_number(html, "best step", report->best_step > 0 ? (double)report->best_step : NAN, "");
    page_tile_number(html, "steps", report_last_step(&report->log), "");
    page_tile_number(html, "samples a second", report_last(&report->log, "samples_per_s"), "");
    page_tile_time(html, "time in steps", report_seconds(&report->log));
    text_add(html, "</dl></div>");
}

static cover_status add_summary(struct text *html, const void *data) {
    const struct task_report *report = data;
    struct interval figure;
    bool known;
    TRY(main_figure(&figure, &known, html->context, report));
    text_add(html, "<div class=\"summary\"><div class=\"big\"><p class=\"soft\">%s</p>",
             report->segmentation ? "mean Dice" : "AUC, mean over the classes");
    if (known) text_add(html, "<b>%.3f</b>", figure.mean);
    else text_add(html, "<b>&ndash;</b>");
    if (known && isfinite(figure.low))
        text_add(html, "<p class=\"soft\">%.3f to %.3f in 95&thinsp;%% of 2000 bootstrap draws of the %lld validation cases.</p>",
                 figure.low, figure.high, (long long)figure.count);
    text_add(html, "</div>");
    add_tiles(html, report);
    return COVER_OK;
}

/* ---- curves */

/* The series whose keys begin with `prefix`, a line each, named by what follows. */
static void add_group(struct text *html, const struct task_report *report, struct chart chart, const char *prefix) {
    static const char *const colours[TASK_COLOURS] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"};
    struct chart_line lines[CLASS_LINES];
    int count = 0;
    for (int i = 0; i < report->log.count && count < CLASS_LINES; i++) {
        const struct report_series *series = &report->log.series[i];
        if (strncmp(series->name, prefix, strlen(prefix)) != 0) continue;
        const char *name = series->name + strlen(prefix);
        int colour = count;
        for (int c = 0; c < report->classes; c++)
            if (strcmp(report->names[c], name) == 0) colour = (c + report->classes - (int)report->segmentation) % report->classes;
        lines[count++] = (struct chart_line){name, colours[colour % TASK_COLOURS], series->step, series->value, series->count};
    }
    chart_lines(html, &chart, lines, count);
}

static cover_status add_curves(struct text *html, const void *data) {
    const struct task_report *report = data;
    const double best = (double)report->best_step;
    const bool dense = report->segmentation;
    const struct chart loss = {"Training loss",
                               dense ? "Cross-entropy and Dice loss of the training batches."
                                     : "Cross-entropy of the training batches.",
                               {{"loss", "loss", "a"},
                                {dense ? "cross_entropy" : NULL, "cross-entropy", "c3"},
                                {dense ? "dice_loss" : NULL, "Dice loss", "b"}},
                               .from_zero = true};
    const struct chart validation = {
        "Validation",
        dense ? "Mean Dice of the validation cases." : "AUC and accuracy of the validation cases.",
        {{dense ? "val.mean_dice" : "val.auc", dense ? "mean Dice" : "AUC", "a"}, {"val.accuracy", "accuracy", "b"}},
        .exact = true,
        .dots = true,
        .mark_step = best};
    const struct chart classes = {.title = dense ? "Validation Dice by class" : "Validation AUC by class",
                                  .exact = true,
                                  .dots = true,
                                  .mark_step = best,
                                  .last_step = report_last_step(&report->log)};
    if (report->log.count == 0) return COVER_OK;
    page_curves_begin(html, " The dashed line is the step whose weights are kept.");
    chart_add(html, &loss, &report->log);
    chart_add(html, &validation, &report->log);
    if (report->classes == 0 || report->classes > 2) /* of two classes one says it all */
        add_group(html, report, classes, dense ? "val.dice." : "val.auc.");
    page_curves_end(html, &report->log, "samples_per_s", "samples a second");
    return COVER_OK;
}

/* ---- figures of the cases */

static void add_cell(struct text *html, double value) {
    if (isfinite(value)) text_add(html, "<td>%.4f</td>", value);
    else text_add(html, "<td>\xe2\x80\x93</td>");
}

static void add_case_table(struct text *html, const struct task_report *report) {
    const int first = report->segmentation ? 1 : 0;
    text_add(html, "<details><summary>All %lld cases</summary><div class=\"wide\"><table><tr><th>case</th>",
             (long long)report->cases);
    text_add(html, report->segmentation ? "<th>mean Dice</th>" : report->truth ? "<th>class</th>" : "");
    for (int c = first; c < report->classes; c++) {
        text_add(html, "<th>");
        html_add(html, report->names[c]);
        text_add(html, "</th>");
    }
    for (int64_t i = 0; i < report->cases && i < TABLE_CASES; i++) {
        text_add(html, "</tr><tr><th>");
        html_add(html, report->case_names && report->case_names[i] ? report->case_names[i] : "");
        text_add(html, "</th>");
        if (report->segmentation) add_cell(html, task_case_dice(report, i));
        else if (report->truth) {
            text_add(html, "<td>");
            html_add(html, report->names[report->truth[i]]);
            text_add(html, "</td>");
        }
        for (int c = first; c < report->classes; c++) {
            const double value =
                report->segmentation ? report->dice[i * report->classes + c] : (double)report->score[i * report->classes + c];
            add_cell(html, value);
        }
    }
    text_add(html, "</tr></table></div>");
    if (report->cases > TABLE_CASES) text_add(html, "<p>The first %d are shown.</p>", TABLE_CASES);
    text_add(html, "</details>");
}

static cover_status add_cases(struct text *html, const void *data) {
    const struct task_report *report = data;
    enum { MOST_CLASSES = 40 }; /* beyond, figures of classes are only in the table */
    if (report->cases < 1 || !(report->segmentation ? (const void *)report->dice : (const void *)report->score)) return COVER_OK;
    text_add(html, "<h2>Validation</h2>");
    if (report->segmentation && report->classes <= MOST_CLASSES) TRY(task_boxes(html, report));
    if (!report->segmentation && report->classes <= MOST_CLASSES) {
        text_add(html, "<div class=\"two\">");
        if (report->truth) TRY(task_confusion(html, report));
        TRY(task_roc(html, report));
        text_add(html, "</div>");
    }
    add_case_table(html, report);
    return COVER_OK;
}

static cover_status add_examples(struct text *html, const void *data) {
    const struct task_report *report = data;
    return report->examples ? task_examples(html, report) : COVER_OK;
}

static cover_status (*const sections[])(struct text *html, const void *report) = {add_summary, add_curves, add_cases, add_examples};

cover_status task_page_write(cover_context *context, const char *path, const struct task_report *report) {
    const struct page page = {.kicker = report->segmentation ? "COVER fine-tuning &middot; segmentation"
                                                             : "COVER fine-tuning &middot; classification",
                              .run = report->run,
                              .dataset = report->dataset,
                              .config_json = report->config_json,
                              .section = sections,
                              .sections = 4,
                              .report = report};
    return page_write(context, path, &page);
}
