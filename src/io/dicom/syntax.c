/* The transfer syntaxes that DICOM's registry has (PS3.6, annex A), what each is read by or why it is not, and the way of a frame from
 * its bytes to its pixels: what the header says is checked first, then the codec is asked.  See codec.h. */
#include "codec_parts.h"

#include "core/base/number.h"

#include <string.h>

#define VIDEO "video is not read; export single images from it"
#define REMOTE "its pixels lie on a server; fetch it in a syntax that carries them"
#define PROCESS "a retired process of JPEG; dcmdjpeg IN OUT decompresses it where it can"
#define PART2 "JPEG 2000 part 2 is not read; send it as JPEG 2000 (1.2.840.10008.1.2.4.90)"
#define JXL "JPEG XL is not read; send it as JPEG 2000 (1.2.840.10008.1.2.4.90)"

// clang-format off
static const struct dicom_syntax syntaxes[] = {
    {"1.2.840.10008.1.2",         "Implicit VR Little Endian",                 DICOM_IMPLICIT_LITTLE, false, NULL, NULL},
    {"1.2.840.10008.1.2.1",       "Explicit VR Little Endian",                 DICOM_EXPLICIT_LITTLE, false, NULL, NULL},
    {"1.2.840.10008.1.2.2",       "Explicit VR Big Endian",                    DICOM_EXPLICIT_BIG,    false, NULL, NULL},
    {"1.2.840.10008.1.2.1.99",    "Deflated Explicit VR Little Endian",        DICOM_DEFLATED,        false, NULL, NULL},
    {"1.2.840.10008.1.2.5",       "RLE Lossless",                              DICOM_RLE,             false, &dicom_rle, NULL},
    {"1.2.840.10008.1.2.4.50",    "JPEG Baseline (Process 1)",                 DICOM_JPEG,            true,  &dicom_jpeg, NULL},
    {"1.2.840.10008.1.2.4.51",    "JPEG Extended (Process 2 and 4)",           DICOM_JPEG,            true,  &dicom_jpeg, NULL},
    {"1.2.840.10008.1.2.4.57",    "JPEG Lossless (Process 14)",                DICOM_LOSSLESS_JPEG,   false, &dicom_jpeg, NULL},
    {"1.2.840.10008.1.2.4.70",    "JPEG Lossless SV1 (Process 14)",            DICOM_LOSSLESS_JPEG,   false, &dicom_jpeg, NULL},
    {"1.2.840.10008.1.2.4.80",    "JPEG-LS Lossless",                          DICOM_JPEG_LS,         false, &dicom_jpeg, NULL},
    {"1.2.840.10008.1.2.4.81",    "JPEG-LS Near-Lossless",                     DICOM_JPEG_LS,         true,  &dicom_jpeg, NULL},
    {"1.2.840.10008.1.2.4.90",    "JPEG 2000 Lossless",                        DICOM_JPEG_2000,       false, &dicom_jpeg_2000, NULL},
    {"1.2.840.10008.1.2.4.91",    "JPEG 2000",                                 DICOM_JPEG_2000,       true,  &dicom_jpeg_2000, NULL},
    {"1.2.840.10008.1.2.4.201",   "HTJ2K Lossless",                            DICOM_HTJ2K,           false, &dicom_jpeg_2000, NULL},
    {"1.2.840.10008.1.2.4.202",   "HTJ2K Lossless RPCL",                       DICOM_HTJ2K,           false, &dicom_jpeg_2000, NULL},
    {"1.2.840.10008.1.2.4.203",   "HTJ2K",                                     DICOM_HTJ2K,           true,  &dicom_jpeg_2000, NULL},
    {"1.2.840.10008.1.2.8.1",     "Deflated Image Frame Compression",          DICOM_REFUSED, false, NULL, "deflated frames are not read; send it uncompressed"},
    {"1.2.840.10008.1.2.4.52",    "JPEG process 3 and 5",                      DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.53",    "JPEG process 6 and 8",                      DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.54",    "JPEG process 7 and 9",                      DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.55",    "JPEG process 10 and 12",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.56",    "JPEG process 11 and 13",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.58",    "JPEG process 15",                           DICOM_REFUSED, false, NULL, PROCESS},
    {"1.2.840.10008.1.2.4.59",    "JPEG process 16 and 18",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.60",    "JPEG process 17 and 19",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.61",    "JPEG process 20 and 22",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.62",    "JPEG process 21 and 23",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.63",    "JPEG process 24 and 26",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.64",    "JPEG process 25 and 27",                    DICOM_REFUSED, true,  NULL, PROCESS},
    {"1.2.840.10008.1.2.4.65",    "JPEG process 28",                           DICOM_REFUSED, false, NULL, PROCESS},
    {"1.2.840.10008.1.2.4.66",    "JPEG process 29",                           DICOM_REFUSED, false, NULL, PROCESS},
    {"1.2.840.10008.1.2.4.92",    "JPEG 2000 part 2, lossless",                DICOM_REFUSED, false, NULL, PART2},
    {"1.2.840.10008.1.2.4.93",    "JPEG 2000 part 2",                          DICOM_REFUSED, true,  NULL, PART2},
    {"1.2.840.10008.1.2.4.94",    "JPIP Referenced",                           DICOM_REFUSED, true,  NULL, REMOTE},
    {"1.2.840.10008.1.2.4.95",    "JPIP Referenced Deflate",                   DICOM_REFUSED, true,  NULL, REMOTE},
    {"1.2.840.10008.1.2.4.204",   "JPIP HTJ2K Referenced",                     DICOM_REFUSED, true,  NULL, REMOTE},
    {"1.2.840.10008.1.2.4.205",   "JPIP HTJ2K Referenced Deflate",             DICOM_REFUSED, true,  NULL, REMOTE},
    {"1.2.840.10008.1.2.4.100",   "MPEG-2 Main Profile, Main Level",           DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.100.1", "MPEG-2 Main Profile, Main Level, in pieces", DICOM_REFUSED, true, NULL, VIDEO},
    {"1.2.840.10008.1.2.4.101",   "MPEG-2 Main Profile, High Level",           DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.101.1", "MPEG-2 Main Profile, High Level, in pieces", DICOM_REFUSED, true, NULL, VIDEO},
    {"1.2.840.10008.1.2.4.102",   "MPEG-4 AVC/H.264 4.1",                      DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.102.1", "MPEG-4 AVC/H.264 4.1, in pieces",           DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.103",   "MPEG-4 AVC/H.264 4.1 for Blu-ray",          DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.103.1", "MPEG-4 AVC/H.264 4.1 for Blu-ray, in pieces", DICOM_REFUSED, true, NULL, VIDEO},
    {"1.2.840.10008.1.2.4.104",   "MPEG-4 AVC/H.264 4.2 of 2D video",          DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.104.1", "MPEG-4 AVC/H.264 4.2 of 2D video, in pieces", DICOM_REFUSED, true, NULL, VIDEO},
    {"1.2.840.10008.1.2.4.105",   "MPEG-4 AVC/H.264 4.2 of 3D video",          DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.105.1", "MPEG-4 AVC/H.264 4.2 of 3D video, in pieces", DICOM_REFUSED, true, NULL, VIDEO},
    {"1.2.840.10008.1.2.4.106",   "MPEG-4 AVC/H.264 4.2 stereo",               DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.106.1", "MPEG-4 AVC/H.264 4.2 stereo, in pieces",    DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.107",   "HEVC/H.265 Main",                           DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.108",   "HEVC/H.265 Main 10",                        DICOM_REFUSED, true,  NULL, VIDEO},
    {"1.2.840.10008.1.2.4.110",   "JPEG XL Lossless",                          DICOM_REFUSED, false, NULL, JXL},
    {"1.2.840.10008.1.2.4.111",   "JPEG XL JPEG Recompression",                DICOM_REFUSED, true,  NULL, JXL},
    {"1.2.840.10008.1.2.4.112",   "JPEG XL",                                   DICOM_REFUSED, true,  NULL, JXL},
};
// clang-format on
enum { SYNTAXES = sizeof syntaxes / sizeof *syntaxes };

const struct dicom_syntax *dicom_syntax_at(int index) { return index >= 0 && index < SYNTAXES ? &syntaxes[index] : NULL; }

const struct dicom_syntax *dicom_syntax_of(const char *uid) {
    for (int i = 0; i < SYNTAXES; i++)
        if (strcmp(syntaxes[i].uid, uid) == 0) return &syntaxes[i];
    return NULL;
}

/* May it stand in a message?  Where the header is damaged it may be anything: a name, or a date (P1). */
static bool is_identifier(const char *uid) {
    size_t digits = 0;
    for (; *uid; uid++) {
        if (!is_digit(*uid) && *uid != '.') return false;
        if ((digits = *uid == '.' ? 0 : digits + 1) >= 8) return false;
    }
    return true;
}

cover_status dicom_syntax_find(const struct dicom_syntax **syntax, const char *uid) {
    *syntax = dicom_syntax_of(uid);
    if (!*syntax && !is_identifier(uid)) return fail(COVER_ERROR_UNSUPPORTED, "what its transfer syntax says is not known");
    if (!*syntax) return fail(COVER_ERROR_UNSUPPORTED, "transfer syntax %s is not known", *uid ? uid : "without a name");
    if ((*syntax)->kind == DICOM_REFUSED)
        return fail(COVER_ERROR_UNSUPPORTED, "transfer syntax %s (%s): %s", uid, (*syntax)->name, (*syntax)->refusal);
    return COVER_OK;
}

/* ---- a frame */

uint64_t dicom_frame_bytes(const struct dicom_frame_shape *shape) {
    return (uint64_t)shape->rows * (uint64_t)shape->columns * (uint64_t)shape->samples * (uint64_t)dicom_word(shape);
}

static cover_status check_shape(const struct dicom_frame_shape *shape) {
    if (shape->rows < 1 || shape->columns < 1 || shape->rows > UINT16_MAX || shape->columns > UINT16_MAX)
        return fail(COVER_ERROR_FORMAT, "%d rows and %d columns", shape->rows, shape->columns);
    if (shape->samples != 1 && shape->samples != 3)
        return fail(COVER_ERROR_UNSUPPORTED, "%d samples a pixel; 1 and 3 are read", shape->samples);
    if (shape->bits_allocated == 1 && shape->samples == 1) return COVER_OK;
    if (shape->bits_allocated != 8 && shape->bits_allocated != 16 && shape->bits_allocated != 32)
        return fail(COVER_ERROR_UNSUPPORTED, "%d bits allocated in compressed pixels; 1, 8, 16 and 32 are read",
                    shape->bits_allocated);
    return COVER_OK;
}

static cover_status check(const struct dicom_frame *frame) {
    if (!frame->syntax->codec) return fail(COVER_ERROR_INTERNAL, "%s has no codec", frame->syntax->name);
    TRY(check_shape(frame->shape));
    return frame->syntax->codec->check(frame);
}

cover_status dicom_check_frame(const struct dicom_syntax *syntax, const uint8_t *bytes, size_t size,
                               const struct dicom_frame_shape *shape) {
    return check(&(struct dicom_frame){.syntax = syntax, .bytes = bytes, .size = size, .shape = shape});
}

cover_status dicom_decode_frame(cover_context *context, const struct dicom_syntax *syntax, const uint8_t *bytes, size_t size,
                                const struct dicom_frame_shape *shape, void *out, size_t out_bytes, struct dicom_decoded *decoded) {
    const struct dicom_frame frame = {context, syntax, bytes, size, shape, out};
    *decoded = (struct dicom_decoded){0};
    TRY(check(&frame));
    if (out_bytes != dicom_frame_bytes(shape)) return fail(COVER_ERROR_INTERNAL, "%zu bytes for a decoded frame", out_bytes);
    return syntax->codec->decode(&frame, decoded);
}
