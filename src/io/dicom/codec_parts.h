/* What a codec of this room has, and what codecs share.  Read by syntax.c and by each file that has a row. */
#ifndef COVER_DICOM_CODEC_PARTS_H
#define COVER_DICOM_CODEC_PARTS_H

#include "codec.h"

/* A frame on its way: the codestream, what the data set says of it, and where the pixels go. */
struct dicom_frame {
    cover_context *context;
    const struct dicom_syntax *syntax;
    const uint8_t *bytes;
    size_t size;
    const struct dicom_frame_shape *shape;
    void *out;
};

struct dicom_codec {
    /* The codestream's header against the data set's, without memory. */
    cover_status (*check)(const struct dicom_frame *frame);
    /* Called for a frame that was checked. */
    cover_status (*decode)(const struct dicom_frame *frame, struct dicom_decoded *decoded);
};

extern const struct dicom_codec dicom_rle, dicom_jpeg, dicom_jpeg_2000;

static inline size_t dicom_pixels(const struct dicom_frame_shape *shape) { return (size_t)shape->rows * (size_t)shape->columns; }

/* Bytes of a decoded value. */
static inline int dicom_word(const struct dicom_frame_shape *shape) {
    return shape->bits_allocated == 1 ? 1 : shape->bits_allocated / 8;
}

/* Where a codec puts samples that may be narrower than the frame's words, `sample` bytes each: at the end of the frame. */
void *dicom_narrow_samples(const struct dicom_frame *frame, int sample, size_t *bytes);
/* From there to words. */
void dicom_spread_samples(const struct dicom_frame *frame, int sample);
/* A line of one component, its samples shifted to the left by `point`. */
void dicom_put_line(const struct dicom_frame *frame, const uint16_t *line, int component, int row, int point);

#endif
