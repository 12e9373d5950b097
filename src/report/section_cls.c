/* Classification in the report: the AUC of each class, what was taken for what.  A row of task_section.h. */
#include "task_parts.h"

#include <math.h>

/* The mean of the classes' AUC with its bootstrap interval. */
static cover_status mean_auc(struct interval *figure, bool *known, cover_context *context, const struct task_report *report) {
    const struct scored_cases cases = task_scores(report);
    cover_status status = ranking_auc_interval(figure, context, &cases, BOOTSTRAP_RESAMPLES, TASK_CONFIDENCE, 0);
    *known = status == COVER_OK;
    return status == COVER_ERROR_ARGUMENT || status == COVER_ERROR_NUMERIC ? COVER_OK : status; /* no AUC: not known */
}

static void accuracy_tile(struct text *html, const struct task_report *report) {
    const struct scored_cases cases = task_scores(report);
    double accuracy = NAN;
    if (report->cases < 1 || ranking_confusion(NULL, &accuracy, &cases) != COVER_OK) accuracy = NAN;
    page_tile_number(html, "accuracy", accuracy, "");
}

static cover_status charts(struct text *html, const struct task_report *report) {
    text_add(html, "<div class=\"two\">");
    if (report->truth) TRY(task_confusion(html, report));
    TRY(task_roc(html, report));
    text_add(html, "</div>");
    return COVER_OK;
}

/* The classes of a multi-label case are in no column. */
static const char *column(const struct task_report *report) { return report->truth ? "class" : NULL; }

static void cell(struct text *html, const struct task_report *report, int64_t row) {
    text_add(html, "<td>");
    html_add(html, report->names[report->truth[row]]);
    text_add(html, "</td>");
}

/* Those taken for another class with the highest score first, then the least sure. */
static double rank(const struct task_report *report, int64_t row) {
    const float *score = report->score + row * report->classes;
    const int best = ranking_best(score, report->classes);
    if (best < 0) return NAN;
    const double sure = 1 / (1 + fabs((double)score[best])); /* small when the score is high */
    return report->truth && report->truth[row] == best ? 2 - sure : sure;
}

static void add_verdict(struct text *html, const struct task_report *report, const struct task_example *example) {
    if (!report->score || example->row < 0 || example->row >= report->cases) return;
    const float *score = report->score + example->row * report->classes;
    const int best = ranking_best(score, report->classes);
    if (best < 0) return;
    text_add(html, "<br/>taken for ");
    html_add(html, report->names[best]);
    text_add(html, " (%.2f)", (double)score[best]);
    if (!report->truth) return;
    text_add(html, report->truth[example->row] == best ? ", rightly" : ", <b>but is ");
    if (report->truth[example->row] == best) return;
    html_add(html, report->names[report->truth[example->row]]);
    text_add(html, "</b>");
}

/* A picture, and what it was taken for. */
static cover_status examples(struct text *html, const struct task_report *report) {
    text_add(html, "<h2>Validation cases</h2><p class=\"soft\">Those taken for another class first.</p>");
    text_add(html, "<div class=\"row four\">");
    for (int i = 0; i < report->examples; i++) {
        const struct task_example *example = &report->example[i];
        struct plane planes[3];
        picture_planes(planes, &example->grid);
        text_add(html, "<figure>");
        TRY(picture_image(html, example->name ? example->name : "case", example->image, &example->grid, example->channels, planes,
                          picture_window(example->image, &example->grid, example->channels)));
        text_add(html, "<figcaption>");
        html_add(html, example->name ? example->name : "case");
        add_verdict(html, report, example);
        text_add(html, "</figcaption></figure>");
    }
    text_add(html, "</div>");
    return COVER_OK;
}

const struct task_section task_section_cls = {
    .noun = "classification",
    .figure = "AUC, mean over the classes",
    .nothing = 0.5,
    .main_figure = mean_auc,
    .tile = accuracy_tile,
    .loss = {"Training loss", "Cross-entropy of the training batches.", {{"loss", "loss", "a"}}},
    .validation = {"Validation",
                   "AUC and accuracy of the validation cases.",
                   {{"val.auc", "AUC", "a"}, {"val.accuracy", "accuracy", "b"}}},
    .classes = {"Validation AUC by class"},
    .class_figure = "val.auc.",
    .charts = charts,
    .column = column,
    .cell = cell,
    .rank = rank,
    .examples = examples,
};
