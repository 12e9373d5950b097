/* Where a frame of a DICOM object lies (PS3.3, C.7.6.2), and how large the pixels of an image are that says nothing of its place.
 * Called by volumes.c. */
#include "set.h"

#include <math.h>
#include <string.h>

const char *const dicom_spacing_names[] = {[SPACING_UNKNOWN] = "unknown",
                                           [SPACING_PATIENT] = "patient",
                                           [SPACING_DETECTOR] = "detector",
                                           [SPACING_ESTIMATED] = "estimated",
                                           [SPACING_REGION] = "region"};

static const double COSINE_TOLERANCE = 1e-3;
static const double FARTHEST_MM = 1e6;

double dicom_dot(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

void dicom_normal(const struct dicom_frame *frame, double normal[3]) {
    const double *r = frame->row, *c = frame->column;
    for (int i = 0; i < 3; i++) normal[i] = r[(i + 1) % 3] * c[(i + 2) % 3] - r[(i + 2) % 3] * c[(i + 1) % 3];
    const double length = sqrt(dicom_dot(normal, normal));
    for (int i = 0; i < 3; i++) normal[i] /= length;
}

static cover_status check_spacing(uint32_t tag, const double spacing[2]) {
    char name[DICOM_TAG_TEXT];
    for (int i = 0; i < 2; i++)
        if (!(spacing[i] > 0 && spacing[i] < FARTHEST_MM))
            return fail(COVER_ERROR_FORMAT, "%s is %g\\%g: millimetres above 0 are needed", dicom_tag_name(name, tag), spacing[0],
                        spacing[1]);
    return COVER_OK;
}

static cover_status check_orientation(const struct dicom_frame *frame) {
    const double row = dicom_dot(frame->row, frame->row), column = dicom_dot(frame->column, frame->column);
    const double both = dicom_dot(frame->row, frame->column);
    if (fabs(sqrt(row) - 1) <= COSINE_TOLERANCE && fabs(sqrt(column) - 1) <= COSINE_TOLERANCE && fabs(both) <= COSINE_TOLERANCE)
        return COVER_OK;
    return fail(
        COVER_ERROR_FORMAT,
        "Image Orientation (0020,0037) has vectors of length %.4f and %.4f with a cosine of %.4f between: they must be of length 1 "
        "and orthogonal",
        sqrt(row), sqrt(column), both);
}

/* R28: the detector says where the first frame lies, and the spacing with its sign where the others do. */
static cover_status place_of_detector(struct dicom_frame *frame, double vectors[6], bool *oriented, bool *placed) {
    const struct dicom_tree *tree = &frame->object->tree;
    const struct dicom_node *detector = dicom_first(tree, dicom_find(tree, NULL, TAG_DETECTORS));
    double step = 0;
    bool spaced;
    *oriented = *placed = false;
    if (!detector) return COVER_OK;
    TRY(dicom_vector(tree, dicom_find(tree, detector, TAG_POSITION), frame->position, 3, placed));
    TRY(dicom_vector(tree, dicom_find(tree, detector, TAG_ORIENTATION), vectors, 6, oriented));
    TRY(dicom_vector(tree, dicom_find(tree, NULL, TAG_SPACING_BETWEEN), &step, 1, &spaced));
    if (!*placed || !*oriented) return COVER_OK;
    if (frame->object->frames > 1 && (!spaced || step == 0)) {
        *placed = false;
        return COVER_OK;
    }
    double normal[3];
    memcpy(frame->row, vectors, sizeof frame->row);
    memcpy(frame->column, vectors + 3, sizeof frame->column);
    TRY(check_orientation(frame));
    dicom_normal(frame, normal);
    for (int i = 0; i < 3; i++) frame->position[i] += normal[i] * step * frame->frame;
    return COVER_OK;
}

cover_status dicom_place(struct dicom_frame *frame) {
    const struct dicom_object *object = frame->object;
    const struct dicom_tree *tree = &object->tree;
    double vectors[6];
    bool placed, oriented, spaced, thick;
    TRY(dicom_vector(tree, dicom_of_frame(object, frame->frame, TAG_PLANE_POSITION, TAG_POSITION), frame->position, 3, &placed));
    TRY(dicom_vector(tree, dicom_of_frame(object, frame->frame, TAG_PLANE_ORIENTATION, TAG_ORIENTATION), vectors, 6, &oriented));
    TRY(dicom_vector(tree, dicom_of_frame(object, frame->frame, TAG_PIXEL_MEASURES, TAG_PIXEL_SPACING), frame->spacing, 2,
                     &spaced));
    TRY(dicom_vector(tree, dicom_of_frame(object, frame->frame, TAG_PIXEL_MEASURES, TAG_SLICE_THICKNESS), &frame->thickness, 1,
                     &thick));
    if (!thick || !(frame->thickness > 0 && frame->thickness < FARTHEST_MM)) frame->thickness = 0;
    /* several frames at the one place that the data set says are not a stack */
    if (placed && !object->per_frame && object->frames > 1) placed = false;
    if (!placed && strcmp(object->modality, "NM") == 0) TRY(place_of_detector(frame, vectors, &oriented, &placed));
    if (spaced) TRY(check_spacing(TAG_PIXEL_SPACING, frame->spacing));
    frame->placed = placed && oriented && spaced;
    if (!frame->placed) return COVER_OK;
    for (int i = 0; i < 3; i++)
        if (fabs(frame->position[i]) > FARTHEST_MM)
            return fail(COVER_ERROR_FORMAT, "Image Position (0020,0032) has %g mm: no patient is so far away", frame->position[i]);
    memcpy(frame->row, vectors, sizeof frame->row);
    memcpy(frame->column, vectors + 3, sizeof frame->column);
    return check_orientation(frame);
}

/* One region of two dimensions, both in cm (PS3.3, C.8.5.5). */
static cover_status region_spacing(const struct dicom_tree *tree, double spacing[2], enum dicom_spacing *at) {
    enum { CENTIMETRES = 3 };
    static const uint32_t tags[] = {TAG_REGION_DELTA_Y, TAG_REGION_DELTA_X};
    static const uint32_t unit_tags[] = {TAG_REGION_UNITS_Y, TAG_REGION_UNITS_X};
    const struct dicom_node *regions = dicom_find(tree, NULL, TAG_REGIONS), *region = dicom_first(tree, regions);
    if (!region || dicom_next(tree, regions, region)) return COVER_OK;
    double found[2];
    for (int i = 0; i < 2; i++) {
        uint16_t unit;
        bool present;
        size_t bytes;
        TRY(dicom_short(tree, dicom_find(tree, region, unit_tags[i]), &unit, &present));
        const uint8_t *delta = dicom_bytes(tree, dicom_find(tree, region, tags[i]), &bytes);
        if (!present || unit != CENTIMETRES || !delta || bytes != 8) return COVER_OK;
        found[i] = 10 * fabs(dicom_f64(tree, delta));
        if (!(found[i] > 0 && found[i] < FARTHEST_MM)) return COVER_OK;
    }
    memcpy(spacing, found, sizeof found);
    *at = SPACING_REGION;
    return COVER_OK;
}

cover_status dicom_image_spacing(const struct dicom_object *object, double spacing[2], enum dicom_spacing *at) {
    const struct dicom_tree *tree = &object->tree;
    double imager[2], magnification = 0;
    bool patient, detector, magnified;
    TRY(dicom_vector(tree, dicom_find(tree, NULL, TAG_PIXEL_SPACING), spacing, 2, &patient));
    TRY(dicom_vector(tree, dicom_find(tree, NULL, TAG_IMAGER_SPACING), imager, 2, &detector));
    TRY(dicom_vector(tree, dicom_find(tree, NULL, TAG_MAGNIFICATION), &magnification, 1, &magnified));
    if (patient) TRY(check_spacing(TAG_PIXEL_SPACING, spacing));
    if (detector) TRY(check_spacing(TAG_IMAGER_SPACING, imager));
    if (patient) {
        *at = detector && memcmp(spacing, imager, sizeof imager) == 0 ? SPACING_DETECTOR : SPACING_PATIENT;
        return COVER_OK;
    }
    if (!detector) {
        spacing[0] = spacing[1] = 0, *at = SPACING_UNKNOWN;
        return region_spacing(tree, spacing, at);
    }
    magnified = magnified && magnification >= 1 && magnification < 100;
    for (int i = 0; i < 2; i++) spacing[i] = imager[i] / (magnified ? magnification : 1);
    *at = magnified ? SPACING_ESTIMATED : SPACING_DETECTOR;
    return COVER_OK;
}
