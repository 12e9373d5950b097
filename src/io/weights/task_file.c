/* A fine-tuned task in a weight file: its weights by name and one JSON text that says all the rest.  See task_file.h. */
#include "task_file.h"

#include "checkpoint.h"
#include "core/base/files.h"
#include "core/base/json.h"
#include "core/method/supervised.h"
#include "weights.h"

#include <math.h>
#include <string.h>

enum { LONGEST_NAME = 255 };

void task_about_free(struct task_about *about) {
    if (!about->context) return;
    int64_t classes = about->config && about->class_names ? config_settings(about->config)->task.classes : 0;
    for (int64_t c = 0; c < classes; c++) memory_free(about->context, about->class_names[c]);
    memory_free(about->context, about->class_names);
    memory_free(about->context, about->segments);
    cover_config_destroy(about->config);
    *about = (struct task_about){0};
}

/* ---- JSON */

cover_status task_about_write(struct text *text, const struct task_about *about) {
    const char *settings = cover_config_json(about->config);
    if (!settings) return COVER_ERROR_MEMORY;
    text_add(text, "{\"settings\": %s, \"classes\": [", settings);
    for (int64_t c = 0; c < config_settings(about->config)->task.classes; c++) {
        text_add(text, "%s", c ? ", " : "");
        text_add_json(text, about->class_names[c]);
    }
    text_add(text, "], \"rules\": {");
    image_rules_write(&about->rules, text);
    text_add(text, "}");
    if (about->segments) text_add(text, ", \"segments\": %s", about->segments);
    text_add(text, "}");
    return text->failed ? COVER_ERROR_MEMORY : COVER_OK;
}

static cover_status read_settings(struct task_about *about, const json_t *object) {
    if (!json_is_object(object)) return fail(COVER_ERROR_FORMAT, "task: \"settings\" is missing");
    TRY(cover_config_create(&about->config, about->context, "seg-2d")); /* every value is in the object */
    cover_status status = config_read_object(about->config, object);
    if (status == COVER_OK) status = cover_config_validate(about->config);
    return status == COVER_OK || status == COVER_ERROR_MEMORY ? status : fail(COVER_ERROR_FORMAT, "task: %s", cover_error_text());
}

/* Names must differ and be printable: they become columns and folders. */
static cover_status read_name(struct task_about *about, json_t *seen, size_t index, const json_t *value) {
    const char *name = json_string_value(value);
    if (!name || !*name || strlen(name) > LONGEST_NAME)
        return fail(COVER_ERROR_FORMAT, "task: the name of class %zu is no text of 1 to %d bytes", index, LONGEST_NAME);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ') return fail(COVER_ERROR_FORMAT, "task: the name of class %zu holds control characters", index);
    if (json_object_get(seen, name)) return fail(COVER_ERROR_FORMAT, "task: two classes are named '%s'", name);
    if (json_object_set_new(seen, name, json_true()) != 0) return fail(COVER_ERROR_MEMORY, "task: out of memory");
    about->class_names[index] = memory_text(about->context, name);
    return about->class_names[index] ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status read_names(struct task_about *about, const json_t *names) {
    size_t classes = (size_t)config_settings(about->config)->task.classes;
    if (!json_is_array(names) || json_array_size(names) != classes)
        return fail(COVER_ERROR_FORMAT, "task: \"classes\" must be a list of %zu names", classes);
    about->class_names = memory_zero(about->context, classes * sizeof *about->class_names);
    if (!about->class_names) return COVER_ERROR_MEMORY;
    json_t *seen = json_object();
    cover_status status = seen ? COVER_OK : fail(COVER_ERROR_MEMORY, "task: out of memory");
    for (size_t i = 0; i < classes && status == COVER_OK; i++) status = read_name(about, seen, i, json_array_get(names, i));
    json_decref(seen);
    return status;
}

static cover_status read_rules(struct task_about *about, const json_t *object) {
    TRY(image_rules_read(&about->rules, object, "task"));
    if (about->rules.dims != 0 && about->rules.dims != config_settings(about->config)->network.dims)
        return fail(COVER_ERROR_FORMAT, "task: rules for %dD images, but a network of %dD ones", about->rules.dims,
                    (int)config_settings(about->config)->network.dims);
    if (about->rules.channels != 0 && about->rules.channels != config_settings(about->config)->network.channels)
        return fail(COVER_ERROR_FORMAT, "task: rules that make %d channels, but a network of %d", about->rules.channels,
                    (int)config_settings(about->config)->network.channels);
    return COVER_OK;
}

/* What it says is looked at where it is used. */
static cover_status read_segments(struct task_about *about, const json_t *object) {
    struct text text = {.context = about->context};
    if (!object) return COVER_OK;
    if (!json_is_object(object)) return fail(COVER_ERROR_FORMAT, "task: \"segments\" must be an object");
    text_add_value(&text, object);
    return text_take(&text, &about->segments);
}

cover_status task_about_read(struct task_about *about, cover_context *context, const char *json) {
    struct task_about fresh = {.context = context};
    json_t *object;
    cover_status status = json_read(&object, "task", json, strlen(json));
    if (status != COVER_OK) goto done;
    if (!json_is_object(object)) GO(fail(COVER_ERROR_FORMAT, "task: a JSON object is expected"));
    GO(read_settings(&fresh, json_object_get(object, "settings")));
    GO(read_names(&fresh, json_object_get(object, "classes")));
    GO(read_rules(&fresh, json_object_get(object, "rules")));
    GO(read_segments(&fresh, json_object_get(object, "segments")));
    *about = fresh;
done:
    if (status != COVER_OK) task_about_free(&fresh);
    json_decref(object);
    return status;
}

/* ---- files */

cover_status task_weights_write(cover_context *context, const char *path, const struct parameters *parameters, const float *flat,
                                const struct task_about *about, int64_t step) {
    cover_status status = COVER_ERROR_MEMORY;
    struct arena arena = {.context = context};
    struct text text = {.context = context};
    struct tensor_pair *pairs;
    int64_t count;
    struct tensor_output *outputs = arena_alloc(&arena, (size_t)parameters->count * sizeof *outputs);
    if (!outputs) goto done;
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        outputs[i] = (struct tensor_output){
            .name = row->name, .type = TENSOR_F32, .rank = row->rank, .shape = row->shape, .data = flat + row->offset};
    }
    GO(weights_metadata(&arena, &pairs, &count, about->config, false, step, NULL));
    GO(task_about_write(&text, about));
    struct tensor_pair *all = arena_alloc(&arena, (size_t)(count + 1) * sizeof *all);
    status = all ? COVER_OK : COVER_ERROR_MEMORY;
    if (!all) goto done;
    memcpy(all, pairs, (size_t)count * sizeof *all);
    all[count] = (struct tensor_pair){.key = "task", .value = text.data};
    GO(safetensors_write(context, path, outputs, parameters->count, all, count + 1));
done:
    text_free(&text);
    arena_free(&arena);
    return status;
}

/* A pretrained network is what people try first. */
static cover_status no_task(const char *path) {
    return fail(COVER_ERROR_MISMATCH, "%s: weights without a task; fine-tune them first (cover_run_finetune)", path);
}

static cover_status read_file(struct task_about *about, struct parameters *parameters, float **flat, cover_context *context,
                              const char *path) {
    struct tensor_file *file;
    cover_config *config = NULL;
    cover_status status;
    TRY(tensor_file_open(&file, context, path));
    const char *json = tensor_file_metadata(file, "task");
    if (!json) GO(no_task(path));
    GO(cover_config_create(&config, context, "seg-2d"));
    GO(weights_describe(config, NULL, file)); /* a newer format, or a network larger than the file */
    status = task_about_read(about, context, json);
    if (status != COVER_OK) GO(fail_in(status, "%s", path));
    GO(task_parameters(parameters, context, config_settings(about->config)));
    GO(weights_read(flat, parameters, file, NULL));
done:
    cover_config_destroy(config);
    tensor_file_close(file);
    return status;
}

/* The flat buffer that the state holds; it must be of this network's size, and finite. */
static cover_status take_best(float **flat, cover_context *context, const struct parameters *parameters, const uint8_t *data,
                              int64_t bytes) {
    if (bytes != parameters->floats * (int64_t)sizeof **flat)
        return fail(COVER_ERROR_FORMAT, "its best weights are %lld bytes, but the network has %lld", (long long)bytes,
                    (long long)(parameters->floats * (int64_t)sizeof **flat));
    *flat = memory_copy(context, data, (size_t)bytes);
    if (!*flat) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < parameters->floats; i++)
        if (!isfinite((*flat)[i])) return fail(COVER_ERROR_NUMERIC, "number %lld of its best weights is not finite", (long long)i);
    return COVER_OK;
}

/* While it trains: the best weights so far, or those of now when there was no validation yet. */
static cover_status read_checkpoint(struct task_about *about, struct parameters *parameters, float **flat, cover_context *context,
                                    const char *path) {
    struct checkpoint_file *file;
    uint8_t *data = NULL;
    char *json = NULL;
    int64_t bytes;
    cover_status status;
    TRY(checkpoint_open(&file, context, path));
    status = checkpoint_read_state(file, TASK_STATE_ABOUT, &data, &bytes);
    if (status == COVER_ERROR_MISMATCH) status = no_task(path);
    if (status != COVER_OK) goto done;
    json = memory_zero(context, (size_t)bytes + 1);
    GO(json ? COVER_OK : COVER_ERROR_MEMORY);
    memcpy(json, data, (size_t)bytes);
    memory_free(context, data);
    data = NULL;
    status = task_about_read(about, context, json);
    if (status != COVER_OK) GO(fail_in(status, "%s", path));
    GO(task_parameters(parameters, context, config_settings(about->config)));
    status = checkpoint_read_state(file, TASK_STATE_BEST, &data, &bytes);
    if (status == COVER_ERROR_MISMATCH) {
        *flat = memory_zero(context, (size_t)parameters->floats * sizeof **flat);
        status = *flat ? checkpoint_read(file, parameters, *flat, NULL, NULL) : COVER_ERROR_MEMORY;
    } else if (status == COVER_OK) {
        status = take_best(flat, context, parameters, data, bytes);
        if (status != COVER_OK) fail_in(status, "%s", path);
    }
done:
    memory_free(context, json);
    memory_free(context, data);
    checkpoint_close(file);
    return status;
}

static cover_status read_any(struct task_about *about, struct parameters *parameters, float **flat, cover_context *context,
                             const char *path) {
    return has_suffix(path, ".h5") ? read_checkpoint(about, parameters, flat, context, path)
                                   : read_file(about, parameters, flat, context, path);
}

/* Of a run folder the final weights, or the checkpoint. */
static cover_status read_run(struct task_about *about, struct parameters *parameters, float **flat, cover_context *context,
                             const char *folder) {
    cover_status status = COVER_ERROR_MEMORY;
    char *weights = path_join(context, folder, "weights.safetensors"), *checkpoint = path_join(context, folder, "checkpoint.h5");
    if (weights && checkpoint) {
        if (file_exists(weights)) status = read_any(about, parameters, flat, context, weights);
        else if (file_exists(checkpoint)) status = read_any(about, parameters, flat, context, checkpoint);
        else status = fail(COVER_ERROR_IO, "%s: has neither weights.safetensors nor checkpoint.h5; is it a run folder?", folder);
    }
    memory_free(context, weights);
    memory_free(context, checkpoint);
    return status;
}

cover_status task_weights_read(struct task_about *about, struct parameters *parameters, float **flat, cover_context *context,
                               const char *path) {
    *about = (struct task_about){0}, *parameters = (struct parameters){.context = context}, *flat = NULL;
    cover_status status =
        folder_exists(path) ? read_run(about, parameters, flat, context, path) : read_any(about, parameters, flat, context, path);
    if (status == COVER_OK) return COVER_OK;
    memory_free(context, *flat);
    parameters_free(parameters);
    task_about_free(about);
    *flat = NULL;
    return status;
}
