/* DICOM among the sources of a pack: one set of all of it, so that a patient is one wherever his studies lie; a sample a volume, or a frame
 * where there is none (docs/dicom.md).  Names are P0001/S01, and nothing else that is stored or said tells who it is.
 * Called by pack_sources.c and pack_folder.c. */
#include "pack_segments.h"

#include "io/dicom/identity.h"

#include <string.h>

cover_status pack_dicom_add(struct pack_plan *plan, const char *path) {
    if (!plan->dicom) {
        cover_dicom_options options = COVER_DICOM_OPTIONS_INIT;
        if (plan->options->dicom) options = *plan->options->dicom;
        options.progress = plan->progress, options.user = plan->user;
        TRY(cover_dicom_create(&plan->dicom, plan->context, &options));
    }
    const int64_t bad = plan->dicom->bad_count;
    const cover_status status = cover_dicom_add_path(plan->dicom, path);
    return plan->dicom->bad_count > bad ? COVER_OK : status; /* it is remembered, and told with the others */
}

static cover_status add_item(struct pack_plan *plan, const struct dicom_identity *identity, int index, int frame) {
    const struct dicom_volume *volume = &plan->dicom->volumes[index];
    char series[DICOM_SERIES_BYTES];
    struct pack_item *item = pack_plan_add(plan);
    if (!item) return COVER_ERROR_MEMORY;
    dicom_series_name(plan->dicom, index, series);
    item->name = frame < 0 ? arena_text(&plan->arena, identity->name, strlen(identity->name))
                           : arena_print(&plan->arena, "%s_%04d", identity->name, frame + 1);
    item->path = arena_text(&plan->arena, series, strlen(series));
    item->patient = arena_print(&plan->arena, "P%04d", identity->patient);
    item->volume = volume, item->frame = frame;
    if (volume->refusal) item->unusable = arena_print(&plan->arena, "%s: %s", series, volume->refusal);
    return item->name && item->path && item->patient && (item->unusable || !volume->refusal) ? COVER_OK : COVER_ERROR_MEMORY;
}

/* What was given and cannot be read: told as an image that cannot be used. */
static cover_status add_bad(struct pack_plan *plan, const struct dicom_bad *bad) {
    struct pack_item *item = pack_plan_add(plan);
    const char *end = strstr(bad->text, ": ");
    if (!item) return COVER_ERROR_MEMORY;
    item->name = item->path = arena_text(&plan->arena, bad->text, end ? (size_t)(end - bad->text) : strlen(bad->text));
    item->unusable = arena_text(&plan->arena, bad->text, strlen(bad->text));
    return item->name && item->unusable ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status add_items(struct pack_plan *plan, const struct dicom_identity *identities, int count) {
    const char *series = plan->options->series;
    const int64_t before = plan->count;
    for (int i = 0; i < count; i++) {
        const struct dicom_volume *volume = &plan->dicom->volumes[i];
        if (series && strcmp(series, "all") != 0 && !dicom_is_meant(plan->dicom, i, series)) continue;
        const bool frames = volume->images && volume->count > 1 && !volume->refusal;
        for (int frame = frames ? 0 : -1; frame < (frames ? volume->count : 0); frame++)
            TRY(add_item(plan, &identities[i], i, frame));
    }
    if (series && plan->count == before)
        return fail(COVER_ERROR_ARGUMENT, "no series \"%s\"; there are %d: give a number, SeriesNumber=N or Modality=M", series,
                    count);
    for (int64_t i = 0; i < plan->dicom->bad_count; i++) TRY(add_bad(plan, &plan->dicom->bad[i]));
    return COVER_OK;
}

cover_status pack_dicom_items(struct pack_plan *plan) {
    struct dicom_identity *identities = NULL;
    int count;
    if (!plan->dicom) return COVER_OK;
    cover_status status = cover_dicom_volumes(plan->dicom, &count);
    if (status == COVER_OK) status = dicom_identities(&identities, plan->dicom);
    if (status == COVER_OK) status = add_items(plan, identities, count);
    if (status == COVER_OK) status = pack_segments(plan);
    memory_free(plan->context, identities);
    return status;
}

const char *pack_dicom_spacing(const struct pack_plan *plan) {
    const char *all = NULL;
    for (int64_t i = 0; i < plan->count; i++) {
        const struct dicom_volume *volume = plan->items[i].volume;
        const char *at = volume && volume->images ? dicom_spacing_names[volume->spacing_at] : "";
        if (plan->items[i].unusable) continue;
        if (all && strcmp(all, at) != 0) return "";
        all = at;
    }
    return all ? all : "";
}

bool pack_dicom_has_volumes(const struct pack_plan *plan) {
    for (int64_t i = 0; i < plan->count; i++)
        if (plan->items[i].volume && !plan->items[i].volume->images && plan->items[i].volume->count > 1) return true;
    return false;
}

void pack_dicom_hash(struct sha256 *hash, const struct pack_plan *plan, const struct pack_item *item) {
    const cover_dicom_options *options = &plan->dicom->options;
    const char *const words[] = {options->tilt, options->padding, options->window};
    for (int w = 0; w < 3; w++) sha256_add(hash, words[w] ? words[w] : "", strlen(words[w] ? words[w] : "") + 1);
    sha256_add(hash, &options->spacing_tolerance, sizeof options->spacing_tolerance);
    for (int i = 0; i < item->volume->count; i++) {
        const struct dicom_frame *slice = item->volume->slices[i];
        const struct dicom_object *object = slice->object;
        sha256_add(hash, object->sop_uid, sizeof object->sop_uid);
        sha256_add(hash, &object->source.bytes, sizeof object->source.bytes);
        if (i == 0 || object != item->volume->slices[i - 1]->object)
            sha256_add(hash, object->tree.bytes, (size_t)object->tree.kept);
        sha256_add(hash, &slice->frame, sizeof slice->frame);
    }
    sha256_add(hash, &item->frame, sizeof item->frame);
    const struct dicom_object *label = item->segmentation;
    if (!label) return;
    sha256_add(hash, label->sop_uid, sizeof label->sop_uid);
    sha256_add(hash, label->tree.bytes, (size_t)label->tree.kept);
}
