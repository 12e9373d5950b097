/* JPEG 2000 and HTJ2K by OpenJPEG, from memory; what it would print is kept, the first error is told.  Called by module.c. */
#include "codecs_parts.h"

#include <openjpeg.h>
#include <stdio.h>
#include <string.h>

struct source {
    const uint8_t *bytes;
    size_t size, at;
};

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T count, void *user) {
    struct source *source = user;
    const size_t left = source->size - source->at;
    if (!left) return (OPJ_SIZE_T)-1;
    if (count > left) count = left;
    memcpy(to, source->bytes + source->at, count);
    source->at += count;
    return count;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T count, void *user) {
    struct source *source = user;
    const size_t left = source->size - source->at;
    if (count < 0) return -1;
    if ((uint64_t)count > left) count = (OPJ_OFF_T)left;
    source->at += (size_t)count;
    return count;
}

static OPJ_BOOL seek_byte(OPJ_OFF_T at, void *user) {
    struct source *source = user;
    if (at < 0 || (uint64_t)at > source->size) return OPJ_FALSE;
    source->at = (size_t)at;
    return OPJ_TRUE;
}

static opj_stream_t *open_source(struct source *source) {
    opj_stream_t *stream = opj_stream_create(source->size < 1 << 16 ? source->size : 1 << 16, OPJ_TRUE);
    if (!stream) return NULL;
    opj_stream_set_user_data(stream, source, NULL);
    opj_stream_set_user_data_length(stream, source->size);
    opj_stream_set_read_function(stream, read_bytes);
    opj_stream_set_skip_function(stream, skip_bytes);
    opj_stream_set_seek_function(stream, seek_byte);
    return stream;
}

struct message {
    char *text;
    size_t bytes;
};

static void keep_first(const char *text, void *user) {
    struct message *message = user;
    if (!*message->text) snprintf(message->text, message->bytes, "%.*s", (int)strcspn(text, "\n"), text);
}

static void drop(const char *text, void *user) { (void)text, (void)user; }

/* Is it still the image that was checked? */
static bool fits(const opj_image_t *image, const struct codecs_frame *frame, bool decoded) {
    if (image->numcomps != (OPJ_UINT32)frame->samples) return false;
    for (OPJ_UINT32 c = 0; c < image->numcomps; c++) {
        const opj_image_comp_t *component = &image->comps[c];
        if (component->w != (OPJ_UINT32)frame->columns || component->h != (OPJ_UINT32)frame->rows ||
            component->prec != (OPJ_UINT32)frame->precision || (decoded && !component->data))
            return false;
    }
    return true;
}

#define PUT(type)                                                                                                                  \
    for (size_t i = 0; i < pixels; i++) ((type *)frame->out)[i * step + c] = (type)data[i]

static void put(const opj_image_t *image, const struct codecs_frame *frame) {
    const size_t pixels = (size_t)frame->rows * (size_t)frame->columns, step = (size_t)frame->samples;
    for (size_t c = 0; c < step; c++) {
        const OPJ_INT32 *data = image->comps[c].data;
        if (frame->word == 2 && step == 1)
            for (size_t i = 0; i < pixels; i++) ((uint16_t *)frame->out)[i] = (uint16_t)data[i];
        else if (frame->word == 2) PUT(uint16_t);
        else if (frame->word == 1) PUT(uint8_t);
        else PUT(uint32_t);
    }
}

static bool decode(opj_codec_t *codec, opj_stream_t *stream, opj_image_t **image, struct codecs_frame *frame,
                   struct message *message) {
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_error_handler(codec, keep_first, message);
    opj_set_warning_handler(codec, drop, NULL);
    opj_set_info_handler(codec, drop, NULL);
    if (!opj_setup_decoder(codec, &parameters) || !opj_decoder_set_strict_mode(codec, OPJ_TRUE)) return false;
    if (!opj_read_header(stream, codec, image) || !fits(*image, frame, false)) return false;
    if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream) || !fits(*image, frame, true)) return false;
    put(*image, frame);
    return true;
}

bool openjpeg_decode(struct codecs_frame *frame, char *error, size_t error_bytes) {
    struct source source = {frame->bytes, frame->size, 0};
    struct message message = {error, error_bytes};
    opj_codec_t *const codec = opj_create_decompress(OPJ_CODEC_J2K);
    opj_stream_t *const stream = open_source(&source);
    opj_image_t *volatile image = NULL;
    jmp_buf failed;
    bool done = false;
    *error = 0;
    if (setjmp(failed) == 0) {
        assertion_guard(&failed);
        done = codec && stream && decode(codec, stream, (opj_image_t **)&image, frame, &message);
    } else snprintf(error, error_bytes, "an assertion of OpenJPEG failed");
    assertion_guard(NULL);
    if (!done && !*error)
        snprintf(error, error_bytes, "%s", codec && stream ? "the codestream is not what its header says" : "out of memory");
    opj_image_destroy(image);
    if (stream) opj_stream_destroy(stream);
    if (codec) opj_destroy_codec(codec);
    return done;
}
