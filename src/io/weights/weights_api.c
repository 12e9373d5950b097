/* Public calls on weight files: convert and info (libcover/weights.h). */
#include <libcover/weights.h>

#include "core/base/files.h"
#include "core/nn/backbone.h"
#include "safetensors.h"
#include "tensor_hash.h"
#include "weights.h"

#include <string.h>

/* ---- JSON about a file */

/* A list as an array, a choice as text, a number as it is. */
static void add_setting(struct text *json, const cover_config *config, const char *name) {
    const cover_config_key *key;
    for (int i = 0; (key = cover_config_key_at(i)) && strcmp(key->name, name) != 0;) i++;
    const char *quotes[2] = {"\"", "\""};
    if (key && strcmp(key->kind, "list") == 0) quotes[0] = "[", quotes[1] = "]";
    else if (key && (strcmp(key->kind, "integer") == 0 || strcmp(key->kind, "number") == 0)) quotes[0] = quotes[1] = "";
    text_add(json, ", \"%s\": %s%s%s", name, quotes[0], cover_config_get(config, name), quotes[1]);
}

/* "network": what the file says, or null when it holds no network of COVER. */
static void add_network(struct text *json, const cover_config *config, bool known, bool head) {
    static const char *const numbers[] = {"dims", "channels"}, *const head_numbers[] = {"head_dim", "radius"};
    text_add(json, "\"network\": ");
    if (!known) {
        text_add(json, "null");
        return;
    }
    const struct backbone *backbone = backbone_of(config_context(config), &config_settings(config)->network);
    text_add(json, "{\"backbone\": \"%s\"", backbone->name);
    for (int i = 0; i < 2; i++) text_add(json, ", \"%s\": %s", numbers[i], cover_config_get(config, numbers[i]));
    for (int i = 0; i < BACKBONE_SETTINGS && backbone->settings[i]; i++) add_setting(json, config, backbone->settings[i]);
    text_add(json, ", \"head\": %s", head ? "true" : "false");
    if (head) {
        text_add(json, ", \"heads\": [%s]", cover_config_get(config, "heads"));
        for (int i = 0; i < 2; i++) text_add(json, ", \"%s\": %s", head_numbers[i], cover_config_get(config, head_numbers[i]));
        text_add(json, ", \"coordinates\": \"%s\"", cover_config_get(config, "coordinates"));
    }
    text_add(json, "}");
}

static void add_totals(struct text *json, const struct tensor_file *file) {
    int64_t elements = 0;
    uint64_t bytes = 0;
    for (int64_t i = 0; i < file->count; i++) elements += file->entries[i].elements, bytes += file->entries[i].bytes;
    text_add(json, "\"parameters\": %lld, \"bytes\": %llu", (long long)elements, (unsigned long long)bytes);
}

/* Describe into a fresh config; known: is it a network of COVER?  Any other trouble is an error. */
static cover_status describe(cover_config **out, bool *known, struct weights_about *about, struct tensor_file *file) {
    cover_config *config;
    TRY(cover_config_create(&config, file->context, NULL));
    cover_status status = weights_describe(config, about, file);
    *known = status == COVER_OK;
    if (status == COVER_ERROR_MISMATCH) status = COVER_OK;
    if (status == COVER_OK) *out = config;
    else cover_config_destroy(config);
    return status;
}

cover_status cover_weights_info(char **info, cover_context *context, const char *path) {
    if (!context || !path || !info) return fail(COVER_ERROR_ARGUMENT, "cover_weights_info: an argument is NULL");
    struct tensor_file *file = NULL;
    cover_config *config = NULL;
    struct weights_about about = {0};
    bool known;
    struct text json = {.context = context};
    cover_status status = weights_open(&file, context, path);
    if (status == COVER_OK) status = describe(&config, &known, &about, file);
    if (status != COVER_OK) goto done;
    text_add(&json, "{\"path\": ");
    text_add_json(&json, file->source.name);
    text_add(&json, ", \"format\": \"%s\", \"metadata\": {", file->format->name);
    for (int64_t i = 0; i < file->metadata_count; i++) {
        text_add(&json, "%s", i ? ", " : "");
        text_add_json(&json, file->metadata[i].key);
        text_add(&json, ": ");
        text_add_json(&json, file->metadata[i].value);
    }
    text_add(&json, "}, ");
    add_network(&json, config, known, about.head);
    text_add(&json, ", ");
    add_totals(&json, file);
    text_add(&json, ", \"tensors\": [");
    for (int64_t i = 0; i < file->count; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        text_add(&json, "%s{\"name\": ", i ? ", " : "");
        text_add_json(&json, entry->name);
        text_add(&json, ", \"dtype\": \"%s\", \"shape\": [", tensor_types[entry->type].name);
        for (int axis = 0; axis < entry->rank; axis++) text_add(&json, "%s%lld", axis ? ", " : "", (long long)entry->shape[axis]);
        text_add(&json, "]}");
    }
    text_add(&json, "]}");
    status = text_take(&json, info);
done:
    text_free(&json);
    cover_config_destroy(config);
    tensor_file_close(file);
    return status;
}

/* ---- convert */

/* Our metadata when it is a network of ours; then the file's own pairs whose keys are free. */
static cover_status merge_metadata(struct tensor_file *file, const cover_config *config, bool known,
                                   const struct weights_about *about, struct tensor_pair **out, int64_t *out_count) {
    struct tensor_pair *ours = NULL;
    int64_t count = 0;
    const struct weights_origin origin = weights_origin(file); /* a task's weights stay a task's */
    if (known)
        TRY(weights_metadata(&file->arena, &ours, &count, config, about->head, about->step, origin.objective ? &origin : NULL));
    struct tensor_pair *pairs = arena_alloc(&file->arena, (size_t)(count + file->metadata_count) * sizeof *pairs);
    if (!pairs) return COVER_ERROR_MEMORY;
    if (count) memcpy(pairs, ours, (size_t)count * sizeof *pairs);
    *out_count = count;
    for (int64_t i = 0; i < file->metadata_count; i++) {
        bool taken = false;
        for (int64_t k = 0; k < count; k++) taken = taken || strcmp(ours[k].key, file->metadata[i].key) == 0;
        if (!taken) pairs[(*out_count)++] = file->metadata[i];
    }
    *out = pairs;
    return COVER_OK;
}

/* A network of ours under its names, in their order, with the authors' buffer; any other file as it is. */
static cover_status list_outputs(struct tensor_file *file, bool known, struct tensor_output **out, int64_t *count) {
    struct weights_name *names;
    int64_t named = 0;
    if (known) TRY(weights_names(file, &names, &named));
    int64_t total = known ? named : file->count;
    struct tensor_output *outputs = arena_alloc(&file->arena, (size_t)(total + 1) * sizeof *outputs);
    if (!outputs) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < total; i++) {
        const struct tensor_entry *entry = known ? names[i].entry : &file->entries[i];
        outputs[i] = (struct tensor_output){.name = known ? names[i].name : entry->name,
                                            .type = entry->type,
                                            .rank = entry->rank,
                                            .shape = entry->shape,
                                            .file = file,
                                            .entry = entry};
    }
    *out = outputs, *count = total;
    return COVER_OK;
}

static void add_left_out(struct text *json, const struct tensor_file *file) {
    text_add(json, "\"left_out\": {");
    for (int64_t i = 0; i < file->left_count; i++) {
        text_add(json, "%s", i ? ", " : "");
        text_add_json(json, file->left_out[i].key);
        text_add(json, ": %lld", (long long)file->left_out[i].tensors);
    }
    text_add(json, "}");
}

/* Damage must not get a hash of its own: all of the file is compared with the hash in it, whatever is taken of it. */
static cover_status open_sound(struct tensor_file **out, cover_context *context, const char *input, const char *key) {
    struct tensor_file *file;
    TRY(tensor_file_open(&file, context, input));
    const cover_status status = tensor_hash_verify(file, NULL);
    if (status == COVER_OK && !key) *out = file;
    else tensor_file_close(file);
    return status == COVER_OK && key ? tensor_file_open_under(out, context, input, key) : status;
}

cover_status cover_weights_convert(char **summary, cover_context *context, const char *input, const char *output,
                                   const cover_convert_options *given) {
    cover_convert_options options = COVER_CONVERT_OPTIONS_INIT;
    TRY(options_read(&options, sizeof options, given, "cover_convert_options"));
    if (!context || !input || !output) return fail(COVER_ERROR_ARGUMENT, "cover_weights_convert: an argument is NULL");
    if (!has_suffix(output, ".safetensors")) return fail(COVER_ERROR_ARGUMENT, "%s: the output must end in .safetensors", output);
    struct tensor_file *file = NULL;
    cover_config *config = NULL;
    struct weights_about about = {0};
    struct tensor_output *outputs;
    struct tensor_pair *pairs;
    struct weights_grid grid = {0};
    struct text json = {.context = context};
    char *text = NULL;
    int64_t count, pair_count;
    bool known;
    cover_status status = COVER_OK;
    GO(output_is_not(output, input));
    GO(temporaries_remove_beside(context, output));
    GO(open_sound(&file, context, input, options.key));
    GO(describe(&config, &known, &about, file));
    GO(list_outputs(file, known, &outputs, &count));
    if (about.head) {
        GO(weights_grid(&grid, context, config));
        outputs[count++] = grid.output;
    }
    GO(merge_metadata(file, config, known, &about, &pairs, &pair_count));
    text_add(&json, "{\"input\": ");
    text_add_json(&json, input);
    text_add(&json, ", \"output\": ");
    text_add_json(&json, output);
    text_add(&json, ", \"format\": \"%s\", \"tensors\": %lld, ", file->format->name, (long long)count);
    add_totals(&json, file);
    text_add(&json, ", ");
    add_network(&json, config, known, about.head);
    text_add(&json, ", ");
    add_left_out(&json, file);
    text_add(&json, "}");
    GO(text_take(&json, &text));
    GO(safetensors_write(context, output, outputs, count, pairs, pair_count));
    if (summary) {
        *summary = text;
        text = NULL;
    }
done:
    memory_free(context, text);
    text_free(&json);
    memory_free(context, grid.values);
    cover_config_destroy(config);
    tensor_file_close(file);
    return status;
}
