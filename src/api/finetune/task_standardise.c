/* What goes into a task's head, measured on training samples before the first step: mean and deviation of each feature, which the fixed
 * layer `standardise` takes to 0 and 1 (core/method/supervised.h says why). */
#include "core/graph/session.h"
#include "task.h"

#include <math.h>
#include <string.h>

enum { SAMPLES_DENSE = 16, SAMPLES_POOLED = 64 }; /* many pixels each, or one vector each */

struct measured {
    double *sum, *square; /* of each feature */
    int64_t count, features;
};

static void add_pixels(struct measured *measured, const float *values, int64_t pixels) {
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < measured->features; c++) {
            double value = values[p * measured->features + c];
            measured->sum[c] += value, measured->square[c] += value * value;
        }
    measured->count += pixels;
}

static cover_status measure(struct measured *measured, cover_task *task, const struct task *network,
                            const struct session *session) {
    cover_context *context = task->core.context;
    const struct sample_maker *maker = &task->maker.maker;
    int64_t pixels = task->kind->dense ? grid_pixels(&task->maker.crop) : 1;
    int64_t samples = task->kind->dense ? SAMPLES_DENSE : SAMPLES_POOLED;
    struct run run = {.parameters = task->core.engine->weights};
    void *worker = NULL;
    float *memory = memory_alloc(context, (size_t)maker->floats * sizeof *memory);
    cover_status status = COVER_ERROR_MEMORY;
    if (!memory) goto done;
    GO(session_begin(session, &run));
    GO(maker->worker_create(&worker, maker));
    for (int64_t i = 0; i < samples; i++) {
        struct sample sample;
        if (cancelled(context)) GO(fail(COVER_ERROR_CANCELLED, "measuring features: cancelled"));
        GO(maker->draw(maker, worker, &sample, memory, i));
        run.input[0] = sample.input[TASK_IMAGES];
        GO(session_run(session, &run));
        add_pixels(measured, session_result(session, &run, network->features), pixels);
    }
done:
    maker->worker_destroy(worker);
    memory_free(context, memory);
    session_end(session, &run);
    return status;
}

/* y = (x - mean) / deviation, as a diagonal 1x1 convolution; a feature that never changes is left out. */
static void write_layer(cover_task *task, const struct measured *measured) {
    const struct parameters *parameters = &task->core.engine->model.parameters;
    float *weight = task->core.engine->weights + parameters->rows[parameters_find(parameters, TASK_STANDARDISE ".weight")].offset;
    float *bias = task->core.engine->weights + parameters->rows[parameters_find(parameters, TASK_STANDARDISE ".bias")].offset;
    memset(weight, 0, (size_t)(measured->features * measured->features) * sizeof *weight);
    for (int64_t c = 0; c < measured->features; c++) {
        double mean = measured->sum[c] / (double)measured->count;
        double variance = measured->square[c] / (double)measured->count - mean * mean;
        double scale = variance > 1e-12 * (1 + mean * mean) ? 1 / sqrt(variance) : 0;
        weight[c * measured->features + c] = (float)scale, bias[c] = (float)(-mean * scale);
    }
}

cover_status task_measure_features(cover_task *task) {
    cover_context *context = task->core.context;
    struct task network;
    struct session session = {0};
    struct measured measured = {0};
    TRY(task_build(&network, context, &task->core.engine->model.parameters, task->kind, &task->core.settings, &task->maker.crop, 1,
                   TASK_FEATURES));
    cover_status status = COVER_ERROR_MEMORY;
    const struct parameters *parameters = &task->core.engine->model.parameters;
    measured.features = parameters->rows[parameters_find(parameters, TASK_STANDARDISE ".bias")].count;
    measured.sum = memory_zero(context, (size_t)measured.features * sizeof *measured.sum);
    measured.square = memory_zero(context, (size_t)measured.features * sizeof *measured.square);
    if (!measured.sum || !measured.square) goto done;
    GO(session_open(&session, context, &network.graph, task->core.engine->weights, context->threads));
    GO(measure(&measured, task, &network, &session));
    write_layer(task, &measured);
    status = engine_weights_changed(task->core.engine);
done:
    session_close(&session);
    memory_free(context, measured.sum);
    memory_free(context, measured.square);
    task_free(&network);
    return status;
}
