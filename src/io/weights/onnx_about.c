/* metadata_props of an exported network: settings by their names, and two sentences for people.  See onnx_about.h. */
#include "onnx_about.h"

#include "core/method/task_kind.h"
#include "core/nn/backbone.h"

#include <libcover/context.h>

#include <string.h>

enum { ABOUT_MAX = BACKBONE_SETTINGS + 20 };

static const char *const intensities[] = {
    [NORMALISE_MAX] = "x / 255 of images of 8 bits, x / 65535 of 16",
    [NORMALISE_RANGE] = "(x - min) / (max - min) of each image",
    [NORMALISE_CLIP2048] = "min(max(x, 0), 2048) / 2048",
    [NORMALISE_NONE] = "as they are",
};
static const char *const sizes[] = {[2] = "height, width", [3] = "depth, height, width"};

static void add(struct onnx_network *network, struct onnx_about *about, const char *key, const char *value) {
    about[network->abouts++] = (struct onnx_about){key, value};
}

/* A copy of the setting's text, which is the config's only for a while; NULL = no memory. */
static const char *setting(struct arena *arena, const cover_config *config, const char *name) {
    const char *value = cover_config_get(config, name);
    return value ? arena_text(arena, value, strlen(value)) : "";
}

/* The classes' names and the rules of packing, as they stand in the task's file. */
static cover_status tell_lists(struct onnx_network *network, struct onnx_about *about, struct arena *arena,
                               const struct task_about *task) {
    struct text names = {.context = arena->context}, rules = {.context = arena->context};
    text_add(&names, "[");
    for (int64_t c = 0; c < config_settings(task->config)->task.classes; c++) {
        text_add(&names, "%s", c ? ", " : "");
        text_add_json(&names, task->class_names[c]);
    }
    text_add(&names, "]");
    text_add(&rules, "{");
    image_rules_write(&task->rules, &rules);
    text_add(&rules, "}");
    const bool failed = names.failed || rules.failed;
    const char *classes = failed ? NULL : arena_text(arena, names.data, names.length),
               *packed = failed ? NULL : arena_text(arena, rules.data, rules.length);
    text_free(&names);
    text_free(&rules);
    if (!classes || !packed) return COVER_ERROR_MEMORY;
    add(network, about, "classes", classes);
    add(network, about, "rules", packed);
    return COVER_OK;
}

static cover_status tell_task(struct onnx_network *network, struct onnx_about *about, struct arena *arena,
                              const struct task_about *task) {
    static const char *const kept[] = {"multilabel", "crop", "work", "overlap", "mirror"};
    const struct settings *settings = config_settings(task->config);
    const struct task_kind *kind = task_kind_of(arena->context, &settings->task);
    const char *places = kind->dense ? ", " : "", *size = kind->dense ? sizes[settings->network.dims] : "";
    add(network, about, "task", kind->name);
    TRY(tell_lists(network, about, arena, task));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) add(network, about, kept[i], setting(arena, task->config, kept[i]));
    add(network, about, "output",
        arena_print(arena, "scores (N, classes%s%s): probabilities; %s", places, size,
                    network->tail & ONNX_SOFTMAX ? "of the classes one holds, they sum to 1" : "each class for itself"));
    return COVER_OK;
}

cover_status onnx_tell(struct onnx_network *network, struct arena *arena, const cover_config *config,
                       const struct task_about *task) {
    const struct settings *settings = config_settings(config);
    const struct backbone *backbone = backbone_of(arena->context, &settings->network);
    struct onnx_about *about = arena_alloc(arena, ABOUT_MAX * sizeof *about);
    if (!about) return COVER_ERROR_MEMORY;
    network->about = about;
    add(network, about, "libcover", cover_version());
    add(network, about, "input",
        arena_print(arena, "image (N, %lld, %s), float32; sizes are multiples of %lld; intensities: %s",
                    (long long)settings->network.channels, sizes[settings->network.dims], (long long)backbone->multiple,
                    intensities[settings->views.normalise]));
    add(network, about, "dims", setting(arena, config, "dims"));
    add(network, about, "channels", setting(arena, config, "channels"));
    add(network, about, "multiple", arena_print(arena, "%lld", (long long)backbone->multiple));
    add(network, about, "normalise", setting(arena, config, "normalise"));
    add(network, about, "backbone", backbone->name);
    for (int i = 0; i < BACKBONE_SETTINGS && backbone->settings[i]; i++)
        add(network, about, backbone->settings[i], setting(arena, config, backbone->settings[i]));
    if (task) TRY(tell_task(network, about, arena, task));
    for (int i = 0; i < network->abouts; i++)
        if (!about[i].value) return COVER_ERROR_MEMORY;
    return COVER_OK;
}
