/* What a weight file says about its network: metadata in and out, and what the shapes of the authors' tensors tell
 * where there is none (docs/weights.md).  See weights.h. */
#include "weights.h"

#include "core/base/files.h"
#include "core/method/cover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that stand in the metadata under their own names; `head`: of no use to a backbone alone. */
enum { DIMS, CHANNELS, WIDTHS, NORMALISE, HEADS, HEAD_DIM, RADIUS, COORDINATES, PYRAMID, KEPT };
enum { FIXED = 6, CLAIM_FACTOR = 64, SMALL_NETWORK = 1 << 24 };
static const struct {
    const char *name;
    bool head;
} kept[] = {
    [DIMS] = {"dims", false},      [CHANNELS] = {"channels", false},
    [WIDTHS] = {"widths", false},  [NORMALISE] = {"normalise", false},
    [HEADS] = {"heads", true},     [HEAD_DIM] = {"head_dim", true},
    [RADIUS] = {"radius", true},   [COORDINATES] = {"coordinates", true},
    [PYRAMID] = {"pyramid", true},
};

cover_status weights_metadata(struct arena *arena, struct tensor_pair **out, int64_t *count, const cover_config *config,
                              bool head, int64_t step) {
    struct tensor_pair *pairs = arena_alloc(arena, (FIXED + KEPT) * sizeof *pairs);
    char *version = arena_print(arena, "%d.%d", WEIGHTS_MAJOR, WEIGHTS_MINOR);
    char *updates = arena_print(arena, "%lld", (long long)step);
    int64_t used = 0;
    if (!pairs || !version || !updates) return COVER_ERROR_MEMORY;
    pairs[used++] = (struct tensor_pair){"format", "libcover"};
    pairs[used++] = (struct tensor_pair){"version", version};
    pairs[used++] = (struct tensor_pair){"objective", "cover"};
    pairs[used++] = (struct tensor_pair){"backbone", "unet"};
    pairs[used++] = (struct tensor_pair){"normalisation", "group8"};
    for (int i = 0; i < KEPT; i++) {
        if (kept[i].head && !head) continue;
        const char *value = cover_config_get(config, kept[i].name);
        char *copy = arena_text(arena, value, strlen(value));
        if (!copy) return COVER_ERROR_MEMORY;
        pairs[used++] = (struct tensor_pair){kept[i].name, copy};
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

static const struct tensor_entry *find(const struct weights_name *names, int64_t count, const char *name) {
    for (int64_t i = 0; i < count; i++)
        if (strcmp(names[i].name, name) == 0) return names[i].entry;
    return NULL;
}

/* A file of the authors' model: widths from the first convolution of each stage. */
static cover_status describe_backbone(cover_config *config, const struct tensor_file *file,
                                      const struct weights_name *names, int64_t count) {
    static const char *const stages[] = {"inc",
                                         "down1.maxpool_conv.1",
                                         "down2.maxpool_conv.1",
                                         "down3.maxpool_conv.1",
                                         "down4.maxpool_conv.1",
                                         "up1.conv",
                                         "up2.conv",
                                         "up3.conv",
                                         "up4.conv"};
    char widths[256] = "", number[32];
    size_t used = 0;
    for (int stage = 0; stage < 9; stage++) {
        char name[96];
        snprintf(name, sizeof name, "backbone.%s.double_conv.0.weight", stages[stage]);
        const struct tensor_entry *entry = find(names, count, name);
        if (!entry || (entry->rank != 4 && entry->rank != 5))
            return fail(COVER_ERROR_MISMATCH, "%s: %s is %s, so this is no U-Net of COVER", file->source.name, name,
                        entry ? "no weight of a 2D or 3D convolution" : "missing");
        used += (size_t)snprintf(widths + used, sizeof widths - used, "%s%lld", stage ? "," : "",
                                 (long long)entry->shape[0]);
        if (stage > 0) continue;
        snprintf(number, sizeof number, "%d", entry->rank - 2);
        TRY(set(config, file, "dims", number));
        snprintf(number, sizeof number, "%lld", (long long)entry->shape[1]);
        TRY(set(config, file, "channels", number));
    }
    return set(config, file, "widths", widths);
}

/* Channels of the projections are heads x head_dim; head_dim is the authors' 8 unless the caller or the file says else.
 */
static cover_status describe_heads(cover_config *config, const struct tensor_file *file,
                                   const struct weights_name *names, int64_t count) {
    char heads[256] = "";
    size_t used = 0;
    int64_t head_dim = config_settings(config)->objective.head_dim;
    for (int level = 0; level < 5; level++) {
        char name[96];
        snprintf(name, sizeof name, "proj.%d.proj.weight", level);
        const struct tensor_entry *entry = find(names, count, name);
        if (!entry || entry->rank < 1 || entry->shape[0] < 1 || entry->shape[0] % head_dim != 0)
            return fail(COVER_ERROR_MISMATCH, "%s: %s is missing, or its channels are no multiple of head_dim=%lld",
                        file->source.name, name, (long long)head_dim);
        used += (size_t)snprintf(heads + used, sizeof heads - used, "%s%lld", level ? "," : "",
                                 (long long)(entry->shape[0] / head_dim));
    }
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
        return fail(COVER_ERROR_UNSUPPORTED,
                    "%s: weights of format %.16s, but libcover %s reads up to %d; use a newer libcover",
                    file->source.name, version, cover_version(), WEIGHTS_MAJOR);
    if (backbone && strcmp(backbone, "unet") != 0)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: metadata: backbone '%.32s' is not known; this libcover has unet",
                    file->source.name, backbone);
    return COVER_OK;
}

static cover_status check_counts(const cover_config *config, const struct tensor_file *file) {
    const struct settings *settings = config_settings(config);
    bool sound = settings->network.widths.count == 9 && settings->objective.heads.count == 5;
    for (int i = 0; sound && i < 9; i++) sound = settings->network.widths.value[i] % 8 == 0;
    return sound ? COVER_OK
                 : fail(COVER_ERROR_FORMAT, "%s: widths must be nine multiples of 8 and heads five numbers",
                        file->source.name);
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
    return fail(COVER_ERROR_FORMAT, "%s: it describes a network of %lld parameters, but holds %lld numbers",
                file->source.name, (long long)claimed, (long long)present);
}

cover_status weights_describe(cover_config *config, struct weights_about *about, struct tensor_file *file) {
    struct weights_name *names;
    int64_t count;
    bool known[KEPT];
    TRY(check_format(file));
    TRY(weights_names(file, &names, &count));
    bool head = find(names, count, "proj.0.proj.weight");
    for (int i = 0; i < KEPT; i++) known[i] = tensor_file_metadata(file, kept[i].name);
    if (!known[DIMS] || !known[CHANNELS] || !known[WIDTHS]) TRY(describe_backbone(config, file, names, count));
    for (int i = 0; i < KEPT; i++)
        if (known[i]) TRY(set(config, file, kept[i].name, tensor_file_metadata(file, kept[i].name)));
    if (head && !known[HEADS]) TRY(describe_heads(config, file, names, count));
    TRY(describe_grid(config, file, !known[RADIUS], !known[COORDINATES]));
    TRY(check_counts(config, file));
    TRY(check_size(config, file));
    const char *step = tensor_file_metadata(file, "step");
    if (about) *about = (struct weights_about){.head = head, .step = step ? strtoll(step, NULL, 10) : -1};
    return COVER_OK;
}
