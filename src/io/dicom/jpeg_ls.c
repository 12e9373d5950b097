/* JPEG-LS (ITU-T T.87) by the module: lossless and near-lossless, 2 to 16 bits, one or three components, interleaved in any way.  A row of
 * the table in syntax.c by way of jpeg.c. */
#include "codecs.h"
#include "jpeg_header.h"

/* A run of pixels may be as long as a line and takes some bits; the first megapixels are free. */
enum { FREE_PIXELS = 16 << 20, PIXELS_A_BYTE = 8192 };

/* Bytes up to the end marker, which zeros may follow; 0: there is none.  CharLS 2.4 reads on for ever where no marker stops it. */
static size_t bytes_to_end(const struct dicom_frame *frame) {
    size_t size = frame->size;
    while (size && frame->bytes[size - 1] == 0) size--;
    return size >= 2 && frame->bytes[size - 2] == 0xFF && frame->bytes[size - 1] == JPEG_EOI ? size : 0;
}

cover_status jpeg_ls_check(const struct jpeg_header *header, const struct dicom_frame *frame) {
    if (header->precision < 2) return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: %d bits a sample", header->precision);
    if (!bytes_to_end(frame)) return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: it ends early");
    for (int c = 0; c < header->components; c++)
        if (header->component[c].h != 1 || header->component[c].v != 1)
            return fail(COVER_ERROR_UNSUPPORTED, "a JPEG-LS with subsampled colour; dcmdjpls IN OUT decompresses it");
    if (dicom_pixels(frame->shape) > FREE_PIXELS && dicom_pixels(frame->shape) / PIXELS_A_BYTE > frame->size)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: %zu bytes cannot hold %d x %d pixels", frame->size, header->columns,
                    header->rows);
    return COVER_OK;
}

cover_status jpeg_ls_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded) {
    const struct dicom_frame_shape *shape = frame->shape;
    const struct codecs_module *module;
    const int sample = header->precision > 8 ? 2 : 1;
    char error[256];
    TRY(dicom_codecs_open(&module, "JPEG-LS"));
    struct codecs_frame coded = {frame->bytes,   bytes_to_end(frame), shape->rows, shape->columns,
                                 shape->samples, header->precision,   sample};
    coded.out = dicom_narrow_samples(frame, sample, &coded.out_bytes);
    if (!module->jpeg_ls(&coded, error, sizeof error)) return fail(COVER_ERROR_FORMAT, "damaged JPEG-LS: %s", error);
    dicom_spread_samples(frame, sample);
    if (coded.planar) TRY(dicom_join_planes(frame));
    *decoded = (struct dicom_decoded){.precision = header->precision, .colour = jpeg_header_colour(header)};
    return COVER_OK;
}
