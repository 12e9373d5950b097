/* Segmentation: a class a pixel, learnt by cross-entropy and the soft Dice loss.  A row of task_kind.h. */
#include "task_kind.h"

static double weight(const struct task_settings *task, int term) { return term ? task->dice : 1; }

static int64_t targets(const struct task_settings *task) {
    (void)task;
    return 1;
}

static int loss(struct graph *graph, int logits, int target, int weights, const struct task_settings *task) {
    return graph_softmax_loss(graph, logits, target, weights, 1, (float)task->dice);
}

static cover_status draw(float *image, float *target, const struct task_case *one) {
    uint16_t *label;
    struct grid grid;
    TRY(one->reader->label(one->reader->user, one->index, &label, &grid));
    cover_status status = task_case_draw(image, target, one, label);
    memory_free(one->context, label);
    return status;
}

static cover_status count(double *found, const struct task_case *one) {
    const int64_t classes = one->settings->task.classes;
    uint16_t *label;
    struct grid grid;
    TRY(one->reader->label(one->reader->user, one->index, &label, &grid));
    cover_status status = COVER_OK;
    for (int64_t p = 0, pixel_count = grid_pixels(&grid); p < pixel_count && status == COVER_OK; p++) {
        if (label[p] < classes) found[label[p]]++;
        else if (label[p] != one->reader->ignore)
            status = fail(COVER_ERROR_FORMAT, "its label holds %d, but there are %d classes", label[p], (int)classes);
    }
    memory_free(one->context, label);
    return status;
}

static enum score_form form(const struct task_settings *task) {
    (void)task;
    return SCORES_SOFTMAX;
}

const struct task_kind task_kind_seg = {
    .name = "seg",
    .noun = "segmentation",
    .dense = true,
    .fewest = {2, 0},
    .terms = 2,
    .term = {"cross_entropy", "dice_loss"},
    .weight = weight,
    .targets = targets,
    .loss = loss,
    .scores = softmax_scores,
    .form = form,
    .draw = draw,
    .count = count,
};
