/* Checkpoints and weights of ours checked completely: every parameter that the settings ask for is there, in its shape,
 * and finite, moments of the optimiser too (docs/weights.md).  Called by check.c. */
#include "check.h"

#include "core/method/cover.h"
#include "core/method/supervised.h"
#include "core/objective/objective.h"
#include "io/weights/checkpoint.h"
#include "io/weights/task_file.h"
#include "io/weights/tensor_hash.h"
#include "io/weights/weights.h"

#include <math.h>
#include <string.h>

cover_status check_hash(struct check *check, struct tensor_file *file) {
    bool present;
    const cover_status status = tensor_hash_verify(file, &present);
    text_add(&check->facts, ", \"hash\": %s", present ? "true" : "false");
    return check_error(check, status);
}

/* A whole network, or a whole backbone; of a task's checkpoint, whose settings check_content() compares, only the size; neither what other
 * objectives have in theirs beside it. */
static cover_status check_pretrained(struct check *check, struct tensor_file *file) {
    struct parameters all = {.context = check->context}, kept = {.context = check->context};
    const char *objective = tensor_file_metadata(file, "objective");
    struct weights_about about;
    cover_config *config = NULL;
    float *flat = NULL;
    cover_status status;
    GO(cover_config_create(&config, check->context, NULL));
    GO(weights_describe(config, &about, file));
    if (objective && strcmp(objective, OBJECTIVE_OF_TASKS) == 0) goto done;
    GO(pair_parameters(&all, check->context, config_settings(config)));
    const char *rows = about.head ? NULL : "backbone.";
    GO(weights_rows(&kept, &all, rows));
    GO(weights_read(&flat, &kept, file, strcmp(file->format->name, "checkpoint") == 0 ? rows : NULL));
done:
    memory_free(check->context, flat);
    parameters_free(&kept);
    parameters_free(&all);
    cover_config_destroy(config);
    return status;
}

/* The network with its head, and all that prediction must know. */
static cover_status check_task(struct check *check, const char *path) {
    struct task_about about;
    struct parameters parameters;
    float *flat;
    TRY(task_weights_read(&about, &parameters, &flat, check->context, path));
    memory_free(check->context, flat);
    parameters_free(&parameters);
    task_about_free(&about);
    return COVER_OK;
}

cover_status check_network(struct check *check, struct tensor_file *file) {
    const char *format = tensor_file_metadata(file, "format");
    if (!format || strcmp(format, "libcover") != 0) return COVER_OK;
    if (tensor_file_metadata(file, "task")) return check_error(check, check_task(check, file->source.name));
    return check_error(check, check_pretrained(check, file));
}

/* Values of one kind, each parameter; v holds means of squares, so it has no negative numbers. */
static void check_flat(struct check *check, const char *path, const char *kind, const struct parameters *parameters,
                       const float *flat, float lowest) {
    for (int row = 0; row < parameters->count; row++) {
        const struct parameter *parameter = &parameters->rows[row];
        int64_t bad = 0;
        for (int64_t i = 0; i < parameter->count; i++) {
            float value = flat[parameter->offset + i];
            bad += !isfinite(value) || value < lowest;
        }
        if (bad > 0)
            check_finding(check, "%s: %s of %s: %lld of %lld values are NaN, infinite or out of range", path, kind, parameter->name,
                          (long long)bad, (long long)parameter->count);
    }
}

/* What the settings make of a network, with all that its objective has beside the backbone. */
static cover_status model_of(struct model *model, cover_context *context, const struct settings *settings, bool task) {
    const struct grid crop = settings_grid(&settings->views.crop, (int)settings->network.dims);
    *model = (struct model){.parameters = {.context = context}};
    return task ? task_parameters(&model->parameters, context, settings) : objective_build(model, context, settings, &crop);
}

/* present: numbers in its weights, of which the settings may not ask for more. */
static cover_status check_content(struct check *check, const char *path, struct checkpoint_file *file, int64_t present) {
    static const char *const kinds[3] = {"weights", "first moment", "second moment"};
    struct model model = {.parameters = {.context = check->context}};
    const struct parameters *parameters = &model.parameters;
    cover_config *config = NULL;
    float *flats[3] = {NULL};
    cover_status status = COVER_OK;
    const bool task = strcmp(file->objective, OBJECTIVE_OF_TASKS) == 0;
    GO(cover_config_create(&config, check->context, task ? "seg-2d" : NULL));
    status = cover_config_read_json(config, file->config);
    if (status == COVER_OK) status = cover_config_validate(config);
    if (status != COVER_OK) {
        status = fail_in(status, "%s: config", path);
        goto done;
    }
    GO(model_of(&model, check->context, config_settings(config), task));
    if (parameters->total > present)
        GO(fail(COVER_ERROR_MISMATCH, "%s: its settings ask for %lld parameters, but it holds %lld", path,
                (long long)parameters->total, (long long)present));
    if (file->step < 0 || file->updates < 0 || file->updates > file->step)
        check_finding(check, "%s: %lld updates in %lld steps", path, (long long)file->updates, (long long)file->step);
    for (int i = 0; i < 3; i++) {
        flats[i] = memory_zero(check->context, (size_t)parameters->floats * sizeof(float)); /* moments: of held rows 0 */
        if (!flats[i]) status = COVER_ERROR_MEMORY;
        if (status != COVER_OK) goto done;
    }
    GO(checkpoint_read(file, parameters, flats[0], flats[1], flats[2]));
    for (int i = 0; i < 3; i++) check_flat(check, path, kinds[i], parameters, flats[i], i == 2 ? 0 : -INFINITY);
    check->tensors += 3 * parameters->count;
done:
    for (int i = 0; i < 3; i++) memory_free(check->context, flats[i]);
    model_free(&model);
    cover_config_destroy(config);
    return status;
}

/* The network that the settings describe is as large as the file, or the arrays would not be taken: asked first, so
 * that a claim allocates nothing. */
cover_status check_checkpoint(struct check *check, const char *path) {
    struct checkpoint_file *file;
    struct tensor_file *tensors;
    const int64_t before = check->found;
    cover_status status = tensor_file_open(&tensors, check->context, path);
    if (status != COVER_OK) return check_error(check, status);
    status = check_network(check, tensors);
    int64_t present = 0;
    for (int64_t i = 0; i < tensors->count; i++) present += tensors->entries[i].elements;
    tensor_file_close(tensors);
    if (status != COVER_OK || check->found > before) return status;
    status = checkpoint_open(&file, check->context, path);
    if (status != COVER_OK) return check_error(check, status);
    status = check_content(check, path, file, present);
    checkpoint_close(file);
    return check_error(check, status);
}
