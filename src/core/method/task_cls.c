/* Classification: one class of an image, or with multilabel=on each class on its own, learnt by cross-entropy.  A row of
 * task_kind.h. */
#include "task_kind.h"

#include <math.h>

static int64_t targets(const struct task_settings *task) { return task->multilabel ? task->classes : 1; }

static int loss(struct graph *graph, int logits, int target, int weights, const struct task_settings *task) {
    return task->multilabel ? graph_sigmoid_loss(graph, logits, target, weights)
                            : graph_softmax_loss(graph, logits, target, weights, 1, 0);
}

static void scores(float *logits, int classes, const struct task_settings *task) {
    if (!task->multilabel) softmax_scores(logits, classes, task);
    for (int c = 0; c < classes && task->multilabel; c++) logits[c] = 1 / (1 + expf(-logits[c]));
}

static enum score_form form(const struct task_settings *task) { return task->multilabel ? SCORES_SIGMOID : SCORES_SOFTMAX; }

static cover_status draw(float *image, float *target, const struct task_case *one) {
    TRY(one->reader->target(one->reader->user, one->index, target, (int)targets(&one->settings->task)));
    return task_case_draw(image, NULL, one, NULL);
}

static cover_status count(double *found, const struct task_case *one) {
    const struct task_settings *task = &one->settings->task;
    const int values = (int)targets(task);
    float *target = memory_alloc(one->context, (size_t)values * sizeof *target);
    if (!target) return COVER_ERROR_MEMORY;
    cover_status status = one->reader->target(one->reader->user, one->index, target, values);
    for (int k = 0; k < values && status == COVER_OK; k++) {
        if (task->multilabel) found[k] += target[k] > 0;
        else if (target[0] >= 0) found[(int)target[0]]++;
    }
    memory_free(one->context, target);
    return status;
}

const struct task_kind task_kind_cls = {
    .name = "cls",
    .noun = "classification",
    .fewest = {2, 1},
    .terms = 1,
    .term = {"cross_entropy"},
    .targets = targets,
    .loss = loss,
    .scores = scores,
    .form = form,
    .draw = draw,
    .count = count,
};
