/* What a task starts from: settings that fit the data and the backbone, and the backbone's weights. */
#include "matcher.h"
#include "../io/weights.h"
#include "task.h"

#include <libcover/backbone.h>

#include <stdio.h>
#include <string.h>

bool task_from_scratch(const char *init) { return !init || strcmp(init, "scratch") == 0; }

/* ---- settings */

static cover_status set_integer(cover_config *config, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return cover_config_set(config, name, text);
}

/* Sizes of the images rounded up to what the network takes, but no larger than what trains well at a time. */
static cover_status set_sizes(cover_config *config, const cover_dataset_info *info, bool classification) {
    int64_t most = info->dims == 3 ? 96 : 384;
    char crop[64] = "", work[64] = "";
    bool same = memcmp(info->min_size, info->max_size, sizeof info->min_size) == 0, fits = true;
    for (int a = 3 - info->dims; a < 3; a++) {
        int64_t size = (info->max_size[a] + UNET_MULTIPLE - 1) / UNET_MULTIPLE * UNET_MULTIPLE;
        fits &= size <= most;
        size_t used = strlen(crop);
        snprintf(crop + used, sizeof crop - used, "%s%lld", used ? "x" : "", (long long)(size < most ? size : most));
    }
    for (int a = 0; a < info->dims; a++) strcat(work, a ? "x0" : "0");
    TRY(cover_config_set(config, "crop", crop));
    return cover_config_set(config, "work", classification || (same && fits && info->dims == 2) ? crop : work);
}

static cover_status check_data(const cover_dataset_info *info, bool classification) {
    if (info->samples < 1) return fail(COVER_ERROR_ARGUMENT, "the dataset is empty");
    if (!classification && !info->has_labels)
        return fail(COVER_ERROR_ARGUMENT, "the dataset has no label maps; segmentation needs some (an nnU-Net dataset with labelsTr)");
    if (classification && (info->classes < 1 || info->has_labels))
        return fail(COVER_ERROR_ARGUMENT, "the dataset has no classes of images; classification needs some (a folder a class, or pack "
                    "--labels)");
    if (info->classes < 2 && !(classification && info->multilabel))
        return fail(COVER_ERROR_ARGUMENT, "the dataset has %d class; a task needs at least two", info->classes);
    return COVER_OK;
}

static cover_status take_backbone(cover_config *config, cover_context *context, const char *init, const cover_dataset_info *info) {
    struct tensor_file *file;
    cover_config *stored = NULL;
    TRY(weights_open(&file, context, init));
    cover_status status = config_of_weights(&stored, context, file);
    tensor_file_close(file);
    if (status != COVER_OK) return status;
    const struct settings *backbone = config_settings(stored);
    if (backbone->dims != info->dims)
        status = fail(COVER_ERROR_MISMATCH, "%s: a %dD network, but the dataset has %dD images", init, (int)backbone->dims, info->dims);
    else if (backbone->channels != info->channels && backbone->channels != 1)
        status = fail(COVER_ERROR_MISMATCH, "%s: a network of %d channels, but the images have %d; pack them with --channels, or "
                      "pretrain on such images", init, (int)backbone->channels, info->channels);
    if (status == COVER_OK) status = cover_config_set(config, "widths", cover_config_get(stored, "widths"));
    if (status == COVER_OK) status = cover_config_set(config, "normalise", cover_config_get(stored, "normalise"));
    cover_config_destroy(stored);
    return status;
}

cover_status cover_task_config(cover_config **out, cover_context *context, const cover_dataset *dataset, const char *task,
                               const char *init) {
    if (!out || !context || !dataset || !task) return fail(COVER_ERROR_ARGUMENT, "cover_task_config: an argument is NULL");
    bool classification = strcmp(task, "cls") == 0;
    if (!classification && strcmp(task, "seg") != 0)
        return fail(COVER_ERROR_ARGUMENT, "task '%s' is not known; use seg or cls", task);
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    cover_config *config;
    char preset[16];
    TRY(cover_dataset_get_info(dataset, &info));
    TRY(check_data(&info, classification));
    snprintf(preset, sizeof preset, "%s-%dd", task, info.dims);
    TRY(cover_config_create(&config, context, preset));
    cover_status status;
    GO(set_integer(config, "channels", info.channels));
    GO(set_integer(config, "classes", info.classes));
    GO(cover_config_set(config, "multilabel", info.multilabel && classification ? "on" : "off"));
    GO(set_sizes(config, &info, classification));
    if (!task_from_scratch(init)) GO(take_backbone(config, context, init, &info));
    *out = config;
done:
    if (status != COVER_OK) cover_config_destroy(config);
    return status;
}

/* ---- weights */

/* The first convolution sees each of C equal channels with 1/C of the weights, so that C copies of an image give what one did. */
static cover_status inflate(float *weights, const struct parameter *row, const cover_tensor *stored, int64_t channels) {
    const float *from = cover_tensor_data(stored);
    int64_t taps = row->count / (row->shape[0] * channels);
    for (int64_t o = 0; o < row->shape[0]; o++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < taps; t++)
                weights[(o * channels + c) * taps + t] = from[o * taps + t] / (float)channels;
    return COVER_OK;
}

static cover_status copy_row(cover_task *task, const struct parameter *row, const cover_backbone *backbone, const char *init) {
    cover_tensor *stored;
    float *weights = task->engine->weights + row->offset;
    TRY(cover_backbone_get(backbone, row->name, &stored));
    cover_status status = COVER_OK;
    int64_t count = 1;
    for (int i = 0; i < cover_tensor_rank(stored); i++) count *= cover_tensor_shape(stored)[i];
    if (count == row->count) memcpy(weights, cover_tensor_data(stored), (size_t)count * sizeof *weights);
    else if (count * task->settings.channels == row->count) {
        log_line(task->context, COVER_LOG_INFO, "%s: a network of one channel, inflated to the images' %d", init, (int)task->settings.channels);
        status = inflate(weights, row, stored, task->settings.channels);
    } else status = fail(COVER_ERROR_MISMATCH, "%s: %s has %lld values, the task's network %lld; take widths from the backbone", init,
                         row->name, (long long)count, (long long)row->count);
    cover_tensor_destroy(stored);
    return status;
}

cover_status task_load_backbone(cover_task *task, const char *init) {
    cover_backbone *backbone;
    TRY(cover_backbone_load(&backbone, task->context, init, NULL));
    const struct settings *stored = config_settings(cover_backbone_config(backbone));
    cover_status status = COVER_OK;
    if (stored->dims != task->settings.dims || memcmp(&stored->widths, &task->settings.widths, sizeof stored->widths) != 0)
        status = fail(COVER_ERROR_MISMATCH, "%s: a %dD network of widths %s, but the settings say %dD and %s", init, (int)stored->dims,
                      cover_config_get(cover_backbone_config(backbone), "widths"), (int)task->settings.dims,
                      cover_config_get(task->about.config, "widths"));
    const struct parameters *parameters = &task->engine->model.parameters;
    for (int i = 0; i < parameters->count && status == COVER_OK; i++)
        if (strncmp(parameters->rows[i].name, "backbone.", 9) == 0) status = copy_row(task, &parameters->rows[i], backbone, init);
    cover_backbone_destroy(backbone);
    return status == COVER_OK ? engine_weights_changed(task->engine) : status;
}
