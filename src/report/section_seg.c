/* Segmentation in the report: the Dice of each class, label maps over their images.  A row of task_section.h. */
#include "task_parts.h"

#include <math.h>

/* Mean of the classes' Dice of a case without the background; NaN when it has none. */
static double case_dice(const struct task_report *report, int64_t row) {
    return mean_known(report->figure + row * report->classes + 1, report->classes - 1);
}

/* Mean Dice over the cases with its bootstrap interval. */
static cover_status mean_dice(struct interval *figure, bool *known, cover_context *context, const struct task_report *report) {
    double *means = memory_alloc(context, (size_t)report->cases * sizeof *means);
    if (!means) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < report->cases; i++) means[i] = case_dice(report, i);
    cover_status status = bootstrap_interval(figure, context, means, report->cases, BOOTSTRAP_RESAMPLES, TASK_CONFIDENCE, 0);
    memory_free(context, means);
    *known = status == COVER_OK;
    return status;
}

static void classes_tile(struct text *html, const struct task_report *report) {
    page_tile_number(html, "classes", report->classes > 1 ? report->classes - 1 : NAN, "");
}

static cover_status charts(struct text *html, const struct task_report *report) { return task_boxes(html, report, "Dice"); }

static const char *column(const struct task_report *report) {
    (void)report;
    return "mean Dice";
}

static void cell(struct text *html, const struct task_report *report, int64_t row) { task_cell(html, case_dice(report, row)); }

static cover_status examples(struct text *html, const struct task_report *report) {
    text_add(html, "<h2>Validation cases</h2><p class=\"soft\">From the lowest mean Dice to the highest, with the "
                   "weights that were kept. Of volumes, slices through the middle of what the truth marks.</p>");
    task_maps_legend(html, report);
    return task_maps(html, report, "Dice");
}

const struct task_section task_section_seg = {
    .noun = "segmentation",
    .figure = "mean Dice",
    .first_class = 1,
    .main_figure = mean_dice,
    .tile = classes_tile,
    .loss = {"Training loss",
             "Cross-entropy and Dice loss of the training batches.",
             {{"loss", "loss", "a"}, {"cross_entropy", "cross-entropy", "c3"}, {"dice_loss", "Dice loss", "b"}}},
    .validation = {"Validation", "Mean Dice of the validation cases.", {{"val.mean_dice", "mean Dice", "a"}}},
    .classes = {"Validation Dice by class"},
    .class_figure = "val.dice.",
    .charts = charts,
    .column = column,
    .cell = cell,
    .rank = case_dice,
    .spread = true,
    .examples = examples,
};
