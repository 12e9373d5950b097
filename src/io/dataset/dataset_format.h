/* Bytes of the dataset file that libcover itself reads (docs/dataset.md): the table of samples, the directory that the
 * seal protects, stored pixels, and the content hash.  Called by the dataset reader, its writer, pack and check. */
#ifndef COVER_DATASET_FORMAT_H
#define COVER_DATASET_FORMAT_H

#include "core/base/base.h"
#include "core/base/sha256.h"
#include "io/bytes/source.h"

#include <libcover/tensor.h>

#define DATASET_FORMAT "dataset"
enum {
    DATASET_MAJOR = 1,
    DATASET_MINOR = 1,          /* 1: sets of classes */
    DATASET_PAGE_BYTES = 65536, /* the tables are hashed in pages, so that opening does not read them */
    DATASET_ROW_BYTES = 256,
    DATASET_PAGE_ROWS = DATASET_PAGE_BYTES / DATASET_ROW_BYTES,
    DATASET_HEAD_BYTES = 192, /* of the directory, before text and hashes */
    DATASET_NAME_MAX = 4095,
    DATASET_NO_LABEL = 255
};

/* One sample: a row of /samples, as it lies in the file (little-endian, as every machine that we build for). */
struct dataset_row {
    uint64_t image_offset, image_bytes; /* stored pixels: from the beginning of the file */
    uint64_t label_offset, label_bytes; /* stored label map; 0, 0 = none */
    uint64_t image_row, label_row;      /* index in /images/KIND and /labels/KIND */
    uint64_t name_offset;               /* in /names */
    uint32_t name_bytes, patient_bytes; /* the patient follows the name */
    uint32_t size[3];                   /* D, H, W */
    int32_t class_index;                /* -1 = none */
    double spacing_mm[3];               /* D, H, W; 0 = not known */
    double affine[12];                  /* as in struct cover_sample_info */
    uint8_t dtype, label_dtype;         /* 0 u8, 1 u16, 2 f32; DATASET_NO_LABEL */
    uint8_t split;                      /* 0 none, 1 train, 2 val, 3 test */
    uint8_t multilabel;                 /* 1: class_set counts, and class_index is -1 */
    uint8_t zero1[4];
    uint8_t digest[SHA256_BYTES]; /* dataset_digest() */
    uint64_t class_set;           /* bit c = class c */
    uint8_t zero2[8];
};
_Static_assert(sizeof(struct dataset_row) == DATASET_ROW_BYTES, "rows have no padding");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are read and written as they lie in memory");

struct dataset_directory {
    int64_t samples;
    int dims, channels, classes;
    bool has_labels, multilabel;
    int64_t min_size[3], max_size[3];
    uint8_t hash[SHA256_BYTES]; /* dataset_content_hash() */
    uint64_t rows_offset, names_offset, names_bytes;
    uint64_t about_bytes; /* of the JSON text that follows the head */
};
void dataset_directory_encode(uint8_t head[DATASET_HEAD_BYTES], const struct dataset_directory *directory);
/* Values are checked against each other and against the bytes of the directory and of the file. */
cover_status dataset_directory_decode(struct dataset_directory *directory, const uint8_t *bytes, uint64_t count,
                                      uint64_t file_bytes, const char *path);
int64_t dataset_row_pages(const struct dataset_directory *directory);
int64_t dataset_name_pages(const struct dataset_directory *directory);

/* Row codes to dtypes and back; -1 for a code or dtype that is not stored. */
int dataset_dtype(uint8_t code);
int dataset_dtype_code(cover_dtype dtype);
/* Bytes of an image as it was packed; false when a size is 0, the dtype unknown, or HDF5's 4 GiB a chunk are passed. */
bool dataset_image_bytes(const struct dataset_row *row, int channels, uint64_t *bytes);
bool dataset_label_bytes(const struct dataset_row *row, uint64_t *bytes);
/* Name of the HDF5 array that holds samples of this dtype and size: "u8_512x512", "f32_64x128x128". */
enum { DATASET_KIND_TEXT = 64 };
void dataset_kind(char text[DATASET_KIND_TEXT], uint8_t dtype_code, int dims, const uint32_t size[3]);

/* SHA-256 of what a sample is: numbers, pixels and label, neither names nor compression. */
void dataset_digest(uint8_t digest[SHA256_BYTES], const struct dataset_row *row, int dims, int channels, const void *pixels,
                    uint64_t pixel_bytes, const void *label, uint64_t label_bytes);
/* The content hash is that of the digests in order: begin, one add a sample, sha256_end(). */
void dataset_hash_begin(struct sha256 *hash, int dims, int channels, int64_t samples);
static inline void dataset_hash_add(struct sha256 *hash, const uint8_t digest[SHA256_BYTES]) {
    sha256_add(hash, digest, SHA256_BYTES);
}

/* Bytes of stored pixels in the file. */
struct dataset_extent {
    uint64_t offset, bytes;
};
/* SHA-256 of all bytes of the file behind the seal that are in no extent: HDF5's own structures, the tables, the
 * directory.  Sorts the extents; COVER_ERROR_FORMAT when two overlap. */
cover_status dataset_rest_hash(uint8_t digest[SHA256_BYTES], cover_context *context, const struct source *source,
                               struct dataset_extent *extents, int64_t count);

/* Stored pixels: bytes grouped by significance (HDF5's shuffle filter) when elements are wider than one byte, then zlib
 * (HDF5's deflate filter).  *stored is released with memory_free(). */
enum { DATASET_DEFLATE_LEVEL = 4 };
cover_status dataset_compress(cover_context *context, const void *pixels, uint64_t bytes, size_t element, void **stored,
                              uint64_t *stored_bytes);
/* Exactly `bytes` bytes must come out of exactly `stored_bytes`; error texts begin with the file's name. */
cover_status dataset_expand(cover_context *context, const struct source *source, uint64_t offset, uint64_t stored_bytes,
                            size_t element, void *pixels, uint64_t bytes);

#endif
