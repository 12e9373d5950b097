/* Resampling of class scores and their maximum, one class after the other, so that memory at the larger size does not grow with
 * the classes.  See scores.h. */
#include "scores.h"

#include "io/image/resample.h"

#include <string.h>

/* Scores of one class at the size of `to`, fresh. */
static cover_status class_plane(float **plane, cover_context *context, const struct grid *to, const float *scores,
                                const struct grid *from, int classes, int class) {
    int64_t pixels = grid_pixels(from);
    struct image image = {
        .dtype = COVER_F32, .dims = from->ndim, .channels = 1, .size = {from->size[0], from->size[1], from->size[2]}};
    float *own = image.data = memory_alloc(context, (size_t)pixels * sizeof *own);
    if (!own) return COVER_ERROR_MEMORY;
    for (int64_t p = 0; p < pixels; p++) own[p] = scores[p * classes + class];
    cover_status status = resample_linear(&image, context, to->size);
    if (status == COVER_OK) *plane = image.data;
    else image_free(&image, context);
    return status;
}

cover_status scores_to_labels(uint16_t *labels, float *planes, cover_context *context, const struct grid *to, const float *scores,
                              const struct grid *from, int classes) {
    int64_t pixels = grid_pixels(to);
    cover_status status = COVER_OK;
    float *best = NULL, *plane = NULL;
    memset(labels, 0, (size_t)pixels * sizeof *labels);
    for (int c = 0; c < classes; c++) {
        GO(class_plane(&plane, context, to, scores, from, classes, c));
        if (planes) memcpy(planes + c * pixels, plane, (size_t)pixels * sizeof *plane);
        for (int64_t p = 0; best && p < pixels; p++)
            if (plane[p] > best[p]) best[p] = plane[p], labels[p] = (uint16_t)c;
        if (!best) best = plane;
        else memory_free(context, plane);
        plane = NULL;
    }
done:
    memory_free(context, plane);
    memory_free(context, best);
    return status;
}
