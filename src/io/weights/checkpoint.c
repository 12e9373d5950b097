/* Checkpoints: writing and reading one sealed HDF5 file, and its row in the table of tensor files.  See checkpoint.h.
 */
#include "checkpoint.h"

#include "core/nn/backbone.h"
#include "io/bytes/hdf5.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

static const char format_name[] = "checkpoint";
static const char *const groups[] = {"weights", "optimiser/m", "optimiser/v"};
enum { GROUPS = 3, PATH_BYTES = 1280 };

static void array_path(char path[PATH_BYTES], const char *group, const char *name) {
    snprintf(path, PATH_BYTES, "%s/%s", group, name);
}

/* ---- writing */

static cover_status write_number(hid_t file, const char *name, int64_t number) {
    return hdf5_write(file, name, COVER_I64, 0, NULL, &number);
}

/* Rows that have a place in this group: moments have only those that are trained. */
static int rows_in(int group, const struct parameters *parameters) {
    int rows = 0;
    while (rows < parameters->count && (group == 0 || parameter_trained(parameters, rows))) rows++;
    return rows;
}

static cover_status write_tensors(hid_t file, int group, const struct parameters *parameters, const float *flat) {
    char path[PATH_BYTES];
    for (int i = 0, rows = rows_in(group, parameters); i < rows; i++) {
        const struct parameter *row = &parameters->rows[i];
        array_path(path, groups[group], row->name);
        TRY(hdf5_write(file, path, COVER_F32, row->rank, row->shape, flat + row->offset));
    }
    return COVER_OK;
}

static cover_status write_all(hid_t file, const struct checkpoint *checkpoint) {
    const float *const flats[GROUPS] = {checkpoint->weights, checkpoint->m, checkpoint->v};
    char path[PATH_BYTES];
    TRY(hdf5_write_text(file, "backbone", checkpoint->backbone));
    TRY(hdf5_write_text(file, "objective", checkpoint->objective));
    TRY(hdf5_write_text(file, "config", checkpoint->config));
    TRY(hdf5_write_text(file, "dataset_hash", checkpoint->dataset_hash));
    TRY(write_number(file, "step", checkpoint->step));
    TRY(write_number(file, "updates", checkpoint->updates));
    TRY(write_number(file, "seed", checkpoint->seed));
    for (int i = 0; i < GROUPS; i++) TRY(write_tensors(file, i, checkpoint->parameters, flats[i]));
    for (int i = 0; i < checkpoint->state_count; i++) {
        const struct checkpoint_state *state = &checkpoint->states[i];
        array_path(path, "state", state->name);
        TRY(hdf5_write(file, path, COVER_U8, 1, &state->bytes, state->data));
    }
    return COVER_OK;
}

cover_status checkpoint_write(cover_context *context, const char *path, const struct checkpoint *checkpoint) {
    struct hdf5_guard guard;
    hid_t file = -1;
    hdf5_begin(&guard);
    cover_status status = hdf5_image_create(&file);
    if (status == COVER_OK) status = write_all(file, checkpoint);
    if (status == COVER_OK) status = hdf5_image_save(file, context, path, format_name, CHECKPOINT_MAJOR, CHECKPOINT_MINOR);
    if (file >= 0) H5Fclose(file);
    hdf5_end(&guard);
    return status;
}

/* ---- reading; the hash shows damage but not intent, so arrays may neither live in other files nor claim more than is
 * here */

/* Every link on the way must be in this very file. */
static bool links_are_hard(hid_t file, const char *path) {
    char part[PATH_BYTES];
    size_t length = strlen(path);
    for (size_t i = 1; i <= length && length < sizeof part; i++) {
        H5L_info_t about;
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (H5Lget_info(file, part, &about, H5P_DEFAULT) < 0 || about.type != H5L_TYPE_HARD) return false;
    }
    return length > 0 && length < sizeof part;
}

/* Written in one piece within the file, as checkpoint_write() does? */
static bool is_plain(hid_t file, const char *path) {
    if (!links_are_hard(file, path)) return false;
    hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT), list = dataset < 0 ? -1 : H5Dget_create_plist(dataset),
          space = dataset < 0 ? -1 : H5Dget_space(dataset), type = dataset < 0 ? -1 : H5Dget_type(dataset);
    bool plain = list >= 0 && space >= 0 && type >= 0 && H5Pget_layout(list) == H5D_CONTIGUOUS &&
                 H5Pget_external_count(list) == 0 &&
                 H5Dget_storage_size(dataset) == (hsize_t)H5Sget_simple_extent_npoints(space) * H5Tget_size(type);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (list >= 0) H5Pclose(list);
    if (dataset >= 0) H5Dclose(dataset);
    return plain;
}

static cover_status check_plain(const struct checkpoint_file *file, const char *path) {
    return is_plain(file->handle, path)
               ? COVER_OK
               : fail(COVER_ERROR_FORMAT, "%s: '%s' is missing or not stored as a checkpoint stores it", file->path, path);
}

static cover_status read_text(struct checkpoint_file *file, const char *name, char **text) {
    TRY(check_plain(file, name));
    cover_status status = hdf5_read_text(file->handle, file->context, name, text);
    return status == COVER_OK ? status : fail_in(status, "%s", file->path);
}

static cover_status read_number(struct checkpoint_file *file, const char *name, int64_t *number) {
    TRY(check_plain(file, name));
    cover_status status = hdf5_read(file->handle, name, COVER_I64, 0, NULL, number);
    return status == COVER_OK ? status : fail_in(status, "%s", file->path);
}

/* Another backbone than ours would be refused anyway, but for settings that we do not know. */
static cover_status check_backbone(struct checkpoint_file *file) {
    const struct backbone *backbone;
    char *name;
    TRY(read_text(file, "backbone", &name));
    cover_status status = backbone_find(&backbone, file->context, name);
    memory_free(file->context, name);
    return status == COVER_OK ? status : fail_in(status, "%s", file->path);
}

static cover_status open_locked(struct checkpoint_file *file) {
    hid_t handle;
    TRY(hdf5_sealed_open(&handle, file->context, file->path, format_name, CHECKPOINT_MAJOR));
    file->handle = handle;
    TRY(check_backbone(file));
    TRY(read_text(file, "config", &file->config));
    TRY(read_text(file, "dataset_hash", &file->dataset_hash));
    TRY(read_text(file, "objective", &file->objective));
    TRY(read_number(file, "step", &file->step));
    TRY(read_number(file, "updates", &file->updates));
    return read_number(file, "seed", &file->seed);
}

cover_status checkpoint_open(struct checkpoint_file **out, cover_context *context, const char *path) {
    struct checkpoint_file *file = memory_zero(context, sizeof *file);
    if (!file) return COVER_ERROR_MEMORY;
    file->context = context;
    file->handle = -1;
    file->path = memory_text(context, path);
    cover_status status = file->path ? COVER_OK : COVER_ERROR_MEMORY;
    if (status == COVER_OK) {
        struct hdf5_guard guard;
        hdf5_begin(&guard);
        status = open_locked(file);
        hdf5_end(&guard);
    }
    if (status == COVER_OK) *out = file;
    else checkpoint_close(file);
    return status;
}

void checkpoint_close(struct checkpoint_file *file) {
    if (!file) return;
    if (file->handle >= 0) {
        struct hdf5_guard guard;
        hdf5_begin(&guard);
        H5Fclose(file->handle);
        hdf5_end(&guard);
    }
    memory_free(file->context, file->objective);
    memory_free(file->context, file->dataset_hash);
    memory_free(file->context, file->config);
    memory_free(file->context, file->path);
    memory_free(file->context, file);
}

static cover_status read_tensors(struct checkpoint_file *file, int group, const struct parameters *parameters, float *flat) {
    char path[PATH_BYTES];
    for (int i = 0, rows = rows_in(group, parameters); i < rows; i++) {
        const struct parameter *row = &parameters->rows[i];
        array_path(path, groups[group], row->name);
        TRY(check_plain(file, path));
        if (hdf5_read(file->handle, path, COVER_F32, row->rank, row->shape, flat + row->offset) != COVER_OK)
            return fail(COVER_ERROR_MISMATCH, "%s: %s; it belongs to another network", file->path, cover_error_text());
    }
    return COVER_OK;
}

cover_status checkpoint_read(struct checkpoint_file *file, const struct parameters *parameters, float *weights, float *m,
                             float *v) {
    float *const flats[GROUPS] = {weights, m, v};
    cover_status status = COVER_OK;
    struct hdf5_guard guard;
    hdf5_begin(&guard);
    for (int i = 0; i < GROUPS && status == COVER_OK; i++)
        if (flats[i]) status = read_tensors(file, i, parameters, flats[i]);
    hdf5_end(&guard);
    return status;
}

static cover_status read_state(struct checkpoint_file *file, const char *path, uint8_t **data, int64_t *bytes) {
    int64_t shape[COVER_MAX_RANK];
    cover_dtype dtype;
    int rank;
    if (!hdf5_has(file->handle, path))
        return fail(COVER_ERROR_MISMATCH, "%s: '%s' is missing; it belongs to another objective", file->path, path);
    TRY(check_plain(file, path));
    TRY(hdf5_shape(file->handle, path, &dtype, &rank, shape));
    if (dtype != COVER_U8 || rank != 1) return fail(COVER_ERROR_FORMAT, "%s: '%s' is no row of bytes", file->path, path);
    uint8_t *state = memory_alloc(file->context, (size_t)shape[0]);
    if (!state) return COVER_ERROR_MEMORY;
    cover_status status = hdf5_read(file->handle, path, COVER_U8, 1, shape, state);
    if (status == COVER_OK) *data = state, *bytes = shape[0];
    else memory_free(file->context, state);
    return status;
}

cover_status checkpoint_read_state(struct checkpoint_file *file, const char *name, uint8_t **data, int64_t *bytes) {
    char path[PATH_BYTES];
    struct hdf5_guard guard;
    array_path(path, "state", name);
    hdf5_begin(&guard);
    cover_status status = read_state(file, path, data, bytes);
    hdf5_end(&guard);
    return status;
}

/* ---- the row of tensor_formats[]: the weights of a checkpoint, and what its settings say about the network */

static bool detect(const uint8_t *head, size_t bytes, const char *path) {
    char sealed[16];
    if (bytes < 5 || memcmp(head, "COVER", 5) != 0) return false;
    seal_peek(path, sealed);
    return strcmp(sealed, format_name) == 0;
}

static cover_status add_array(struct tensor_file *file, const char *name) {
    const struct checkpoint_file *checkpoint = file->state;
    struct tensor_entry *entry = &file->entries[file->count];
    char path[PATH_BYTES];
    int64_t shape[COVER_MAX_RANK];
    cover_dtype dtype;
    array_path(path, groups[0], name);
    TRY(check_plain(checkpoint, path));
    TRY(hdf5_shape(checkpoint->handle, path, &dtype, &entry->rank, shape));
    if (dtype != COVER_F32) return fail(COVER_ERROR_FORMAT, "%s: '%s' is not float32", checkpoint->path, path);
    memcpy(entry->shape, shape, (size_t)entry->rank * sizeof *shape);
    entry->type = TENSOR_F32;
    entry->name = arena_text(&file->arena, name, strlen(name));
    if (!entry->name) return COVER_ERROR_MEMORY;
    TRY(tensor_entry_measure(entry, checkpoint->path));
    file->count++;
    return COVER_OK;
}

/* What libhdf5 calls for each link of a group, by name; non-zero ends the walk. */
struct walk {
    struct tensor_file *file;
    int64_t links;
    cover_status status;
};
static herr_t count_link(hid_t group, const char *name, const H5L_info_t *about, void *data) {
    struct walk *walk = data;
    (void)group, (void)name, (void)about;
    walk->links++;
    return 0;
}
static herr_t add_link(hid_t group, const char *name, const H5L_info_t *about, void *data) {
    struct walk *walk = data;
    (void)group, (void)about;
    walk->status = add_array(walk->file, name);
    return walk->status != COVER_OK;
}

static cover_status list_weights(struct tensor_file *file) {
    const struct checkpoint_file *checkpoint = file->state;
    struct walk walk = {.file = file};
    if (!links_are_hard(checkpoint->handle, groups[0]))
        return fail(COVER_ERROR_FORMAT, "%s: '%s' is missing", checkpoint->path, groups[0]);
    hid_t group = H5Gopen2(checkpoint->handle, groups[0], H5P_DEFAULT);
    if (group < 0 || H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, count_link, &walk) < 0) {
        walk.status = hdf5_fail(COVER_ERROR_FORMAT, checkpoint->path, groups[0]);
        goto done;
    }
    file->entries = arena_alloc(&file->arena, (size_t)walk.links * sizeof *file->entries);
    if (!file->entries) walk.status = COVER_ERROR_MEMORY;
    else if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, add_link, &walk) < 0 && walk.status == COVER_OK)
        walk.status = hdf5_fail(COVER_ERROR_FORMAT, checkpoint->path, groups[0]);
done:
    if (group >= 0) H5Gclose(group);
    return walk.status;
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
        status = weights_metadata(&file->arena, &file->metadata, &file->metadata_count, config, !task, checkpoint->step);
    cover_config_destroy(config);
    return status;
}

static cover_status open_file(struct tensor_file *file) {
    struct hdf5_guard guard;
    struct checkpoint_file *checkpoint = NULL;
    TRY(checkpoint_open(&checkpoint, file->context, file->source.name));
    file->state = checkpoint;
    hdf5_begin(&guard);
    cover_status status = list_weights(file);
    hdf5_end(&guard);
    return status == COVER_OK ? derive_metadata(file) : status;
}

static cover_status read_tensor(struct tensor_file *file, const struct tensor_entry *entry, void *out) {
    const struct checkpoint_file *checkpoint = file->state;
    char path[PATH_BYTES];
    struct hdf5_guard guard;
    array_path(path, groups[0], entry->name);
    hdf5_begin(&guard);
    cover_status status = hdf5_read(checkpoint->handle, path, COVER_F32, entry->rank, entry->shape, out);
    hdf5_end(&guard);
    return status;
}

static void close_file(struct tensor_file *file) { checkpoint_close(file->state); }

const struct tensor_format checkpoint_format = {"checkpoint", detect, open_file, read_tensor, close_file};
