/* Segmentation's answer: the class of each pixel at the image's own size, small components dropped; a label map in the image's format, and
 * if wanted the scores as CASE.npy.  A row of output.h. */
#include "core/base/files.h"
#include "output_dicom.h"
#include "scores.h"
#include "small_components.h"

#include <stdio.h>
#include <string.h>

static cover_status label_pixels(struct image *label, float *scores, cover_context *context, const struct task_settings *task,
                                 const float *values, const struct grid *grid) {
    const struct grid own = {.ndim = grid->ndim, .size = {label->size[0], label->size[1], label->size[2]}};
    int64_t pixels = grid_pixels(&own);
    uint16_t *classes = memory_alloc(context, (size_t)pixels * sizeof *classes);
    if (!classes) return COVER_ERROR_MEMORY;
    cover_status status = scores_to_labels(classes, scores, context, &own, values, grid, (int)task->classes);
    for (int64_t p = 0; status == COVER_OK && p < pixels; p++) label_set(label, p, classes[p]);
    memory_free(context, classes);
    return status == COVER_OK ? small_components_drop(label, context, task->keep_component) : status;
}

/* ---- into files */

/* NumPy's format 1.0 (numpy.lib.format): float32 (classes, [D,] H, W). */
static cover_status write_npy(const struct output_files *files, const char *path, const float *scores, int64_t classes,
                              const struct image *image) {
    char head[192];
    const uint16_t one = 1;
    int used = snprintf(head + 10, sizeof head - 10, "{'descr': '%cf4', 'fortran_order': False, 'shape': (%lld",
                        *(const uint8_t *)&one ? '<' : '>', (long long)classes) +
               10;
    int64_t count = classes * image->size[0] * image->size[1] * image->size[2];
    for (int a = 3 - image->dims; a < 3; a++)
        used += snprintf(head + used, sizeof head - (size_t)used, ", %lld", (long long)image->size[a]);
    used += snprintf(head + used, sizeof head - (size_t)used, "), }");
    while ((used + 1) % 64) head[used++] = ' ';
    head[used++] = '\n';
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)((used - 10) & 255), head[9] = (char)((used - 10) >> 8);
    struct replacement file = {.descriptor = -1};
    cover_status status;
    GO(replacement_begin(&file, files->context, path));
    GO(replacement_write(&file, head, (size_t)used));
    GO(replacement_write(&file, scores, (size_t)count * sizeof *scores));
    GO(replacement_commit(&file, files->context));
done:
    replacement_abandon(&file, files->context);
    return status;
}

static cover_status make_folder(const struct output_files *files, const char *path) {
    char *folder = memory_text(files->context, path);
    if (!folder) return COVER_ERROR_MEMORY;
    folder[path_name(folder) - folder - 1] = 0;
    cover_status status = folder_create(folder);
    memory_free(files->context, folder);
    return status;
}

static cover_status write_map(struct output_files *files, const struct predict_case *item, struct image *label,
                              const float *scores) {
    const char *path = arena_print(files->arena, "%s/%s%s", files->folder, item->name, item->extension);
    const char *npy = arena_print(files->arena, "%s/%s.npy", files->folder, item->name);
    if (!path || !npy) return COVER_ERROR_MEMORY;
    TRY(make_folder(files, path));
    if (files->scores) TRY(write_npy(files, npy, scores, files->settings->task.classes, label));
    if (item->volume) return output_dicom_write(files, item, label, scores);
    return label_write(files->context, path, label, item->files[0]);
}

const struct task_output task_output_seg = {.label = label_pixels, .write = write_map};
