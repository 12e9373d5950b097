/* The table of what kinds of tasks give for an image, and scores.csv, which those write that say something of the whole image (output.h). */
#include "output.h"

#include "core/base/added.h"
#include "core/base/files.h"
#include "io/bytes/csv.h"

#define TASK_KIND(name) extern const struct task_output task_output_##name;
#include "core/settings/task_kinds.def"
#undef TASK_KIND
static const struct task_output *const outputs[] = {
#define TASK_KIND(name) &task_output_##name,
#include "core/settings/task_kinds.def"
#undef TASK_KIND
};

const struct task_output *task_output_of(const cover_context *context, const struct task_settings *task) {
    const int own = sizeof outputs / sizeof *outputs;
    if (task->task < own) return outputs[task->task];
    return added_row(context, "task.output", (int)task->task - own)->row;
}

void label_set(struct image *label, int64_t pixel, int64_t value) {
    if (label->dtype == COVER_U8) ((uint8_t *)label->data)[pixel] = (uint8_t)value;
    else ((uint16_t *)label->data)[pixel] = (uint16_t)value;
}

/* ---- scores.csv */

cover_status output_csv_begin(struct output_files *files) {
    text_add(&files->rows, "file");
    for (int64_t c = 0; c < files->settings->task.classes; c++) {
        text_add(&files->rows, ",");
        csv_add(&files->rows, files->class_names[c]);
    }
    text_add(&files->rows, "\n");
    return files->rows.failed ? COVER_ERROR_MEMORY : COVER_OK;
}

cover_status output_csv_row(struct output_files *files, const struct predict_case *item, struct image *label, const float *scores) {
    (void)label;
    const char *path = arena_print(files->arena, "%s%s", item->name, item->volume ? "" : image_extension(item->files[0]));
    if (!path) return COVER_ERROR_MEMORY;
    csv_add(&files->rows, path);
    for (int64_t c = 0; c < files->settings->task.classes; c++) text_add(&files->rows, ",%.9g", (double)scores[c]);
    text_add(&files->rows, "\n");
    return files->rows.failed ? COVER_ERROR_MEMORY : COVER_OK;
}

cover_status output_csv_end(struct output_files *files) {
    char *path = path_join(files->context, files->folder, "scores.csv");
    cover_status status = path ? file_replace(files->context, path, files->rows.data, files->rows.length) : COVER_ERROR_MEMORY;
    memory_free(files->context, path);
    return status;
}
