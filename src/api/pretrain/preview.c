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

/* Pairs of the step behind the last one: drawn like all others, but never trained on. */
static cover_status draw_pair(cover_trainer *trainer, float *const out[PARTS], int index) {
    const struct sample *sample;
    const struct grid *grid = &trainer->core.engine->grid;
    TRY(prefetch_redraw(trainer->core.prefetch, trainer->core.settings.common.steps, index, &sample));
    const float *images = sample->input[PAIR_IMAGES];
    const float *from[PARTS] = {images, images + grid_pixels(grid) * trainer->core.reader.channels, sample->input[PAIR_TRUTH],
                                sample->input[PAIR_MASK]};
    for (int i = 0; i < PARTS; i++)
        memcpy(out[i], from[i], (size_t)(grid_pixels(grid) * part_channels(i, trainer->core.reader.channels, grid->ndim)) * sizeof(float));
    return COVER_OK;
}

static int64_t drawn_sample(const cover_trainer *trainer, int index) {
    const struct settings *s = &trainer->core.settings;
    int64_t number = s->common.steps * s->common.batch + index, count = trainer->core.reader.count;
    return order_sample((uint64_t)s->common.seed, number / count, number % count, count);
}

cover_status preview_write(cover_trainer *trainer, const char *path) {
    cover_context *context = trainer->core.context;
    const struct grid *grid = &trainer->core.engine->grid;
    int count = grid->ndim == 3 ? 1 : trainer->core.settings.common.batch < PREVIEW_PAIRS ? (int)trainer->core.settings.common.batch : PREVIEW_PAIRS;
    struct tensor_output tensors[PREVIEW_PAIRS * PARTS];
    struct tensor_pair metadata[PREVIEW_PAIRS + 1];
    char names[PREVIEW_PAIRS * PARTS][32], keys[PREVIEW_PAIRS][32], samples[PREVIEW_PAIRS][256];
    char dataset[128];
    int64_t shapes[PARTS][4];
    float *values[PREVIEW_PAIRS][PARTS] = {{0}};
    cover_status status = COVER_ERROR_MEMORY;
    if (file_exists(path)) return COVER_OK;
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < PARTS; i++) {
            int64_t channels = part_channels(i, trainer->core.reader.channels, grid->ndim);
            values[k][i] = memory_alloc(context, (size_t)(grid_pixels(grid) * channels) * sizeof(float));
            if (!values[k][i]) goto done;
            memcpy(shapes[i], (int64_t[]){grid->size[0], grid->size[1], grid->size[2], channels}, sizeof shapes[i]);
            snprintf(names[k * PARTS + i], sizeof names[0], "%d.%s", k, parts[i]);
            tensors[k * PARTS + i] = (struct tensor_output){.name = names[k * PARTS + i], .type = TENSOR_F32, .rank = 4,
                                                            .shape = shapes[i], .data = values[k][i]};
        }
        GO(draw_pair(trainer, values[k], k));
        snprintf(keys[k], sizeof keys[k], "%d.name", k);
        snprintf(samples[k], sizeof samples[k], "%s", trainer->core.reader.name(trainer->core.reader.user, drawn_sample(trainer, k)));
        metadata[k] = (struct tensor_pair){keys[k], samples[k]};
        status = COVER_ERROR_MEMORY;
    }
    snprintf(dataset, sizeof dataset, "%lld samples, content %.12s", (long long)trainer->core.reader.count, trainer->core.hash);
    metadata[count] = (struct tensor_pair){"dataset", dataset};
    status = safetensors_write(context, path, tensors, count * PARTS, metadata, count + 1);
done:
    for (int k = 0; k < PREVIEW_PAIRS * PARTS; k++) memory_free(context, values[k / PARTS][k % PARTS]);
    return status;
}

static cover_status read_part(struct preview *preview, struct tensor_file *file, int pair, int part, float **values) {
    char name[32];
    snprintf(name, sizeof name, "%d.%s", pair, parts[part]);
    const struct tensor_entry *entry = tensor_file_find(file, name);
    if (!entry || entry->rank != 4 || entry->type != TENSOR_F32)
        return fail(COVER_ERROR_FORMAT, "preview.safetensors: %s is missing or misshapen", name);
    if (pair == 0 && part == 0) {
        preview->grid = (struct grid){.ndim = entry->shape[0] > 1 ? 3 : 2, .size = {entry->shape[0], entry->shape[1], entry->shape[2]}};
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
