/* A third kind of task, which the library does not know: the mean of what the network sees, as a probability.  A context takes it as an
 * added row (core/base/added.h). */
#ifndef COVER_TESTS_BRIGHTNESS_H
#define COVER_TESTS_BRIGHTNESS_H

#include "core/base/added.h"
#include "core/method/task_kind.h"

#include <math.h>

static int64_t brightness_targets(const struct task_settings *task) {
    (void)task;
    return 1;
}

static int brightness_loss(struct graph *graph, int logits, int target, int weights, const struct task_settings *task) {
    (void)task;
    return graph_sigmoid_loss(graph, logits, target, weights);
}

static void brightness_scores(float *logits, int classes, const struct task_settings *task) {
    (void)task;
    for (int c = 0; c < classes; c++) logits[c] = 1 / (1 + expf(-logits[c]));
}

static cover_status brightness_draw(float *image, float *target, const struct task_case *one) {
    const struct grid crop = settings_grid(&one->settings->views.crop, (int)one->settings->network.dims);
    TRY(task_case_draw(image, NULL, one, NULL));
    double sum = 0;
    for (int64_t p = 0; p < grid_pixels(&crop); p++) sum += image[p];
    *target = (float)(sum / (double)grid_pixels(&crop));
    return COVER_OK;
}

static const struct task_kind task_kind_brightness = {
    .name = "brightness",
    .noun = "brightness",
    .fewest = {1, 0},
    .terms = 1,
    .term = {"cross_entropy"},
    .targets = brightness_targets,
    .loss = brightness_loss,
    .scores = brightness_scores,
    .draw = brightness_draw,
};

#endif
