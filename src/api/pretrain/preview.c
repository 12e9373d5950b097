/* View pairs kept for the report.  Called by pretrain.c and run_report.c. */
#include "preview.h"

#include "core/base/files.h"
#include "core/train/order.h"
#include "io/weights/safetensors.h"

#include <stdio.h>
#include <string.h>

static const char *const parts[] = {"moving", "fixed", "field", "mask"};
enum { PARTS = 4 };

static int64_t part_channels(int part, int channels, int ndim) { return part < 2 ? channels : part == 2 ? ndim : 1; }

/* The tensor of the picture's input, in the graph of a sample. */
static const struct tensor *input_of(const cover_trainer *trainer, const struct objective_picture *picture) {
    const struct graph *graph = &trainer->core.engine->model.graph;
    for (int t = 0; t < graph->tensor_count; t++)
        if (graph->tensors[t].storage == STORAGE_INPUT && graph->tensors[t].index == picture->input &&
            graph->tensors[t].parent == ABSENT)
            return &graph->tensors[t];
    return NULL;
}

struct shown { /* one picture of one sample */
    char name[32];
    int64_t shape[4];
    float *values;
};

static cover_status show(struct shown *shown, const cover_trainer *trainer, const struct objective_picture *picture,
                         const struct sample *sample, int number) {
    const struct tensor *input = input_of(trainer, picture);
    if (!input)
        return fail(COVER_ERROR_INTERNAL, "objective %s: there is no input for its picture '%s'", trainer->objective->name,
                    picture->name);
    const int64_t values = tensor_elements(input) / input->images;
    memcpy(shown->shape, (int64_t[]){input->grid.size[0], input->grid.size[1], input->grid.size[2], input->channels},
           sizeof shown->shape);
    snprintf(shown->name, sizeof shown->name, "%d.%s", number, picture->name);
    shown->values =
        memory_copy(trainer->core.context, sample->input[picture->input] + picture->image * values, (size_t)values * sizeof(float));
    return shown->values ? COVER_OK : COVER_ERROR_MEMORY;
}

static int64_t drawn_sample(const cover_trainer *trainer, int index) {
    const struct settings *s = &trainer->core.settings;
    int64_t number = s->common.steps * s->common.batch + index, count = trainer->core.reader.count;
    return order_sample((uint64_t)s->common.seed, number / count, number % count, count);
}

/* Samples of the step behind the last one: drawn like all others, but never trained on. */
cover_status preview_write(cover_trainer *trainer, const char *path) {
    cover_context *context = trainer->core.context;
    const int64_t steps = trainer->core.settings.common.steps, batch = trainer->core.settings.common.batch;
    const int count = trainer->core.engine->grid.ndim == 3 ? 1 : batch < PREVIEW_PAIRS ? (int)batch : PREVIEW_PAIRS;
    struct shown shown[PREVIEW_PAIRS * OBJECTIVE_PICTURES] = {0};
    struct tensor_output tensors[PREVIEW_PAIRS * OBJECTIVE_PICTURES];
    struct tensor_pair metadata[PREVIEW_PAIRS + 1];
    char keys[PREVIEW_PAIRS][32], samples[PREVIEW_PAIRS][256], dataset[128];
    int used = 0;
    cover_status status;
    if (file_exists(path)) return COVER_OK;
    for (int k = 0; k < count; k++) {
        const struct sample *sample;
        GO(prefetch_redraw(trainer->core.prefetch, steps, k, &sample));
        for (const struct objective_picture *picture = trainer->objective->picture; picture->name; picture++, used++) {
            GO(show(&shown[used], trainer, picture, sample, k));
            tensors[used] = (struct tensor_output){
                .name = shown[used].name, .type = TENSOR_F32, .rank = 4, .shape = shown[used].shape, .data = shown[used].values};
        }
        snprintf(keys[k], sizeof keys[k], "%d.name", k);
        snprintf(samples[k], sizeof samples[k], "%s",
                 trainer->core.reader.name(trainer->core.reader.user, drawn_sample(trainer, k)));
        metadata[k] = (struct tensor_pair){keys[k], samples[k]};
    }
    snprintf(dataset, sizeof dataset, "%lld samples, content %.12s", (long long)trainer->core.reader.count, trainer->core.hash);
    metadata[count] = (struct tensor_pair){"dataset", dataset};
    status = safetensors_write(context, path, tensors, used, metadata, count + 1);
done:
    for (int i = 0; i < PREVIEW_PAIRS * OBJECTIVE_PICTURES; i++) memory_free(context, shown[i].values);
    return status;
}

static cover_status read_part(struct preview *preview, struct tensor_file *file, int pair, int part, float **values) {
    char name[32];
    snprintf(name, sizeof name, "%d.%s", pair, parts[part]);
    const struct tensor_entry *entry = tensor_file_find(file, name);
    if (!entry || entry->rank != 4 || entry->type != TENSOR_F32)
        return fail(COVER_ERROR_FORMAT, "preview.safetensors: %s is missing or misshapen", name);
    if (pair == 0 && part == 0) {
        preview->grid =
            (struct grid){.ndim = entry->shape[0] > 1 ? 3 : 2, .size = {entry->shape[0], entry->shape[1], entry->shape[2]}};
        preview->channels = (int)entry->shape[3];
    }
    int64_t wanted = grid_pixels(&preview->grid) * part_channels(part, preview->channels, preview->grid.ndim);
    if (entry->elements != wanted) return fail(COVER_ERROR_FORMAT, "preview.safetensors: %s has another size than its image", name);
    return tensor_load_f32(file, entry, values);
}

cover_status preview_read(struct preview *preview, cover_context *context, const char *path) {
    struct tensor_file *file;
    *preview = (struct preview){.context = context};
    if (!file_exists(path)) return COVER_OK;
    TRY(tensor_file_open(&file, context, path));
    cover_status status = COVER_OK;
    for (int k = 0; k < PREVIEW_PAIRS && status == COVER_OK; k++) {
        char key[32];
        snprintf(key, sizeof key, "%d.moving", k);
        if (!tensor_file_find(file, key)) break;
        preview->count = k + 1;
        GO(read_part(preview, file, k, 0, &preview->pair[k].moving));
        GO(read_part(preview, file, k, 1, &preview->pair[k].fixed));
        GO(read_part(preview, file, k, 2, &preview->pair[k].field));
        GO(read_part(preview, file, k, 3, &preview->pair[k].mask));
        snprintf(key, sizeof key, "%d.name", k);
        const char *name = tensor_file_metadata(file, key);
        if (!(preview->pair[k].name = memory_text(context, name ? name : ""))) status = COVER_ERROR_MEMORY;
    }
    const char *dataset = tensor_file_metadata(file, "dataset");
    if (status == COVER_OK && dataset && !(preview->dataset = memory_text(context, dataset))) status = COVER_ERROR_MEMORY;
done:
    tensor_file_close(file);
    if (status != COVER_OK) preview_free(preview);
    return status;
}

void preview_free(struct preview *preview) {
    if (!preview->context) return;
    memory_free(preview->context, preview->dataset);
    for (int k = 0; k < PREVIEW_PAIRS; k++) {
        memory_free(preview->context, preview->pair[k].name);
        memory_free(preview->context, preview->pair[k].moving);
        memory_free(preview->context, preview->pair[k].fixed);
        memory_free(preview->context, preview->pair[k].field);
        memory_free(preview->context, preview->pair[k].mask);
    }
    *preview = (struct preview){0};
}
