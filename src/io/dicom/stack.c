/* Slices in ascending order become a grid: evenly spaced and upright, or refused with the numbers (R29, R31).  Called by volumes.c. */
#include "set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What slices are between: distances along the normal, and their median. */
struct steps {
    double *distance, typical, smallest, largest, tolerance;
    int count;
};

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static cover_status measure(struct steps *steps, const struct cover_dicom *set, const struct dicom_volume *volume) {
    steps->count = volume->count - 1;
    steps->distance = memory_alloc(set->context, 2 * (size_t)steps->count * sizeof(double));
    if (!steps->distance) return COVER_ERROR_MEMORY;
    double *sorted = steps->distance + steps->count;
    for (int i = 0; i < steps->count; i++) steps->distance[i] = volume->slices[i + 1]->along - volume->slices[i]->along;
    memcpy(sorted, steps->distance, (size_t)steps->count * sizeof(double));
    qsort(sorted, (size_t)steps->count, sizeof *sorted, compare_doubles);
    const int half = steps->count / 2;
    steps->typical = steps->count % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    steps->smallest = sorted[0], steps->largest = sorted[steps->count - 1];
    const double share = set->options.spacing_tolerance > 0 ? set->options.spacing_tolerance : 0.01;
    steps->tolerance = share * steps->typical > 0.02 ? share * steps->typical : 0.02;
    return COVER_OK;
}

/* How often the typical step goes into a distance; 1 for those that are no multiple. */
static int multiple_of(const struct steps *steps, double distance) {
    const double times = distance / steps->typical, whole = rint(times);
    return whole >= 2 && whole < 1e6 && fabs(times - whole) < 0.05 ? (int)whole : 1;
}

/* Slices are missing, and the others lie where they must. */
static cover_status find_gaps(const struct cover_dicom *set, struct dicom_volume *volume, const struct steps *steps) {
    struct text text = {.context = set->context};
    int64_t missing = 0;
    for (int i = 0; i < steps->count; i++) {
        const int times = multiple_of(steps, steps->distance[i]);
        if (times == 1 && fabs(steps->distance[i] - steps->typical) > 2 * steps->tolerance) return COVER_OK; /* uneven */
        missing += times - 1;
    }
    if (missing == 0) return COVER_OK;
    text_add(&text, "%lld %s missing: ", (long long)missing, missing == 1 ? "image is" : "images are");
    int named = 0;
    for (int i = 0; i < steps->count && named < 4; i++)
        if (multiple_of(steps, steps->distance[i]) > 1)
            text_add(&text, named++ ? "after image %d %.2f mm, " : "after image %d the distance is %.2f mm, ", i + 1,
                     steps->distance[i]);
    text_add(&text, "elsewhere %.2f mm; send the series again", steps->typical);
    return text_take(&text, &volume->refusal);
}

/* How far slices leave the line along the normal, at most: along row and column, in mm. */
static void drift_of(const struct dicom_volume *volume, const double normal[3], double drift[2]) {
    const struct dicom_frame *first = volume->slices[0];
    drift[0] = drift[1] = 0;
    for (int i = 1; i < volume->count; i++) {
        const struct dicom_frame *slice = volume->slices[i];
        double off[3];
        for (int k = 0; k < 3; k++) off[k] = slice->position[k] - first->position[k] - normal[k] * (slice->along - first->along);
        drift[0] = fmax(drift[0], fabs(dicom_dot(off, first->row)));
        drift[1] = fmax(drift[1], fabs(dicom_dot(off, first->column)));
    }
}

static cover_status check_tilt(const struct cover_dicom *set, struct dicom_volume *volume, const double normal[3]) {
    const struct dicom_frame *first = volume->slices[0], *last = volume->slices[volume->count - 1];
    double drift[2], step[3], length = 0;
    drift_of(volume, normal, drift);
    if (drift[0] <= first->spacing[1] / 2 && drift[1] <= first->spacing[0] / 2) return COVER_OK;
    for (int k = 0; k < 3; k++) step[k] = (last->position[k] - first->position[k]) / (volume->count - 1);
    length = sqrt(dicom_dot(step, step));
    const double cosine = dicom_dot(step, normal) / length;
    volume->tilt_degrees = acos(cosine < 1 ? cosine : 1) * 180 / acos(-1);
    volume->shift[0] = dicom_dot(step, first->row), volume->shift[1] = dicom_dot(step, first->column);
    if (set->options.tilt && strcmp(set->options.tilt, "resample") == 0) return COVER_OK;
    struct text text = {.context = set->context};
    text_add(&text, "tilted by %.1f degrees; use tilt=resample to straighten it and map results back", volume->tilt_degrees);
    return text_take(&text, &volume->refusal);
}

static cover_status check_even(const struct cover_dicom *set, struct dicom_volume *volume, const struct steps *steps) {
    const double first = volume->slices[0]->along, last = volume->slices[volume->count - 1]->along;
    const double step = (last - first) / (volume->count - 1);
    double off = 0;
    for (int i = 0; i < volume->count; i++) off = fmax(off, fabs(volume->slices[i]->along - (first + i * step)));
    if (off <= steps->tolerance) return COVER_OK;
    struct text text = {.context = set->context};
    text_add(&text, "slices are not evenly spaced (%.2f to %.2f mm); a spacing tolerance of %.2g takes them as they are",
             steps->smallest, steps->largest, ceil(off / steps->typical * 100) / 100);
    return text_take(&text, &volume->refusal);
}

/* Voxel (x, y, z) to RAS mm, 3x4 rows, from the first slice and the step between slices. */
static void place_grid(struct dicom_volume *volume, const double step[3]) {
    const struct dicom_frame *first = volume->slices[0];
    for (int k = 0; k < 3; k++) {
        const double sign = k < 2 ? -1 : 1; /* LPS to RAS; and no -0: what is equal has equal bytes */
        volume->affine[4 * k] = sign * first->row[k] * first->spacing[1] + 0.0;
        volume->affine[4 * k + 1] = sign * first->column[k] * first->spacing[0] + 0.0;
        volume->affine[4 * k + 2] = sign * step[k] + 0.0;
        volume->affine[4 * k + 3] = sign * first->position[k] + 0.0;
    }
    volume->spacing_mm[0] = sqrt(dicom_dot(step, step));
    volume->spacing_mm[1] = first->spacing[0], volume->spacing_mm[2] = first->spacing[1];
}

cover_status dicom_stack(struct cover_dicom *set, struct dicom_volume *volume) {
    struct steps steps = {0};
    double normal[3], step[3];
    cover_status status;
    const struct dicom_frame *first = volume->slices[0], *last = volume->slices[volume->count - 1];
    dicom_normal(first, normal);
    if (volume->count == 1) {
        volume->single = true;
        for (int k = 0; k < 3; k++) step[k] = normal[k] * (first->thickness > 0 ? first->thickness : 1);
        place_grid(volume, step);
        if (!(first->thickness > 0)) volume->spacing_mm[0] = 0;
        return COVER_OK;
    }
    GO(measure(&steps, set, volume));
    GO(check_tilt(set, volume, normal));
    if (!volume->refusal) GO(find_gaps(set, volume, &steps));
    if (!volume->refusal) GO(check_even(set, volume, &steps));
    for (int k = 0; k < 3; k++) step[k] = (last->position[k] - first->position[k]) / (volume->count - 1);
    if (volume->tilt_degrees > 0) /* straightened: along the normal */
        for (int k = 0; k < 3; k++) step[k] = normal[k] * (last->along - first->along) / (volume->count - 1);
    place_grid(volume, step);
done:
    memory_free(set->context, steps.distance);
    return status;
}
