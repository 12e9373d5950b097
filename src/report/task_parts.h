/* Inside of the report of a task: its figures (task_chart.c) and examples (task_example.c), drawn into the page of
 * task_page.c. */
#ifndef COVER_TASK_PARTS_H
#define COVER_TASK_PARTS_H

#include "task_report.h"

enum { TASK_COLOURS = 8 }; /* CSS classes c0..c7; of segmentation class c has colour c - 1 */

static inline struct scored_cases task_scores(const struct task_report *report) {
    return (struct scored_cases){.score = report->score,
                                 .count = report->cases,
                                 .classes = report->classes,
                                 .truth = report->truth,
                                 .label = report->label,
                                 .names = report->names};
}
/* Mean of the classes' Dice of a case without the background; NaN when it has none. */
static inline double task_case_dice(const struct task_report *report, int64_t row) {
    return mean_known(report->dice + row * report->classes + 1, report->classes - 1);
}

cover_status task_boxes(struct text *html, const struct task_report *report);
cover_status task_roc(struct text *html, const struct task_report *report);
cover_status task_confusion(struct text *html, const struct task_report *report); /* exclusive classes */
cover_status task_examples(struct text *html, const struct task_report *report);

#endif
