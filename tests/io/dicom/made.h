/* DICOM objects that tests make for themselves, by the library's own writer: slices of a volume in any orientation, classic or as one
 * multi-frame object, and images that do not say where they lie. */
#ifndef COVER_DICOM_MADE_H
#define COVER_DICOM_MADE_H

#include "../../fixture.h"

#include "core/base/tensor.h"
#include "io/dicom/seg_read.h"

#include <libcover/cover.h>

#include <math.h>

/* 7 x 6 pixels: bits of a frame do not end with a byte. */
enum { DEPTH = 5, ROWS = 7, COLUMNS = 6, PLANE = ROWS * COLUMNS, VOXELS = DEPTH * PLANE };
static const double SPACING[3] = {2.5, 0.75, 0.5}; /* between slices, rows, columns */

struct bytes_made {
    uint8_t *data;
    size_t count, room;
};
static inline int take_bytes(void *user, const void *bytes, size_t count) {
    struct bytes_made *made = user;
    if (made->room < made->count + count) made->data = realloc(made->data, made->room = 2 * (made->count + count));
    if (count) memcpy(made->data + made->count, bytes, count);
    made->count += count;
    return 0;
}

/* How a volume lies: unit vectors along a row and along a column, and whether its objects come from the far end. */
struct pose {
    double row[3], column[3];
    bool backwards;
};
static inline void normal_of(const struct pose *pose, double normal[3]) {
    const double *r = pose->row, *c = pose->column;
    for (int i = 0; i < 3; i++) normal[i] = r[(i + 1) % 3] * c[(i + 2) % 3] - r[(i + 2) % 3] * c[(i + 1) % 3];
}
/* Patient coordinates of a voxel (d ascending along the normal), LPS. */
static inline void place_of(const struct pose *pose, double d, double y, double x, double place[3]) {
    double normal[3];
    normal_of(pose, normal);
    for (int k = 0; k < 3; k++)
        place[k] = -10.25 + 3 * k + normal[k] * SPACING[0] * d + pose->column[k] * SPACING[1] * y + pose->row[k] * SPACING[2] * x;
}
/* One of the 48 orders of axes, directions and objects. */
static inline struct pose pose_of(int which) {
    struct pose pose = {.backwards = which % 2};
    const int row = which / 2 % 6, column = which / 12;
    pose.row[row / 2] = row % 2 ? -1 : 1;
    pose.column[(row / 2 + 1 + column / 2) % 3] = column % 2 ? -1 : 1;
    return pose;
}
static inline struct pose oblique_pose(void) {
    const double a = 0.3, b = 0.2;
    return (struct pose){.row = {cos(a), sin(a), 0}, .column = {-sin(a) * cos(b), cos(a) * cos(b), sin(b)}};
}

static inline void put_who(struct dicom_put *put, const char *modality, int instance) {
    char uid[64];
    snprintf(uid, sizeof uid, "1.2.3.4.%d", instance);
    put_text(put, TAG_CHARACTER_SET, "CS", "ISO_IR 192");
    put_text(put, TAG_IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY");
    put_text(put, TAG_SOP_CLASS, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put_text(put, TAG_SOP_INSTANCE, "UI", uid);
    put_text(put, TAG_STUDY_DATE, "DA", "20200229");
    put_text(put, TAG_MODALITY, "CS", modality);
    put_text(put, TAG_PATIENT_NAME, "PN", "M\xc3\xbcller^Anna");
    put_text(put, TAG_PATIENT_ID, "LO", "P 17");
    put_text(put, TAG_IDENTITY_REMOVED, "CS", "YES");
    put_code(put, TAG_DEIDENTIFICATION_CODES, "113100", "DCM", "Basic Application Confidentiality Profile");
    put_text(put, TAG_STUDY_UID, "UI", "1.2.3.1");
    put_text(put, TAG_SERIES_UID, "UI", "1.2.3.2");
    put_integer(put, TAG_SERIES_NUMBER, 4);
    put_integer(put, TAG_INSTANCE_NUMBER, instance);
}
static inline void put_pixels_of(struct dicom_put *put, int frames, bool spaced) {
    put_short(put, TAG_SAMPLES, 1);
    put_text(put, TAG_PHOTOMETRIC, "CS", "MONOCHROME2");
    put_integer(put, TAG_FRAMES, frames);
    put_short(put, TAG_ROWS, ROWS);
    put_short(put, TAG_COLUMNS, COLUMNS);
    if (spaced) put_decimals(put, TAG_PIXEL_SPACING, SPACING + 1, 2);
    put_short(put, TAG_BITS_ALLOCATED, 16);
    put_short(put, TAG_BITS_STORED, 16);
    put_short(put, TAG_HIGH_BIT, 15);
    put_short(put, TAG_REPRESENTATION, 0);
}
static inline const uint16_t *some_pixels(void) {
    static uint16_t pixels[VOXELS];
    for (int i = 0; i < VOXELS; i++) pixels[i] = (uint16_t)(i * 7);
    return pixels;
}
static inline void add_made(cover_dicom *set, struct dicom_put *put) {
    struct bytes_made made = {0};
    ck_assert_ok(put_end_object(put));
    ck_assert_ok(put_send(put, take_bytes, &made));
    ck_assert_ok(cover_dicom_add_bytes(set, made.data, made.count, 0));
    free(made.data);
    put_free(put);
}
static inline void put_cosines(struct dicom_put *put, const struct pose *pose) {
    double cosines[6];
    memcpy(cosines, pose->row, sizeof pose->row);
    memcpy(cosines + 3, pose->column, sizeof pose->column);
    put_decimals(put, TAG_ORIENTATION, cosines, 6);
}
static inline void begin_made(struct dicom_put *put) { put_begin(put, context, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"); }

static inline void add_classic(cover_dicom *set, const struct pose *pose) {
    for (int i = 0; i < DEPTH; i++) {
        const int d = pose->backwards ? DEPTH - 1 - i : i;
        struct dicom_put put;
        double place[3];
        place_of(pose, d, 0, 0, place);
        begin_made(&put);
        put_who(&put, "CT", i + 1);
        put_decimals(&put, TAG_POSITION, place, 3);
        put_cosines(&put, pose);
        put_text(&put, TAG_FRAME_OF_REFERENCE, "UI", "1.2.3.3");
        put_pixels_of(&put, 1, true);
        put_pixels(&put, "OW", some_pixels() + d * PLANE, 2 * PLANE);
        add_made(set, &put);
    }
}

/* Some of its slices as one object. */
static inline void add_frames(cover_dicom *set, const struct pose *pose, int instance, const int *slices, int frames) {
    uint16_t pixels[VOXELS];
    struct dicom_put put;
    double place[3];
    begin_made(&put);
    put_who(&put, "CT", instance);
    put_text(&put, TAG_FRAME_OF_REFERENCE, "UI", "1.2.3.3");
    put_pixels_of(&put, frames, false);
    put_open(&put, TAG_SHARED_GROUPS);
    put_open(&put, TAG_PLANE_ORIENTATION);
    put_cosines(&put, pose);
    put_close(&put);
    put_open(&put, TAG_PIXEL_MEASURES);
    put_text(&put, TAG_SLICE_THICKNESS, "DS", "2.0");
    put_decimals(&put, TAG_PIXEL_SPACING, SPACING + 1, 2);
    put_close(&put);
    put_close(&put);
    put_sequence(&put, TAG_FRAME_GROUPS);
    for (int i = 0; i < frames; i++) {
        const int d = slices[i];
        memcpy(pixels + i * PLANE, some_pixels() + d * PLANE, 2 * PLANE);
        place_of(pose, d, 0, 0, place);
        put_item(&put);
        put_open(&put, TAG_PLANE_POSITION);
        put_decimals(&put, TAG_POSITION, place, 3);
        put_close(&put);
        put_end(&put);
    }
    put_end(&put);
    put_pixels(&put, "OW", pixels, 2 * PLANE * (uint64_t)frames);
    add_made(set, &put);
}

/* The same as one object, its frames in the order of a shuffle. */
static inline void add_enhanced(cover_dicom *set, const struct pose *pose) {
    static const int order[2][DEPTH] = {{3, 0, 4, 1, 2}, {2, 4, 0, 3, 1}};
    add_frames(set, pose, 1, order[pose->backwards], DEPTH);
}

/* A radiograph, or with more frames a cine. */
static inline void add_image(cover_dicom *set, int frames) {
    struct dicom_put put;
    begin_made(&put);
    put_who(&put, "DX", 1);
    put_pixels_of(&put, frames, true);
    put_pixels(&put, "OW", some_pixels(), 2 * PLANE * (uint64_t)frames);
    add_made(set, &put);
}

static inline cover_dicom *new_set(void) {
    cover_dicom *set = NULL;
    ck_assert_ok(cover_dicom_create(&set, context, NULL));
    return set;
}
static inline void end_adding(cover_dicom *set) {
    int count;
    ck_assert_ok(cover_dicom_volumes(set, &count));
    ck_assert_int_eq(count, 1);
}

/* A tensor over memory that is not copied. */
static inline cover_tensor *view(cover_dtype dtype, int rank, int64_t depth, int64_t classes, const void *data) {
    const int64_t shape[4] = {classes, depth, ROWS, COLUMNS};
    cover_tensor *tensor = NULL;
    ck_assert_ok(cover_tensor_view(&tensor, context, dtype, rank, shape + 4 - rank, NULL, data));
    return tensor;
}

static const char *const class_names[] = {"background", "left lung", "mass", "thing"};
static inline cover_seg_options some_options(void) {
    cover_seg_options options = COVER_SEG_OPTIONS_INIT;
    options.class_names = class_names;
    options.classes = 4;
    options.task = "lungs";
    options.time = "2026-11-30T12:00:00+01:00";
    return options;
}

/* A parsed object over bytes that stay. */
static inline void parse_made(struct dicom_object *object, const struct bytes_made *made) {
    *object = (struct dicom_object){.tree.context = context, .source = source_memory("", made->data, made->count)};
    ck_assert_ok(dicom_object_read(object, context));
}

#endif
