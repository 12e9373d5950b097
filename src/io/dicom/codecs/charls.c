/* JPEG-LS by CharLS's C interface, which lets no exception out.  Called by module.c. */
#include "codecs_parts.h"

#include <charls/charls.h>
#include <stdio.h>

static charls_jpegls_errc decode(charls_jpegls_decoder *decoder, struct codecs_frame *frame) {
    charls_interleave_mode interleaved = CHARLS_INTERLEAVE_MODE_NONE;
    charls_frame_info info = {0};
    size_t bytes = 0;
    charls_jpegls_errc status = charls_jpegls_decoder_set_source_buffer(decoder, frame->bytes, frame->size);
    if (!status) status = charls_jpegls_decoder_read_header(decoder);
    if (!status) status = charls_jpegls_decoder_get_frame_info(decoder, &info);
    if (!status) status = charls_jpegls_decoder_get_interleave_mode(decoder, &interleaved);
    if (!status) status = charls_jpegls_decoder_get_destination_size(decoder, 0, &bytes);
    if (status) return status;
    if ((int64_t)info.width != frame->columns || (int64_t)info.height != frame->rows || info.component_count != frame->samples ||
        info.bits_per_sample != frame->precision || bytes != frame->out_bytes)
        return CHARLS_JPEGLS_ERRC_PARAMETER_VALUE_NOT_SUPPORTED; /* another header than was checked */
    frame->planar = interleaved == CHARLS_INTERLEAVE_MODE_NONE && frame->samples > 1;
    return charls_jpegls_decoder_decode_to_buffer(decoder, frame->out, frame->out_bytes, 0);
}

bool charls_decode(struct codecs_frame *frame, char *error, size_t error_bytes) {
    charls_jpegls_decoder *decoder = charls_jpegls_decoder_create();
    const charls_jpegls_errc status = decoder ? decode(decoder, frame) : CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY;
    charls_jpegls_decoder_destroy(decoder);
    if (status) snprintf(error, error_bytes, "%s", charls_get_error_message(status));
    return status == CHARLS_JPEGLS_ERRC_SUCCESS;
}
