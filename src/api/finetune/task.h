/* Inside of the public task, for its own files and finetune.c. */
#ifndef COVER_API_TASK_H
#define COVER_API_TASK_H

#include "api/predict/inference.h"
#include "api/run/trainer_core.h"
#include "core/train/cases.h"
#include "io/dataset/reader.h"
#include "io/weights/task_file.h"
#include "task_data.h"

#include <libcover/task.h>

/* What the newest validation found, a row a case. */
enum { TASK_FIGURES = 4 };
struct task_figures {
    int64_t cases;
    double *class_figure;        /* (cases, classes): the figure of each class, NaN = the case has none; or NULL, then */
    float *score;                /* (cases, classes) */
    double *class_mean;          /* the figure of each class over the cases */
    double figure[TASK_FIGURES]; /* in the order of the judge's names */
};

struct task_judge; /* judge.h */

struct cover_task {
    struct trainer_core core;
    struct task_about about; /* class names, rules, the core's config: what goes into its weight file */
    const struct task_kind *kind;
    const struct task_judge *judge;
    struct split split; /* which samples train and which validate */
    float *class_weights;
    struct case_maker maker;
    struct inference *inference; /* NULL until the first validation */
    struct task_figures figures, best_figures;
    double score, best_score;     /* NaN before a validation */
    int64_t best_step, validated; /* steps of the best and of the newest validation; 0 before one */
    float *best;                  /* flat weights of the best validation; NULL before one */
};

/* What a step did, and how the task stands. */
cover_task_report task_report_of(const cover_task *task, const cover_step_report *made);
/* Load the backbone of `init` into the task's flat weights; one input channel is inflated to more. */
cover_status task_load_backbone(cover_task *task, const char *init);
bool task_from_scratch(const char *init);
/* settings.standardise: set the layer before the head by what its inputs are now. */
cover_status task_measure_features(cover_task *task);

/* Codes of its classes for DICOM, checked. */
cover_status task_take_segments(cover_task *task, const char *json);

/* Validation with the weights of now; fills task->figures and returns the score that "best" goes by. */
cover_status task_figures_compute(cover_task *task, double *score);
/* Of the validation cases: classes, or with multilabel flags (cases, classes); the other is NULL.  memory_free both. */
cover_status task_truth(const cover_task *task, int **classes, uint8_t **labels);
void task_figures_free(struct task_figures *figures, cover_context *context);
/* JSON members of figures: their names, "classes": {...}, and with `cases` "cases": [...] */
void task_figures_write(struct text *text, const cover_task *task, const struct task_figures *figures, bool cases);

#endif
