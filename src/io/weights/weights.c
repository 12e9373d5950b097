/* How a weight file fits a network: loading by name with every misfit listed, and writing.  See weights.h. */
#include "weights.h"

#include "core/base/files.h"
#include "core/settings/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LISTED_MAX = 20, LISTED_IN_ERROR = 3 };

static bool begins(const char *name, const char *prefix) { return !prefix || strncmp(name, prefix, strlen(prefix)) == 0; }

/* Is a name one that is looked at? */
static bool matters(const char *name, const struct weights_match *match) {
    for (const char *const *fresh = match->fresh; fresh && *fresh; fresh++)
        if (begins(name, *fresh)) return false;
    return begins(name, match->only);
}

/* ---- lists of names for messages: the first few, and how many more */

struct listing {
    struct text text;
    int64_t count, most;
};

static void list_name(struct listing *list, const char *name) {
    if (list->count++ < list->most) text_add(&list->text, "%s%.100s", list->count == 1 ? "" : ", ", name);
}

static void list_shape(struct listing *list, int rank, const int64_t *shape) {
    if (list->count > list->most) return;
    for (int axis = 0; axis < rank; axis++) text_add(&list->text, "%s%lld", axis ? "x" : "", (long long)shape[axis]);
    if (rank == 0) text_add(&list->text, "one number");
}

static void list_end(struct listing *list) {
    if (list->count > list->most) text_add(&list->text, " and %lld more", (long long)(list->count - list->most));
}

/* ---- matching */

enum misfit { MISSING, UNEXPECTED, MISSHAPED, MISFITS };
static const char *const misfit_names[MISFITS] = {"missing", "unexpected", "mis-shaped"};

struct matching {
    const struct tensor_entry **found; /* one a parameter, NULL = none that fits */
    int matched;
    struct listing lists[MISFITS];
};

static int compare_name(const void *key, const void *item) { return strcmp(key, ((const struct weights_name *)item)->name); }

static bool same_shape(const struct parameter *row, const struct tensor_entry *entry) {
    return row->rank == entry->rank && memcmp(row->shape, entry->shape, (size_t)row->rank * sizeof *row->shape) == 0;
}

static void match_parameter(struct matching *matching, const struct parameter *row, int index, const struct weights_name *found) {
    if (!found) {
        list_name(&matching->lists[MISSING], row->name);
    } else if (!same_shape(row, found->entry)) {
        struct listing *list = &matching->lists[MISSHAPED];
        list_name(list, row->name);
        if (list->count <= list->most) text_add(&list->text, " (");
        list_shape(list, found->entry->rank, found->entry->shape);
        if (list->count <= list->most) text_add(&list->text, " in the file, ");
        list_shape(list, row->rank, row->shape);
        if (list->count <= list->most) text_add(&list->text, " in the network)");
    } else {
        matching->found[index] = found->entry;
        matching->matched++;
    }
}

static cover_status match_names(struct matching *matching, const struct parameters *parameters, struct tensor_file *file,
                                const struct weights_match *match) {
    struct weights_name *names;
    int64_t count;
    TRY(weights_names(file, &names, &count));
    for (int i = 0; i < parameters->count; i++) {
        const char *name = parameters->rows[i].name;
        if (matters(name, match))
            match_parameter(matching, &parameters->rows[i], i, bsearch(name, names, (size_t)count, sizeof *names, compare_name));
    }
    for (int64_t i = 0; i < count; i++)
        if (matters(names[i].name, match) && parameters_find(parameters, names[i].name) < 0)
            list_name(&matching->lists[UNEXPECTED], names[i].name);
    return COVER_OK;
}

/* An error that lists every misfit, or lines in the log when a part is enough. */
static cover_status report_misfits(struct matching *matching, const struct parameters *parameters, const struct tensor_file *file,
                                   bool allow_partial) {
    cover_status status = COVER_OK;
    struct text text = {.context = file->context};
    for (int kind = 0; kind < MISFITS; kind++) {
        struct listing *list = &matching->lists[kind];
        if (list->count == 0) continue;
        list_end(list);
        text_add(&text, "%s%lld %s: %s", text.length ? "; " : "", (long long)list->count, misfit_names[kind],
                 list->text.data ? list->text.data : "");
        if (allow_partial)
            log_line(file->context, COVER_LOG_WARNING, "%s: %lld skipped as %s: %s", file->source.name, (long long)list->count,
                     misfit_names[kind], list->text.data ? list->text.data : "");
    }
    if (text.failed) status = COVER_ERROR_MEMORY;
    else if (matching->matched == 0)
        status = fail(COVER_ERROR_MISMATCH, "%s: none of its tensors fits the network: %s", file->source.name,
                      text.length ? text.data : "the network has no parameters");
    else if (text.length && !allow_partial)
        status = fail(COVER_ERROR_MISMATCH, "%s: does not fit the network (option allow_partial takes what fits): %s",
                      file->source.name, text.data);
    else if (allow_partial)
        log_line(file->context, COVER_LOG_INFO, "%s: %d of %d parameters loaded", file->source.name, matching->matched,
                 parameters->count);
    text_free(&text);
    return status;
}

static cover_status check_finite(const struct tensor_file *file, const struct tensor_entry *entry, const float *values) {
    for (int64_t i = 0; i < entry->elements; i++)
        if (!isfinite(values[i]))
            return fail(COVER_ERROR_NUMERIC, "%s: tensor %.200s: element %lld is not a finite float32 number", file->source.name,
                        entry->name, (long long)i);
    return COVER_OK;
}

static cover_status read_matched(float *flat, const struct matching *matching, const struct parameters *parameters,
                                 struct tensor_file *file) {
    for (int i = 0; i < parameters->count; i++) {
        if (!matching->found[i]) continue;
        float *values = flat + parameters->rows[i].offset;
        TRY(tensor_read_f32(file, matching->found[i], values));
        TRY(check_finite(file, matching->found[i], values));
    }
    return COVER_OK;
}

cover_status weights_say_left_out(const struct tensor_file *file) {
    struct text text = {.context = file->context};
    for (int64_t i = 0; i < file->left_count && i < LISTED_MAX; i++)
        text_add(&text, "%s%.100s (%lld tensors)", i ? ", " : "", file->left_out[i].key, (long long)file->left_out[i].tensors);
    if (file->left_count > LISTED_MAX) text_add(&text, " and %lld more", (long long)file->left_count - LISTED_MAX);
    if (text.length && !text.failed)
        log_line(file->context, COVER_LOG_WARNING,
                 "%s: holds other weights that are left out: %s; convert it with their key to take them", file->source.name,
                 text.data);
    const cover_status status = text.failed ? COVER_ERROR_MEMORY : COVER_OK;
    text_free(&text);
    return status;
}

/* A new buffer with the file's values over those of `base` (NULL = zeros): all or nothing, never a mixture. */
static cover_status load(float **out, const float *base, const struct parameters *parameters, struct tensor_file *file,
                         const struct weights_match *match) {
    cover_status status = COVER_OK;
    cover_context *context = file->context;
    const size_t bytes = (size_t)parameters->floats * sizeof *base;
    struct matching matching = {0};
    float *fresh = NULL;
    for (int kind = 0; kind < MISFITS; kind++)
        matching.lists[kind] =
            (struct listing){.text = {.context = context}, .most = match->allow_partial ? LISTED_MAX : LISTED_IN_ERROR};
    matching.found = memory_zero(context, (size_t)parameters->count * sizeof *matching.found);
    if (!matching.found) return COVER_ERROR_MEMORY;
    GO(weights_say_left_out(file));
    GO(match_names(&matching, parameters, file, match));
    GO(report_misfits(&matching, parameters, file, match->allow_partial));
    fresh = base ? memory_copy(context, base, bytes) : memory_zero(context, bytes);
    if (!fresh) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    GO(read_matched(fresh, &matching, parameters, file));
    *out = fresh;
    fresh = NULL;
done:
    for (int kind = 0; kind < MISFITS; kind++) text_free(&matching.lists[kind].text);
    memory_free(context, matching.found);
    memory_free(context, fresh);
    return status;
}

cover_status weights_load(float *flat, const struct parameters *parameters, struct tensor_file *file,
                          const struct weights_match *match) {
    float *fresh;
    TRY(load(&fresh, flat, parameters, file, match));
    memcpy(flat, fresh, (size_t)parameters->floats * sizeof *flat);
    memory_free(file->context, fresh);
    return COVER_OK;
}

cover_status weights_read(float **flat, const struct parameters *parameters, struct tensor_file *file, const char *only) {
    return load(flat, NULL, parameters, file, &(struct weights_match){.only = only});
}

cover_status weights_rows(struct parameters *kept, const struct parameters *all, const char *only) {
    for (int i = 0, row; i < all->count; i++) {
        const struct parameter *from = &all->rows[i];
        if (begins(from->name, only))
            TRY(parameters_add(kept, from->name, from->rank, from->shape, from->fan_in, from->init, &row));
    }
    return COVER_OK;
}

/* ---- run folders */

int64_t weights_step(const struct tensor_file *file) {
    const char *step = tensor_file_metadata(file, "step");
    return step ? strtoll(step, NULL, 10) : -1;
}

/* The final weights, or the checkpoint when training went on after they were written.  A task's final weights are the best, of
 * fewer steps than its checkpoint. */
static cover_status open_run(struct tensor_file **file, cover_context *context, const char *folder) {
    cover_status status = COVER_OK;
    struct tensor_file *weights = NULL, *checkpoint = NULL;
    char *weights_path = path_join(context, folder, "weights.safetensors");
    char *checkpoint_path = path_join(context, folder, "checkpoint.h5");
    if (!weights_path || !checkpoint_path) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    if (!file_exists(weights_path) && !file_exists(checkpoint_path)) {
        status = fail(COVER_ERROR_IO, "%s: has neither weights.safetensors nor checkpoint.h5; is it a run folder?", folder);
        goto done;
    }
    if (file_exists(weights_path)) GO(tensor_file_open(&weights, context, weights_path));
    if (file_exists(checkpoint_path)) GO(tensor_file_open(&checkpoint, context, checkpoint_path));
    bool best = weights && tensor_file_metadata(weights, "task");
    if (!weights || (!best && checkpoint && weights_step(checkpoint) > weights_step(weights))) {
        *file = checkpoint;
        checkpoint = NULL;
    } else {
        *file = weights;
        weights = NULL;
    }
done:
    tensor_file_close(weights);
    tensor_file_close(checkpoint);
    memory_free(context, weights_path);
    memory_free(context, checkpoint_path);
    return status;
}

cover_status weights_open(struct tensor_file **file, cover_context *context, const char *path) {
    return folder_exists(path) ? open_run(file, context, path) : tensor_file_open(file, context, path);
}

/* ---- writing */

cover_status weights_grid(struct weights_grid *grid, cover_context *context, const cover_config *config) {
    const struct settings *settings = config_settings(config);
    int64_t side = 2 * settings->objective.radius + 1, points = 1, dims = settings->network.dims;
    for (int64_t axis = 0; axis < dims; axis++) grid->shape[axis] = side, points *= side;
    grid->shape[dims] = dims;
    grid->values = memory_alloc(context, (size_t)(points * dims) * sizeof *grid->values);
    if (!grid->values) return COVER_ERROR_MEMORY;
    for (int64_t point = 0; point < points; point++)
        for (int64_t axis = dims - 1, rest = point; axis >= 0; axis--, rest /= side)
            grid->values[point * dims + axis] = (float)(rest % side - settings->objective.radius);
    grid->output = (struct tensor_output){
        .name = "mov.grid", .type = TENSOR_F32, .rank = (int)dims + 1, .shape = grid->shape, .data = grid->values};
    return COVER_OK;
}

cover_status weights_write(cover_context *context, const char *path, const struct parameters *parameters, const float *flat,
                           const cover_config *config, const char *only, int64_t step, const struct weights_origin *origin) {
    cover_status status = COVER_OK;
    struct arena arena = {.context = context};
    struct tensor_pair *pairs;
    struct weights_grid grid = {0};
    int64_t count = 0, pair_count;
    struct tensor_output *outputs = arena_alloc(&arena, (size_t)(parameters->count + 1) * sizeof *outputs);
    if (!outputs) return COVER_ERROR_MEMORY;
    for (int i = 0; i < parameters->count; i++) {
        const struct parameter *row = &parameters->rows[i];
        if (!begins(row->name, only)) continue;
        outputs[count++] = (struct tensor_output){
            .name = row->name, .type = TENSOR_F32, .rank = row->rank, .shape = row->shape, .data = flat + row->offset};
    }
    if (!only) {
        GO(weights_grid(&grid, context, config));
        outputs[count++] = grid.output;
    }
    GO(weights_metadata(&arena, &pairs, &pair_count, config, !only, step, origin));
    GO(safetensors_write(context, path, outputs, count, pairs, pair_count));
done:
    memory_free(context, grid.values);
    arena_free(&arena);
    return status;
}
