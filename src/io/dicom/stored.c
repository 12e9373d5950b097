/* Stored values from decoded words (PS3.5, section 8.1.1): which bits are the value, and which of them its sign.  Contract in codec.h. */
#include "codec_parts.h"

struct bits {
    int left, right; /* shifts that drop what is above the value, then what is below */
    bool is_signed;
};

/* Bits Stored and High Bit say it, unless a codestream has fewer bits than High Bit wants: those begin at bit 0.  One that marks signs
 * (JPEG 2000) is right about its precision, too: what it has lost may go over Bits Stored. */
static struct bits bits_of(const struct dicom_frame_shape *shape, const struct dicom_decoded *decoded) {
    const int precision = decoded ? decoded->precision : 0, word = 8 * dicom_word(shape);
    const bool moved = precision && precision <= shape->high_bit;
    const int low = moved ? 0 : shape->high_bit - shape->bits_stored + 1;
    const int top = precision && decoded->sign_known ? precision - 1 : moved ? shape->bits_stored - 1 : shape->high_bit;
    return (struct bits){.left = word - 1 - top, .right = word - 1 - top + low, .is_signed = shape->is_signed};
}

/* Shifted to the left as plain bits, to the right with its sign. */
#define EXTRACT(width, type, plain)                                                                                                \
    case width:                                                                                                                    \
        for (size_t i = 0; i < count; i++)                                                                                         \
            ((type *)words)[i] = (type)((type)(plain)((plain)((type *)words)[i] << bits.left) >> bits.right);                      \
        break;

void dicom_stored_values(void *words, size_t count, const struct dicom_frame_shape *shape, const struct dicom_decoded *decoded) {
    const struct bits bits = bits_of(shape, decoded);
    if (!bits.left && !bits.right) return;
    const int width = 8 * dicom_word(shape);
    switch (bits.is_signed ? -width : width) {
        EXTRACT(8, uint8_t, uint8_t)
        EXTRACT(-8, int8_t, uint8_t)
        EXTRACT(16, uint16_t, uint16_t)
        EXTRACT(-16, int16_t, uint16_t)
        EXTRACT(32, uint32_t, uint32_t)
        EXTRACT(-32, int32_t, uint32_t)
    }
}
