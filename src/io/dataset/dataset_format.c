/* Tables, directory and content hash of the dataset file (docs/dataset.md states every byte).
 * Called by the dataset reader, its writer, pack and check. */
#include "dataset_format.h"

#include "io/bytes/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields of the directory's head by offset. */
enum {
    AT_SAMPLES = 0,
    AT_DIMS = 8,
    AT_CHANNELS = 12,
    AT_CLASSES = 16,
    AT_LABELS = 20,
    AT_MIN_SIZE = 24,
    AT_MAX_SIZE = 48,
    AT_HASH = 72,
    AT_ROWS = 104,
    AT_NAMES = 112,
    AT_NAMES_BYTES = 120,
    AT_ABOUT_BYTES = 128,
    AT_MULTILABEL = 136
};

static void put32(uint8_t *to, uint32_t value) { memcpy(to, &value, sizeof value); }
static void put64(uint8_t *to, uint64_t value) { memcpy(to, &value, sizeof value); }
static uint32_t get32(const uint8_t *from) {
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}
static uint64_t get64(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

void dataset_directory_encode(uint8_t head[DATASET_HEAD_BYTES], const struct dataset_directory *directory) {
    memset(head, 0, DATASET_HEAD_BYTES);
    put64(head + AT_SAMPLES, (uint64_t)directory->samples);
    put32(head + AT_DIMS, (uint32_t)directory->dims);
    put32(head + AT_CHANNELS, (uint32_t)directory->channels);
    put32(head + AT_CLASSES, (uint32_t)directory->classes);
    put32(head + AT_LABELS, directory->has_labels);
    for (int a = 0; a < 3; a++) {
        put64(head + AT_MIN_SIZE + 8 * a, (uint64_t)directory->min_size[a]);
        put64(head + AT_MAX_SIZE + 8 * a, (uint64_t)directory->max_size[a]);
    }
    memcpy(head + AT_HASH, directory->hash, SHA256_BYTES);
    put64(head + AT_ROWS, directory->rows_offset);
    put64(head + AT_NAMES, directory->names_offset);
    put64(head + AT_NAMES_BYTES, directory->names_bytes);
    put64(head + AT_ABOUT_BYTES, directory->about_bytes);
    put32(head + AT_MULTILABEL, directory->multilabel);
}

static int64_t pages(uint64_t bytes) { return (int64_t)(bytes / DATASET_PAGE_BYTES + (bytes % DATASET_PAGE_BYTES != 0)); }

int64_t dataset_row_pages(const struct dataset_directory *directory) {
    return pages((uint64_t)directory->samples * DATASET_ROW_BYTES);
}

int64_t dataset_name_pages(const struct dataset_directory *directory) { return pages(directory->names_bytes); }

static bool inside(uint64_t offset, uint64_t bytes, uint64_t file_bytes) {
    return offset <= file_bytes && bytes <= file_bytes - offset;
}

cover_status dataset_directory_decode(struct dataset_directory *directory, const uint8_t *bytes, uint64_t count,
                                      uint64_t file_bytes, const char *path) {
    if (count < DATASET_HEAD_BYTES)
        return fail(COVER_ERROR_FORMAT, "%s: its directory has %llu bytes, fewer than a head takes", path,
                    (unsigned long long)count);
    const uint64_t samples = get64(bytes + AT_SAMPLES);
    const uint32_t dims = get32(bytes + AT_DIMS), channels = get32(bytes + AT_CHANNELS);
    const uint32_t classes = get32(bytes + AT_CLASSES), labels = get32(bytes + AT_LABELS);
    struct dataset_directory read = {.rows_offset = get64(bytes + AT_ROWS),
                                     .names_offset = get64(bytes + AT_NAMES),
                                     .names_bytes = get64(bytes + AT_NAMES_BYTES),
                                     .about_bytes = get64(bytes + AT_ABOUT_BYTES)};
    memcpy(read.hash, bytes + AT_HASH, SHA256_BYTES);
    if (samples == 0 || samples > file_bytes / DATASET_ROW_BYTES)
        return fail(COVER_ERROR_FORMAT, "%s: its directory says %llu samples, which %llu bytes cannot hold", path,
                    (unsigned long long)samples, (unsigned long long)file_bytes);
    if ((dims != 2 && dims != 3) || channels < 1 || channels > 65536 || classes > 65536 || labels > 1)
        return fail(COVER_ERROR_FORMAT, "%s: its directory says dims %u, channels %u, classes %u, labels %u", path, dims, channels,
                    classes, labels);
    read.samples = (int64_t)samples, read.dims = (int)dims, read.channels = (int)channels, read.classes = (int)classes;
    read.has_labels = labels != 0;
    const uint32_t multilabel = get32(bytes + AT_MULTILABEL);
    if (multilabel > 1 || (multilabel && (classes < 1 || classes > 64 || labels)))
        return fail(COVER_ERROR_FORMAT, "%s: its directory says sets of %u classes (%u)", path, classes, multilabel);
    read.multilabel = multilabel != 0;
    for (int a = 0; a < 3; a++) {
        uint64_t low = get64(bytes + AT_MIN_SIZE + 8 * a), high = get64(bytes + AT_MAX_SIZE + 8 * a);
        if (low < 1 || high < low || high > UINT32_MAX || (a == 0 && dims == 2 && high != 1))
            return fail(COVER_ERROR_FORMAT, "%s: its directory says sizes %llu to %llu on axis %d", path, (unsigned long long)low,
                        (unsigned long long)high, a);
        read.min_size[a] = (int64_t)low, read.max_size[a] = (int64_t)high;
    }
    if (!inside(read.rows_offset, samples * DATASET_ROW_BYTES, file_bytes) ||
        !inside(read.names_offset, read.names_bytes, file_bytes) || read.about_bytes > count - DATASET_HEAD_BYTES)
        return fail(COVER_ERROR_FORMAT, "%s: its directory names bytes outside the file", path);
    uint64_t hashes = (uint64_t)(dataset_row_pages(&read) + dataset_name_pages(&read)) * SHA256_BYTES;
    if (count - DATASET_HEAD_BYTES - read.about_bytes != hashes)
        return fail(COVER_ERROR_FORMAT, "%s: its directory has %llu bytes, but should have %llu", path, (unsigned long long)count,
                    (unsigned long long)(DATASET_HEAD_BYTES + read.about_bytes + hashes));
    *directory = read;
    return COVER_OK;
}

/* ---- rows */

static const cover_dtype stored_dtypes[] = {COVER_U8, COVER_U16, COVER_F32};
enum { STORED_DTYPES = sizeof stored_dtypes / sizeof *stored_dtypes };

int dataset_dtype(uint8_t code) { return code < STORED_DTYPES ? (int)stored_dtypes[code] : -1; }

int dataset_dtype_code(cover_dtype dtype) {
    for (int code = 0; code < STORED_DTYPES; code++)
        if (stored_dtypes[code] == dtype) return code;
    return -1;
}

static bool array_bytes(const struct dataset_row *row, uint8_t code, int channels, uint64_t *bytes) {
    int64_t total = channels;
    int dtype = dataset_dtype(code);
    if (dtype < 0 || !multiply(total, (int64_t)cover_dtype_bytes((cover_dtype)dtype), &total)) return false;
    for (int a = 0; a < 3; a++)
        if (row->size[a] == 0 || !multiply(total, row->size[a], &total)) return false;
    *bytes = (uint64_t)total;
    return total <= UINT32_MAX;
}

bool dataset_image_bytes(const struct dataset_row *row, int channels, uint64_t *bytes) {
    return array_bytes(row, row->dtype, channels, bytes);
}

bool dataset_label_bytes(const struct dataset_row *row, uint64_t *bytes) {
    return array_bytes(row, row->label_dtype, 1, bytes) && dataset_dtype(row->label_dtype) != COVER_F32;
}

void dataset_kind(char text[DATASET_KIND_TEXT], uint8_t dtype_code, int dims, const uint32_t size[3]) {
    const char *dtype = cover_dtype_name((cover_dtype)dataset_dtype(dtype_code));
    if (dims == 2) snprintf(text, DATASET_KIND_TEXT, "%s_%ux%u", dtype, size[1], size[2]);
    else snprintf(text, DATASET_KIND_TEXT, "%s_%ux%ux%u", dtype, size[0], size[1], size[2]);
}

/* ---- content hash */

void dataset_digest(uint8_t digest[SHA256_BYTES], const struct dataset_row *row, int dims, int channels, const void *pixels,
                    uint64_t pixel_bytes, const void *label, uint64_t label_bytes) {
    struct sha256 hash;
    uint8_t head[16];
    put32(head, (uint32_t)dims);
    put32(head + 4, (uint32_t)channels);
    head[8] = row->dtype, head[9] = row->label_dtype, head[10] = row->split, head[11] = row->multilabel;
    put32(head + 12, (uint32_t)row->class_index);
    sha256_begin(&hash);
    sha256_add(&hash, head, sizeof head);
    if (row->multilabel) sha256_add(&hash, &row->class_set, sizeof row->class_set);
    sha256_add(&hash, row->size, sizeof row->size);
    sha256_add(&hash, row->spacing_mm, sizeof row->spacing_mm);
    sha256_add(&hash, row->affine, sizeof row->affine);
    sha256_add(&hash, pixels, pixel_bytes);
    sha256_add(&hash, label, label_bytes);
    sha256_end(&hash, digest);
}

void dataset_hash_begin(struct sha256 *hash, int dims, int channels, int64_t samples) {
    uint8_t head[16];
    put32(head, (uint32_t)dims);
    put32(head + 4, (uint32_t)channels);
    put64(head + 8, (uint64_t)samples);
    sha256_begin(hash);
    sha256_add(hash, head, sizeof head);
}

/* ---- what is not pixels */

static int compare_extents(const void *a, const void *b) {
    const struct dataset_extent *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

cover_status dataset_rest_hash(uint8_t digest[SHA256_BYTES], cover_context *context, const struct source *source,
                               struct dataset_extent *extents, int64_t count) {
    const size_t piece = 1 << 20;
    cover_status status = COVER_OK;
    struct sha256 hash;
    uint64_t at = SEAL_BYTES;
    uint8_t *buffer = memory_alloc(context, piece);
    if (!buffer) return COVER_ERROR_MEMORY;
    if (count > 0) qsort(extents, (size_t)count, sizeof *extents, compare_extents);
    sha256_begin(&hash);
    for (int64_t i = 0; i <= count; i++) { /* the gap before extent i; the last one ends the file */
        const uint64_t end = i < count ? extents[i].offset : source->bytes;
        if (end < at) {
            status = fail(COVER_ERROR_FORMAT, "%s: stored pixels overlap at byte %llu", source->name, (unsigned long long)end);
            goto done;
        }
        while (at < end) {
            const size_t now = end - at < piece ? (size_t)(end - at) : piece;
            GO(source_read(source, at, buffer, now));
            sha256_add(&hash, buffer, now);
            at += now;
        }
        if (i < count) at += extents[i].bytes;
    }
    sha256_end(&hash, digest);
done:
    memory_free(context, buffer);
    return status;
}
