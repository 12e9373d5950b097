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

const char *dicom_jpeg_bits(void) { return has_12_bits() ? "8 and 12 bits" : "8 bits"; }

cover_status dct_jpeg_check(const struct jpeg_header *header, const struct dicom_frame *frame) {
    if (header->precision != 8 && !(header->precision == 12 && has_12_bits()))
        return fail(COVER_ERROR_UNSUPPORTED, "JPEG with %d bits (%s) needs libjpeg-turbo 3; dcmdjpeg IN OUT decompresses it",
                    header->precision, frame->syntax->uid);
    if (dicom_pixels(frame->shape) / JPEG_PIXELS_A_BYTE > frame->size)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: %zu bytes cannot hold %d x %d pixels", frame->size, header->columns,
                    header->rows);
    return COVER_OK;
}

static cover_status place(void *user, struct jpeg_decompress_struct *jpeg, void **pixels, size_t *row_bytes) {
    const struct dicom_frame *frame = user;
    const struct dicom_frame_shape *shape = frame->shape;
    const int sample = jpeg->data_precision > 8 ? 2 : 1;
    size_t bytes;
    if ((int64_t)jpeg->image_width != shape->columns || (int64_t)jpeg->image_height != shape->rows ||
        jpeg->num_components != shape->samples || sample > dicom_word(shape))
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: two frame headers"); /* the first one was as the data set says */
    jpeg->out_color_space = jpeg->jpeg_color_space;
    *pixels = dicom_narrow_samples(frame, sample, &bytes);
    *row_bytes = bytes / (size_t)shape->rows;
    return COVER_OK;
}

cover_status dct_jpeg_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    TRY(jpeg_read(frame->context, frame->bytes, frame->size, memory_left(frame->context), place, (void *)frame));
    dicom_spread_samples(frame, header->precision > 8 ? 2 : 1);
    *decoded = (struct dicom_decoded){.precision = header->precision, .colour = jpeg_header_colour(header)};
    return COVER_OK;
}
