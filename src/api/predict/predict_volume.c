/* Volumes of a set of DICOM objects, predicted: at once, or where they are images without a place one by one, each into its plane.
 * Called by predict.c and by users of libcover/predictor.h. */
#include "core/base/memory.h"
#include "predictor.h"

#include <string.h>

/* One part of it: all, or a frame; own: its label, scores: its own, (classes, planes of it). */
static cover_status predict_part(cover_predictor *predictor, const struct cover_dicom *set, int index, int frame, float *scores,
                                 struct image *own, struct image *about) {
    struct image image;
    TRY(dicom_volume_image(&image, set, index, frame, false));
    *about = image;
    about->data = NULL;
    const cover_status status = predictor_image(predictor, &image, scores, own); /* frees the image */
    return status;
}

static cover_status make_label(struct image *label, cover_context *context, const struct cover_dicom *set, int index,
                               cover_dtype dtype) {
    dicom_volume_look(label, set, index, -1);
    label->dtype = dtype, label->channels = 1;
    label->data = memory_within(context, (size_t)(label->size[0] * label->size[1] * label->size[2]) * cover_dtype_bytes(dtype));
    return label->data ? COVER_OK : COVER_ERROR_MEMORY;
}

/* Frames of one object, for a task of 2D images. */
static cover_status predict_frames(cover_predictor *predictor, const struct cover_dicom *set, int index, float *scores,
                                   struct image *label, struct image *about) {
    cover_context *context = predictor_context(predictor);
    const struct dicom_volume *volume = &set->volumes[index];
    const int64_t classes = predictor_settings(predictor)->task.classes;
    const struct dicom_frame_shape *shape = &volume->slices[0]->object->shape;
    const int64_t plane = (int64_t)shape->rows * shape->columns;
    float *part = NULL;
    struct image own = {0};
    cover_status status = COVER_OK;
    if (!predictor_kind(predictor)->dense)
        return fail(COVER_ERROR_SHAPE, "%d images in one object, where the task says something of one", volume->count);
    if (scores && !(part = memory_within(context, (size_t)(classes * plane) * sizeof *part))) return COVER_ERROR_MEMORY;
    for (int frame = 0; frame < volume->count && status == COVER_OK; frame++) {
        GO(predict_part(predictor, set, index, frame, part, &own, about));
        const size_t bytes = (size_t)plane * cover_dtype_bytes(own.dtype);
        if (frame == 0) GO(make_label(label, context, set, index, own.dtype));
        memcpy((uint8_t *)label->data + (size_t)frame * bytes, own.data, bytes);
        image_free(&own, context);
        for (int64_t c = 0; part && c < classes; c++)
            memcpy(scores + (c * volume->count + frame) * plane, part + c * plane, (size_t)plane * sizeof *part);
    }
done:
    image_free(&own, context);
    memory_free(context, part);
    if (status != COVER_OK) image_free(label, context);
    return status;
}

cover_status predictor_volume(cover_predictor *predictor, const struct cover_dicom *set, int index, float **scores,
                              struct image *label, struct image *image) {
    cover_context *context = predictor_context(predictor);
    const struct dicom_volume *volume = &set->volumes[index];
    const bool each = volume->images && volume->count > 1 && predictor_settings(predictor)->network.dims == 2;
    int64_t count;
    float *made = NULL;
    dicom_volume_look(image, set, index, -1);
    if (scores) {
        TRY(predictor_scores(predictor, image, &count));
        made = memory_within(context, (size_t)count * sizeof *made);
        if (!made) return COVER_ERROR_MEMORY;
    }
    const cover_status status = each ? predict_frames(predictor, set, index, made, label, image)
                                     : predict_part(predictor, set, index, -1, made, label, image);
    if (status == COVER_OK && scores) *scores = made;
    else memory_free(context, made);
    return status;
}

/* ---- tensors */

/* What is said of each pixel is (D, H, W) even of one plane. */
static cover_status tensor_of(cover_tensor **tensor, cover_context *context, cover_dtype dtype, const void *data, int64_t classes,
                              const struct image *label, bool dense) {
    const int64_t volume[4] = {classes, label->size[0], label->size[1], label->size[2]};
    const int64_t own[1] = {classes ? classes : label->size[2]};
    const int rank = !dense ? 1 : classes ? 4 : 3;
    TRY(cover_tensor_create(tensor, context, dtype, rank, !dense ? own : classes ? volume : volume + 1));
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= cover_tensor_shape(*tensor)[i];
    memcpy(cover_tensor_data(*tensor), data, (size_t)count * cover_dtype_bytes(dtype));
    return COVER_OK;
}

cover_status cover_predictor_run_dicom(cover_tensor **label_out, cover_tensor **scores_out, cover_predictor *predictor,
                                       const cover_dicom *set, int index) {
    if (!predictor || !set) return fail(COVER_ERROR_ARGUMENT, "cover_predictor_run_dicom: an argument is NULL");
    cover_context *context = predictor_context(predictor);
    TRY(dicom_set_check(set, index));
    const bool dense = predictor_kind(predictor)->dense;
    struct image label = {0}, image;
    float *scores = NULL;
    cover_tensor *map = NULL, *values = NULL;
    cover_status status;
    GO(predictor_volume(predictor, set, index, scores_out ? &scores : NULL, &label, &image));
    if (dense && set->volumes[index].tilt_degrees > 0) GO(dicom_tilt_back(&label, context, &set->volumes[index]));
    if (label_out) GO(tensor_of(&map, context, label.dtype, label.data, 0, &label, dense));
    if (scores_out) GO(tensor_of(&values, context, COVER_F32, scores, predictor_settings(predictor)->task.classes, &label, dense));
    if (label_out) *label_out = map, map = NULL;
    if (scores_out) *scores_out = values, values = NULL;
done:
    image_free(&label, context);
    memory_free(context, scores);
    cover_tensor_destroy(map);
    cover_tensor_destroy(values);
    return status;
}
