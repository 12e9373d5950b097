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
struct task_figures {
    int64_t cases;
    double *dice;  /* segmentation: (cases, classes), NaN = the class is in neither map */
    float *score;  /* classification: (cases, classes) */
    double *class_mean; /* Dice or AUC of each class over the cases */
    double mean_dice, auc, accuracy; /* NaN where they do not apply */
};

struct cover_task {
    struct trainer_core core;
    struct task_about about; /* class names, rules, the core's config: what goes into its weight file */
    const struct task_kind *kind;
    struct split split;      /* which samples train and which validate */
    float *class_weights;
    struct case_maker maker;
    struct inference *inference; /* NULL until the first validation */
    struct task_figures figures, best_figures;
    double score, best_score; /* NaN before a validation */
    int64_t best_step, validated; /* steps of the best and of the newest validation; 0 before one */
    float *best; /* flat weights of the best validation; NULL before one */
};

/* Refuse validation cases that give no score: checked before training, not after its first steps. */
cover_status task_check_validation(cover_task *task);

/* Load the backbone of `init` into the task's flat weights; one input channel is inflated to more. */
cover_status task_load_backbone(cover_task *task, const char *init);
bool task_from_scratch(const char *init);
/* settings.standardise: set the layer before the head by what its inputs are now. */
cover_status task_measure_features(cover_task *task);

/* Validation with the weights of now; fills task->figures and returns the score that "best" goes by. */
cover_status task_figures_compute(cover_task *task, double *score);
/* A validation case with the weights of now: predicted and true label map on the case's own grid (memory_free both). */
cover_status task_case_labels(cover_task *task, int64_t index, uint16_t **predicted, uint16_t **truth, struct grid *grid);
/* Of the validation cases: classes, or with multilabel flags (cases, classes); the other is NULL.  memory_free both. */
cover_status task_truth(const cover_task *task, int **classes, uint8_t **labels);
void task_figures_free(struct task_figures *figures, cover_context *context);
/* JSON members of figures: "mean_dice": ..., "classes": {...}, and with `cases` "cases": [...] */
void task_figures_write(struct text *text, const cover_task *task, const struct task_figures *figures, bool cases);

#endif
