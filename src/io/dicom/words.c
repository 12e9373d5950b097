/* Samples as a codec left them become the frame's words: wider, and those of a pixel together.  Contract in codec_parts.h. */
#include "codec_parts.h"

#include "core/base/memory.h"

#include <string.h>

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

#define TOGETHER(type)                                                                                                             \
    for (size_t c = 0; c < step; c++)                                                                                              \
        for (size_t i = 0; i < pixels; i++) ((type *)frame->out)[i * step + c] = ((const type *)planes)[c * pixels + i]

cover_status dicom_join_planes(const struct dicom_frame *frame) {
    const size_t pixels = dicom_pixels(frame->shape), step = (size_t)frame->shape->samples;
    const size_t bytes = (size_t)dicom_frame_bytes(frame->shape);
    void *planes = memory_within(frame->context, bytes);
    if (!planes) return COVER_ERROR_MEMORY;
    memcpy(planes, frame->out, bytes);
    if (dicom_word(frame->shape) == 1) TOGETHER(uint8_t);
    else if (dicom_word(frame->shape) == 2) TOGETHER(uint16_t);
    else TOGETHER(uint32_t);
    memory_free(frame->context, planes);
    return COVER_OK;
}
