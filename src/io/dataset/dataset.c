/* Reading a dataset file (docs/dataset.md, "How it is read"): the seal and the directory when it is opened, one page of
 * the table when a sample is first asked for, then its stored pixels; plain reads at known places, no libhdf5 and no
 * lock.  Called by the trainer, check and users of the library. */
#include "dataset.h"

#include "core/base/convert.h"
#include "core/base/tensor.h"
#include "io/bytes/inflate.h"
#include "io/bytes/seal.h"

#include <math.h>
#include <string.h>

cover_status cover_dataset_open(cover_dataset **out, cover_context *context, const char *path) {
    if (!out || !context || !path) return fail(COVER_ERROR_ARGUMENT, "dataset: NULL argument");
    cover_status status = COVER_OK;
    struct seal seal;
    cover_dataset *dataset = handle_make(context, sizeof *dataset);
    if (!dataset) return COVER_ERROR_MEMORY;
    dataset->context = context;
    dataset->source.descriptor = -1;
    dataset->path = memory_text(context, path);
    if (!dataset->path) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    GO(source_open(&dataset->source, dataset->path));
    GO(seal_read(&seal, &dataset->source, DATASET_FORMAT, DATASET_MAJOR));
    dataset->directory_bytes = memory_alloc(context, seal.bytes);
    if (!dataset->directory_bytes) {
        status = fail_in(COVER_ERROR_MEMORY, "%s", path);
        goto done;
    }
    GO(source_read(&dataset->source, seal.begin, dataset->directory_bytes, seal.bytes));
    uint8_t digest[SHA256_BYTES];
    sha256(dataset->directory_bytes, seal.bytes, digest);
    if (memcmp(digest, seal.hash, sizeof digest) != 0) {
        status = fail(COVER_ERROR_FORMAT, "%s: its directory is damaged; copy or pack the file again", path);
        goto done;
    }
    GO(dataset_directory_decode(&dataset->directory, dataset->directory_bytes, seal.bytes, seal.file_bytes, path));
    const int64_t row_pages = dataset_row_pages(&dataset->directory);
    const int64_t name_pages = dataset_name_pages(&dataset->directory);
    dataset->row_hashes = dataset->directory_bytes + DATASET_HEAD_BYTES + dataset->directory.about_bytes;
    dataset->name_hashes = dataset->row_hashes + row_pages * SHA256_BYTES;
    dataset->row_verified = memory_zero(context, (size_t)(row_pages + name_pages));
    if (!dataset->row_verified) {
        status = fail_in(COVER_ERROR_MEMORY, "%s", path);
        goto done;
    }
    dataset->name_verified = dataset->row_verified + row_pages;
    GO(dataset_classes_open(dataset));
    dataset->kept = memory_zero(context, sizeof *dataset->kept);
    if (!dataset->kept) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    pthread_mutex_init(&dataset->kept->lock, NULL);
    *out = dataset;
    dataset = NULL;
done:
    cover_dataset_destroy(dataset);
    return status;
}

static void free_kept(cover_dataset *dataset) {
    struct dataset_kept *kept = dataset->kept;
    if (!kept) return;
    for (int64_t i = 0; kept->names && i < dataset->directory.samples; i++) memory_free(dataset->context, kept->names[i]);
    memory_free(dataset->context, kept->names);
    pthread_mutex_destroy(&kept->lock);
    memory_free(dataset->context, kept);
}

void cover_dataset_destroy(cover_dataset *dataset) {
    if (!dataset) return;
    free_kept(dataset);
    source_close(&dataset->source);
    dataset_classes_close(dataset);
    memory_free(dataset->context, dataset->directory_bytes);
    memory_free(dataset->context, (void *)dataset->row_verified);
    memory_free(dataset->context, dataset->path);
    handle_free(dataset->context, dataset);
}

cover_status cover_dataset_get_info(cover_dataset_info *info, const cover_dataset *dataset) {
    if (!dataset || !info) return fail(COVER_ERROR_ARGUMENT, "dataset info: NULL argument");
    const struct dataset_directory *directory = &dataset->directory;
    cover_dataset_info known = {.samples = directory->samples,
                                .dims = directory->dims,
                                .channels = directory->channels,
                                .classes = directory->classes,
                                .has_labels = directory->has_labels,
                                .multilabel = directory->multilabel,
                                .ignore_label = dataset->ignore_label};
    memcpy(known.min_size, directory->min_size, sizeof known.min_size);
    memcpy(known.max_size, directory->max_size, sizeof known.max_size);
    sha256_text(directory->hash, known.hash);
    report_write(info, &known, sizeof known);
    return COVER_OK;
}

const char *dataset_about(const cover_dataset *dataset, size_t *bytes) {
    *bytes = dataset->directory.about_bytes;
    return (const char *)dataset->directory_bytes + DATASET_HEAD_BYTES;
}

/* ---- the two tables: rows and names */

struct table {
    const char *what;
    uint64_t offset, bytes;
    const uint8_t *hashes;
    _Atomic uint8_t *verified;
};

/* Bytes [at, at + count) of a table; pages that are touched for the first time are compared with their hashes. */
static cover_status table_read(const cover_dataset *dataset, const struct table *table, uint64_t at, void *out, size_t count) {
    cover_status status = COVER_OK;
    uint8_t *page = NULL, digest[SHA256_BYTES];
    if (count == 0) return COVER_OK;
    for (uint64_t p = at / DATASET_PAGE_BYTES; p <= (at + count - 1) / DATASET_PAGE_BYTES; p++) {
        if (atomic_load(&table->verified[p])) continue;
        const uint64_t begin = p * DATASET_PAGE_BYTES, left = table->bytes - begin;
        const size_t bytes = left < DATASET_PAGE_BYTES ? (size_t)left : DATASET_PAGE_BYTES;
        if (!page) page = memory_alloc(dataset->context, DATASET_PAGE_BYTES);
        if (!page) return COVER_ERROR_MEMORY;
        GO(source_read(&dataset->source, table->offset + begin, page, bytes));
        sha256(page, bytes, digest);
        if (memcmp(digest, table->hashes + p * SHA256_BYTES, sizeof digest) != 0) {
            status = fail(COVER_ERROR_FORMAT, "%s: page %llu of its table of %s is damaged; copy or pack the file again",
                          dataset->path, (unsigned long long)p, table->what);
            goto done;
        }
        atomic_store(&table->verified[p], 1);
    }
    GO(source_read(&dataset->source, table->offset + at, out, count));
done:
    memory_free(dataset->context, page);
    return status;
}

static bool inside(const cover_dataset *dataset, uint64_t offset, uint64_t bytes) {
    return offset <= dataset->source.bytes && bytes <= dataset->source.bytes - offset;
}

static bool plausible(uint64_t bytes, uint64_t stored) { return bytes / DEFLATE_RATIO <= stored; }

cover_status dataset_row(const cover_dataset *dataset, int64_t index, struct dataset_row *row) {
    const struct dataset_directory *directory = &dataset->directory;
    if (index < 0 || index >= directory->samples)
        return fail(COVER_ERROR_ARGUMENT, "%s: sample %lld of %lld", dataset->path, (long long)index,
                    (long long)directory->samples);
    const struct table table = {"samples", directory->rows_offset, (uint64_t)directory->samples * DATASET_ROW_BYTES,
                                dataset->row_hashes, dataset->row_verified};
    TRY(table_read(dataset, &table, (uint64_t)index * DATASET_ROW_BYTES, row, sizeof *row));
    uint64_t bytes;
    const char *wrong = NULL;
    if (!dataset_image_bytes(row, directory->channels, &bytes)) wrong = "size or dtype";
    else if (!inside(dataset, row->image_offset, row->image_bytes) || !plausible(bytes, row->image_bytes)) wrong = "pixels";
    else if (row->label_dtype == DATASET_NO_LABEL) wrong = row->label_bytes ? "label" : NULL;
    else if (!dataset_label_bytes(row, &bytes) || !inside(dataset, row->label_offset, row->label_bytes) ||
             !plausible(bytes, row->label_bytes))
        wrong = "label";
    for (int a = 0; !wrong && a < 3; a++)
        if (row->size[a] < directory->min_size[a] || row->size[a] > directory->max_size[a]) wrong = "size";
    if (!wrong &&
        (row->name_offset > directory->names_bytes || row->name_bytes > DATASET_NAME_MAX || row->patient_bytes > DATASET_NAME_MAX ||
         (uint64_t)row->name_bytes + row->patient_bytes > directory->names_bytes - row->name_offset))
        wrong = "name";
    /* where there are label maps, `classes` counts their values, not those of class folders beside them */
    if (!wrong && (row->split > 3 || row->class_index < -1 || (row->class_index >= directory->classes && !directory->has_labels)))
        wrong = "split or class";
    if (!wrong && (row->multilabel != directory->multilabel || (directory->classes < 64 && row->class_set >> directory->classes)))
        wrong = "set of classes";
    if (wrong)
        return fail(COVER_ERROR_FORMAT, "%s: sample %lld: its row says an impossible %s", dataset->path, (long long)index, wrong);
    return COVER_OK;
}

cover_status dataset_names(const cover_dataset *dataset, const struct dataset_row *row, char *name, char *patient) {
    const struct dataset_directory *directory = &dataset->directory;
    const struct table table = {"names", directory->names_offset, directory->names_bytes, dataset->name_hashes,
                                dataset->name_verified};
    TRY(table_read(dataset, &table, row->name_offset, name, row->name_bytes));
    TRY(table_read(dataset, &table, row->name_offset + row->name_bytes, patient, row->patient_bytes));
    name[row->name_bytes] = 0, patient[row->patient_bytes] = 0;
    return COVER_OK;
}

/* The name and the patient of a row in the dataset's own memory, read when they are first asked for. */
static cover_status keep_names(const char **name, const char **patient, const cover_dataset *dataset, int64_t index,
                               const struct dataset_row *row) {
    cover_status status = COVER_OK;
    struct dataset_kept *kept = dataset->kept;
    char *fresh = NULL;
    pthread_mutex_lock(&kept->lock);
    if (!kept->names) kept->names = memory_zero(dataset->context, (size_t)dataset->directory.samples * sizeof *kept->names);
    if (kept->names && !kept->names[index]) {
        fresh = memory_alloc(dataset->context, (size_t)row->name_bytes + row->patient_bytes + 2);
        status = fresh ? dataset_names(dataset, row, fresh, fresh + row->name_bytes + 1) : COVER_ERROR_MEMORY;
        if (status == COVER_OK) kept->names[index] = fresh, fresh = NULL;
    }
    if (!kept->names) status = COVER_ERROR_MEMORY;
    if (status == COVER_OK) *name = kept->names[index], *patient = *name + row->name_bytes + 1;
    pthread_mutex_unlock(&kept->lock);
    memory_free(dataset->context, fresh);
    return status;
}

cover_status cover_dataset_sample(cover_sample_info *info, const cover_dataset *dataset, int64_t index) {
    const char *name = NULL, *patient = NULL;
    struct dataset_row row;
    if (!dataset || !info) return fail(COVER_ERROR_ARGUMENT, "dataset sample: NULL argument");
    TRY(dataset_row(dataset, index, &row));
    TRY(keep_names(&name, &patient, dataset, index, &row));
    cover_sample_info known = {.dtype = (cover_dtype)dataset_dtype(row.dtype),
                               .has_label = row.label_dtype != DATASET_NO_LABEL,
                               .class_index = row.class_index,
                               .split = row.split,
                               .name = name,
                               .patient = patient,
                               .class_set = row.class_set};
    for (int a = 0; a < 3; a++) known.size[a] = row.size[a];
    memcpy(known.spacing_mm, row.spacing_mm, sizeof known.spacing_mm);
    memcpy(known.affine, row.affine, sizeof known.affine);
    report_write(info, &known, sizeof known);
    return COVER_OK;
}

/* ---- pixels */

cover_status dataset_pixels(const cover_dataset *dataset, int64_t index, const struct dataset_row *row, void *pixels) {
    uint64_t bytes;
    dataset_image_bytes(row, dataset->directory.channels, &bytes);
    cover_status status = dataset_expand(dataset->context, &dataset->source, row->image_offset, row->image_bytes,
                                         cover_dtype_bytes((cover_dtype)dataset_dtype(row->dtype)), pixels, bytes);
    return status == COVER_OK ? status : fail(status, "%s (pixels of sample %lld)", cover_error_text(), (long long)index);
}

cover_status dataset_label(const cover_dataset *dataset, int64_t index, const struct dataset_row *row, void *label) {
    uint64_t bytes;
    dataset_label_bytes(row, &bytes);
    cover_status status = dataset_expand(dataset->context, &dataset->source, row->label_offset, row->label_bytes,
                                         cover_dtype_bytes((cover_dtype)dataset_dtype(row->label_dtype)), label, bytes);
    return status == COVER_OK ? status : fail(status, "%s (label of sample %lld)", cover_error_text(), (long long)index);
}

static void release(void *context, void *memory) { memory_free(context, memory); }

/* Channels-last memory as a tensor of logical order (C, [D,] H, W), or ([D,] H, W) when channels is 0.  The memory is
 * the tensor's, or released. */
static cover_status adopt(cover_tensor **tensor, const cover_dataset *dataset, cover_dtype dtype, const struct dataset_row *row,
                          int channels, void *memory) {
    const int dims = dataset->directory.dims, first = channels > 0;
    int64_t shape[COVER_MAX_RANK], strides[COVER_MAX_RANK], stride = first ? channels : 1;
    for (int a = dims - 1; a >= 0; a--) {
        shape[first + a] = row->size[3 - dims + a];
        strides[first + a] = stride;
        stride *= shape[first + a];
    }
    if (first) shape[0] = channels, strides[0] = 1;
    cover_status status =
        cover_tensor_adopt(tensor, dataset->context, dtype, dims + first, shape, strides, memory, release, dataset->context);
    if (status != COVER_OK) memory_free(dataset->context, memory);
    return status;
}

cover_status cover_dataset_read(cover_tensor **image, const cover_dataset *dataset, int64_t index) {
    struct dataset_row row;
    uint64_t bytes;
    if (!dataset || !image) return fail(COVER_ERROR_ARGUMENT, "dataset read: NULL argument");
    TRY(dataset_row(dataset, index, &row));
    dataset_image_bytes(&row, dataset->directory.channels, &bytes);
    void *pixels = memory_alloc(dataset->context, bytes);
    if (!pixels) return COVER_ERROR_MEMORY;
    cover_status status = dataset_pixels(dataset, index, &row, pixels);
    if (status != COVER_OK) {
        memory_free(dataset->context, pixels);
        return status;
    }
    return adopt(image, dataset, (cover_dtype)dataset_dtype(row.dtype), &row, dataset->directory.channels, pixels);
}

cover_status cover_dataset_read_label(cover_tensor **label, const cover_dataset *dataset, int64_t index) {
    struct dataset_row row;
    uint64_t bytes;
    if (!dataset || !label) return fail(COVER_ERROR_ARGUMENT, "dataset read label: NULL argument");
    TRY(dataset_row(dataset, index, &row));
    if (row.label_dtype == DATASET_NO_LABEL)
        return fail(COVER_ERROR_ARGUMENT, "%s: sample %lld has no label map", dataset->path, (long long)index);
    dataset_label_bytes(&row, &bytes);
    void *values = memory_alloc(dataset->context, bytes);
    if (!values) return COVER_ERROR_MEMORY;
    cover_status status = dataset_label(dataset, index, &row, values);
    if (status != COVER_OK) {
        memory_free(dataset->context, values);
        return status;
    }
    return adopt(label, dataset, (cover_dtype)dataset_dtype(row.label_dtype), &row, 0, values);
}

cover_status dataset_read_f32(const cover_dataset *dataset, int64_t index, float **out, struct grid *grid, int *integer_max) {
    cover_status status = COVER_OK;
    struct dataset_row row;
    uint64_t bytes;
    TRY(dataset_row(dataset, index, &row));
    dataset_image_bytes(&row, dataset->directory.channels, &bytes);
    const cover_dtype dtype = (cover_dtype)dataset_dtype(row.dtype);
    const uint64_t count = bytes / cover_dtype_bytes(dtype);
    float *pixels = memory_alloc(dataset->context, count * sizeof *pixels);
    void *packed = dtype == COVER_F32 ? pixels : memory_alloc(dataset->context, bytes);
    if (!pixels || !packed) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    GO(dataset_pixels(dataset, index, &row, packed));
    if (packed != pixels) convert_run(pixels, COVER_F32, 1, packed, dtype, 1, (int64_t)count);
    *integer_max = dtype_integer_max(dtype);
    *grid = (struct grid){.ndim = dataset->directory.dims, .size = {row.size[0], row.size[1], row.size[2]}};
    *out = pixels;
    pixels = NULL;
done:
    if (dtype != COVER_F32) memory_free(dataset->context, packed);
    memory_free(dataset->context, pixels);
    return status;
}
