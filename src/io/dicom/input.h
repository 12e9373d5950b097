/* The bytes of one DICOM object, in their order: those of a source, or what a deflated data set of it inflates to.  Forward alone,
 * through a window, so that a header costs one read, and what is passed over costs none.  Called by parse.c and pixels.c. */
#ifndef COVER_DICOM_INPUT_H
#define COVER_DICOM_INPUT_H

#include "io/bytes/source.h"

#include <zlib.h>

enum { INPUT_WINDOW = 1 << 13, INPUT_PIECE = 1 << 12 };
#define INPUT_UNKNOWN UINT64_MAX

struct dicom_input {
    cover_context *context;
    const struct source *source;
    uint64_t at;  /* of the byte that comes next */
    uint64_t end; /* INPUT_UNKNOWN of a deflated data set, until its last byte */
    uint8_t window[INPUT_WINDOW];
    uint64_t window_at;
    size_t window_bytes;
    bool deflated;
    z_stream inflater;
    uint8_t piece[INPUT_PIECE]; /* of the deflated bytes */
    uint64_t piece_at;          /* in the source, of the next piece */
};

void input_open(struct dicom_input *input, cover_context *context, const struct source *source);
/* From here on the source is raw deflate (RFC 1951).  input_close() behind it, after a failure, too. */
cover_status input_deflated(struct dicom_input *input);
void input_close(struct dicom_input *input);

/* Bytes that are left, as far as that is known: INPUT_UNKNOWN. */
uint64_t input_left(const struct dicom_input *input);
/* How many of the next `bytes` (at most INPUT_WINDOW) there are: at *here, until the next call. */
cover_status input_peek(struct dicom_input *input, const uint8_t **here, size_t *present, size_t bytes);
/* COVER_ERROR_FORMAT when there are not so many. */
cover_status input_take(struct dicom_input *input, void *to, uint64_t bytes);
cover_status input_skip(struct dicom_input *input, uint64_t bytes);

#endif
