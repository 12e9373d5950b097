/* The public call that gives weights to others: a network, its backbone, or a fine-tuned task, as safetensors or ONNX
 * (libcover/weights.h). */
#include <libcover/weights.h>

#include "checkpoint.h"
#include "core/base/files.h"
#include "core/method/cover.h"
#include "onnx_backbone.h"
#include "onnx_task.h"
#include "tensor_hash.h"
#include "weights.h"

#include <string.h>

/* Is it the file of a fine-tuned task?  Files of 0.1.0 name another objective there. */
static bool holds_task(const struct tensor_file *file) {
    const char *objective = tensor_file_metadata(file, "objective");
    return tensor_file_metadata(file, "task") || (objective && strcmp(objective, OBJECTIVE_OF_TASKS) == 0);
}

/* The whole network with its head.  step: of the best weights, -1 = not known. */
static cover_status export_task(cover_context *context, const char *source, const char *output, int64_t step) {
    struct task_about about;
    struct parameters parameters;
    float *flat;
    TRY(task_weights_read(&about, &parameters, &flat, context, source));
    const cover_status status = has_suffix(output, ".onnx") ? onnx_write_task(context, output, &about, &parameters, flat)
                                                            : task_weights_write(context, output, &parameters, flat, &about, step);
    memory_free(context, flat);
    parameters_free(&parameters);
    task_about_free(&about);
    return status;
}

/* A pretrained network, or its backbone alone. */
static cover_status export_network(cover_context *context, struct tensor_file *file, const char *output, bool backbone_only) {
    cover_config *config = NULL;
    struct weights_about about = {0};
    const struct weights_origin origin = weights_origin(file);
    const bool named = origin.objective && strcmp(origin.objective, OBJECTIVE_OF_TASKS) != 0; /* a task's backbone is none */
    struct parameters all = {.context = context}, kept = {.context = context};
    const bool onnx = has_suffix(output, ".onnx");
    float *flat = NULL;
    cover_status status;
    GO(cover_config_create(&config, context, NULL));
    GO(weights_describe(config, &about, file));
    const char *only = onnx || backbone_only || !about.head ? "backbone." : NULL;
    GO(pair_parameters(&all, context, config_settings(config)));
    GO(weights_rows(&kept, &all, only));
    GO(weights_read(&flat, &kept, file, only));
    if (onnx) GO(onnx_write_backbone(context, output, config, &kept, flat));
    else GO(weights_write(context, output, &kept, flat, config, only, about.step, named ? &origin : NULL));
done:
    memory_free(context, flat);
    parameters_free(&kept);
    parameters_free(&all);
    cover_config_destroy(config);
    return status;
}

cover_status cover_weights_export(cover_context *context, const char *source, const char *output, int backbone_only) {
    if (!context || !source || !output) return fail(COVER_ERROR_ARGUMENT, "cover_weights_export: an argument is NULL");
    if (!has_suffix(output, ".onnx") && !has_suffix(output, ".safetensors"))
        return fail(COVER_ERROR_ARGUMENT, "%s: the output must end in .safetensors or .onnx", output);
    struct tensor_file *file;
    TRY(weights_open(&file, context, source));
    cover_status status;
    GO(output_is_not(output, file->source.name));
    GO(temporaries_remove_beside(context, output));
    GO(tensor_hash_verify(file, NULL));
    if (!backbone_only && holds_task(file))
        GO(export_task(context, source, output, tensor_file_metadata(file, "task") ? weights_step(file) : -1));
    else GO(export_network(context, file, output, backbone_only));
done:
    tensor_file_close(file);
    return status;
}
