/* The report of a fine-tuning run from its parts: log, figures of each validation case, predictions to look at, to one
 * self-contained HTML page.  cover_run_finetune() gathers the parts; everything from there down is here. */
#ifndef COVER_TASK_REPORT_H
#define COVER_TASK_REPORT_H

#include "core/base/base.h"
#include "core/base/grid.h"
#include "core/metrics/metrics.h"
#include "report.h"

/* A validation case to look at, or one plane of it.  All arrays lie on one grid, D, H, W order.  Examples of the same
 * row that follow each other share a heading. */
struct task_example {
    const char *name;
    struct grid grid;
    int channels;
    const float *image;    /* channels last, any intensities; a NaN shows as black */
    const uint16_t *truth; /* label maps; NULL: the kind has none */
    const uint16_t *predicted;
    int64_t row; /* of the cases below; -1 = none */
};
/* What the page shows of an example: planes through the middle of what the truth marks (3 of a volume, 1 in 2D),
 * brought down to the size of a picture, as a 2D example with arrays of its own. */
int task_example_planes(const struct task_example *example);
cover_status task_example_plane(struct task_example *plane, cover_context *context, const struct task_example *example, int index);
void task_example_free(struct task_example *plane, cover_context *context);

struct task_section;
struct task_report {
    const char *run;                    /* name of the run folder */
    const char *config_json;            /* every setting; NULL = not known */
    const char *dataset;                /* one line about data and cases; NULL = none */
    const struct task_section *section; /* of its kind (task_section.h) */
    int classes;
    const char *const *names; /* of the classes */
    struct report_log log;
    int64_t best_step; /* whose weights are kept; 0 = not known */

    /* validation with these weights, a row a case */
    int64_t cases;
    const char *const *case_names;
    const double *figure; /* (cases, classes): of each class, NaN = the case has none; or NULL, then */
    const float *score;   /* (cases, classes) with: */
    const int *truth;     /* class of each case; NULL = multi-label */
    const uint8_t *label; /* multi-label: (cases, classes) */

    const struct task_example *example;
    int examples;
};

/* Rows of cases worth a picture, by the rank that their kind gives them.  row[most]; *chosen <= most are written. */
cover_status task_examples_choose(int64_t *row, int *chosen, int most, cover_context *context, const struct task_report *report);

/* Write the page: path is replaced in one move.  Sections whose parts are missing (no log, cases or examples) are left
 * out; a class that all or no cases have is listed without a ROC curve. */
cover_status task_page_write(cover_context *context, const char *path, const struct task_report *report);

#endif
