/* What a set has, as JSON and as a file of another format, and which volume of it is meant.  Called by users of libcover/dicom.h. */
#include "set.h"

#include "core/base/memory.h"
#include "io/image/orient.h"

#include <stdlib.h>
#include <string.h>

static const char *orientation_text(const struct dicom_volume *volume, char code[ORIENTATION_BYTES]) {
    struct image image = {0};
    memcpy(image.affine, volume->affine, sizeof image.affine);
    if (volume->images || !orientation_of(&image, code)) return "";
    return code;
}

static void report_volume(struct text *text, const struct dicom_volume *volume, int number) {
    const struct dicom_object *object = volume->slices[0]->object;
    char code[ORIENTATION_BYTES];
    int64_t size[3], series_number = 0;
    bool present;
    dicom_size_of(volume, size);
    text_add(text, "%s{\"number\": %d, \"modality\": ", number > 1 ? ", " : "", number);
    text_add_json(text, object->modality);
    if (dicom_integer(&object->tree, dicom_find(&object->tree, NULL, TAG_SERIES_NUMBER), &series_number, &present) == COVER_OK &&
        present)
        text_add(text, ", \"series_number\": %lld", (long long)series_number);
    text_add(text, ", \"kind\": \"%s\", \"images\": %d, \"size\": [%lld, %lld, %lld], \"channels\": %d",
             volume->images ? "images" : "volume", volume->objects, (long long)size[0], (long long)size[1], (long long)size[2],
             volume->channels);
    text_add(text, ", \"spacing_mm\": [%.9g, %.9g, %.9g]", volume->spacing_mm[0], volume->spacing_mm[1], volume->spacing_mm[2]);
    if (volume->images) text_add(text, ", \"spacing_at\": \"%s\"", dicom_spacing_names[volume->spacing_at]);
    text_add(text, ", \"orientation\": \"%s\", \"affine\": [", orientation_text(volume, code));
    for (int i = 0; i < 12; i++) text_add(text, "%s%.9g", i ? ", " : "", volume->affine[i]);
    text_add(text, "], \"transfer_syntax\": ");
    text_add_json(text, object->tree.syntax);
    text_add(text, ", \"syntax\": ");
    text_add_json(text, object->syntax->name);
    text_add(text, ", \"localizer\": %s, \"inverted\": %s, \"duplicates\": %d, \"refused\": ", volume->localizer ? "true" : "false",
             object->inverted ? "true" : "false", volume->duplicates);
    if (volume->refusal) text_add_json(text, volume->refusal);
    else text_add(text, "null");
    text_add(text, "}");
}

cover_status cover_dicom_report(const cover_dicom *set, char **json) {
    if (!set || !json) return fail(COVER_ERROR_ARGUMENT, "set or json is NULL");
    if (!set->grouped) return fail(COVER_ERROR_ARGUMENT, "call cover_dicom_volumes() first");
    struct text text = {.context = set->context};
    text_add(&text, "{\"objects\": %lld, \"others\": %lld, \"files\": %lld, \"volumes\": [", (long long)set->counts.objects,
             (long long)set->counts.others, (long long)set->counts.files);
    for (int i = 0; i < set->volume_count; i++) report_volume(&text, &set->volumes[i], i + 1);
    text_add(&text, "], \"unreadable\": [");
    for (int64_t i = 0; i < set->bad_count; i++) {
        text_add(&text, "%s", i ? ", " : "");
        text_add_json(&text, set->bad[i].text);
    }
    text_add(&text, "]}");
    return text_take(&text, json);
}

/* ---- which one */

bool dicom_is_meant(const struct cover_dicom *set, int index, const char *which) {
    const struct dicom_volume *volume = &set->volumes[index];
    const struct dicom_object *object = volume->slices[0]->object;
    static const struct {
        const char *key;
        uint32_t tag;
    } keys[] = {{"SeriesNumber=", TAG_SERIES_NUMBER}, {"Modality=", TAG_MODALITY}};
    if (!which) return !volume->refusal && !volume->localizer;
    for (int k = 0; k < 2; k++)
        if (strncmp(which, keys[k].key, strlen(keys[k].key)) == 0)
            return dicom_text_is(&object->tree, dicom_find(&object->tree, NULL, keys[k].tag), which + strlen(keys[k].key));
    char *end;
    const long number = strtol(which, &end, 10);
    return *which && !*end && number == index + 1;
}

cover_status dicom_several(const struct cover_dicom *set, const int *indices, int count, const char *what) {
    struct text text = {.context = set->context};
    char name[DICOM_SERIES_BYTES];
    for (int i = 0; i < count; i++) {
        const struct dicom_volume *volume = &set->volumes[indices[i]];
        int64_t size[3];
        dicom_size_of(volume, size);
        const char *numbered = dicom_series_name(set, indices[i], name) + strlen("series ");
        text_add(&text, "%s%.*s, %lldx%lld)", i ? ", " : "", (int)strlen(numbered) - 1, numbered, (long long)size[1],
                 (long long)size[2]);
    }
    const cover_status status =
        text.failed ? COVER_ERROR_MEMORY
                    : fail(COVER_ERROR_ARGUMENT, "%d series %s: %s; choose one with option series", count, what, text.data);
    text_free(&text);
    return status;
}

cover_status cover_dicom_find(const cover_dicom *set, const char *which, int *index) {
    if (!set || !index) return fail(COVER_ERROR_ARGUMENT, "set or index is NULL");
    if (!set->grouped) return fail(COVER_ERROR_ARGUMENT, "call cover_dicom_volumes() first");
    if (set->volume_count == 0)
        return fail(COVER_ERROR_ARGUMENT,
                    "there is no image in what was given: DICOM objects without one %lld, that cannot be read %lld%s%s",
                    (long long)set->counts.others, (long long)set->bad_count, set->bad_count ? ": " : "",
                    set->bad_count ? set->bad[0].text : "");
    int *meant = memory_alloc(set->context, (size_t)set->volume_count * sizeof *meant), count = 0;
    if (!meant) return COVER_ERROR_MEMORY;
    for (int i = 0; i < set->volume_count; i++)
        if (dicom_is_meant(set, i, which)) meant[count++] = i;
    char name[DICOM_SERIES_BYTES];
    cover_status status = COVER_OK;
    if (count == 1) *index = meant[0];
    else if (count > 1) status = dicom_several(set, meant, count, which ? "are meant" : "are there");
    else if (which)
        status = fail(COVER_ERROR_ARGUMENT, "no series \"%s\"; there are %d: give a number, SeriesNumber=N or Modality=M", which,
                      set->volume_count);
    else if (set->volumes[0].refusal)
        status = fail(COVER_ERROR_FORMAT, "%s: %s", dicom_series_name(set, 0, name), set->volumes[0].refusal);
    else *index = 0; /* localizers alone */
    memory_free(set->context, meant);
    return status;
}

/* ---- as NIfTI */

static cover_status floats_of(struct image *image, cover_context *context) {
    const int64_t count = image->size[0] * image->size[1] * image->size[2];
    if (image->channels != 1) return fail(COVER_ERROR_UNSUPPORTED, "a volume of colour is not written as NIfTI");
    if (image->dtype == COVER_F32) return COVER_OK;
    float *values = memory_within(context, (size_t)count * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        values[i] = image->dtype == COVER_U8 ? ((const uint8_t *)image->data)[i] : ((const uint16_t *)image->data)[i];
    memory_free(context, image->data);
    image->data = values, image->dtype = COVER_F32;
    return COVER_OK;
}

cover_status cover_dicom_write_nifti(const cover_dicom *set, int index, const char *path) {
    struct image image;
    if (!set || !path) return fail(COVER_ERROR_ARGUMENT, "set or path is NULL");
    TRY(context_check_process(set->context));
    TRY(dicom_set_check(set, index));
    TRY(dicom_volume_image(&image, set, index, -1, false));
    cover_status status = floats_of(&image, set->context);
    if (status == COVER_OK) status = nifti_write(set->context, path, image.data, &image);
    image_free(&image, set->context);
    return status;
}
