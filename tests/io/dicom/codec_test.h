/* What the tests of codecs share: frames of real and synthetic images (tests/data/dicom/frames) with the values that pydicom 3.0.2 reads
 * from them, decoding from exactly their bytes into exactly their room, and the attacks that every codec must stand. */
#ifndef COVER_CODEC_TEST_H
#define COVER_CODEC_TEST_H

#include "../image/io_test.h"

#include "core/base/sha256.h"
#include "io/dicom/codec.h"

struct frame_case {
    const char *name, *uid; /* the file, without its folder; its transfer syntax */
    struct dicom_frame_shape shape;
    const char *sha256; /* of the stored values as int32, little endian; NULL: see the test */
};

static inline struct bytes frame_file(const char *name) {
    char path[512];
    struct bytes file = {0};
    uint8_t piece[4096];
    snprintf(path, sizeof path, "%s/dicom/frames/%s", TEST_DATA, name);
    FILE *stream = fopen(path, "rb");
    ck_assert_msg(stream != NULL, "%s cannot be opened", path);
    for (size_t count; (count = fread(piece, 1, sizeof piece, stream)) > 0;) bytes_add(&file, piece, count);
    fclose(stream);
    return file;
}

/* The status of decoding; *out (malloc) holds the frame when it was. */
static inline cover_status decode_frame(const char *uid, const void *bytes, size_t size, const struct dicom_frame_shape *shape,
                                        void **out, struct dicom_decoded *decoded) {
    const struct dicom_syntax *syntax = dicom_syntax_of(uid);
    ck_assert_ptr_nonnull(syntax);
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    *out = NULL;
    cover_status status = dicom_check_frame(syntax, copy, size, shape);
    if (status == COVER_OK) {
        const size_t room = (size_t)dicom_frame_bytes(shape);
        *out = malloc(room);
        status = dicom_decode_frame(context, syntax, copy, size, shape, *out, room, decoded);
        if (status != COVER_OK) free(*out), *out = NULL;
    }
    free(copy);
    return status;
}

static inline size_t values_of(const struct dicom_frame_shape *shape) {
    return (size_t)shape->rows * (size_t)shape->columns * (size_t)shape->samples;
}

/* Value number i after dicom_stored_values(). */
static inline int32_t stored_value(const void *words, const struct dicom_frame_shape *shape, size_t i) {
    switch (shape->bits_allocated) {
    case 1:
    case 8:
        return shape->is_signed ? ((const int8_t *)words)[i] : ((const uint8_t *)words)[i];
    case 16:
        return shape->is_signed ? ((const int16_t *)words)[i] : ((const uint16_t *)words)[i];
    default:
        return ((const int32_t *)words)[i];
    }
}

static inline void stored_hash(char text[SHA256_TEXT], const void *words, const struct dicom_frame_shape *shape) {
    const size_t count = values_of(shape);
    int32_t *values = malloc(count * sizeof *values);
    uint8_t digest[SHA256_BYTES];
    for (size_t i = 0; i < count; i++) values[i] = stored_value(words, shape, i);
    sha256(values, count * sizeof *values, digest);
    sha256_text(digest, text);
    free(values);
}

/* Decoded, with the values that are expected. */
static inline struct dicom_decoded ck_assert_frame(const struct frame_case *given) {
    struct bytes file = frame_file(given->name);
    struct dicom_decoded decoded;
    char hash[SHA256_TEXT];
    void *out;
    cover_status status = decode_frame(given->uid, file.data, file.count, &given->shape, &out, &decoded);
    ck_assert_msg(status == COVER_OK, "%s: %s", given->name, cover_error_text());
    dicom_stored_values(out, values_of(&given->shape), &given->shape, &decoded);
    stored_hash(hash, out, &given->shape);
    ck_assert_msg(strcmp(hash, given->sha256) == 0, "%s: the values are not those of pydicom: %s", given->name, hash);
    free(out);
    bytes_free(&file);
    return decoded;
}

static inline void ck_assert_frame_refused(const char *uid, const struct bytes *file, const struct dicom_frame_shape *shape,
                                           const char *words) {
    struct dicom_decoded decoded;
    void *out;
    cover_status status = decode_frame(uid, file->data, file->count, shape, &out, &decoded);
    ck_assert_msg(status != COVER_OK, "decoded, but should have been refused with: %s", words);
    ck_assert_msg(strstr(cover_error_text(), words) != NULL, "'%s' should say '%s'", cover_error_text(), words);
}

/* ---- the attacks */

/* No first part of a frame is taken for the whole; `padding` bytes at its end may be missing. */
static inline void every_shorter_frame_is_refused(const struct frame_case *given, size_t padding) {
    struct bytes file = frame_file(given->name);
    const long before = watched.alive;
    for (size_t size = 0; size + padding < file.count; size++) {
        struct dicom_decoded decoded;
        void *out;
        cover_status status = decode_frame(given->uid, file.data, size, &given->shape, &out, &decoded);
        ck_assert_msg(status != COVER_OK, "%s: the first %zu of %zu bytes were taken for the whole frame", given->name, size,
                      file.count);
        ck_assert_int_eq(watched.alive, before);
    }
    bytes_free(&file);
}

/* Every byte changed in four ways: a frame or an error, and nothing that is left. */
static inline void every_changed_byte_of_a_frame_is_survived(const struct frame_case *given) {
    struct bytes file = frame_file(given->name);
    const long before = watched.alive;
    watched.largest = (size_t)64 << 20;
    for (size_t i = 0; i < file.count; i++) {
        const uint8_t honest = file.data[i], changes[4] = {0, 255, (uint8_t)~honest, honest ^ 1};
        for (int change = 0; change < 4; change++) {
            struct dicom_decoded decoded;
            void *out;
            file.data[i] = changes[change];
            decode_frame(given->uid, file.data, file.count, &given->shape, &out, &decoded);
            free(out);
            ck_assert_int_eq(watched.alive, before);
        }
        file.data[i] = honest;
    }
    watched.largest = 0;
    bytes_free(&file);
}

#endif
