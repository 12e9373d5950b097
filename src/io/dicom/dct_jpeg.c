/* JPEG of coefficients (baseline, extended, progressive) through libjpeg-turbo: samples as they were coded, subsampling undone, colours
 * not converted.  12 bits where libjpeg-turbo is 3 or newer.  A row of the table in syntax.c by way of jpeg.c. */
#include "jpeg_header.h"

#include "core/base/memory.h"
#include "io/image/jpeg_read.h"

#ifdef HAVE_JPEG12
static bool has_12_bits(void) { return true; }
#else
static bool has_12_bits(void) { return false; }
#endif

cover_status dct_jpeg_check(const struct jpeg_header *header, const struct dicom_frame *frame) {
    if (header->precision != 8 && !(header->precision == 12 && has_12_bits()))
        return fail(COVER_ERROR_UNSUPPORTED, "JPEG with %d bits (%s) needs libjpeg-turbo 3; dcmdjpeg IN OUT decompresses it",
                    header->precision, frame->syntax->uid);
    if (dicom_pixels(frame->shape) / JPEG_PIXELS_A_BYTE > frame->size)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: %zu bytes cannot hold %d x %d pixels", frame->size, header->columns,
                    header->rows);
    return COVER_OK;
}

/* Samples narrower than the frame's words go to its end, and are spread from there. */
static size_t sample_bytes(const struct jpeg_decompress_struct *jpeg) { return jpeg->data_precision > 8 ? 2 : 1; }

static cover_status place(void *user, struct jpeg_decompress_struct *jpeg, void **pixels, size_t *row_bytes) {
    const struct dicom_frame *frame = user;
    const struct dicom_frame_shape *shape = frame->shape;
    if ((int64_t)jpeg->image_width != shape->columns || (int64_t)jpeg->image_height != shape->rows ||
        jpeg->num_components != shape->samples || sample_bytes(jpeg) > (size_t)dicom_word(shape))
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: two frame headers"); /* the first one was as the data set says */
    jpeg->out_color_space = jpeg->jpeg_color_space;
    *row_bytes = (size_t)shape->columns * (size_t)shape->samples * sample_bytes(jpeg);
    *pixels = (uint8_t *)frame->out + (size_t)dicom_frame_bytes(shape) - (size_t)shape->rows * *row_bytes;
    return COVER_OK;
}

#define SPREAD(narrow, wide)                                                                                                       \
    do {                                                                                                                           \
        const narrow *from = (const narrow *)out + count * (sizeof(wide) / sizeof(narrow) - 1);                                    \
        for (size_t i = 0; i < count; i++) ((wide *)out)[i] = from[i];                                                             \
    } while (0)

/* From the first on: a word is written where the samples before it have been read. */
static void spread(void *out, size_t count, int sample, int word) {
    if (sample == 1 && word == 2) SPREAD(uint8_t, uint16_t);
    if (sample == 1 && word == 4) SPREAD(uint8_t, uint32_t);
    if (sample == 2 && word == 4) SPREAD(uint16_t, uint32_t);
}

cover_status dct_jpeg_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    const struct dicom_frame_shape *shape = frame->shape;
    TRY(jpeg_read(frame->context, frame->bytes, frame->size, memory_left(frame->context), place, (void *)frame));
    spread(frame->out, dicom_pixels(shape) * (size_t)shape->samples, header->precision > 8 ? 2 : 1, dicom_word(shape));
    *decoded = (struct dicom_decoded){.precision = header->precision, .colour = jpeg_header_colour(header)};
    return COVER_OK;
}
