/* Inside of the report of a task: what the rows of task_section.h draw with. */
#ifndef COVER_TASK_PARTS_H
#define COVER_TASK_PARTS_H

#include "task_section.h"

enum { TASK_COLOURS = 8 }; /* CSS classes c0..c7; the first class that is shown has c0 */

static const double TASK_CONFIDENCE = 0.95; /* of the main figure's interval, as the page says */

/* A cell of a table; a dash when it is not finite. */
void task_cell(struct text *html, double value);

/* ---- task_chart.c: figures of all cases */
cover_status task_boxes(struct text *html, const struct task_report *report, const char *figure); /* of each class's figure */
cover_status task_roc(struct text *html, const struct task_report *report);
cover_status task_confusion(struct text *html, const struct task_report *report); /* exclusive classes */
struct scored_cases task_scores(const struct task_report *report);

/* ---- task_example.c: label maps over their image */
cover_status task_maps(struct text *html, const struct task_report *report, const char *figure);
void task_maps_legend(struct text *html, const struct task_report *report);

#endif
