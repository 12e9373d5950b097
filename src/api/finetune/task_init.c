/* What a task starts from: settings that fit the data and the backbone, and the backbone's weights. */
#include "core/nn/backbone.h"
#include "io/weights/tensor_hash.h"
#include "io/weights/weights.h"
#include "judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool task_from_scratch(const char *init) { return !init || strcmp(init, "scratch") == 0; }

/* ---- settings */

static cover_status set_integer(cover_config *config, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return cover_config_set(config, name, text);
}

/* Sizes of the images rounded up to what the network takes, but no larger than what trains well at a time.  A kind that is not dense
 * sees the whole image. */
static cover_status set_sizes(cover_config *config, const cover_dataset_info *info, const struct task_kind *kind) {
    const int64_t multiple = backbone_of(config_context(config), &config_settings(config)->network)->multiple;
    int64_t most = info->dims == 3 ? 96 : 384;
    char crop[64] = "", work[64] = "";
    bool same = memcmp(info->min_size, info->max_size, sizeof info->min_size) == 0, fits = true;
    for (int a = 3 - info->dims; a < 3; a++) {
        int64_t size = (info->max_size[a] + multiple - 1) / multiple * multiple;
        fits &= size <= most;
        size_t used = strlen(crop);
        snprintf(crop + used, sizeof crop - used, "%s%lld", used ? "x" : "",
                 (long long)(size < most ? size : most / multiple * multiple));
    }
    for (int a = 0; a < info->dims; a++) strcat(work, a ? "x0" : "0");
    TRY(cover_config_set(config, "crop", crop));
    return cover_config_set(config, "work", !kind->dense || (same && fits && info->dims == 2) ? crop : work);
}

/* Several classes an image; label maps have one a pixel. */
static bool several(const cover_dataset_info *info) { return info->multilabel && !info->has_labels; }

static cover_status check_data(const cover_dataset_info *info, const struct task_judge *judge) {
    if (info->samples < 1) return fail(COVER_ERROR_ARGUMENT, "the dataset is empty");
    TRY(judge->suits(info));
    const int fewest = judge->kind->fewest[several(info)];
    if (info->classes >= fewest) return COVER_OK;
    return fail(COVER_ERROR_ARGUMENT, "the dataset has %d class%s; %s needs at least %d", info->classes,
                info->classes == 1 ? "" : "es", judge->kind->noun, fewest);
}

/* Which network it is. */
static cover_status take_settings(cover_config *config, const cover_config *stored) {
    const struct backbone *backbone = backbone_of(config_context(stored), &config_settings(stored)->network);
    TRY(cover_config_set(config, "backbone", backbone->name));
    for (int i = 0; i < BACKBONE_SETTINGS && backbone->settings[i]; i++)
        TRY(cover_config_set(config, backbone->settings[i], cover_config_get(stored, backbone->settings[i])));
    return COVER_OK;
}

static cover_status take_backbone(cover_config *config, cover_context *context, const char *init, const cover_dataset_info *info) {
    struct tensor_file *file;
    cover_config *stored = NULL;
    TRY(weights_open(&file, context, init));
    cover_status status = config_of_weights(&stored, NULL, context, file);
    tensor_file_close(file);
    if (status != COVER_OK) return status;
    const struct settings *backbone = config_settings(stored);
    if (backbone->network.dims != info->dims)
        status = fail(COVER_ERROR_MISMATCH,
                      "%s: a %dD network, but the dataset has %dD images; give a network of their dims, or "
                      "scratch",
                      init, (int)backbone->network.dims, info->dims);
    else if (backbone->network.channels != info->channels && backbone->network.channels != 1)
        status = fail(COVER_ERROR_MISMATCH,
                      "%s: a network of %d channel%s, but the images have %d; pack them so, or pretrain on "
                      "such images",
                      init, (int)backbone->network.channels, backbone->network.channels == 1 ? "" : "s", info->channels);
    if (status == COVER_OK) status = take_settings(config, stored);
    if (status == COVER_OK) status = cover_config_set(config, "normalise", cover_config_get(stored, "normalise"));
    cover_config_destroy(stored);
    return status;
}

cover_status cover_task_config(cover_config **out, cover_context *context, const cover_dataset *dataset, const char *task,
                               const char *init) {
    if (!out || !context || !dataset || !task) return fail(COVER_ERROR_ARGUMENT, "cover_task_config: an argument is NULL");
    const struct task_judge *judge;
    TRY(task_judge_named(&judge, context, task));
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    cover_config *config;
    char preset[16];
    TRY(cover_dataset_get_info(&info, dataset));
    TRY(check_data(&info, judge));
    snprintf(preset, sizeof preset, "%s-%dd", task, info.dims);
    TRY(cover_config_create(&config, context, preset));
    cover_status status;
    GO(set_integer(config, "channels", info.channels));
    GO(set_integer(config, "classes", info.classes));
    GO(cover_config_set(config, "multilabel", several(&info) ? "on" : "off"));
    if (!task_from_scratch(init)) GO(take_backbone(config, context, init, &info));
    GO(set_sizes(config, &info, judge->kind));
    *out = config;
done:
    if (status != COVER_OK) cover_config_destroy(config);
    return status;
}

/* ---- weights */

/* The first convolution sees each of C equal channels with 1/C of the weights, so that C copies of an image give what one did. */
static void inflate(float *weights, const struct parameter *row, const float *stored) {
    int64_t channels = row->shape[1], taps = row->count / (row->shape[0] * channels);
    for (int64_t o = 0; o < row->shape[0]; o++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < taps; t++) weights[(o * channels + c) * taps + t] = stored[o * taps + t] / (float)channels;
}

/* Fits as it is, or with one input channel to inflate? */
static bool fits(const struct parameter *row, const struct tensor_entry *entry, bool *inflated) {
    if (row->rank != entry->rank) return false;
    *inflated = row->rank > 2 && row->shape[1] > 1 && entry->shape[1] == 1;
    for (int axis = 0; axis < row->rank; axis++)
        if (row->shape[axis] != entry->shape[axis] && !(axis == 1 && *inflated)) return false;
    return true;
}

static cover_status missing(const cover_task *task, const char *init, const char *name) {
    const char *const *decoder = backbone_of(task->core.context, &task->core.settings.network)->decoder_modules;
    int module = 0;
    while (module < BACKBONE_MODULES && decoder[module] && strncmp(name, decoder[module], strlen(decoder[module])) != 0) module++;
    if (module < BACKBONE_MODULES && decoder[module])
        return fail(
            COVER_ERROR_MISMATCH,
            "%s: has no decoder (%s): its task keeps the encoder alone; start the %s from the network that it was made of, or "
            "from scratch",
            init, name, task->kind->noun);
    return fail(COVER_ERROR_MISMATCH, "%s: has no tensor %s; a pretrained network of COVER is needed", init, name);
}

static const struct tensor_entry *find(const struct weights_name *names, int64_t count, const char *name) {
    for (int64_t i = 0; i < count; i++)
        if (strcmp(names[i].name, name) == 0) return names[i].entry;
    return NULL;
}

static cover_status load_row(cover_task *task, const struct parameter *row, struct tensor_file *file,
                             const struct tensor_entry *entry, const char *init) {
    bool inflated;
    if (!entry) return missing(task, init, row->name);
    if (!fits(row, entry, &inflated))
        return fail(COVER_ERROR_MISMATCH, "%s: %s has %lld values, the task's network %lld; take the settings of the backbone",
                    init, row->name, (long long)entry->elements, (long long)row->count);
    float *weights = task->core.engine->weights + row->offset,
          *stored = memory_alloc(task->core.context, (size_t)entry->elements * sizeof *stored);
    if (!stored) return COVER_ERROR_MEMORY;
    cover_status status = tensor_read_f32(file, entry, stored);
    for (int64_t i = 0; i < entry->elements && status == COVER_OK; i++)
        if (!isfinite(stored[i])) status = fail(COVER_ERROR_NUMERIC, "%s: %s holds a number that is not finite", init, row->name);
    if (status == COVER_OK && inflated) {
        inflate(weights, row, stored);
        log_line(task->core.context, COVER_LOG_INFO, "%s: a network of one channel, inflated to the images' %d", init,
                 (int)task->core.settings.network.channels);
    } else if (status == COVER_OK) memcpy(weights, stored, (size_t)row->count * sizeof *weights);
    memory_free(task->core.context, stored);
    return status;
}

/* The settings that say which network it is must be those of the file. */
static cover_status check_network(const cover_task *task, const cover_config *stored, const char *init) {
    const struct backbone *backbone = backbone_of(task->core.context, &config_settings(stored)->network);
    const char *names[BACKBONE_SETTINGS + 2] = {"dims", "backbone"};
    memcpy(names + 2, backbone->settings, sizeof backbone->settings);
    for (int i = 0; i < BACKBONE_SETTINGS + 2 && names[i]; i++) {
        char is[256];
        snprintf(is, sizeof is, "%s", cover_config_get(stored, names[i]));
        const char *wanted = cover_config_get(task->core.config, names[i]);
        if (strcmp(is, wanted) != 0)
            return fail(COVER_ERROR_MISMATCH,
                        "%s: a network of %s=%s, but the settings say %s; set them as the network has them, or "
                        "start from scratch",
                        init, names[i], is, wanted);
    }
    return COVER_OK;
}

static bool begins_with_one(const char *name, const char *const *prefix) {
    while (*prefix && strncmp(name, *prefix, strlen(*prefix)) != 0) prefix++;
    return *prefix;
}

/* Else all seeds would share the one decoder that pretraining has drawn. */
static void say_drawn(const cover_task *task, const struct tensor_file *file, const char *init) {
    const struct weights_origin origin = weights_origin(file);
    const bool encoder = strcmp(origin.trained, "encoder") == 0;
    log_line(task->core.context, COVER_LOG_INFO, "%s: its objective%s%s trains %s%s; %s begins as this run's seed draws it", init,
             origin.objective ? " " : "", origin.objective ? origin.objective : "",
             encoder ? "the encoder alone" : "the network up to ", encoder ? "" : origin.trained,
             encoder ? "the decoder" : "the rest");
}

cover_status task_load_backbone(cover_task *task, const char *init) {
    struct tensor_file *file;
    cover_config *stored = NULL;
    struct weights_name *names;
    const char *fresh[BACKBONE_MODULES + 1];
    int64_t count;
    TRY(weights_open(&file, task->core.context, init));
    cover_status status;
    GO(tensor_hash_verify(file, NULL));
    GO(config_of_weights(&stored, NULL, task->core.context, file));
    GO(check_network(task, stored, init));
    GO(weights_say_left_out(file));
    GO(weights_names(file, &names, &count));
    GO(weights_untrained(fresh, file, backbone_of(task->core.context, &task->core.settings.network)));
    const struct parameters *parameters = &task->core.engine->model.parameters;
    bool drawn = false;
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        const bool untrained = begins_with_one(row->name, fresh);
        drawn |= untrained;
        if (!untrained && strncmp(row->name, "backbone.", 9) == 0)
            GO(load_row(task, row, file, find(names, count, row->name), init));
    }
    if (drawn) say_drawn(task, file, init);
    status = engine_weights_changed(task->core.engine);
done:
    cover_config_destroy(stored);
    tensor_file_close(file);
    return status;
}
