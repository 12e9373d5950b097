/* A label map from a file, of whatever program, as a DICOM Segmentation in a file: brought to the order of axes of its images, as both say
 * where they lie.  The public call is cover_dicom_write_seg_file() of libcover/dicom.h. */
#include "set.h"

#include "core/base/files.h"
#include "io/image/orient.h"

#include <string.h>

/* Size and place of a volume; no pixels. */
static struct image frame_of(const struct dicom_volume *volume) {
    const struct dicom_frame_shape *shape = &volume->slices[0]->object->shape;
    struct image image = {.dims = volume->count > 1 ? 3 : 2,
                          .channels = 1,
                          .size = {volume->count, shape->rows, shape->columns},
                          .volume = !volume->images};
    memcpy(image.affine, volume->affine, sizeof image.affine);
    memcpy(image.spacing_mm, volume->spacing_mm, sizeof image.spacing_mm);
    return image;
}

/* Same axes, same size, same place: or it is refused. */
static cover_status fit(struct image *label, cover_context *context, const struct dicom_volume *volume) {
    const struct image frame = frame_of(volume);
    char from[ORIENTATION_BYTES], to[ORIENTATION_BYTES];
    if (!volume->images && volume->tilt_degrees > 0)
        return fail(COVER_ERROR_UNSUPPORTED, "its images are tilted: a label map of the straightened volume does not lie on them");
    if (!volume->images && orientation_of(label, from) && orientation_of(&frame, to)) {
        const struct turn turn = turn_to(from, to);
        if (!turn_is_none(&turn)) TRY(image_turn(label, context, &turn));
    }
    if (memcmp(label->size, frame.size, sizeof label->size) != 0)
        return fail(COVER_ERROR_SHAPE, "it has %lld x %lld x %lld voxels, its images %lld x %lld x %lld", (long long)label->size[0],
                    (long long)label->size[1], (long long)label->size[2], (long long)frame.size[0], (long long)frame.size[1],
                    (long long)frame.size[2]);
    return volume->images ? COVER_OK : image_check_place(label, &frame, "its images");
}

static int append(void *user, const void *bytes, size_t count) { return replacement_write(user, bytes, count) != COVER_OK; }

static cover_status write_file(const cover_dicom *set, int index, const cover_tensor *label, const cover_seg_options *options,
                               const char *output) {
    struct replacement file;
    TRY(replacement_begin_private(&file, set->context, output));
    const cover_status status = cover_dicom_write_seg(set, index, label, options, append, &file);
    if (status == COVER_OK) return replacement_commit(&file, set->context);
    replacement_abandon(&file, set->context);
    return status;
}

cover_status cover_dicom_write_seg_file(const cover_dicom *set, int index, const char *label, const cover_seg_options *options,
                                        const char *output) {
    struct image map = {0};
    cover_tensor *tensor = NULL;
    cover_status status;
    if (!set || !label || !output) return fail(COVER_ERROR_ARGUMENT, "set, label or output is NULL");
    TRY(context_check_process(set->context));
    TRY(dicom_set_check(set, index));
    TRY(label_map_read(&map, set->context, label));
    status = fit(&map, set->context, &set->volumes[index]);
    if (status != COVER_OK) status = fail_in(status, "%s", label);
    if (status == COVER_OK) status = cover_tensor_view(&tensor, set->context, map.dtype, 3, map.size, NULL, map.data);
    if (status == COVER_OK) status = write_file(set, index, tensor, options, output);
    cover_tensor_destroy(tensor);
    image_free(&map, set->context);
    return status;
}
