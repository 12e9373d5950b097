/* Segmentation judged: the Dice of each class on each case's own grid.  A row of judge.h. */
#include "api/predict/scores.h"
#include "core/base/json.h"
#include "core/metrics/metrics.h"
#include "judge.h"

#include <math.h>
#include <string.h>

static cover_status suits(const cover_dataset_info *info) {
    if (info->has_labels) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "the dataset has no label maps; segmentation needs some (an nnU-Net dataset with labelsTr)");
}

static cover_status check_data(const struct task_settings *task, const cover_dataset_info *info) {
    (void)task;
    if (info->has_labels) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "task=seg, but the dataset has no label maps; use task=cls, or pack images with labels");
}

static bool usable(const struct task_settings *task, const struct dataset_row *row) {
    (void)task;
    return row->label_dtype != DATASET_NO_LABEL; /* else there is nothing to learn from */
}

/* ---- cases */

static cover_status case_labels(cover_task *task, int64_t index, uint16_t **predicted, uint16_t **truth, struct grid *grid) {
    float *scores = NULL;
    struct grid working;
    *predicted = *truth = NULL;
    cover_status status;
    GO(task->core.reader.label(task->core.reader.user, index, truth, grid));
    GO(task_case_predict(task, index, &scores, &working));
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

static cover_status judge_case(struct task_figures *figures, cover_task *task, int64_t index, int64_t row) {
    int classes = (int)task->core.settings.task.classes;
    double *dice = figures->class_figure + row * classes;
    struct grid grid;
    uint16_t *predicted, *truth;
    TRY(case_labels(task, index, &predicted, &truth, &grid));
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

/* ---- over all cases */

/* Mean Dice of a case over the classes above background that it has; NaN when it has none. */
static double case_mean(const struct task_figures *figures, int64_t i, int classes) {
    return mean_known(figures->class_figure + i * classes + 1, classes - 1);
}

static cover_status summarise(struct task_figures *figures, const cover_task *task) {
    const int classes = (int)task->core.settings.task.classes;
    double sum = 0;
    int64_t known = 0;
    for (int k = 0; k < classes; k++) {
        double total = 0;
        int64_t count = 0;
        for (int64_t i = 0; i < figures->cases; i++) {
            double dice = figures->class_figure[i * classes + k];
            if (!isnan(dice)) total += dice, count++;
        }
        figures->class_mean[k] = count ? total / (double)count : NAN;
    }
    for (int64_t i = 0; i < figures->cases; i++) {
        double mean = case_mean(figures, i, classes);
        if (!isnan(mean)) sum += mean, known++;
    }
    figures->figure[0] = known ? sum / (double)known : NAN;
    return COVER_OK;
}

/* Validation cases without foreground have no Dice. */
static cover_status check_validation(cover_task *task) {
    const int64_t classes = task->core.settings.task.classes;
    double *found = memory_zero(task->core.context, (size_t)classes * sizeof *found);
    struct task_case one = {.context = task->core.context, .settings = &task->core.settings, .reader = &task->core.reader};
    bool foreground = false;
    cover_status status = found ? COVER_OK : COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < task->split.val_count && status == COVER_OK; i++) {
        one.index = task->split.val[i];
        status = task->kind->count(found, &one);
        if (status != COVER_OK) fail_in(status, "case %s", one.reader->name(one.reader->user, one.index));
    }
    for (int64_t k = 1; k < classes && found; k++) foreground |= found[k] > 0;
    memory_free(task->core.context, found);
    if (status != COVER_OK || foreground) return status;
    return fail(COVER_ERROR_ARGUMENT,
                "the %lld validation cases show background alone; use another fold, split_seed or more val cases",
                (long long)task->split.val_count);
}

static void write_case(struct text *text, const cover_task *task, const struct task_figures *figures, int64_t row) {
    const int classes = (int)task->core.settings.task.classes;
    text_add(text, ", \"mean_dice\": ");
    text_add_number(text, case_mean(figures, row, classes), 9);
    text_add(text, ", \"dice\": ");
    task_classes_write(text, task, figures->class_figure + row * classes, 1);
}

const struct task_judge task_judge_seg = {
    .kind = &task_kind_seg,
    .section = &task_section_seg,
    .suits = suits,
    .check_data = check_data,
    .usable = usable,
    .figures = 1,
    .figure = {"mean_dice"},
    .class_figure = "dice",
    .first_class = 1,
    .check_validation = check_validation,
    .judge_case = judge_case,
    .summarise = summarise,
    .write_case = write_case,
    .labels = case_labels,
};
