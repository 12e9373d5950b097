/* What a weight file says about its network: metadata in and out, and what the shapes of the authors' tensors tell
 * where there is none (docs/weights.md).  See weights.h. */
#include "weights.h"

#include "checkpoint.h"
#include "core/base/files.h"
#include "core/method/cover.h"
#include "core/objective/objective.h"

#include <libcover/weights.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED = 7, KEPT_MAX = BACKBONE_SETTINGS + 8, CLAIM_FACTOR = 64, SMALL_NETWORK = 1 << 24 };

/* Settings that stand in the metadata under their own names; those of the head are of no use to a backbone alone. */
struct kept {
    int count;
    const char *name[KEPT_MAX];
};

static struct kept kept_settings(const struct backbone *backbone, bool head) {
    static const char *const of_head[] = {"heads", "head_dim", "radius", "coordinates", "pyramid"};
    struct kept kept = {.count = 2, .name = {"dims", "channels"}};
    for (int i = 0; i < BACKBONE_SETTINGS && backbone->settings[i]; i++) kept.name[kept.count++] = backbone->settings[i];
    kept.name[kept.count++] = "normalise";
    for (size_t i = 0; head && i < sizeof of_head / sizeof *of_head; i++) kept.name[kept.count++] = of_head[i];
    return kept;
}

static const struct backbone *chosen(const cover_config *config) {
    return backbone_of(config_context(config), &config_settings(config)->network);
}

/* Of weights that were just made. */
static struct weights_origin origin_of(struct arena *arena, const cover_config *config) {
    if (config_is_task(config)) return (struct weights_origin){.objective = OBJECTIVE_OF_TASKS};
    char trained[64];
    objective_trained(trained, sizeof trained, config);
    return (struct weights_origin){objective_of(config_context(config), &config_settings(config)->objective)->name,
                                   arena_text(arena, trained, strlen(trained))};
}

struct weights_origin weights_origin(const struct tensor_file *file) {
    const char *format = tensor_file_metadata(file, "format");
    if (!format || strcmp(format, "libcover") != 0) return (struct weights_origin){0};
    const char *objective = tensor_file_metadata(file, "objective"), *trained = tensor_file_metadata(file, "trained");
    if (!trained && objective && strcmp(objective, OBJECTIVE_OF_TASKS) != 0) trained = "whole"; /* files from before it was said */
    return (struct weights_origin){objective, trained};
}

cover_status weights_untrained(const char *prefix[BACKBONE_MODULES + 1], const struct tensor_file *file,
                               const struct backbone *backbone) {
    const char *trained = weights_origin(file).trained;
    const bool encoder = trained && strcmp(trained, "encoder") == 0;
    int count = 0;
    prefix[0] = NULL;
    if (!trained || strcmp(trained, "whole") == 0) return COVER_OK;
    for (int i = 0; i < BACKBONE_MODULES && backbone->decoder_modules[i]; i++) {
        char module[64];
        snprintf(module, sizeof module, "backbone.%.48s.", trained);
        if (strcmp(backbone->decoder_modules[i], module) == 0) return COVER_OK; /* from the outputs back to this one */
        prefix[count++] = backbone->decoder_modules[i], prefix[count] = NULL;
    }
    return encoder ? COVER_OK
                   : fail(COVER_ERROR_FORMAT, "%s: metadata: trained=%.48s is no module of backbone %s's decoder",
                          file->source.name, trained, backbone->name);
}

cover_status weights_metadata(struct arena *arena, struct tensor_pair **out, int64_t *count, const cover_config *config, bool head,
                              int64_t step, const struct weights_origin *origin) {
    struct tensor_pair *pairs = arena_alloc(arena, (FIXED + KEPT_MAX) * sizeof *pairs);
    char *version = arena_print(arena, "%d.%d", WEIGHTS_MAJOR, WEIGHTS_MINOR);
    char *updates = arena_print(arena, "%lld", (long long)step);
    const struct backbone *backbone = chosen(config);
    const struct kept kept = kept_settings(backbone, head);
    const struct weights_origin own = origin ? *origin : origin_of(arena, config);
    int64_t used = 0;
    if (!pairs || !version || !updates) return COVER_ERROR_MEMORY;
    pairs[used++] = (struct tensor_pair){"format", "libcover"};
    pairs[used++] = (struct tensor_pair){"version", version};
    pairs[used++] = (struct tensor_pair){"objective", own.objective};
    if (own.trained) pairs[used++] = (struct tensor_pair){"trained", own.trained};
    pairs[used++] = (struct tensor_pair){"backbone", backbone->name};
    pairs[used++] = (struct tensor_pair){"normalisation", backbone->normalisation};
    for (int i = 0; i < kept.count; i++) {
        const char *value = cover_config_get(config, kept.name[i]);
        char *copy = arena_text(arena, value, strlen(value));
        if (!copy) return COVER_ERROR_MEMORY;
        pairs[used++] = (struct tensor_pair){kept.name[i], copy};
    }
    if (step >= 0) pairs[used++] = (struct tensor_pair){"step", updates};
    *out = pairs, *count = used;
    return COVER_OK;
}

/* ---- from the shapes */

static cover_status set(cover_config *config, const struct tensor_file *file, const char *name, const char *value) {
    if (cover_config_set(config, name, value) == COVER_OK) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s: %.512s", file->source.name, cover_error_text());
}

/* Names and shapes as backbones look at them, in the file's arena. */
static const struct named_shape *shapes_of(struct tensor_file *file, const struct weights_name *names, int64_t count) {
    struct named_shape *shapes = arena_alloc(&file->arena, (size_t)(count + 1) * sizeof *shapes);
    for (int64_t i = 0; shapes && i < count; i++)
        shapes[i] = (struct named_shape){names[i].name, names[i].entry->rank, names[i].entry->shape};
    return shapes;
}

static cover_status describe_as(cover_config *config, const struct backbone *backbone, const struct tensor_file *file,
                                const struct named_shape *shapes, int64_t count) {
    cover_status status = backbone->describe(config, shapes, count);
    if (status == COVER_OK) return set(config, file, "backbone", backbone->name);
    return fail_in(status == COVER_ERROR_ARGUMENT ? COVER_ERROR_FORMAT : status, "%s", file->source.name);
}

/* A file that does not say which network it holds: the first backbone that knows its tensors. */
static cover_status describe_backbone(cover_config *config, const struct tensor_file *file, const struct named_shape *shapes,
                                      int64_t count) {
    const struct backbone *named = NULL, *backbone;
    const char *name = tensor_file_metadata(file, "backbone");
    cover_status status = COVER_ERROR_MISMATCH;
    if (name && backbone_find(&named, file->context, name) == COVER_OK) return describe_as(config, named, file, shapes, count);
    for (int i = 0; status == COVER_ERROR_MISMATCH && (backbone = backbone_at(file->context, i)); i++)
        status = describe_as(config, backbone, file, shapes, count);
    return status;
}

/* Channels of the projections are heads x head_dim; head_dim is the authors' 8 unless the caller or the file says else.
 */
static cover_status describe_heads(cover_config *config, const struct tensor_file *file, const struct named_shape *shapes,
                                   int64_t count) {
    char heads[256] = "";
    size_t used = 0;
    int64_t head_dim = config_settings(config)->objective.head_dim;
    const int levels = backbone_levels(file->context, &config_settings(config)->network).count;
    for (int level = 0; level < levels; level++) {
        char name[96];
        snprintf(name, sizeof name, "proj.%d.proj.weight", level);
        const struct named_shape *entry = named_shape(shapes, count, name);
        if (!entry || entry->rank < 1 || entry->shape[0] < 1 || entry->shape[0] % head_dim != 0)
            return fail(COVER_ERROR_MISMATCH, "%s: %s is missing, or its channels are no multiple of head_dim=%lld",
                        file->source.name, name, (long long)head_dim);
        used += (size_t)snprintf(heads + used, sizeof heads - used, "%s%lld", level ? "," : "",
                                 (long long)(entry->shape[0] / head_dim));
    }
    return set(config, file, "heads", heads);
}

/* A backbone alone says nothing of heads: where the default is of another number of levels, 4 heads on each but the two finest. */
static cover_status default_heads(cover_config *config, const struct tensor_file *file) {
    const int levels = backbone_levels(file->context, &config_settings(config)->network).count;
    char heads[4 * LEVELS_MAX] = "";
    if (config_settings(config)->objective.heads.count == levels) return COVER_OK;
    for (int level = 0; level < levels; level++) strcat(heads, level + 2 < levels ? "4," : level + 1 < levels ? "1," : "1");
    return set(config, file, "heads", heads);
}

/* The authors' buffer (N, ..., N, dims) tells the radius, N = 2 r + 1; their code has released coordinates. */
static cover_status describe_grid(cover_config *config, const struct tensor_file *file, bool radius, bool coordinates) {
    for (int64_t i = 0; i < file->count; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        char number[32];
        if (!has_suffix(entry->name, "mov.grid") && !has_suffix(entry->name, "mov1.grid")) continue;
        if (entry->rank < 3 || entry->shape[0] % 2 != 1) continue;
        snprintf(number, sizeof number, "%lld", (long long)(entry->shape[0] / 2));
        if (radius) TRY(set(config, file, "radius", number));
        return coordinates ? set(config, file, "coordinates", "released") : COVER_OK;
    }
    return COVER_OK;
}

/* ---- from the metadata, and all together */

static cover_status check_format(const struct tensor_file *file) {
    const char *format = tensor_file_metadata(file, "format"), *version = tensor_file_metadata(file, "version"),
               *backbone = tensor_file_metadata(file, "backbone");
    if (!format || strcmp(format, "libcover") != 0) return COVER_OK; /* somebody else's metadata */
    if (!version || strtol(version, NULL, 10) < 1)
        return fail(COVER_ERROR_FORMAT, "%s: metadata: version is missing", file->source.name);
    if (strtol(version, NULL, 10) > WEIGHTS_MAJOR)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: weights of format %.16s, but libcover %s reads up to %d; use a newer libcover",
                    file->source.name, version, cover_version(), WEIGHTS_MAJOR);
    const struct backbone *known;
    if (backbone && backbone_find(&known, file->context, backbone) != COVER_OK)
        return fail_in(COVER_ERROR_UNSUPPORTED, "%s: metadata", file->source.name);
    return COVER_OK;
}

static cover_status check_settings(const cover_config *config, const struct tensor_file *file) {
    const struct settings *settings = config_settings(config);
    if (chosen(config)->check(&settings->network) != COVER_OK) return fail_in(COVER_ERROR_FORMAT, "%s", file->source.name);
    const int levels = backbone_levels(file->context, &settings->network).count;
    if (settings->objective.heads.count == levels) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s: heads must be %d numbers, one a level", file->source.name, levels);
}

/* Whoever builds the network allocates what the description says: at most a small multiple of what the file holds. */
static cover_status check_size(const cover_config *config, struct tensor_file *file) {
    struct parameters parameters = {.context = file->context};
    int64_t present = 0;
    TRY(pair_parameters(&parameters, file->context, config_settings(config)));
    int64_t claimed = parameters.total;
    parameters_free(&parameters);
    for (int64_t i = 0; i < file->count; i++) present += file->entries[i].elements;
    if (claimed / CLAIM_FACTOR <= present + SMALL_NETWORK / CLAIM_FACTOR) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s: it describes a network of %lld parameters, but holds %lld numbers", file->source.name,
                (long long)claimed, (long long)present);
}

/* Settings that the metadata has. */
static cover_status take_metadata(cover_config *config, const struct tensor_file *file, const struct kept *kept) {
    for (int i = 0; i < kept->count; i++) {
        const char *value = tensor_file_metadata(file, kept->name[i]);
        if (value) TRY(set(config, file, kept->name[i], value));
    }
    return COVER_OK;
}

/* Which backbone, and its settings: from the metadata when all of them are there, else from the tensors. */
static cover_status describe_network(cover_config *config, const struct tensor_file *file, const struct named_shape *shapes,
                                     int64_t count) {
    const char *name = tensor_file_metadata(file, "backbone"), *format = tensor_file_metadata(file, "format");
    const struct backbone *backbone = chosen(config);
    if (name && format && strcmp(format, "libcover") == 0) {
        TRY(set(config, file, "backbone", name));
        backbone = chosen(config);
    }
    const struct kept kept = kept_settings(backbone, false);
    bool known = true;
    for (int i = 0; i < kept.count; i++)
        known = known && (strcmp(kept.name[i], "normalise") == 0 || tensor_file_metadata(file, kept.name[i]));
    return known ? COVER_OK : describe_backbone(config, file, shapes, count);
}

cover_status weights_describe(cover_config *config, struct weights_about *about, struct tensor_file *file) {
    struct weights_name *names;
    int64_t count;
    TRY(check_format(file));
    TRY(weights_names(file, &names, &count));
    const struct named_shape *shapes = shapes_of(file, names, count);
    if (!shapes) return COVER_ERROR_MEMORY;
    bool head = named_shape(shapes, count, "proj.0.proj.weight");
    TRY(describe_network(config, file, shapes, count));
    const struct kept kept = kept_settings(chosen(config), true);
    TRY(take_metadata(config, file, &kept));
    if (!tensor_file_metadata(file, "heads")) TRY(head ? describe_heads(config, file, shapes, count) : default_heads(config, file));
    TRY(describe_grid(config, file, !tensor_file_metadata(file, "radius"), !tensor_file_metadata(file, "coordinates")));
    TRY(check_settings(config, file));
    TRY(check_size(config, file));
    const char *step = tensor_file_metadata(file, "step");
    if (about) *about = (struct weights_about){.head = head, .step = step ? strtoll(step, NULL, 10) : -1};
    return COVER_OK;
}

/* Everything that weights say of a network, for people. */
static cover_status say_settings(const cover_config *config, const struct tensor_file *file) {
    const struct kept kept = kept_settings(chosen(config), true);
    struct text text = {.context = file->context};
    for (int i = 0; i < kept.count; i++)
        text_add(&text, "%s%s=%s", i ? " " : "", kept.name[i], cover_config_get(config, kept.name[i]));
    if (!text.failed) log_line(file->context, COVER_LOG_INFO, "%s: settings of its network: %s", file->source.name, text.data);
    const cover_status status = text.failed ? COVER_ERROR_MEMORY : COVER_OK;
    text_free(&text);
    return status;
}

cover_status cover_weights_config(cover_config **config, cover_context *context, const char *path) {
    if (!config || !context || !path) return fail(COVER_ERROR_ARGUMENT, "cover_weights_config: an argument is NULL");
    struct tensor_file *file;
    cover_config *made;
    TRY(weights_open(&file, context, path));
    cover_status status = config_of_weights(&made, NULL, context, file);
    if (status == COVER_OK) {
        status = say_settings(made, file);
        if (status == COVER_OK) *config = made;
        else cover_config_destroy(made);
    }
    tensor_file_close(file);
    return status;
}

const char *weights_differ_in(const cover_config *config, const cover_config *other, bool head) {
    static const char *const of_head[] = {"heads", "head_dim"};
    const struct backbone *backbone = chosen(other);
    const char *names[BACKBONE_SETTINGS + 5] = {"dims", "channels", "backbone"};
    int count = 3;
    for (int i = 0; i < BACKBONE_SETTINGS && backbone->settings[i]; i++) names[count++] = backbone->settings[i];
    for (int i = 0; head && i < 2; i++) names[count++] = of_head[i];
    for (int i = 0; i < count; i++) {
        const char *left = cover_config_get(config, names[i]), *right = cover_config_get(other, names[i]);
        if (!left || !right || strcmp(left, right) != 0) return names[i];
    }
    return NULL;
}

cover_status config_of_weights(cover_config **made, struct weights_about *about, cover_context *context, struct tensor_file *file) {
    cover_config *config;
    TRY(cover_config_create(&config, context, "paper-2d"));
    cover_status status = weights_describe(config, about, file);
    if (status == COVER_OK && config_settings(config)->network.dims == 3) { /* sizes of three axes come with the other preset */
        cover_config_destroy(config);
        TRY(cover_config_create(&config, context, "paper-3d"));
        status = weights_describe(config, about, file);
    }
    if (status == COVER_OK) *made = config;
    else cover_config_destroy(config);
    return status;
}
