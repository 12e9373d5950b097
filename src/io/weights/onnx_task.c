/* A task as ONNX: its graph is built as prediction builds it, and written by onnx.c.  See onnx_task.h. */
#include "onnx_task.h"

#include "core/method/supervised.h"
#include "onnx.h"
#include "onnx_about.h"

#include <stdio.h>

static cover_status tail_of(unsigned *tail, const struct task_kind *kind, const struct task_settings *task) {
    const enum score_form form = kind->form ? kind->form(task) : SCORES_OTHER;
    if (form == SCORES_OTHER)
        return fail(COVER_ERROR_UNSUPPORTED, "ONNX export: the scores of a %s have no form there", kind->noun);
    *tail = (kind->dense ? 0u : ONNX_FLAT) | (form == SCORES_SOFTMAX ? ONNX_SOFTMAX : ONNX_SIGMOID);
    return COVER_OK;
}

cover_status onnx_write_task(cover_context *context, const char *path, const struct task_about *about,
                             const struct parameters *parameters, const float *flat) {
    struct settings settings = *config_settings(about->config);
    const struct task_kind *kind = task_kind_of(context, &settings.task);
    const struct grid grid = backbone_grid(backbone_of(context, &settings.network), settings.network.dims, 2);
    char name[64];
    struct parameters rows = {.context = context};
    struct arena arena = {.context = context};
    struct task task = {0};
    struct onnx_network network = {
        .name = name, .graph = &task.graph, .outputs = 1, .output_name = {"scores"}, .parameters = parameters, .flat = flat};
    cover_status status;
    settings.network.precision = PRECISION_FP32;
    snprintf(name, sizeof name, "cover_%s", kind->name);
    TRY(tail_of(&network.tail, kind, &settings.task));
    status = task_build(&task, context, &rows, kind, &settings, &grid, 1, TASK_KEEP);
    if (status == COVER_OK) {
        network.output[0] = (int)(graph_tensor(&task.graph, STORAGE_RESULT, task.logits) - task.graph.tensors);
        status = onnx_tell(&network, &arena, about->config, about);
        if (status == COVER_OK) status = onnx_write(context, path, &network);
        task_free(&task);
    }
    parameters_free(&rows);
    arena_free(&arena);
    return status;
}
