/* Labelled images as samples, and how often each class comes among them. */
#include "cases.h"

#include "core/views/augment.h"
#include "order.h"

static cover_status worker_create(void **worker, const struct sample_maker *maker) {
    const struct case_maker *cases = (const struct case_maker *)maker;
    struct augment *augment;
    TRY(augment_create(&augment, cases->context, cases->settings));
    cover_status status = augment_reserve(augment, &cases->reader->largest);
    if (status == COVER_OK) *worker = augment;
    else augment_destroy(augment);
    return status;
}
static void worker_destroy(void *worker) { augment_destroy(worker); }

static cover_status draw_case(const struct case_maker *cases, struct augment *augment, float *image, float *target, int64_t index,
                              int64_t number) {
    const struct settings *s = cases->settings;
    const struct sample_reader *reader = cases->reader;
    bool segmentation = s->task.task == TASK_SEGMENTATION;
    struct grid grid;
    float *pixels = NULL;
    uint16_t *label = NULL;
    int integer_max;
    TRY(reader->read(reader->user, index, &pixels, &grid, &integer_max));
    cover_status status;
    if (segmentation) GO(reader->label(reader->user, index, &label, &grid));
    else GO(reader->target(reader->user, index, target, (int)task_targets(s, &cases->crop)));
    status = augment_draw(augment, image, segmentation ? target : NULL, pixels, label, reader->ignore, &grid, reader->channels,
                          (float)integer_max, (uint64_t)s->common.seed, (uint32_t)(number / s->common.batch), (uint32_t)(number % s->common.batch));
done:
    memory_free(cases->context, pixels);
    memory_free(cases->context, label);
    return status;
}

static cover_status draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory, int64_t number) {
    const struct case_maker *cases = (const struct case_maker *)maker;
    const struct sample_reader *reader = cases->reader;
    int64_t count = cases->count, position = order_sample((uint64_t)cases->settings->common.seed, number / count, number % count, count);
    int64_t index = cases->cases[position];
    float *target = memory + grid_pixels(&cases->crop) * reader->channels;
    cover_status status = draw_case(cases, worker, memory, target, index, number);
    if (status != COVER_OK) return fail_in(status, "case %s", reader->name(reader->user, index));
    *sample = (struct sample){.input = {[TASK_IMAGES] = memory, [TASK_TARGET] = target, [TASK_WEIGHTS] = cases->class_weights},
                              .count = 1};
    return COVER_OK;
}

cover_status case_maker(struct case_maker *maker, cover_context *context, const struct settings *settings,
                        const struct sample_reader *reader, const int64_t *cases, int64_t count, const float *class_weights) {
    int64_t floats, bytes;
    *maker = (struct case_maker){.maker = {.worker_create = worker_create, .worker_destroy = worker_destroy, .draw = draw},
                                 .context = context, .settings = settings, .reader = reader, .cases = cases, .count = count,
                                 .class_weights = class_weights, .crop = settings_grid(&settings->views.crop, (int)settings->network.dims)};
    if (!multiply(grid_pixels(&maker->crop), reader->channels, &floats) ||
        __builtin_add_overflow(floats, task_targets(settings, &maker->crop), &floats) || !multiply(floats, sizeof(float), &bytes))
        return fail(COVER_ERROR_SHAPE, "crop: a sample of this size is too large");
    maker->maker.floats = floats;
    return COVER_OK;
}

/* ---- how often each class comes */

static cover_status count_labels(double *found, const struct settings *settings, cover_context *context,
                                 const struct sample_reader *reader, int64_t index) {
    uint16_t *label = NULL;
    struct grid grid;
    TRY(reader->label(reader->user, index, &label, &grid));
    cover_status status = COVER_OK;
    for (int64_t p = 0, pixel_count = grid_pixels(&grid); p < pixel_count && status == COVER_OK; p++) {
        if (label[p] < settings->task.classes) found[label[p]]++;
        else if (label[p] != reader->ignore)
            status = fail(COVER_ERROR_FORMAT, "its label holds %d, but there are %d classes", label[p], (int)settings->task.classes);
    }
    memory_free(context, label);
    return status;
}

static cover_status count_targets(double *found, const struct settings *settings, cover_context *context,
                                  const struct sample_reader *reader, int64_t index) {
    int targets = settings->task.multilabel ? (int)settings->task.classes : 1;
    float *target = memory_alloc(context, (size_t)targets * sizeof *target);
    if (!target) return COVER_ERROR_MEMORY;
    cover_status status = reader->target(reader->user, index, target, targets);
    for (int k = 0; k < targets && status == COVER_OK; k++) {
        if (settings->task.multilabel) found[k] += target[k] > 0;
        else if (target[0] >= 0) found[(int)target[0]]++;
    }
    memory_free(context, target);
    return status;
}

static cover_status weights_from(float *weights, const double *found, const struct settings *settings, char *const *names) {
    int64_t classes = settings->task.classes;
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) {
        if (found[k] == 0)
            return fail(COVER_ERROR_ARGUMENT, "no training case has the class '%s'; use more shots, another fold or split_seed, or "
                        "take the class out of the data", names[k]);
        sum += 1 / found[k];
    }
    for (int64_t k = 0; k < classes; k++)
        weights[k] = settings->task.class_weights ? (float)((double)classes / (found[k] * sum)) : 1;
    return COVER_OK;
}

cover_status case_class_weights(float *weights, cover_context *context, const struct settings *settings,
                                const struct sample_reader *reader, const int64_t *cases, int64_t count, char *const *names) {
    double *found = memory_zero(context, (size_t)settings->task.classes * sizeof *found);
    if (!found) return COVER_ERROR_MEMORY;
    cover_status status = COVER_OK;
    for (int64_t i = 0; i < count && status == COVER_OK; i++) {
        status = settings->task.task == TASK_SEGMENTATION ? count_labels(found, settings, context, reader, cases[i])
                                                     : count_targets(found, settings, context, reader, cases[i]);
        if (status != COVER_OK) fail_in(status, "case %s", reader->name(reader->user, cases[i]));
    }
    if (status == COVER_OK) status = weights_from(weights, found, settings, names);
    memory_free(context, found);
    return status;
}
