/* DICOM Segmentations that are read (R48): of any writer, BINARY and LABELMAP as labels, and our own before they leave (R37).
 * Called by seg_write.c, check_dicom.c and pack_segments.c. */
#ifndef COVER_DICOM_SEG_READ_H
#define COVER_DICOM_SEG_READ_H

#include "seg_plan.h"

struct dicom_read_segment {
    int number;
    char label[65];
    char value[17], scheme[17]; /* of its type */
};
struct dicom_seg {
    cover_context *context;
    const struct dicom_object *object;
    enum seg_type type;
    struct dicom_read_segment *segments; /* in the order of the object, without a background */
    int segment_count;
    uint16_t *by_number;        /* 1 + index of the segment with a number, 0 = there is none; of 65536 */
    struct seg_frame *frames;   /* segment: 1 + its index above, 0 of a label map; slice: -1 until it is placed */
    int referenced, positioned; /* frames that were placed so */
    uint8_t *inflated;          /* pixels of a deflated object, once they are read */
};

/* Checks what the object says of segments and frames.  dicom_seg_close() after success and after failure. */
cover_status dicom_seg_open(struct dicom_seg *seg, cover_context *context, const struct dicom_object *object);
void dicom_seg_close(struct dicom_seg *seg);
/* Each frame to a slice of a volume: to the image that it names, else to the one at its place.  Refused where an image or a place is not
 * the volume's, or the two disagree. */
cover_status dicom_seg_place(struct dicom_seg *seg, const struct cover_dicom *set, int index);
/* All frames as one label map (D, H, W) of the volume, COVER_U8 or, of more than 255 segments, COVER_U16; segment k (1 + index) is label k.
 * *labels: memory_free(). */
cover_status dicom_seg_labels(void **labels, cover_dtype *dtype, struct dicom_seg *seg, const struct cover_dicom *set, int index);

/* Is it of this volume: does it name one of its images, or, where it names none, is its frame of reference the same? */
bool dicom_seg_is_of(const struct dicom_object *object, const struct dicom_volume *volume);

/* The object that was put, read again: the same label map, voxel by voxel in patient coordinates? */
cover_status seg_verify(const struct seg_plan *plan, const struct dicom_put *put);

#endif
