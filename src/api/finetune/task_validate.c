/* Validation of a task: each case predicted as it would be later, and judged as its kind says. */
#include "core/base/added.h"
#include "core/base/json.h"
#include "core/views/augment.h"
#include "judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TASK_KIND(name) extern const struct task_judge task_judge_##name;
#include "core/settings/task_kinds.def"
#undef TASK_KIND
static const struct task_judge *const judges[] = {
#define TASK_KIND(name) &task_judge_##name,
#include "core/settings/task_kinds.def"
#undef TASK_KIND
};

enum { JUDGES = sizeof judges / sizeof *judges };

/* Row by number; NULL past the end. */
static const struct task_judge *judge_at(const cover_context *context, int index) {
    if (index < JUDGES) return judges[index];
    const struct added_row *added = added_row(context, "task.judge", index - JUDGES);
    return added ? added->row : NULL;
}

const struct task_judge *task_judge_of(const cover_context *context, const struct task_settings *task) {
    return judge_at(context, (int)task->task);
}

cover_status task_judge_named(const struct task_judge **out, const cover_context *context, const char *name) {
    const struct task_judge *judge;
    struct names names = {0};
    for (int i = 0; (judge = judge_at(context, i)); i++) {
        if (strcmp(judge->kind->name, name) == 0) {
            *out = judge;
            return COVER_OK;
        }
        names_add(&names, judge->kind->name);
    }
    return fail(COVER_ERROR_ARGUMENT, "task '%s' is not known; use one of %s", name, names.text);
}

void task_figures_free(struct task_figures *figures, cover_context *context) {
    memory_free(context, figures->class_figure);
    memory_free(context, figures->score);
    memory_free(context, figures->class_mean);
    *figures = (struct task_figures){0};
}

cover_status task_figures_create(struct task_figures *figures, const cover_task *task) {
    const size_t classes = (size_t)task->core.settings.task.classes, cases = (size_t)task->split.val_count;
    if (figures->class_mean) return COVER_OK;
    figures->cases = task->split.val_count;
    figures->class_mean = memory_alloc(task->core.context, classes * sizeof *figures->class_mean);
    if (task->judge->scored) figures->score = memory_alloc(task->core.context, cases * classes * sizeof *figures->score);
    else figures->class_figure = memory_alloc(task->core.context, cases * classes * sizeof *figures->class_figure);
    return figures->class_mean && (figures->class_figure || figures->score) ? COVER_OK : COVER_ERROR_MEMORY;
}

cover_status task_case_predict(cover_task *task, int64_t index, float **scores, struct grid *grid) {
    float *pixels = NULL, *image = NULL;
    int integer_max;
    cover_status status;
    GO(task->core.reader.read(task->core.reader.user, index, &pixels, grid, &integer_max));
    GO(augment_plain(task->core.context, &task->core.settings, &image, grid, pixels, task->core.reader.channels,
                     (float)integer_max));
    int64_t values = inference_scores(task->inference, grid);
    if (!(*scores = memory_alloc(task->core.context, (size_t)values * sizeof **scores))) GO(COVER_ERROR_MEMORY);
    status = inference_run(task->inference, *scores, image, grid);
done:
    memory_free(task->core.context, pixels);
    memory_free(task->core.context, image);
    if (status != COVER_OK) memory_free(task->core.context, *scores), *scores = NULL;
    return status;
}

cover_status task_figures_compute(cover_task *task, double *score) {
    struct task_figures *figures = &task->figures;
    TRY(task_figures_create(figures, task));
    for (int64_t i = 0; i < figures->cases; i++) {
        int64_t index = task->split.val[i];
        if (cancelled(task->core.context))
            return fail(COVER_ERROR_CANCELLED, "validation after step %lld: cancelled", (long long)task->core.step);
        cover_status status = task->judge->judge_case(figures, task, index, i);
        if (status != COVER_OK) return fail_in(status, "case %s", task->core.reader.name(task->core.reader.user, index));
    }
    TRY(task->judge->summarise(figures, task));
    *score = figures->figure[0];
    if (isnan(*score))
        return fail(COVER_ERROR_NUMERIC, "validation after step %lld: no case has a value", (long long)task->core.step);
    return COVER_OK;
}

/* ---- as JSON */

void task_classes_write(struct text *text, const cover_task *task, const double *values, int first) {
    text_add(text, "{");
    for (int k = first; k < task->core.settings.task.classes; k++) {
        text_add(text, k > first ? ", " : "");
        text_add_json(text, task->about.class_names[k]);
        text_add(text, ": ");
        text_add_number(text, values[k], 9);
    }
    text_add(text, "}");
}

void task_figures_write(struct text *text, const cover_task *task, const struct task_figures *figures, bool cases) {
    const struct task_judge *judge = task->judge;
    for (int i = 0; i < judge->figures; i++) text_add(text, "\"%s\": %.9g, ", judge->figure[i], figures->figure[i]);
    text_add(text, "\"classes\": ");
    task_classes_write(text, task, figures->class_mean, judge->first_class);
    if (!cases) return;
    text_add(text, ", \"cases\": [");
    for (int64_t i = 0; i < figures->cases; i++) {
        text_add(text, "%s{\"name\": ", i ? ", " : "");
        text_add_json(text, task->core.reader.name(task->core.reader.user, task->split.val[i]));
        judge->write_case(text, task, figures, i);
        text_add(text, "}");
    }
    text_add(text, "]");
}
