/* Figures of a task's cases: box plots of a figure of each class (Tukey 1977), ROC curves, the confusion table.  Called by
 * section_seg.c and section_cls.c. */
#include "report.h"
#include "task_parts.h"

#include <math.h>
#include <stdlib.h>

/* The drawing's own units; the page scales it. */
enum { LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 34 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- box plots: box = quartiles, bar = median, whiskers = the furthest cases within 1.5 box heights, dots = all cases
 */

struct boxes {
    int width, height;
    double low; /* of the figure's axis, which ends at 1 */
    double column;
};

static double box_y(const struct boxes *boxes, double value) {
    return TOP + (boxes->height - TOP - BOTTOM) * (1 - value) / (1 - boxes->low);
}

/* Sorted figures of one class; how many cases have it. */
static int64_t figures_of_class(double *sorted, const struct task_report *report, int c) {
    int64_t count = 0;
    for (int64_t i = 0; i < report->cases; i++)
        if (isfinite(report->figure[i * report->classes + c])) sorted[count++] = report->figure[i * report->classes + c];
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    return count;
}

static void add_box(struct text *html, const struct boxes *boxes, const struct task_report *report, int c, const double *sorted,
                    int64_t count) {
    const int shown = c - report->section->first_class;
    const double x = LEFT + boxes->column * (shown + 0.5), half = fmin(48, 0.28 * boxes->column);
    const double q1 = percentile_sorted(sorted, count, 0.25), q3 = percentile_sorted(sorted, count, 0.75);
    double low = q1, high = q3;
    for (int64_t i = 0; i < count; i++) {
        if (sorted[i] >= q1 - 1.5 * (q3 - q1)) low = fmin(low, sorted[i]);
        if (sorted[i] <= q3 + 1.5 * (q3 - q1)) high = fmax(high, sorted[i]);
    }
    text_add(html, "<g class=\"c%d\">", shown % TASK_COLOURS);
    text_add(html, "<path class=\"whisker\" d=\"M%.1f %.1fV%.1fM%.1f %.1fV%.1fM%.1f %.1fh%.1fM%.1f %.1fh%.1f\"/>", x,
             box_y(boxes, low), box_y(boxes, q1), x, box_y(boxes, q3), box_y(boxes, high), x - half / 2, box_y(boxes, low), half,
             x - half / 2, box_y(boxes, high), half);
    text_add(html, "<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\"/>", x - half,
             box_y(boxes, q3), 2 * half, box_y(boxes, q1) - box_y(boxes, q3));
    text_add(html, "<path class=\"median\" d=\"M%.1f %.1fh%.1f\"/>", x - half, box_y(boxes, percentile_sorted(sorted, count, 0.5)),
             2 * half);
    for (int64_t i = 0; i < report->cases; i++) { /* side by side by a fixed rule, so that few cover each other */
        const double value = report->figure[i * report->classes + c];
        if (isfinite(value))
            text_add(html, "<circle class=\"case\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>",
                     x + half * 1.2 * (fmod((double)i * 0.61803398875, 1) - 0.5), box_y(boxes, value));
    }
    text_add(html, "</g><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x, boxes->height - 10);
    html_add(html, report->names[c]);
    text_add(html, "</text>");
}

cover_status task_boxes(struct text *html, const struct task_report *report, const char *figure) {
    double *sorted = memory_alloc(html->context, (size_t)(report->cases + 1) * sizeof *sorted), least = 1;
    if (!sorted) return COVER_ERROR_MEMORY;
    const int first = report->section->first_class, shown = report->classes - first;
    struct boxes boxes = {.width = shown > 10 ? 90 * shown : 920, .height = 320};
    boxes.column = (double)(boxes.width - LEFT - RIGHT) / shown;
    for (int c = first; c < report->classes; c++)
        if (figures_of_class(sorted, report, c) > 0) least = fmin(least, sorted[0]);
    boxes.low = fmax(0, fmin(0.8, floor(least * 10 - 0.3) / 10));
    text_add(html, "<figure class=\"chart\"><figcaption><b>%s of each class over the cases</b></figcaption>", figure);
    text_add(html, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s of each class\">", boxes.width, boxes.height, figure);
    const double step = boxes.low > 0.45 ? 0.1 : 0.2;
    for (double at = 1; at >= boxes.low - 1e-9; at -= step)
        text_add(html, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>", LEFT,
                 box_y(&boxes, at), boxes.width - RIGHT, LEFT - 7, box_y(&boxes, at) + 4.5, fabs(at));
    for (int c = first; c < report->classes; c++) {
        const int64_t count = figures_of_class(sorted, report, c);
        if (count > 0) add_box(html, &boxes, report, c, sorted, count);
    }
    text_add(html, "</svg><p>Box: quartiles; bar: median; whiskers: the furthest case within 1.5 box heights; a dot is a case."
                   "</p></figure>");
    memory_free(html->context, sorted);
    return COVER_OK;
}

/* ---- ROC curves */

struct scored_cases task_scores(const struct task_report *report) {
    return (struct scored_cases){.score = report->score,
                                 .count = report->cases,
                                 .classes = report->classes,
                                 .truth = report->truth,
                                 .label = report->label,
                                 .names = report->names};
}

enum { ROC_SIDE = 440, ROC_POINTS = 2000 };

static double roc_x(double rate) { return LEFT + (ROC_SIDE - LEFT - RIGHT) * rate; }
static double roc_y(double rate) { return ROC_SIDE - BOTTOM - (ROC_SIDE - TOP - BOTTOM) * rate; }

static void add_roc(struct text *html, const struct roc_point *point, int64_t points, int c) {
    double last_x = -1, last_y = -1;
    const double apart = 1.0 / ROC_POINTS; /* corners nearer than this cannot be seen */
    text_add(html, "<polyline class=\"line c%d\" points=\"", c % TASK_COLOURS);
    for (int64_t i = 0; i < points; i++) {
        const double x = point[i].false_positives, y = point[i].true_positives;
        if (i + 1 < points && fabs(x - last_x) < apart && fabs(y - last_y) < apart) continue;
        text_add(html, "%.1f,%.1f ", roc_x(x), roc_y(y));
        last_x = x, last_y = y;
    }
    text_add(html, "\"/>");
}

static void add_roc_frame(struct text *html) {
    text_add(html, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"ROC curves\">", ROC_SIDE, ROC_SIDE);
    for (int i = 0; i <= 4; i++)
        text_add(html,
                 "<path class=\"grid\" d=\"M%d %.1fH%dM%.1f %dV%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>"
                 "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>",
                 LEFT, roc_y(i / 4.0), ROC_SIDE - RIGHT, roc_x(i / 4.0), TOP, ROC_SIDE - BOTTOM, LEFT - 7, roc_y(i / 4.0) + 4.5,
                 i / 4.0, roc_x(i / 4.0), ROC_SIDE - 14, i / 4.0);
    text_add(html, "<path class=\"mark\" d=\"M%.1f %.1fL%.1f %.1f\"/>", roc_x(0), roc_y(0), roc_x(1), roc_y(1));
}

/* A class without positives or negatives has no curve: *auc is NaN then. */
static cover_status class_roc(double *auc, struct roc_point *point, int64_t *points, cover_context *context,
                              const struct scored_cases *cases, int c) {
    *auc = NAN;
    *points = 0;
    cover_status status = ranking_auc(auc, context, cases, c);
    if (status == COVER_OK) status = ranking_roc(point, points, context, cases, c);
    return status == COVER_ERROR_ARGUMENT || status == COVER_ERROR_NUMERIC ? COVER_OK : status;
}

cover_status task_roc(struct text *html, const struct task_report *report) {
    const struct scored_cases cases = task_scores(report);
    /* of two exclusive classes one curve is the other turned round */
    const int first = report->truth && report->classes == 2 ? 1 : 0;
    struct roc_point *point = memory_alloc(html->context, (size_t)(report->cases + 1) * sizeof *point);
    double *auc = memory_alloc(html->context, (size_t)report->classes * sizeof *auc);
    struct text curves = {.context = html->context};
    cover_status status;
    GO(point && auc ? COVER_OK : COVER_ERROR_MEMORY);
    for (int c = first; c < report->classes; c++) {
        int64_t points;
        GO(class_roc(&auc[c], point, &points, html->context, &cases, c));
        if (points) add_roc(&curves, point, points, c);
    }
    text_add(html, "<figure class=\"chart\"><figcaption><b>ROC</b>");
    for (int c = first; c < report->classes; c++) {
        text_add(html, "<span class=\"key c%d\">", c % TASK_COLOURS);
        html_add(html, report->names[c]);
        if (isfinite(auc[c])) text_add(html, " <i>%.3f</i></span>", auc[c]);
        else text_add(html, " <i>no curve</i></span>");
    }
    text_add(html, "</figcaption>");
    add_roc_frame(html);
    if (curves.data) text_add_bytes(html, curves.data, curves.length);
    text_add(html, "</svg><p>Sensitivity over 1 \xe2\x88\x92 specificity as the threshold falls; figures: area under "
                   "the curve.</p>"
                   "</figure>");
    status = curves.failed ? COVER_ERROR_MEMORY : COVER_OK;
done:
    text_free(&curves);
    memory_free(html->context, point);
    memory_free(html->context, auc);
    return status;
}

/* ---- confusion */

cover_status task_confusion(struct text *html, const struct task_report *report) {
    const struct scored_cases cases = task_scores(report);
    const int classes = report->classes;
    double accuracy;
    int64_t *table = memory_alloc(html->context, (size_t)classes * (size_t)classes * sizeof *table);
    if (!table) return COVER_ERROR_MEMORY;
    if (ranking_confusion(table, &accuracy, &cases) == COVER_OK) { /* else a score is NaN: no table */
        text_add(html, "<figure class=\"chart\"><figcaption><b>Confusion</b></figcaption><div class=\"wide\"><table "
                       "class=\"confusion\"><tr><th>is \xe2\x86\x93 &ensp; taken for \xe2\x86\x92</th>");
        for (int c = 0; c < classes; c++) {
            text_add(html, "<th>");
            html_add(html, report->names[c]);
            text_add(html, "</th>");
        }
        for (int t = 0; t < classes; t++) {
            int64_t sum = 0;
            for (int p = 0; p < classes; p++) sum += table[t * classes + p];
            text_add(html, "</tr><tr><th>");
            html_add(html, report->names[t]);
            text_add(html, "</th>");
            for (int p = 0; p < classes; p++) {
                const double share = sum ? (double)table[t * classes + p] / (double)sum : 0;
                text_add(html, "<td style=\"--share:%.3f\">%lld<small>%.0f&thinsp;%%</small></td>", share,
                         (long long)table[t * classes + p], 100 * share);
            }
        }
        text_add(html, "</tr></table></div><p>Cases; the shares are of the cases of the true class.</p></figure>");
    }
    memory_free(html->context, table);
    return COVER_OK;
}
