/* Frames of DICOM as transfer syntaxes code them: whatever the bytes and whatever the header says, a frame of exactly its samples, or an
 * error.  The input is a header of ten bytes (see below), then a codestream. */
#include "fuzz.h"

#include "io/dicom/codec.h"

enum { HEAD = 10, MOST_BYTES = 1 << 20 };

/* Row of the table; rows, columns; samples; bits allocated, stored, high bit; representation; two bytes that say nothing. */
static struct dicom_frame_shape shape_of(const uint8_t *head) {
    static const int samples[] = {1, 3, 2, 0}, bits[] = {8, 16, 32, 1};
    struct dicom_frame_shape shape = {.rows = head[1] | head[2] << 8, .columns = head[3] | head[4] << 8};
    shape.samples = samples[head[5] & 3], shape.bits_allocated = bits[head[6] & 3];
    shape.bits_stored = head[7] % shape.bits_allocated + 1;
    shape.high_bit = shape.bits_stored - 1 + head[8] % (shape.bits_allocated - shape.bits_stored + 1);
    shape.is_signed = head[9] & 1;
    return shape;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cover_context *context = fuzz_context();
    if (size < HEAD) return 0;
    int rows = 0;
    while (dicom_syntax_at(rows)) rows++;
    const struct dicom_syntax *syntax = dicom_syntax_at(data[0] % rows);
    const struct dicom_frame_shape shape = shape_of(data);
    struct dicom_decoded decoded;
    const uint64_t bytes = dicom_frame_bytes(&shape);
    if (!syntax->codec || dicom_check_frame(syntax, data + HEAD, size - HEAD, &shape) != COVER_OK || bytes > MOST_BYTES) return 0;
    uint8_t *out = malloc(bytes); /* of this size exactly, so that a sanitizer sees what is written behind it */
    require(out != NULL, "memory");
    memset(out, 0, bytes);
    if (dicom_decode_frame(context, syntax, data + HEAD, size - HEAD, &shape, out, bytes, &decoded) == COVER_OK) {
        require(decoded.precision <= shape.bits_allocated, "more bits than are allocated");
        dicom_stored_values(out, (size_t)shape.rows * (size_t)shape.columns * (size_t)shape.samples, &shape, &decoded);
    }
    free(out);
    return 0;
}
