/* Validation cases kept for the report. */
#include "task_preview.h"

#include "judge.h"

#include "io/weights/safetensors.h"
#include "report/task_report.h"

#include <stdio.h>
#include <string.h>

struct shown { /* one case */
    float *image;
    uint16_t *truth, *predicted;
    int64_t image_shape[4], label_shape[3];
    char names[3][32], keys[2][32], name[256], row[32];
};

/* Which cases are worth a picture, by the figures of the best weights. */
static cover_status choose(int64_t rows[TASK_PREVIEW_CASES], int *count, const cover_task *task) {
    const struct task_figures *figures = &task->best_figures;
    int *classes = NULL;
    uint8_t *labels = NULL;
    if (figures->score) TRY(task_truth(task, &classes, &labels));
    struct task_report report = {.section = task->judge->section,
                                 .classes = (int)task->core.settings.task.classes,
                                 .cases = figures->cases,
                                 .names = (const char *const *)task->about.class_names,
                                 .figure = figures->class_figure,
                                 .score = figures->score,
                                 .truth = classes,
                                 .label = labels};
    int most = task->core.settings.network.dims == 3 ? TASK_PREVIEW_CASES / 2 : TASK_PREVIEW_CASES;
    cover_status status = task_examples_choose(rows, count, most, task->core.context, &report);
    memory_free(task->core.context, classes);
    memory_free(task->core.context, labels);
    return status;
}

static cover_status show(struct shown *shown, cover_task *task, int k, int64_t row) {
    int64_t sample = task->split.val[row];
    struct grid grid;
    int integer_max;
    TRY(task->core.reader.read(task->core.reader.user, sample, &shown->image, &grid, &integer_max));
    memcpy(shown->image_shape, (int64_t[]){grid.size[0], grid.size[1], grid.size[2], task->core.reader.channels},
           sizeof shown->image_shape);
    memcpy(shown->label_shape, grid.size, sizeof shown->label_shape);
    snprintf(shown->name, sizeof shown->name, "%s", task->core.reader.name(task->core.reader.user, sample));
    snprintf(shown->row, sizeof shown->row, "%lld", (long long)row);
    static const char *const parts[] = {"image", "truth", "predicted"}, *const facts[] = {"name", "row"};
    for (int i = 0; i < 3; i++) snprintf(shown->names[i], sizeof shown->names[i], "%d.%s", k, parts[i]);
    for (int i = 0; i < 2; i++) snprintf(shown->keys[i], sizeof shown->keys[i], "%d.%s", k, facts[i]);
    if (!task->judge->labels) return COVER_OK;
    return task->judge->labels(task, sample, &shown->predicted, &shown->truth, &grid);
}

cover_status task_preview_write(cover_task *task, const char *path) {
    struct shown shown[TASK_PREVIEW_CASES] = {{0}};
    struct tensor_output tensors[3 * TASK_PREVIEW_CASES];
    struct tensor_pair metadata[2 * TASK_PREVIEW_CASES + 1];
    int64_t rows[TASK_PREVIEW_CASES];
    int count = 0, tensor_count = 0;
    char dataset[160];
    cover_status status;
    GO(choose(rows, &count, task));
    for (int k = 0; k < count; k++) {
        struct shown *s = &shown[k];
        GO(show(s, task, k, rows[k]));
        tensors[tensor_count++] =
            (struct tensor_output){.name = s->names[0], .type = TENSOR_F32, .rank = 4, .shape = s->image_shape, .data = s->image};
        const uint16_t *labels[] = {s->truth, s->predicted};
        for (int i = 0; i < 2 && labels[i]; i++)
            tensors[tensor_count++] = (struct tensor_output){
                .name = s->names[1 + i], .type = TENSOR_U16, .rank = 3, .shape = s->label_shape, .data = labels[i]};
        metadata[2 * k] = (struct tensor_pair){s->keys[0], s->name};
        metadata[2 * k + 1] = (struct tensor_pair){s->keys[1], s->row};
    }
    snprintf(dataset, sizeof dataset, "%lld cases train, %lld validate, content %.12s", (long long)task->split.train_count,
             (long long)task->split.val_count, task->core.hash);
    metadata[2 * count] = (struct tensor_pair){"dataset", dataset};
    status = safetensors_write(task->core.context, path, tensors, tensor_count, metadata, 2 * count + 1);
done:
    for (int k = 0; k < TASK_PREVIEW_CASES; k++) {
        memory_free(task->core.context, shown[k].image);
        memory_free(task->core.context, shown[k].truth);
        memory_free(task->core.context, shown[k].predicted);
    }
    return status;
}
