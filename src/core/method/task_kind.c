/* The kinds of tasks, and what their rows share.  See task_kind.h. */
#include "task_kind.h"

#include "core/base/added.h"
#include "core/views/augment.h"

#include <math.h>

static const struct task_kind *const kinds[] = {
#define TASK_KIND(name) &task_kind_##name,
#include "core/settings/task_kinds.def"
#undef TASK_KIND
};

const struct task_kind *task_kind_of(const cover_context *context, const struct task_settings *task) {
    const int own = sizeof kinds / sizeof *kinds;
    if (task->task < own) return kinds[task->task];
    return added_row(context, "task", (int)task->task - own)->row;
}

cover_status task_case_draw(float *image, float *target, const struct task_case *one, const uint16_t *label) {
    const struct common_settings *common = &one->settings->common;
    const struct sample_reader *reader = one->reader;
    struct grid grid;
    float *pixels;
    int integer_max;
    TRY(reader->read(reader->user, one->index, &pixels, &grid, &integer_max));
    cover_status status = augment_draw(one->augment, image, label ? target : NULL, pixels, label, reader->ignore, &grid,
                                       reader->channels, (float)integer_max, (uint64_t)common->seed,
                                       (uint32_t)(one->number / common->batch), (uint32_t)(one->number % common->batch));
    memory_free(one->context, pixels);
    return status;
}

void softmax_scores(float *logits, int classes, const struct task_settings *task) {
    float most = logits[0], sum = 0;
    (void)task;
    for (int c = 1; c < classes; c++) most = logits[c] > most ? logits[c] : most;
    for (int c = 0; c < classes; c++) sum += logits[c] = expf(logits[c] - most);
    for (int c = 0; c < classes; c++) logits[c] /= sum;
}
