/* Checkpoints: writing and reading one sealed HDF5 file, and its row in the table of tensor files.  See checkpoint.h.
 */
#include "checkpoint.h"

#include "core/nn/backbone.h"
#include "io/bytes/h5_tree.h"
#include "io/bytes/seal.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

static const char format_name[] = "checkpoint";
static const char *const groups[] = {"weights", "optimiser/m", "optimiser/v"};
enum { GROUPS = 3, TEXTS = 4, NUMBERS = 3, PATH_BYTES = 1280 };

/* ---- writing */

/* Rows that have a place in this group: moments have only those that are trained. */
static int rows_in(int group, const struct parameters *parameters) {
    int rows = 0;
    while (rows < parameters->count && (group == 0 || parameter_trained(parameters, rows))) rows++;
    return rows;
}

/* An array of a checkpoint in the making. */
static struct h5_array *add_array(struct h5_tree *made, cover_dtype dtype, const void *data, uint64_t bytes) {
    struct h5_array *array = &made->arrays[made->count++];
    *array = (struct h5_array){.dtype = dtype, .data = data, .bytes = bytes};
    return array;
}

static cover_status add_tensors(struct h5_tree *made, int group, const struct parameters *parameters, const float *flat) {
    for (int i = 0, rows = rows_in(group, parameters); i < rows; i++) {
        const struct parameter *row = &parameters->rows[i];
        struct h5_array *array = add_array(made, COVER_F32, flat + row->offset, (uint64_t)row->count * sizeof *flat);
        array->rank = row->rank;
        memcpy(array->shape, row->shape, (size_t)row->rank * sizeof *row->shape);
        array->path = arena_print(&made->arena, "%s/%s", groups[group], row->name);
        if (!array->path) return COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

static cover_status add_all(struct h5_tree *made, const struct checkpoint *checkpoint) {
    const struct {
        const char *path, *text;
    } texts[TEXTS] = {{"backbone", checkpoint->backbone},
                      {"objective", checkpoint->objective},
                      {"config", checkpoint->config},
                      {"dataset_hash", checkpoint->dataset_hash}};
    const struct {
        const char *path;
        const int64_t *number;
    } numbers[NUMBERS] = {{"step", &checkpoint->step}, {"updates", &checkpoint->updates}, {"seed", &checkpoint->seed}};
    const float *const flats[GROUPS] = {checkpoint->weights, checkpoint->m, checkpoint->v};
    for (int i = 0; i < TEXTS; i++) {
        const size_t length = strlen(texts[i].text); /* an empty one is one NUL: HDF5 has none of length 0 */
        struct h5_array *array = add_array(made, COVER_U8, texts[i].text, length ? length : 1);
        array->path = texts[i].path, array->is_text = true;
    }
    for (int i = 0; i < NUMBERS; i++)
        add_array(made, COVER_I64, numbers[i].number, sizeof *numbers[i].number)->path = numbers[i].path;
    for (int i = 0; i < GROUPS; i++) TRY(add_tensors(made, i, checkpoint->parameters, flats[i]));
    for (int i = 0; i < checkpoint->state_count; i++) {
        const struct checkpoint_state *state = &checkpoint->states[i];
        struct h5_array *array = add_array(made, COVER_U8, state->data, (uint64_t)state->bytes);
        array->rank = 1, array->shape[0] = state->bytes;
        array->path = arena_print(&made->arena, "state/%s", state->name);
        if (!array->path) return COVER_ERROR_MEMORY;
    }
    return COVER_OK;
}

cover_status checkpoint_write(cover_context *context, const char *path, const struct checkpoint *checkpoint) {
    struct h5_tree made = {.arena = {.context = context}};
    const int64_t most = TEXTS + NUMBERS + (int64_t)GROUPS * checkpoint->parameters->count + checkpoint->state_count;
    cover_status status = COVER_OK;
    GO(array_grow(context, &made.arrays, &made.capacity, most, sizeof *made.arrays) ? COVER_OK : COVER_ERROR_MEMORY);
    GO(add_all(&made, checkpoint));
    GO(h5_tree_write(context, path, format_name, CHECKPOINT_MAJOR, CHECKPOINT_MINOR, made.arrays, made.count));
done:
    h5_tree_free(&made);
    return status;
}

/* ---- reading */

static const struct h5_array *find(const struct checkpoint_file *file, char path[PATH_BYTES], const char *group, const char *name) {
    snprintf(path, PATH_BYTES, "%s/%s", group, name);
    return h5_tree_find(&file->tree, path);
}

static cover_status read_text(const struct checkpoint_file *file, const char *name, char **text) {
    const struct h5_array *array = h5_tree_find(&file->tree, name);
    if (!array || !array->is_text) return fail(COVER_ERROR_FORMAT, "%s: '%s' is missing or no text", file->path, name);
    *text = memory_zero(file->context, array->bytes + 1);
    if (!*text) return fail_in(COVER_ERROR_MEMORY, "%s", file->path);
    memcpy(*text, array->data, array->bytes);
    return COVER_OK;
}

static cover_status read_number(const struct checkpoint_file *file, const char *name, int64_t *number) {
    const struct h5_array *array = h5_tree_find(&file->tree, name);
    if (!array || array->dtype != COVER_I64 || array->rank != 0)
        return fail(COVER_ERROR_FORMAT, "%s: '%s' is missing or no whole number", file->path, name);
    memcpy(number, array->data, sizeof *number);
    return COVER_OK;
}

/* Another backbone than ours would be refused anyway, but for settings that we do not know. */
static cover_status check_backbone(const struct checkpoint_file *file) {
    const struct backbone *backbone;
    char *name;
    TRY(read_text(file, "backbone", &name));
    cover_status status = backbone_find(&backbone, file->context, name);
    memory_free(file->context, name);
    return status == COVER_OK ? status : fail_in(status, "%s", file->path);
}

static cover_status read_file(struct checkpoint_file *file, const struct source *source) {
    struct seal seal;
    file->path = memory_text(file->context, source->name);
    if (!file->path) return COVER_ERROR_MEMORY;
    TRY(seal_read(&seal, source, format_name, CHECKPOINT_MAJOR));
    if (seal.begin != SEAL_BYTES || seal.bytes != seal.file_bytes - SEAL_BYTES)
        return fail(COVER_ERROR_FORMAT, "%s: its seal covers only a part of the file", file->path);
    TRY(seal_load(&file->content, &seal, file->context, source));
    TRY(h5_tree_read(&file->tree, file->path, file->content, seal.bytes));
    TRY(check_backbone(file));
    TRY(read_text(file, "config", &file->config));
    TRY(read_text(file, "dataset_hash", &file->dataset_hash));
    TRY(read_text(file, "objective", &file->objective));
    TRY(read_number(file, "step", &file->step));
    TRY(read_number(file, "updates", &file->updates));
    return read_number(file, "seed", &file->seed);
}

static cover_status open_source(struct checkpoint_file **out, cover_context *context, const struct source *source) {
    struct checkpoint_file *file = memory_zero(context, sizeof *file);
    if (!file) return COVER_ERROR_MEMORY;
    file->context = file->tree.arena.context = context;
    const cover_status status = read_file(file, source);
    if (status == COVER_OK) *out = file;
    else checkpoint_close(file);
    return status;
}

cover_status checkpoint_open(struct checkpoint_file **file, cover_context *context, const char *path) {
    struct source source;
    TRY(source_open(&source, path));
    const cover_status status = open_source(file, context, &source);
    source_close(&source);
    return status;
}

void checkpoint_close(struct checkpoint_file *file) {
    if (!file) return;
    h5_tree_free(&file->tree);
    memory_free(file->context, file->content);
    memory_free(file->context, file->objective);
    memory_free(file->context, file->dataset_hash);
    memory_free(file->context, file->config);
    memory_free(file->context, file->path);
    memory_free(file->context, file);
}

static cover_status read_tensors(const struct checkpoint_file *file, int group, const struct parameters *parameters, float *flat) {
    char path[PATH_BYTES];
    for (int i = 0, rows = rows_in(group, parameters); i < rows; i++) {
        const struct parameter *row = &parameters->rows[i];
        const struct h5_array *array = find(file, path, groups[group], row->name);
        const bool same = array && array->dtype == COVER_F32 && array->rank == row->rank &&
                          memcmp(array->shape, row->shape, (size_t)row->rank * sizeof *row->shape) == 0;
        if (!same)
            return fail(COVER_ERROR_MISMATCH, "%s: array '%s' %s; it belongs to another network", file->path, path,
                        array ? "has another type or shape than expected" : "is missing");
        memcpy(flat + row->offset, array->data, array->bytes);
    }
    return COVER_OK;
}

cover_status checkpoint_read(struct checkpoint_file *file, const struct parameters *parameters, float *weights, float *m,
                             float *v) {
    float *const flats[GROUPS] = {weights, m, v};
    for (int i = 0; i < GROUPS; i++)
        if (flats[i]) TRY(read_tensors(file, i, parameters, flats[i]));
    return COVER_OK;
}

cover_status checkpoint_read_state(struct checkpoint_file *file, const char *name, uint8_t **data, int64_t *bytes) {
    char path[PATH_BYTES];
    const struct h5_array *array = find(file, path, "state", name);
    if (!array) return fail(COVER_ERROR_MISMATCH, "%s: '%s' is missing; it belongs to another objective", file->path, path);
    if (array->dtype != COVER_U8 || array->rank != 1)
        return fail(COVER_ERROR_FORMAT, "%s: '%s' is no row of bytes", file->path, path);
    uint8_t *state = memory_copy(file->context, array->data, array->bytes);
    if (!state) return fail_in(COVER_ERROR_MEMORY, "%s", file->path);
    *data = state, *bytes = (int64_t)array->bytes;
    return COVER_OK;
}

/* ---- the row of tensor_formats[]: the weights of a checkpoint, and what its settings say about the network */

static bool detect(const uint8_t *head, size_t bytes, const char *path) {
    char sealed[SEAL_FORMAT_BYTES];
    (void)path;
    seal_format(sealed, head, bytes);
    return strcmp(sealed, format_name) == 0;
}

/* Entries are the arrays "weights/NAME": `place` is the index in the tree. */
static cover_status list_weights(struct tensor_file *file) {
    const struct checkpoint_file *checkpoint = file->state;
    const struct h5_tree *tree = &checkpoint->tree;
    file->entries = arena_alloc(&file->arena, (size_t)tree->count * sizeof *file->entries);
    if (!file->entries) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < tree->count; i++) {
        const struct h5_array *array = &tree->arrays[i];
        const size_t prefix = strlen(groups[0]);
        if (strncmp(array->path, groups[0], prefix) != 0 || array->path[prefix] != '/') continue;
        if (array->dtype != COVER_F32) return fail(COVER_ERROR_FORMAT, "%s: '%s' is not float32", checkpoint->path, array->path);
        struct tensor_entry *entry = &file->entries[file->count++];
        *entry =
            (struct tensor_entry){.name = array->path + prefix + 1, .type = TENSOR_F32, .rank = array->rank, .place = (uint64_t)i};
        memcpy(entry->shape, array->shape, (size_t)array->rank * sizeof *array->shape);
        TRY(tensor_entry_measure(entry, checkpoint->path));
    }
    if (file->count == 0) return fail(COVER_ERROR_FORMAT, "%s: '%s' is missing", checkpoint->path, groups[0]);
    return COVER_OK;
}

/* The metadata that a weight file of the same settings has. */
static cover_status derive_metadata(struct tensor_file *file) {
    const struct checkpoint_file *checkpoint = file->state;
    cover_config *config = NULL;
    bool task = strcmp(checkpoint->objective, OBJECTIVE_OF_TASKS) == 0; /* every value of the preset is in the object */
    cover_status status = cover_config_create(&config, file->context, task ? "seg-2d" : NULL);
    if (status == COVER_OK) status = cover_config_read_json(config, checkpoint->config);
    if (status != COVER_OK && status != COVER_ERROR_MEMORY)
        status = fail(COVER_ERROR_FORMAT, "%s: config: %.512s", checkpoint->path, cover_error_text());
    if (status == COVER_OK)
        status = weights_metadata(&file->arena, &file->metadata, &file->metadata_count, config, !task, checkpoint->step, NULL);
    cover_config_destroy(config);
    return status;
}

static cover_status open_file(struct tensor_file *file) {
    struct checkpoint_file *checkpoint = NULL;
    TRY(open_source(&checkpoint, file->context, &file->source));
    file->state = checkpoint;
    TRY(list_weights(file));
    return derive_metadata(file);
}

static cover_status read_tensor(struct tensor_file *file, const struct tensor_entry *entry, void *out) {
    const struct checkpoint_file *checkpoint = file->state;
    memcpy(out, checkpoint->tree.arrays[entry->place].data, entry->bytes);
    return COVER_OK;
}

static void close_file(struct tensor_file *file) { checkpoint_close(file->state); }

const struct tensor_format checkpoint_format = {"checkpoint", detect, open_file, read_tensor, close_file};
