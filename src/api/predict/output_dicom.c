/* See output_dicom.h. */
#include "output_dicom.h"

#include <string.h>

/* A label map beside its volume: in the volume's own grid, which a NIfTI file says twice. */
static cover_status write_nifti(struct output_files *files, const struct predict_case *item, const char *path,
                                const struct image *label, const float *scores) {
    (void)item, (void)scores;
    return label_write(files->context, path, label, NULL);
}

static const struct format {
    const char *name, *extension;
    cover_status (*write)(struct output_files *files, const struct predict_case *item, const char *path, const struct image *label,
                          const float *scores);
} formats[] = {
    {"nifti", ".nii.gz", write_nifti},
};
enum { FORMATS = sizeof formats / sizeof *formats };
static const char usual[] = "nifti";

static const struct format *format_of(const char *word, size_t length) {
    for (int f = 0; f < FORMATS; f++)
        if (strlen(formats[f].name) == length && strncmp(formats[f].name, word, length) == 0) return &formats[f];
    return NULL;
}

cover_status output_dicom_check(const char *as) {
    struct names names = {0};
    for (int f = 0; f < FORMATS; f++) names_add(&names, formats[f].name);
    for (const char *word = as; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL)
        if (!format_of(word, strcspn(word, ","))) return fail(COVER_ERROR_ARGUMENT, "as \"%s\": known are %s", as, names.text);
    return COVER_OK;
}

cover_status output_dicom_write(struct output_files *files, const struct predict_case *item, const struct image *label,
                                const float *scores) {
    for (const char *word = files->as ? files->as : usual; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        const struct format *format = format_of(word, strcspn(word, ","));
        const char *path = arena_print(files->arena, "%s/%s%s", files->folder, item->name, format->extension);
        TRY(path ? format->write(files, item, path, label, scores) : COVER_ERROR_MEMORY);
    }
    return COVER_OK;
}
