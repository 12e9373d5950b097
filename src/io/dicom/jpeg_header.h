/* The marker segments of a JPEG codestream (ITU-T T.81, annex B; JPEG-LS, T.87, has the same form), and what its frame header says.
 * Read by the codecs of this room that decode JPEG of any kind. */
#ifndef COVER_DICOM_JPEG_HEADER_H
#define COVER_DICOM_JPEG_HEADER_H

#include "codec_parts.h"

enum jpeg_marker {
    JPEG_SOF0 = 0xC0,
    JPEG_SOF1 = 0xC1,
    JPEG_SOF2 = 0xC2,
    JPEG_SOF3 = 0xC3, /* lossless, Huffman */
    JPEG_DHT = 0xC4,
    JPEG_RST0 = 0xD0,
    JPEG_RST7 = 0xD7,
    JPEG_SOI = 0xD8,
    JPEG_EOI = 0xD9,
    JPEG_SOS = 0xDA,
    JPEG_DNL = 0xDC,
    JPEG_DRI = 0xDD,
    JPEG_APP0 = 0xE0,
    JPEG_APP14 = 0xEE,
    JPEG_SOF55 = 0xF7, /* JPEG-LS */
};

struct jpeg_segment {
    int marker;
    const uint8_t *data; /* behind the length; NULL for markers that stand alone */
    size_t size;
};

struct jpeg_component {
    int id, h, v; /* sampling factors */
};

struct jpeg_header {
    int process; /* the marker of the frame header */
    int precision, rows, columns, components;
    struct jpeg_component component[4];
    bool jfif, adobe;
    int adobe_transform;
    size_t bytes; /* up to the end of the frame header */
};

/* The segment at *at, which moves behind it; fill bytes before it are passed over.  False: none is whole there. */
bool jpeg_next_segment(struct jpeg_segment *segment, const uint8_t *bytes, size_t size, size_t *at);
/* Up to the frame header, whatever its process. */
cover_status jpeg_header_read(struct jpeg_header *header, const uint8_t *bytes, size_t size);
/* Is it the frame that the data set says? */
cover_status jpeg_header_fits(const struct jpeg_header *header, const struct dicom_frame *frame);
/* The component that a scan header calls so; -1: none. */
int jpeg_header_component(const struct jpeg_header *header, int id);
/* What markers and identifiers of components say; unsaid where nothing does. */
enum dicom_colour jpeg_header_colour(const struct jpeg_header *header);

/* ---- the processes; `header` is the frame's and fits */
cover_status dct_jpeg_check(const struct jpeg_header *header, const struct dicom_frame *frame);
cover_status dct_jpeg_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded);
cover_status lossless_jpeg_check(const struct jpeg_header *header, const struct dicom_frame *frame);
cover_status lossless_jpeg_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded);
cover_status jpeg_ls_check(const struct jpeg_header *header, const struct dicom_frame *frame);
cover_status jpeg_ls_decode(const struct jpeg_header *header, const struct dicom_frame *frame, struct dicom_decoded *decoded);

#endif
