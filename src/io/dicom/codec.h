/* Pixels of one frame as a transfer syntax codes them: the table of syntaxes (PS3.5, section 10; PS3.6, annex A), and one call that
 * decodes a frame of any of them.  A leaf: nothing here knows of data sets, fragments or files.  Errors are said without a prefix; who
 * calls knows which image it is.  Called by what reads images in this room; the table is syntax.c. */
#ifndef COVER_DICOM_CODEC_H
#define COVER_DICOM_CODEC_H

#include "core/base/base.h"

enum dicom_syntax_kind {
    DICOM_IMPLICIT_LITTLE, /* native pixels: their bytes are the values */
    DICOM_EXPLICIT_LITTLE,
    DICOM_EXPLICIT_BIG,
    DICOM_DEFLATED,
    DICOM_RLE, /* encapsulated: fragments of coded frames */
    DICOM_JPEG,
    DICOM_LOSSLESS_JPEG,
    DICOM_JPEG_LS,
    DICOM_JPEG_2000,
    DICOM_HTJ2K,
    DICOM_REFUSED, /* known by name, and not read */
};

struct dicom_frame_shape { /* what the header says of a frame */
    int rows, columns, samples;
    int bits_allocated, bits_stored, high_bit;
    bool is_signed;
};

enum dicom_colour {
    DICOM_COLOUR_UNSAID, /* Photometric Interpretation says it; where that is YBR_RCT or YBR_ICT the pixels are RGB already */
    DICOM_COLOUR_GREY,
    DICOM_COLOUR_RGB,
    DICOM_COLOUR_YBR_FULL, /* as many of each: a codec has undone subsampling */
};

struct dicom_decoded { /* what the codestream said */
    int precision;     /* bits a sample has, from bit 0 on; 0 = unsaid: Bits Stored and High Bit say it */
    bool is_signed;    /* marked as signed, and sign-extended from `precision` in what was decoded */
    bool sign_known;   /* the codestream has a mark: else Pixel Representation alone tells */
    enum dicom_colour colour;
};

struct dicom_codec; /* how a kind of codestream is read: codec_parts.h */
struct dicom_syntax {
    const char *uid, *name;
    enum dicom_syntax_kind kind;
    bool may_be_lossy;
    const struct dicom_codec *codec; /* of encapsulated kinds that are read, else NULL */
    const char *refusal;             /* of DICOM_REFUSED: why, and what helps */
};

/* NULL: unknown.  Blanks and NULs behind an identifier are the caller's to strip. */
const struct dicom_syntax *dicom_syntax_of(const char *uid);
/* The table by its rows; NULL behind the last. */
const struct dicom_syntax *dicom_syntax_at(int index);
/* The syntax of a data set that is to be read, or the refusal of what is unknown or not read. */
cover_status dicom_syntax_find(const struct dicom_syntax **syntax, const char *uid);

/* "8 bits", or more where libjpeg reads them. */
const char *dicom_jpeg_bits(void);

/* Bytes that a decoded frame takes: rows x columns x samples values of 8, 16 or 32 bits; a pixel of 1 bit is a value of 8. */
uint64_t dicom_frame_bytes(const struct dicom_frame_shape *shape);
/* Does the codestream's own header say what the data set's does, and can so few bytes hold it?  Before memory is taken for the frame. */
cover_status dicom_check_frame(const struct dicom_syntax *syntax, const uint8_t *bytes, size_t size,
                               const struct dicom_frame_shape *shape);
/* One frame of an encapsulated syntax, whole, from its fragments joined.  `out` gets dicom_frame_bytes(): values in the host's order of
 * bytes, rows from the top, samples of a pixel together.  It is not as large as the frame by chance: out_bytes is compared. */
cover_status dicom_decode_frame(cover_context *context, const struct dicom_syntax *syntax, const uint8_t *bytes, size_t size,
                                const struct dicom_frame_shape *shape, void *out, size_t out_bytes, struct dicom_decoded *decoded);

/* Decoded words become stored values where they lie: integers of the same width, signed as the header's `is_signed` says.  Native words
 * (decoded = NULL) likewise: the bits above and below the value are garbage.  0 <= High Bit - Bits Stored + 1 and High Bit < Bits
 * Allocated are the caller's to check. */
void dicom_stored_values(void *words, size_t count, const struct dicom_frame_shape *shape, const struct dicom_decoded *decoded);

#endif
