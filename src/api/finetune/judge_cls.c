/* Classification judged: AUC of each class and accuracy over the cases.  A row of judge.h. */
#include "core/metrics/metrics.h"
#include "judge.h"

#include <math.h>
#include <string.h>

enum { MOST_LABELS = 64 }; /* classes with multilabel=on: the bits of a set */

static cover_status suits(const cover_dataset_info *info) {
    if (info->classes >= 1 && !info->has_labels) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "the dataset has no classes of images; classification needs some (a folder a class, or a "
                                      "CSV of labels when packing)");
}

static cover_status check_data(const struct task_settings *task, const cover_dataset_info *info) {
    if (info->has_labels)
        return fail(COVER_ERROR_ARGUMENT, "task=cls, but the dataset has label maps in place of classes of images; use task=seg");
    if (task->multilabel != info->multilabel)
        return fail(COVER_ERROR_ARGUMENT, "multilabel=%s, but the dataset has %s an image; set multilabel=%s",
                    task->multilabel ? "on" : "off", info->multilabel ? "a set of classes" : "one class",
                    info->multilabel ? "on" : "off");
    if (task->multilabel && task->classes > MOST_LABELS)
        return fail(COVER_ERROR_SHAPE, "classes=%d: at most %d with multilabel=on", (int)task->classes, MOST_LABELS);
    return COVER_OK;
}

static bool usable(const struct task_settings *task, const struct dataset_row *row) {
    return task->multilabel || row->class_index >= 0;
}

static bool exclusive(const struct task_settings *task) { return !task->multilabel; }

/* ---- cases */

static cover_status judge_case(struct task_figures *figures, cover_task *task, int64_t index, int64_t row) {
    const int64_t classes = task->core.settings.task.classes;
    float *scores;
    struct grid grid;
    TRY(task_case_predict(task, index, &scores, &grid));
    memcpy(figures->score + row * classes, scores, (size_t)classes * sizeof *scores);
    memory_free(task->core.context, scores);
    return COVER_OK;
}

/* ---- over all cases */

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

static cover_status summarise(struct task_figures *figures, const cover_task *task) {
    int *classes;
    uint8_t *labels;
    TRY(task_truth(task, &classes, &labels));
    struct scored_cases cases = {.score = figures->score,
                                 .count = figures->cases,
                                 .classes = (int)task->core.settings.task.classes,
                                 .truth = classes,
                                 .label = labels,
                                 .names = (const char *const *)task->about.class_names};
    cover_status status = ranking_confusion(NULL, &figures->figure[1], &cases);
    if (status == COVER_OK) status = ranking_auc_all(figures->class_mean, &figures->figure[0], task->core.context, &cases);
    if (status == COVER_ERROR_ARGUMENT)
        fail_in(status, "the validation cases do not tell every class apart; use another fold, split_seed or more val cases");
    memory_free(task->core.context, classes);
    memory_free(task->core.context, labels);
    return status;
}

/* Figures of scores that say nothing: all that can be wrong is the truth. */
static cover_status check_validation(cover_task *task) {
    TRY(task_figures_create(&task->figures, task));
    memset(task->figures.score, 0, (size_t)(task->figures.cases * task->core.settings.task.classes) * sizeof(float));
    return summarise(&task->figures, task);
}

/* What a case of classification really is: the name of its class, or those of all that it has. */
static void write_truth(struct text *text, const cover_task *task, int64_t sample) {
    float target[MOST_LABELS] = {-1};
    bool multilabel = task->core.settings.task.multilabel, first = true;
    if (task->core.reader.target(task->core.reader.user, sample, target, multilabel ? (int)task->core.settings.task.classes : 1) !=
        COVER_OK)
        return;
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

static void write_case(struct text *text, const cover_task *task, const struct task_figures *figures, int64_t row) {
    const int classes = (int)task->core.settings.task.classes;
    write_truth(text, task, task->split.val[row]);
    text_add(text, ", \"scores\": {");
    for (int k = 0; k < classes; k++) {
        text_add(text, k ? ", " : "");
        text_add_json(text, task->about.class_names[k]);
        text_add(text, ": %.9g", (double)figures->score[row * classes + k]);
    }
    text_add(text, "}");
}

const struct task_judge task_judge_cls = {
    .kind = &task_kind_cls,
    .section = &task_section_cls,
    .suits = suits,
    .check_data = check_data,
    .usable = usable,
    .exclusive = exclusive,
    .figures = 2,
    .figure = {"auc", "accuracy"},
    .class_figure = "auc",
    .scored = true,
    .check_validation = check_validation,
    .judge_case = judge_case,
    .summarise = summarise,
    .write_case = write_case,
};
