/* Samples kept for the report.  Called by pretrain.c and run_report.c. */
#include "preview.h"

#include "core/base/files.h"
#include "core/train/order.h"
#include "io/weights/safetensors.h"

#include <stdio.h>
#include <string.h>

_Static_assert((int)OBJECTIVE_PICTURES <= (int)REPORT_PICTURES_MAX, "every picture is shown");

struct shown { /* one picture of one sample */
    char name[32];
    int64_t shape[4];
    float *values;
};

static cover_status show(struct shown *shown, const cover_trainer *trainer, const struct objective_picture *picture,
                         const struct sample *sample, int number) {
    const struct tensor *input = graph_tensor(&trainer->core.engine->model.graph, STORAGE_INPUT, picture->input);
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
    const int count = trainer->core.engine->grid.ndim == 3 ? 1 : batch < PREVIEW_SAMPLES ? (int)batch : PREVIEW_SAMPLES;
    struct shown shown[PREVIEW_SAMPLES * OBJECTIVE_PICTURES] = {0};
    struct tensor_output tensors[PREVIEW_SAMPLES * OBJECTIVE_PICTURES];
    struct tensor_pair metadata[PREVIEW_SAMPLES + 1];
    char keys[PREVIEW_SAMPLES][32], samples[PREVIEW_SAMPLES][256], dataset[128];
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
    for (int i = 0; i < PREVIEW_SAMPLES * OBJECTIVE_PICTURES; i++) memory_free(context, shown[i].values);
    return status;
}

static cover_status read_picture(struct report_picture *picture, struct tensor_file *file, int sample, const char *part) {
    char name[32];
    float *values;
    snprintf(name, sizeof name, "%d.%s", sample, part);
    const struct tensor_entry *entry = tensor_file_find(file, name);
    if (!entry || entry->rank != 4 || entry->type != TENSOR_F32 || entry->elements < 1 || entry->shape[3] > INT32_MAX)
        return fail(COVER_ERROR_FORMAT, "preview.safetensors: %s is missing or misshapen", name);
    TRY(tensor_load_f32(file, entry, &values));
    *picture = (struct report_picture){
        .name = part,
        .grid = {.ndim = entry->shape[0] > 1 ? 3 : 2, .size = {entry->shape[0], entry->shape[1], entry->shape[2]}},
        .channels = (int)entry->shape[3],
        .values = values};
    return COVER_OK;
}

static bool has_sample(const struct tensor_file *file, const struct objective *objective, int sample) {
    char name[32];
    snprintf(name, sizeof name, "%d.%s", sample, objective->picture->name);
    return tensor_file_find(file, name) != NULL;
}

cover_status preview_read(struct preview *preview, cover_context *context, const struct objective *objective, const char *path) {
    struct tensor_file *file;
    *preview = (struct preview){.context = context};
    if (!file_exists(path) || !objective->picture->name) return COVER_OK;
    TRY(tensor_file_open(&file, context, path));
    cover_status status = COVER_OK;
    while (preview->count < PREVIEW_SAMPLES && has_sample(file, objective, preview->count)) {
        struct report_sample *sample = &preview->sample[preview->count];
        char key[32];
        snprintf(key, sizeof key, "%d.name", preview->count++);
        const char *name = tensor_file_metadata(file, key);
        if (!(sample->name = memory_text(context, name ? name : ""))) GO(COVER_ERROR_MEMORY);
        for (const struct objective_picture *picture = objective->picture; picture->name; picture++) {
            GO(read_picture(&sample->picture[sample->pictures], file, preview->count - 1, picture->name));
            sample->pictures++;
        }
    }
    const char *dataset = tensor_file_metadata(file, "dataset");
    if (dataset && !(preview->dataset = memory_text(context, dataset))) status = COVER_ERROR_MEMORY;
done:
    tensor_file_close(file);
    if (status != COVER_OK) preview_free(preview);
    return status;
}

void preview_free(struct preview *preview) {
    if (!preview->context) return;
    memory_free(preview->context, preview->dataset);
    for (int k = 0; k < PREVIEW_SAMPLES; k++) {
        memory_free(preview->context, (void *)(uintptr_t)preview->sample[k].name);
        for (int i = 0; i < preview->sample[k].pictures; i++)
            memory_free(preview->context, (void *)(uintptr_t)preview->sample[k].picture[i].values);
    }
    *preview = (struct preview){0};
}
