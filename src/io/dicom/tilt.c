/* A tilted gantry (R31): slices onto a grid that stands upright, and label maps back onto the slices.  Called by read.c and prediction. */
#include "set.h"

#include "core/base/memory.h"

#include <math.h>
#include <string.h>

/* How many pixels along a row and along a column slice d lies off the upright grid. */
static void shift_of(double shift[2], const struct dicom_volume *volume, int d) {
    const struct dicom_frame *first = volume->slices[0];
    double off[3];
    for (int k = 0; k < 3; k++) off[k] = volume->slices[d]->position[k] - first->position[k];
    shift[0] = dicom_dot(off, first->row) / first->spacing[1], shift[1] = dicom_dot(off, first->column) / first->spacing[0];
}

/* Linear between four pixels, `outside` beyond them. */
static double sample(const float *slice, int64_t height, int64_t width, int channels, int c, double x, double y, float outside) {
    const double x0 = floor(x), y0 = floor(y);
    double sum = 0;
    for (int corner = 0; corner < 4; corner++) {
        const double cx = x0 + corner % 2, cy = y0 + corner / 2, weight = (1 - fabs(x - cx)) * (1 - fabs(y - cy));
        const bool inside = cx >= 0 && cy >= 0 && cx < (double)width && cy < (double)height;
        if (weight > 0) sum += weight * (double)(inside ? slice[((int64_t)cy * width + (int64_t)cx) * channels + c] : outside);
    }
    return sum;
}

cover_status dicom_straighten(struct image *image, cover_context *context, const struct dicom_volume *volume) {
    const int64_t height = image->size[1], width = image->size[2], values = height * width * image->channels;
    float *all = image->data, lowest = all[0];
    float *copy = memory_within(context, (size_t)values * sizeof *copy);
    if (!copy) return COVER_ERROR_MEMORY;
    for (int64_t i = 1; i < values * image->size[0]; i++) lowest = all[i] < lowest ? all[i] : lowest;
    for (int d = 1; d < image->size[0]; d++) {
        double shift[2];
        float *slice = all + d * values;
        shift_of(shift, volume, d);
        memcpy(copy, slice, (size_t)values * sizeof *copy);
        for (int64_t i = 0; i < height * width; i++)
            for (int c = 0; c < image->channels; c++)
                slice[i * image->channels + c] =
                    (float)sample(copy, height, width, image->channels, c, (double)(i % width) - shift[0],
                                  (double)(i / width) - shift[1], lowest);
    }
    memory_free(context, copy);
    return COVER_OK;
}

cover_status dicom_tilt_back(struct image *label, cover_context *context, const struct dicom_volume *volume) {
    const int64_t height = label->size[1], width = label->size[2];
    const size_t element = cover_dtype_bytes(label->dtype), bytes = (size_t)(height * width) * element;
    uint8_t *copy = memory_within(context, bytes);
    if (!copy) return COVER_ERROR_MEMORY;
    for (int d = 1; d < label->size[0]; d++) {
        double shift[2];
        uint8_t *slice = (uint8_t *)label->data + (size_t)d * bytes;
        shift_of(shift, volume, d);
        memcpy(copy, slice, bytes);
        memset(slice, 0, bytes);
        for (int64_t i = 0; i < height * width; i++) {
            const double x = rint((double)(i % width) + shift[0]), y = rint((double)(i / width) + shift[1]);
            if (x < 0 || y < 0 || x >= (double)width || y >= (double)height) continue;
            memcpy(slice + (size_t)i * element, copy + (size_t)((int64_t)y * width + (int64_t)x) * element, element);
        }
    }
    memory_free(context, copy);
    return COVER_OK;
}
