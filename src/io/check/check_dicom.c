/* DICOM objects and folders of them: can every pixel be read, and does each frame of a segmentation lie on the image that it names?
 * Called by check.c. */
#include "check.h"

#include "core/base/files.h"
#include "io/dicom/seg_read.h"

#include <string.h>

bool check_is_dicom(cover_context *context, const char *path) {
    uint8_t head[132];
    struct source source;
    (void)context;
    if (source_open(&source, path) != COVER_OK) return false;
    const size_t bytes = source.bytes < sizeof head ? (size_t)source.bytes : sizeof head;
    const bool is = source_read(&source, 0, head, bytes) == COVER_OK && dicom_is_one(head, bytes);
    source_close(&source);
    return is;
}

/* The error just raised as a finding about a path; or passed on. */
static cover_status note(struct check *check, const char *path, cover_status status) {
    if (status == COVER_OK || status == COVER_ERROR_MEMORY || status == COVER_ERROR_CANCELLED) return status;
    return check_error(check, fail_in(status, "%s", path));
}

/* ---- one object */

static cover_status decode_all(struct check *check, const struct dicom_object *object) {
    struct dicom_work work = {.context = check->context};
    uint8_t *inflated = NULL;
    cover_status status = COVER_OK;
    if (object->tree.deflated) GO(dicom_inflate_pixels(&inflated, check->context, object));
    for (int f = 0; f < object->frames; f++) {
        struct dicom_stored stored;
        if (cancelled(check->context)) GO(fail(COVER_ERROR_CANCELLED, "cancelled while frames were read"));
        GO(dicom_frame_stored(&stored, &work, object, f, inflated));
    }
done:
    dicom_work_free(&work);
    memory_free(check->context, inflated);
    return status;
}

/* Against the images in check->source: all of them must be there that the segmentation names. */
static cover_status compare_with_source(struct check *check, struct dicom_seg *seg) {
    cover_dicom *set = NULL;
    cover_status status;
    int count = 0, of = 0;
    GO(cover_dicom_create(&set, check->context, NULL));
    GO(cover_dicom_add_path(set, check->source));
    GO(cover_dicom_volumes(set, &count));
    for (int i = 0; i < count; i++) {
        if (!dicom_seg_is_of(seg->object, &set->volumes[i])) continue;
        of++;
        GO(dicom_seg_place(seg, set, i));
    }
    if (of == 0) status = fail(COVER_ERROR_FORMAT, "it is of none of the %d volumes and images of the source", count);
done:
    cover_dicom_destroy(set);
    return status;
}

static cover_status check_seg(struct check *check, const struct dicom_object *object) {
    struct dicom_seg seg = {.context = check->context};
    cover_status status;
    GO(dicom_seg_open(&seg, check->context, object));
    text_add(&check->facts, ", \"segmentation\": \"%s\", \"segments\": %d", seg_type_words[seg.type], seg.segment_count);
    if (check->source) GO(compare_with_source(check, &seg));
done:
    dicom_seg_close(&seg);
    return status;
}

cover_status check_dicom(struct check *check, const char *path) {
    struct dicom_object object = {
        .tree.context = check->context, .path = memory_text(check->context, path), .source.descriptor = -1, .number = 1};
    cover_status status = object.path ? dicom_object_read(&object, check->context) : COVER_ERROR_MEMORY;
    const bool image = status == COVER_OK && object.kind != DICOM_OTHER;
    if (image) text_add(&check->facts, ", \"frames\": %d", object.frames);
    if (image) status = decode_all(check, &object);
    if (status == COVER_OK && object.kind == DICOM_SEGMENTATION) status = check_seg(check, &object);
    else if (status == COVER_OK && check->source)
        status = fail(COVER_ERROR_FORMAT, "it is no segmentation, which a source is compared with");
    dicom_object_free(&object);
    return note(check, path, status);
}

/* ---- a folder */

static cover_status check_volumes(struct check *check, const char *path, const struct cover_dicom *set) {
    for (int i = 0; i < set->volume_count; i++) {
        struct image image;
        const cover_status status = dicom_volume_image(&image, set, i, -1, false);
        if (status == COVER_OK) image_free(&image, check->context);
        TRY(note(check, path, status));
    }
    for (int64_t i = 0; i < set->bad_count; i++) check_finding(check, "%s: %s", path, set->bad[i].text);
    text_add(&check->facts, ", \"objects\": %lld, \"volumes\": %d", (long long)set->counts.objects, set->volume_count);
    return COVER_OK;
}

cover_status check_dicom_folder(struct check *check, const char *path, bool *any) {
    cover_dicom *set = NULL;
    cover_status status;
    int count;
    GO(cover_dicom_create(&set, check->context, NULL));
    GO(cover_dicom_add_path(set, path));
    GO(cover_dicom_volumes(set, &count));
    *any = set->counts.objects > 0;
    if (*any) status = check_volumes(check, path, set);
done:
    cover_dicom_destroy(set);
    return status;
}
