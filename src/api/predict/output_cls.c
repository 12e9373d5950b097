/* Classification's answer: the likeliest class of an image, or with multilabel=on each that is likelier than not; a row of scores.csv.
 * A row of output.h. */
#include "output.h"

static void shape(struct image *label, const struct task_settings *task) {
    label->dims = 1;
    label->size[0] = label->size[1] = 1, label->size[2] = task->multilabel ? task->classes : 1;
}

static cover_status label_image(struct image *label, float *scores, cover_context *context, const struct task_settings *task,
                                const float *values, const struct grid *grid) {
    int64_t best = 0;
    (void)context, (void)grid;
    for (int64_t c = 0; c < task->classes; c++) {
        if (values[c] > values[best]) best = c;
        if (task->multilabel) label_set(label, c, values[c] >= 0.5f);
        if (scores) scores[c] = values[c];
    }
    if (!task->multilabel) label_set(label, 0, best);
    return COVER_OK;
}

const struct task_output task_output_cls = {.shape = shape,
                                            .label = label_image,
                                            .scores = true,
                                            .begin = output_csv_begin,
                                            .write = output_csv_row,
                                            .end = output_csv_end};
