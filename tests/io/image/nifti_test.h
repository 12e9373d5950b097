/* NIfTI files built byte by byte from the offsets of nifti1.h and nifti2.h, in either byte order: the tests' own
 * statement of the format, independent of the reader's table. */
#ifndef COVER_NIFTI_TEST_H
#define COVER_NIFTI_TEST_H

#include "io_test.h"

#include <zlib.h>

struct nifti_spec {
    int version;
    bool big;                 /* big-endian */
    int datatype, bytes_each; /* bytes_each: of a number (1 in RGB) */
    int rank;
    int64_t dim[7];
    double pixdim[8];
    int units;
    double slope, inter;
    int qform_code, sform_code;
    double quatern[3], qoffset[3], srow[12];
    const void *voxels; /* in this machine's byte order */
    size_t voxel_count; /* numbers, components and volumes counted */
};

static inline void put_number(struct bytes *file, size_t at, const void *value, size_t bytes, bool big) {
    uint8_t turned[8];
    const uint16_t one = 1;
    bool here_big = *(const uint8_t *)&one == 0;
    for (size_t i = 0; i < bytes; i++) turned[i] = ((const uint8_t *)value)[big == here_big ? i : bytes - 1 - i];
    bytes_put(file, at, turned, bytes);
}
static inline void put_i16(struct bytes *file, size_t at, int value, bool big) {
    put_number(file, at, &(int16_t){(int16_t)value}, 2, big);
}
static inline void put_i32(struct bytes *file, size_t at, int value, bool big) { put_number(file, at, &(int32_t){value}, 4, big); }
static inline void put_i64(struct bytes *file, size_t at, int64_t value, bool big) { put_number(file, at, &value, 8, big); }
static inline void put_f32(struct bytes *file, size_t at, double value, bool big) {
    put_number(file, at, &(float){(float)value}, 4, big);
}
static inline void put_f64(struct bytes *file, size_t at, double value, bool big) { put_number(file, at, &value, 8, big); }

static inline void nifti1_header(struct bytes *file, const struct nifti_spec *spec) {
    const bool big = spec->big;
    bytes_put(file, 351, "", 1);
    put_i32(file, 0, 348, big);
    put_i16(file, 40, spec->rank, big);
    for (size_t i = 0; i < 7; i++) put_i16(file, 42 + 2 * i, (int)spec->dim[i], big);
    put_i16(file, 70, spec->datatype, big);
    put_i16(file, 72, 8 * spec->bytes_each, big);
    for (size_t i = 0; i < 8; i++) put_f32(file, 76 + 4 * i, spec->pixdim[i], big);
    put_f32(file, 108, 352, big);
    put_f32(file, 112, spec->slope, big);
    put_f32(file, 116, spec->inter, big);
    file->data[123] = (uint8_t)spec->units;
    put_i16(file, 252, spec->qform_code, big);
    put_i16(file, 254, spec->sform_code, big);
    for (size_t i = 0; i < 3; i++) put_f32(file, 256 + 4 * i, spec->quatern[i], big);
    for (size_t i = 0; i < 3; i++) put_f32(file, 268 + 4 * i, spec->qoffset[i], big);
    for (size_t i = 0; i < 12; i++) put_f32(file, 280 + 4 * i, spec->srow[i], big);
    bytes_put(file, 344, "n+1", 4);
}

static inline void nifti2_header(struct bytes *file, const struct nifti_spec *spec) {
    const bool big = spec->big;
    bytes_put(file, 543, "", 1);
    put_i32(file, 0, 540, big);
    bytes_put(file, 4, "n+2\0\r\n\032\n", 8);
    put_i16(file, 12, spec->datatype, big);
    put_i16(file, 14, 8 * spec->bytes_each, big);
    put_i64(file, 16, spec->rank, big);
    for (size_t i = 0; i < 7; i++) put_i64(file, 24 + 8 * i, spec->dim[i], big);
    for (size_t i = 0; i < 8; i++) put_f64(file, 104 + 8 * i, spec->pixdim[i], big);
    put_i64(file, 168, 544, big);
    put_f64(file, 176, spec->slope, big);
    put_f64(file, 184, spec->inter, big);
    put_i32(file, 344, spec->qform_code, big);
    put_i32(file, 348, spec->sform_code, big);
    for (size_t i = 0; i < 3; i++) put_f64(file, 352 + 8 * i, spec->quatern[i], big);
    for (size_t i = 0; i < 3; i++) put_f64(file, 376 + 8 * i, spec->qoffset[i], big);
    for (size_t i = 0; i < 12; i++) put_f64(file, 400 + 8 * i, spec->srow[i], big);
    put_i32(file, 500, spec->units, big);
}

static inline struct bytes nifti_file(const struct nifti_spec *spec) {
    struct bytes file = {0};
    if (spec->version == 1) nifti1_header(&file, spec);
    else nifti2_header(&file, spec);
    for (size_t i = 0; i < spec->voxel_count; i++)
        put_number(&file, file.count, (const uint8_t *)spec->voxels + i * (size_t)spec->bytes_each, (size_t)spec->bytes_each,
                   spec->big);
    return file;
}

/* One gzip member of `count` bytes. */
static inline struct bytes gzipped(const void *data, size_t count) {
    z_stream z = {0};
    struct bytes file = {.capacity = count / 2 + 1024};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    file.capacity = deflateBound(&z, count);
    file.data = malloc(file.capacity);
    z.next_in = (Bytef *)data, z.avail_in = (unsigned)count;
    z.next_out = file.data, z.avail_out = (unsigned)file.capacity;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    file.count = file.capacity - z.avail_out;
    deflateEnd(&z);
    return file;
}

#endif
