/* See jpeg_header.h. */
#include "jpeg_header.h"

#include <string.h>

static int big16(const uint8_t *at) { return at[0] << 8 | at[1]; }

static bool stands_alone(int marker) { return (marker >= JPEG_RST0 && marker <= JPEG_EOI) || marker == 1; }

static bool begins_frame(int marker) {
    return (marker >= JPEG_SOF0 && marker <= 0xCF && marker != JPEG_DHT && marker != 0xC8 && marker != 0xCC) ||
           marker == JPEG_SOF55;
}

bool jpeg_next_segment(struct jpeg_segment *segment, const uint8_t *bytes, size_t size, size_t *at) {
    size_t i = *at;
    if (i >= size || bytes[i] != 0xFF) return false;
    while (i < size && bytes[i] == 0xFF) i++;
    if (i >= size || bytes[i] == 0) return false;
    *segment = (struct jpeg_segment){.marker = bytes[i++]};
    if (!stands_alone(segment->marker)) {
        if (size - i < 2) return false;
        const size_t length = (size_t)big16(bytes + i);
        if (length < 2 || length > size - i) return false;
        segment->data = bytes + i + 2, segment->size = length - 2;
        i += length;
    }
    *at = i;
    return true;
}

static cover_status read_frame(struct jpeg_header *header, const struct jpeg_segment *segment) {
    const uint8_t *data = segment->data;
    if (segment->size < 6) return fail(COVER_ERROR_FORMAT, "damaged JPEG: a frame header of %zu bytes", segment->size);
    header->process = segment->marker, header->precision = data[0];
    header->rows = big16(data + 1), header->columns = big16(data + 3), header->components = data[5];
    if (header->components < 1 || header->components > 4 || segment->size != 6 + 3 * (size_t)header->components)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: %d components in a frame header of %zu bytes", header->components,
                    segment->size);
    for (int c = 0; c < header->components; c++) {
        const uint8_t *of = data + 6 + 3 * c;
        header->component[c] = (struct jpeg_component){.id = of[0], .h = of[1] >> 4, .v = of[1] & 15};
        if (!header->component[c].h || !header->component[c].v)
            return fail(COVER_ERROR_FORMAT, "damaged JPEG: a component without sampling factors");
    }
    return COVER_OK;
}

static void note_application(struct jpeg_header *header, const struct jpeg_segment *segment) {
    if (segment->marker == JPEG_APP0 && segment->size >= 5 && memcmp(segment->data, "JFIF", 5) == 0) header->jfif = true;
    if (segment->marker == JPEG_APP14 && segment->size >= 12 && memcmp(segment->data, "Adobe", 5) == 0)
        header->adobe = true, header->adobe_transform = segment->data[11];
}

cover_status jpeg_header_read(struct jpeg_header *header, const uint8_t *bytes, size_t size) {
    struct jpeg_segment segment;
    size_t at = 0;
    *header = (struct jpeg_header){0};
    if (!jpeg_next_segment(&segment, bytes, size, &at) || segment.marker != JPEG_SOI)
        return fail(COVER_ERROR_FORMAT, "damaged JPEG: it does not begin as one");
    while (jpeg_next_segment(&segment, bytes, size, &at)) {
        if (begins_frame(segment.marker)) {
            header->bytes = at;
            return read_frame(header, &segment);
        }
        if (segment.marker == JPEG_SOS || segment.marker == JPEG_EOI) break;
        note_application(header, &segment);
    }
    return fail(COVER_ERROR_FORMAT, "damaged JPEG: no frame header");
}

cover_status jpeg_header_fits(const struct jpeg_header *header, const struct dicom_frame *frame) {
    const struct dicom_frame_shape *shape = frame->shape;
    if (header->rows == 0) return fail(COVER_ERROR_UNSUPPORTED, "a JPEG that says its rows at its end (DNL); encode it anew");
    if (header->rows != shape->rows || header->columns != shape->columns || header->components != shape->samples)
        return fail(COVER_ERROR_FORMAT, "the %s says %d x %d pixels of %d samples, the header %d x %d of %d",
                    header->process == JPEG_SOF55 ? "JPEG-LS" : "JPEG", header->columns, header->rows, header->components,
                    shape->columns, shape->rows, shape->samples);
    if (header->precision < 1 || header->precision > 16 || header->precision > shape->bits_allocated)
        return fail(COVER_ERROR_FORMAT, "the JPEG has %d bits a sample, the header allocates %d", header->precision,
                    shape->bits_allocated);
    return COVER_OK;
}

/* Lossless processes carry what they are given, whatever JFIF says of photographs. */
enum dicom_colour jpeg_header_colour(const struct jpeg_header *header) {
    const struct jpeg_component *c = header->component;
    const bool photograph = header->process != JPEG_SOF3 && header->process != JPEG_SOF55;
    if (header->components == 1) return DICOM_COLOUR_GREY;
    if (photograph && header->jfif) return DICOM_COLOUR_YBR_FULL;
    if (header->adobe && header->adobe_transform <= 1) return header->adobe_transform ? DICOM_COLOUR_YBR_FULL : DICOM_COLOUR_RGB;
    if (c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B') return DICOM_COLOUR_RGB;
    if (c[0].h > c[1].h || c[0].v > c[1].v) return DICOM_COLOUR_YBR_FULL;
    return DICOM_COLOUR_UNSAID;
}

int jpeg_header_component(const struct jpeg_header *header, int id) {
    for (int c = 0; c < header->components; c++)
        if (header->component[c].id == id) return c;
    return -1;
}
