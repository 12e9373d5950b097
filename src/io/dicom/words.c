/* Samples as a codec left them become the frame's words: wider, and in their place.  Contract in codec_parts.h. */
#include "codec_parts.h"

void *dicom_narrow_samples(const struct dicom_frame *frame, int sample, size_t *bytes) {
    *bytes = dicom_pixels(frame->shape) * (size_t)frame->shape->samples * (size_t)sample;
    return (uint8_t *)frame->out + (size_t)dicom_frame_bytes(frame->shape) - *bytes;
}

#define SPREAD(narrow, wide)                                                                                                       \
    do {                                                                                                                           \
        const narrow *from = (const narrow *)out + count * (sizeof(wide) / sizeof(narrow) - 1);                                    \
        for (size_t i = 0; i < count; i++) ((wide *)out)[i] = from[i];                                                             \
    } while (0)

/* From the first on: a word is written where the samples before it have been read. */
void dicom_spread_samples(const struct dicom_frame *frame, int sample) {
    const int word = dicom_word(frame->shape);
    const size_t count = dicom_pixels(frame->shape) * (size_t)frame->shape->samples;
    void *out = frame->out;
    if (sample == 1 && word == 2) SPREAD(uint8_t, uint16_t);
    if (sample == 1 && word == 4) SPREAD(uint8_t, uint32_t);
    if (sample == 2 && word == 4) SPREAD(uint16_t, uint32_t);
}

void dicom_put_line(const struct dicom_frame *frame, const uint16_t *line, int component, int row, int point) {
    const struct dicom_frame_shape *shape = frame->shape;
    const size_t step = (size_t)shape->samples, columns = (size_t)shape->columns;
    const size_t first = (size_t)row * columns * step + (size_t)component;
    if (shape->bits_allocated == 16 && step == 1) {
        uint16_t *to = (uint16_t *)frame->out + first;
        for (size_t x = 0; x < columns; x++) to[x] = (uint16_t)(line[x] << point);
    } else if (shape->bits_allocated == 16) {
        uint16_t *to = (uint16_t *)frame->out + first;
        for (size_t x = 0; x < columns; x++) to[x * step] = (uint16_t)(line[x] << point);
    } else if (shape->bits_allocated == 32) {
        uint32_t *to = (uint32_t *)frame->out + first;
        for (size_t x = 0; x < columns; x++) to[x * step] = (uint16_t)(line[x] << point);
    } else {
        uint8_t *to = (uint8_t *)frame->out + first;
        for (size_t x = 0; x < columns; x++) to[x * step] = (uint8_t)(line[x] << point);
    }
}
