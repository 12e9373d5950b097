/* A label map on its way into a DICOM Segmentation: which frames there are (R41), their pixels (R42, R45), and what the object is called.
 * Called by seg_write.c, sr_write.c and sc_write.c. */
#ifndef COVER_DICOM_SEG_PLAN_H
#define COVER_DICOM_SEG_PLAN_H

#include "derived.h"

enum seg_type { SEG_BINARY, SEG_LABEL_MAP, SEG_FRACTIONAL };
extern const char *const seg_type_words[]; /* as Segmentation Type has them */

struct seg_frame {
    int segment; /* from 1; 0 of a label map, whose frames have all */
    int slice;
};
struct seg_plan {
    struct dicom_job job;
    struct dicom_derived object;
    enum seg_type type;
    /* dense: labels of (D, H, W), or probabilities of (classes, D, H, W) */
    const void *labels;
    cover_dtype dtype;
    void *copy; /* of a tensor that is not dense */
    int64_t slice_pixels;
    struct seg_frame *frames;
    int frame_count;
    int bits; /* of a pixel */
    uint8_t *pixels;
    uint64_t pixel_bytes;
};
/* seg_plan_end() after success and after failure. */
cover_status seg_plan_begin(struct seg_plan *plan, const cover_dicom *set, int index, const cover_tensor *label,
                            const cover_seg_options *options);
void seg_plan_end(struct seg_plan *plan);

/* round(255 p) */
uint8_t seg_fraction_of(float probability);

#endif
