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

static cover_status draw(const struct sample_maker *maker, void *worker, struct sample *sample, float *memory, int64_t number) {
    const struct case_maker *cases = (const struct case_maker *)maker;
    const struct sample_reader *reader = cases->reader;
    int64_t count = cases->count,
            position = order_sample((uint64_t)cases->settings->common.seed, number / count, number % count, count);
    int64_t index = cases->cases[position];
    float *target = memory + grid_pixels(&cases->crop) * reader->channels;
    cover_status status = cases->kind->draw(memory, target,
                                            &(struct task_case){.context = cases->context,
                                                                .settings = cases->settings,
                                                                .reader = reader,
                                                                .index = index,
                                                                .augment = worker,
                                                                .number = number});
    if (status != COVER_OK) return fail_in(status, "case %s", reader->name(reader->user, index));
    *sample = (struct sample){.input = {[TASK_IMAGES] = memory, [TASK_TARGET] = target, [TASK_WEIGHTS] = cases->class_weights},
                              .count = 1};
    return COVER_OK;
}

cover_status case_maker(struct case_maker *maker, cover_context *context, const struct task_kind *kind,
                        const struct settings *settings, const struct sample_reader *reader, const int64_t *cases, int64_t count,
                        const float *class_weights) {
    int64_t floats, bytes;
    *maker = (struct case_maker){.maker = {.worker_create = worker_create, .worker_destroy = worker_destroy, .draw = draw},
                                 .context = context,
                                 .kind = kind,
                                 .settings = settings,
                                 .reader = reader,
                                 .cases = cases,
                                 .count = count,
                                 .class_weights = class_weights,
                                 .crop = settings_grid(&settings->views.crop, (int)settings->network.dims)};
    if (!multiply(grid_pixels(&maker->crop), reader->channels, &floats) ||
        __builtin_add_overflow(floats, task_targets(kind, &settings->task, &maker->crop), &floats) ||
        !multiply(floats, sizeof(float), &bytes))
        return fail(COVER_ERROR_SHAPE, "crop: a sample of this size is too large");
    maker->maker.floats = floats;
    return COVER_OK;
}

/* ---- how often each class comes */

static cover_status weights_from(float *weights, const double *found, const struct task_settings *task, char *const *names) {
    int64_t classes = task->classes;
    double sum = 0;
    for (int64_t k = 0; k < classes; k++) {
        if (found[k] == 0)
            return fail(COVER_ERROR_ARGUMENT,
                        "no training case has the class '%s'; use more shots, another fold or split_seed, or "
                        "take the class out of the data",
                        names[k]);
        sum += 1 / found[k];
    }
    for (int64_t k = 0; k < classes; k++) weights[k] = task->class_weights ? (float)((double)classes / (found[k] * sum)) : 1;
    return COVER_OK;
}

cover_status case_class_weights(float *weights, cover_context *context, const struct task_kind *kind,
                                const struct settings *settings, const struct sample_reader *reader, const int64_t *cases,
                                int64_t count, char *const *names) {
    const int64_t classes = settings->task.classes;
    for (int64_t k = 0; k < classes; k++) weights[k] = 1;
    if (!kind->count) return COVER_OK;
    double *found = memory_zero(context, (size_t)classes * sizeof *found);
    if (!found) return COVER_ERROR_MEMORY;
    struct task_case one = {.context = context, .settings = settings, .reader = reader};
    cover_status status = COVER_OK;
    for (int64_t i = 0; i < count && status == COVER_OK; i++) {
        one.index = cases[i];
        status = kind->count(found, &one);
        if (status != COVER_OK) fail_in(status, "case %s", reader->name(reader->user, cases[i]));
    }
    if (status == COVER_OK) status = weights_from(weights, found, &settings->task, names);
    memory_free(context, found);
    return status;
}
