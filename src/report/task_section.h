/* What the page of fine-tuning shows of a kind of task: a row a kind.  The page is task_page.c's and knows no kind; pieces that rows
 * draw with are in task_parts.h.  Filled by section_seg.c and section_cls.c; a run's row is named in api/finetune/judge.h. */
#ifndef COVER_TASK_SECTION_H
#define COVER_TASK_SECTION_H

#include "core/metrics/metrics.h"
#include "report.h"
#include "task_report.h"

struct task_section {
    const char *noun;   /* in the head of the page: "segmentation" */
    const char *figure; /* the name of the main one: "mean Dice" */
    double nothing;     /* its value for one who knows nothing */
    int first_class;    /* 1: class 0 is background, and nothing is shown of it */

    /* NULL members leave out what they would draw; those of cases are asked with cases alone. */
    cover_status (*main_figure)(struct interval *figure, bool *known, cover_context *context, const struct task_report *report);
    void (*tile)(struct text *html, const struct task_report *report); /* the first one beside the main figure */
    struct chart loss, validation, classes; /* titles NULL = none; of classes the curves are the log's: */
    const char *class_figure;               /* keys that begin so: "val.dice." */
    cover_status (*charts)(struct text *html, const struct task_report *report); /* of the figures of all cases */
    /* A column in the table of cases before those of the classes: its head, or NULL when these cases have none; a cell of it. */
    const char *(*column)(const struct task_report *report);
    void (*cell)(struct text *html, const struct task_report *report, int64_t row);

    /* A case's place in the order of interest, ascending; NaN leaves it out.  spread: pictures are of cases from first to last in equal
     * steps, else of the first ones. */
    double (*rank)(const struct task_report *report, int64_t row);
    bool spread;
    cover_status (*examples)(struct text *html, const struct task_report *report);
};

#define TASK_KIND(name) extern const struct task_section task_section_##name;
#include "core/settings/task_kinds.def"
#undef TASK_KIND

#endif
