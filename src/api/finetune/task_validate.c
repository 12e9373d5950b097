/* Validation of a task: each case predicted as it would be later, and figures of merit over them. */
#include "core/base/json.h"
#include "core/views/augment.h"
#include "core/metrics/metrics.h"
#include "api/predict/scores.h"
#include "task.h"

#include <math.h>
#include <string.h>

void task_figures_free(struct task_figures *figures, cover_context *context) {
    memory_free(context, figures->dice);
    memory_free(context, figures->score);
    memory_free(context, figures->class_mean);
    *figures = (struct task_figures){0};
}

static cover_status allocate(struct task_figures *figures, const cover_task *task) {
    size_t classes = (size_t)task->core.settings.task.classes, cases = (size_t)task->split.val_count;
    if (figures->class_mean) return COVER_OK;
    bool segmentation = task->kind->dense;
    figures->cases = task->split.val_count;
    figures->class_mean = memory_alloc(task->core.context, classes * sizeof *figures->class_mean);
    if (segmentation) figures->dice = memory_alloc(task->core.context, cases * classes * sizeof *figures->dice);
    else figures->score = memory_alloc(task->core.context, cases * classes * sizeof *figures->score);
    return figures->class_mean && (figures->dice || figures->score) ? COVER_OK : COVER_ERROR_MEMORY;
}

/* Class probabilities of a case on its working grid (memory_free). */
static cover_status predict(cover_task *task, int64_t index, float **scores, struct grid *grid) {
    float *pixels = NULL, *image = NULL;
    int integer_max;
    cover_status status;
    GO(task->core.reader.read(task->core.reader.user, index, &pixels, grid, &integer_max));
    GO(augment_plain(task->core.context, &task->core.settings, &image, grid, pixels, task->core.reader.channels, (float)integer_max));
    int64_t values = inference_scores(task->inference, grid);
    if (!(*scores = memory_alloc(task->core.context, (size_t)values * sizeof **scores))) GO(COVER_ERROR_MEMORY);
    status = inference_run(task->inference, *scores, image, grid);
done:
    memory_free(task->core.context, pixels);
    memory_free(task->core.context, image);
    if (status != COVER_OK) memory_free(task->core.context, *scores), *scores = NULL;
    return status;
}

cover_status task_case_labels(cover_task *task, int64_t index, uint16_t **predicted, uint16_t **truth, struct grid *grid) {
    float *scores = NULL;
    struct grid working;
    *predicted = *truth = NULL;
    cover_status status;
    GO(task->core.reader.label(task->core.reader.user, index, truth, grid));
    GO(predict(task, index, &scores, &working));
    if (!(*predicted = memory_alloc(task->core.context, (size_t)grid_pixels(grid) * sizeof **predicted))) GO(COVER_ERROR_MEMORY);
    status = scores_to_labels(*predicted, NULL, task->core.context, grid, scores, &working, (int)task->core.settings.task.classes);
    if (status == COVER_OK && task->core.reader.ignore >= 0) /* pixels that nobody knows are right whatever is said */
        for (int64_t p = 0; p < grid_pixels(grid); p++)
            if ((*truth)[p] == task->core.reader.ignore) (*predicted)[p] = (*truth)[p] = 0;
done:
    memory_free(task->core.context, scores);
    if (status == COVER_OK) return status;
    memory_free(task->core.context, *predicted);
    memory_free(task->core.context, *truth);
    *predicted = *truth = NULL;
    return status;
}

static cover_status segment_case(cover_task *task, int64_t index, double *dice) {
    int classes = (int)task->core.settings.task.classes;
    struct grid grid;
    uint16_t *predicted, *truth;
    TRY(task_case_labels(task, index, &predicted, &truth, &grid));
    cover_status status = COVER_ERROR_MEMORY;
    struct overlap *overlap = memory_zero(task->core.context, (size_t)classes * sizeof *overlap);
    if (!overlap) goto done;
    int64_t bad = overlap_add(overlap, classes, (struct labels){predicted, true}, (struct labels){truth, true}, grid_pixels(&grid));
    if (bad >= 0) GO(fail(COVER_ERROR_FORMAT, "its label holds %d, but there are %d classes", truth[bad], classes));
    for (int k = 0; k < classes; k++) dice[k] = overlap_dice(&overlap[k]);
    status = COVER_OK;
done:
    memory_free(task->core.context, overlap);
    memory_free(task->core.context, predicted);
    memory_free(task->core.context, truth);
    return status;
}

static cover_status classify_case(cover_task *task, int64_t index, float *score) {
    float *scores;
    struct grid grid;
    TRY(predict(task, index, &scores, &grid));
    memcpy(score, scores, (size_t)task->core.settings.task.classes * sizeof *score);
    memory_free(task->core.context, scores);
    return COVER_OK;
}

/* ---- over all cases */

/* Mean Dice of a case over the classes above background that it has; NaN when it has none. */
static double case_mean(const struct task_figures *figures, int64_t i, int classes) {
    return mean_known(figures->dice + i * classes + 1, classes - 1);
}

static void summarise_dice(struct task_figures *figures, int classes) {
    double sum = 0;
    int64_t known = 0;
    for (int k = 0; k < classes; k++) {
        double total = 0;
        int64_t count = 0;
        for (int64_t i = 0; i < figures->cases; i++) {
            double dice = figures->dice[i * classes + k];
            if (!isnan(dice)) total += dice, count++;
        }
        figures->class_mean[k] = count ? total / (double)count : NAN;
    }
    for (int64_t i = 0; i < figures->cases; i++) {
        double mean = case_mean(figures, i, classes);
        if (!isnan(mean)) sum += mean, known++;
    }
    figures->mean_dice = known ? sum / (double)known : NAN;
    figures->auc = figures->accuracy = NAN;
}

cover_status task_truth(const cover_task *task, int **classes, uint8_t **labels) {
    int count = (int)task->core.settings.task.classes;
    bool multilabel = task->core.settings.task.multilabel;
    size_t cases = (size_t)task->split.val_count;
    float *target = memory_alloc(task->core.context, (size_t)count * sizeof *target);
    *classes = multilabel ? NULL : memory_alloc(task->core.context, cases * sizeof **classes);
    *labels = multilabel ? memory_alloc(task->core.context, cases * (size_t)count) : NULL;
    cover_status status = target && (*classes || *labels) ? COVER_OK : COVER_ERROR_MEMORY;
    for (size_t i = 0; i < cases && status == COVER_OK; i++) {
        status = task->core.reader.target(task->core.reader.user, task->split.val[i], target, multilabel ? count : 1);
        for (int k = 0; k < count && multilabel; k++) (*labels)[i * (size_t)count + (size_t)k] = target[k] > 0;
        if (!multilabel) (*classes)[i] = (int)target[0];
    }
    memory_free(task->core.context, target);
    return status;
}

static cover_status summarise_scores(struct task_figures *figures, const cover_task *task) {
    int *classes;
    uint8_t *labels;
    TRY(task_truth(task, &classes, &labels));
    struct scored_cases cases = {.score = figures->score, .count = figures->cases, .classes = (int)task->core.settings.task.classes,
                                 .truth = classes, .label = labels, .names = (const char *const *)task->about.class_names};
    figures->mean_dice = NAN;
    cover_status status = ranking_confusion(NULL, &figures->accuracy, &cases);
    if (status == COVER_OK) status = ranking_auc_all(figures->class_mean, &figures->auc, task->core.context, &cases);
    if (status == COVER_ERROR_ARGUMENT)
        fail_in(status, "the validation cases do not tell every class apart; use another fold, split_seed or more val cases");
    memory_free(task->core.context, classes);
    memory_free(task->core.context, labels);
    return status;
}

static cover_status check_labels(bool *foreground, const cover_task *task, int64_t index) {
    struct grid grid;
    uint16_t *label;
    TRY(task->core.reader.label(task->core.reader.user, index, &label, &grid));
    cover_status status = COVER_OK;
    for (int64_t p = 0; p < grid_pixels(&grid) && status == COVER_OK; p++) {
        if (label[p] == task->core.reader.ignore) continue;
        *foreground |= label[p] > 0;
        if (label[p] >= task->core.settings.task.classes)
            status = fail(COVER_ERROR_FORMAT, "its label holds %d, but there are %d classes", label[p], (int)task->core.settings.task.classes);
    }
    memory_free(task->core.context, label);
    return status;
}

cover_status task_check_validation(cover_task *task) {
    if (!task->kind->dense) { /* figures of scores that say nothing: all that can be wrong is the truth */
        TRY(allocate(&task->figures, task));
        memset(task->figures.score, 0, (size_t)(task->figures.cases * task->core.settings.task.classes) * sizeof(float));
        return summarise_scores(&task->figures, task);
    }
    bool foreground = false;
    for (int64_t i = 0; i < task->split.val_count; i++) {
        cover_status status = check_labels(&foreground, task, task->split.val[i]);
        if (status != COVER_OK) return fail_in(status, "case %s", task->core.reader.name(task->core.reader.user, task->split.val[i]));
    }
    if (foreground) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "the %lld validation cases show background alone; use another fold, split_seed or more val cases",
                (long long)task->split.val_count);
}

cover_status task_figures_compute(cover_task *task, double *score) {
    struct task_figures *figures = &task->figures;
    int classes = (int)task->core.settings.task.classes;
    bool segmentation = task->kind->dense;
    TRY(allocate(figures, task));
    for (int64_t i = 0; i < figures->cases; i++) {
        int64_t index = task->split.val[i];
        if (cancelled(task->core.context)) return fail(COVER_ERROR_CANCELLED, "validation after step %lld: cancelled", (long long)task->core.step);
        cover_status status = segmentation ? segment_case(task, index, figures->dice + i * classes)
                                           : classify_case(task, index, figures->score + i * classes);
        if (status != COVER_OK) return fail_in(status, "case %s", task->core.reader.name(task->core.reader.user, index));
    }
    if (segmentation) summarise_dice(figures, classes);
    else TRY(summarise_scores(figures, task));
    *score = segmentation ? figures->mean_dice : figures->auc;
    if (isnan(*score)) return fail(COVER_ERROR_NUMERIC, "validation after step %lld: no case has a value", (long long)task->core.step);
    return COVER_OK;
}

/* ---- as JSON */

static void write_classes(struct text *text, const cover_task *task, const double *values, int first) {
    text_add(text, "{");
    for (int k = first; k < task->core.settings.task.classes; k++) {
        text_add(text, k > first ? ", " : "");
        text_add_json(text, task->about.class_names[k]);
        text_add(text, ": ");
        text_add_number(text, values[k], 9);
    }
    text_add(text, "}");
}

/* What a case of classification really is: the name of its class, or those of all that it has. */
static void write_truth(struct text *text, const cover_task *task, int64_t sample) {
    float target[64] = {-1};
    bool multilabel = task->core.settings.task.multilabel, first = true;
    if (task->core.reader.target(task->core.reader.user, sample, target, multilabel ? (int)task->core.settings.task.classes : 1) != COVER_OK) return;
    text_add(text, ", \"truth\": %s", multilabel ? "[" : "");
    if (!multilabel) text_add_json(text, task->about.class_names[(int)target[0]]);
    for (int k = 0; k < task->core.settings.task.classes && multilabel; k++) {
        if (!(target[k] > 0)) continue;
        text_add(text, first ? "" : ", ");
        text_add_json(text, task->about.class_names[k]);
        first = false;
    }
    text_add(text, multilabel ? "]" : "");
}

static void write_case(struct text *text, const cover_task *task, const struct task_figures *figures, int64_t i) {
    int classes = (int)task->core.settings.task.classes;
    text_add(text, "%s{\"name\": ", i ? ", " : "");
    text_add_json(text, task->core.reader.name(task->core.reader.user, task->split.val[i]));
    if (figures->dice) {
        text_add(text, ", \"mean_dice\": ");
        text_add_number(text, case_mean(figures, i, classes), 9);
        text_add(text, ", \"dice\": ");
        write_classes(text, task, figures->dice + i * classes, 1);
    } else {
        write_truth(text, task, task->split.val[i]);
        text_add(text, ", \"scores\": {");
        for (int k = 0; k < classes; k++) {
            text_add(text, k ? ", " : "");
            text_add_json(text, task->about.class_names[k]);
            text_add(text, ": %.9g", (double)figures->score[i * classes + k]);
        }
        text_add(text, "}");
    }
    text_add(text, "}");
}

void task_figures_write(struct text *text, const cover_task *task, const struct task_figures *figures, bool cases) {
    bool segmentation = task->kind->dense;
    if (segmentation) text_add(text, "\"mean_dice\": %.9g, \"classes\": ", figures->mean_dice);
    else text_add(text, "\"auc\": %.9g, \"accuracy\": %.9g, \"classes\": ", figures->auc, figures->accuracy);
    write_classes(text, task, figures->class_mean, segmentation ? 1 : 0);
    if (!cases) return;
    text_add(text, ", \"cases\": [");
    for (int64_t i = 0; i < figures->cases; i++) write_case(text, task, figures, i);
    text_add(text, "]");
}
