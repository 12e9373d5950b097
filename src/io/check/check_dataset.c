/* A dataset file checked completely (docs/dataset.md, "What check compares"): every byte is covered by a hash, every
 * sample is expanded and hashed again, and libhdf5 must see the same stored bytes.  Called by check.c. */
#include "check.h"

#include "core/base/threads.h"
#include "io/bytes/hdf5_sink.h"
#include "io/bytes/seal.h"
#include "io/dataset/dataset.h"

#include <stdio.h>
#include <string.h>

struct dataset_check {
    struct check *check;
    const cover_dataset *dataset;
    pthread_mutex_t lock; /* of the check and of `failed` */
    cover_status failed;  /* what stops the whole check */
    char failure[512];
};

/* Expand pixels and label and compare their digest; an error text is the finding. */
static cover_status check_sample(const cover_dataset *dataset, int64_t index) {
    const struct dataset_directory *directory = &dataset->directory;
    char name[DATASET_NAME_MAX + 1], patient[DATASET_NAME_MAX + 1];
    struct dataset_row row;
    uint64_t bytes, label_bytes = 0;
    uint8_t digest[SHA256_BYTES];
    void *pixels = NULL, *label = NULL;
    cover_status status;
    TRY(dataset_row(dataset, index, &row));
    TRY(dataset_names(dataset, &row, name, patient));
    dataset_image_bytes(&row, directory->channels, &bytes);
    const bool labelled = row.label_dtype != DATASET_NO_LABEL;
    if (labelled) dataset_label_bytes(&row, &label_bytes);
    pixels = memory_alloc(dataset->context, bytes);
    label = labelled ? memory_alloc(dataset->context, label_bytes) : NULL;
    GO(pixels && (label || !labelled) ? COVER_OK : COVER_ERROR_MEMORY);
    GO(dataset_pixels(dataset, index, &row, pixels));
    if (labelled) GO(dataset_label(dataset, index, &row, label));
    dataset_digest(digest, &row, directory->dims, directory->channels, pixels, bytes, label, label_bytes);
    if (memcmp(digest, row.digest, sizeof digest) != 0)
        status = fail(COVER_ERROR_FORMAT, "%s: sample %lld (%.200s): its content does not have the hash in its row", dataset->path,
                      (long long)index, name);
    else if (labelled && !directory->has_labels)
        status = fail(COVER_ERROR_FORMAT, "%s: sample %lld (%.200s) has a label, but the directory says that none has",
                      dataset->path, (long long)index, name);
done:
    memory_free(dataset->context, pixels);
    memory_free(dataset->context, label);
    return status;
}

static void check_one(void *data, int64_t index) {
    struct dataset_check *job = data;
    pthread_mutex_lock(&job->lock);
    const bool stopped = job->failed != COVER_OK;
    pthread_mutex_unlock(&job->lock);
    if (stopped) return;
    cover_status status = check_sample(job->dataset, index);
    if (status == COVER_OK && cancelled(job->dataset->context))
        status = fail(COVER_ERROR_CANCELLED, "%s: cancelled", job->dataset->path);
    if (status == COVER_OK) return;
    pthread_mutex_lock(&job->lock);
    status = check_error(job->check, status);
    if (status != COVER_OK && job->failed == COVER_OK) {
        job->failed = status;
        strncpy(job->failure, cover_error_text(), sizeof job->failure - 1);
    }
    pthread_mutex_unlock(&job->lock);
}

/* The content hash, and the hash over everything that is not pixels. */
static cover_status check_hashes(struct check *check, const cover_dataset *dataset) {
    const struct dataset_directory *directory = &dataset->directory;
    cover_status status = COVER_OK;
    struct seal seal;
    struct sha256 hash;
    uint8_t digest[SHA256_BYTES];
    int64_t count = 0;
    struct dataset_extent *extents = memory_alloc(dataset->context, (size_t)directory->samples * 2 * sizeof *extents);
    if (!extents) return COVER_ERROR_MEMORY;
    dataset_hash_begin(&hash, directory->dims, directory->channels, directory->samples);
    for (int64_t i = 0; i < directory->samples; i++) {
        struct dataset_row row;
        GO(dataset_row(dataset, i, &row));
        dataset_hash_add(&hash, row.digest);
        extents[count++] = (struct dataset_extent){row.image_offset, row.image_bytes};
        if (row.label_bytes > 0) extents[count++] = (struct dataset_extent){row.label_offset, row.label_bytes};
    }
    sha256_end(&hash, digest);
    if (memcmp(digest, directory->hash, sizeof digest) != 0)
        check_finding(check, "%s: its samples do not have the content hash in its directory", dataset->path);
    GO(seal_read(&seal, &dataset->source, DATASET_FORMAT, DATASET_MAJOR));
    GO(dataset_rest_hash(digest, dataset->context, &dataset->source, extents, count));
    if (memcmp(digest, seal.rest, sizeof digest) != 0)
        check_finding(check, "%s: bytes outside the stored pixels (HDF5's own structures) are damaged", dataset->path);
done:
    memory_free(dataset->context, extents);
    return check_error(check, status);
}

/* ---- the same bytes through libhdf5; only after all hashes were right */

/* The HDF5 file, and the array that was looked at last: samples of one size lie side by side. */
struct view {
    const cover_dataset *dataset;
    hid_t file, array;
    char name[DATASET_KIND_TEXT + 8];
};

static hid_t array_of(struct view *view, const struct dataset_row *row, bool label) {
    char kind[DATASET_KIND_TEXT], name[sizeof view->name];
    dataset_kind(kind, label ? row->label_dtype : row->dtype, view->dataset->directory.dims, row->size);
    snprintf(name, sizeof name, "%s/%s", label ? "labels" : "images", kind);
    if (view->array >= 0 && strcmp(name, view->name) == 0) return view->array;
    if (view->array >= 0) H5Dclose(view->array);
    memcpy(view->name, name, sizeof name);
    return view->array = hdf5_open_array(view->file, name);
}

static cover_status check_chunk(struct view *view, const struct dataset_row *row, bool label) {
    const cover_dataset *dataset = view->dataset;
    const uint64_t bytes = label ? row->label_bytes : row->image_bytes;
    const uint64_t offset = label ? row->label_offset : row->image_offset;
    const hsize_t at[COVER_MAX_RANK] = {label ? row->label_row : row->image_row};
    uint32_t filters = 0;
    hsize_t stored = 0;
    cover_status status = COVER_OK;
    uint8_t *ours = memory_alloc(dataset->context, bytes), *theirs = memory_alloc(dataset->context, bytes);
    GO(ours && theirs ? COVER_OK : COVER_ERROR_MEMORY);
    GO(source_read(&dataset->source, offset, ours, bytes));
    const hid_t array = array_of(view, row, label);
    const bool known = array >= 0 && H5Dget_chunk_storage_size(array, at, &stored) >= 0;
    const bool read = known && stored == bytes && H5Dread_chunk(array, H5P_DEFAULT, at, &filters, theirs) >= 0;
    if (!read && hdf5_fail(COVER_ERROR_FORMAT, dataset->path, view->name) == COVER_ERROR_MEMORY) status = COVER_ERROR_MEMORY;
    else if (!read || filters != 0 || memcmp(ours, theirs, bytes) != 0)
        status = fail(COVER_ERROR_FORMAT,
                      "%s: HDF5 array %s, row %llu: libhdf5 sees other bytes than the table says, or a link to elsewhere",
                      dataset->path, view->name, (unsigned long long)at[0]);
done:
    memory_free(dataset->context, ours);
    memory_free(dataset->context, theirs);
    return status;
}

static cover_status check_hdf5(struct check *check, const cover_dataset *dataset) {
    cover_status status = COVER_OK;
    struct hdf5_guard guard;
    struct hdf5_sink sink = {.descriptor = dataset->source.descriptor, .end = dataset->source.bytes};
    struct view view = {.dataset = dataset, .file = -1, .array = -1};
    hdf5_begin(&guard);
    status = hdf5_sink_open(&view.file, &sink, dataset->path);
    for (int label = 0; label < 2; label++)
        for (int64_t i = 0; status == COVER_OK && i < dataset->directory.samples; i++) {
            struct dataset_row row;
            if (cancelled(dataset->context)) status = fail(COVER_ERROR_CANCELLED, "%s: cancelled", dataset->path);
            if (status == COVER_OK) status = dataset_row(dataset, i, &row);
            if (status == COVER_OK && (!label || row.label_dtype != DATASET_NO_LABEL)) status = check_chunk(&view, &row, label);
        }
    if (view.array >= 0) H5Dclose(view.array);
    const cover_status closed = view.file >= 0 ? hdf5_sink_close(view.file, &sink, dataset->path) : COVER_OK;
    if (status == COVER_OK) status = closed;
    hdf5_end(&guard);
    return check_error(check, status);
}

cover_status check_dataset(struct check *check, const char *path) {
    cover_dataset *dataset;
    struct pool *pool;
    cover_status status = cover_dataset_open(&dataset, check->context, path);
    if (status != COVER_OK) return check_error(check, status);
    struct dataset_check job = {.check = check, .dataset = dataset};
    pthread_mutex_init(&job.lock, NULL);
    GO(context_pool(check->context, &pool));
    pool_each(pool, dataset->directory.samples, check_one, &job);
    if (job.failed != COVER_OK) GO(fail_text(job.failed, job.failure));
    if (check->found == 0) GO(check_hashes(check, dataset));
    if (check->found == 0) GO(check_hdf5(check, dataset));
    char hash[SHA256_TEXT];
    sha256_text(dataset->directory.hash, hash);
    text_add(&check->facts, ", \"samples\": %lld, \"hash\": \"%s\"", (long long)dataset->directory.samples, hash);
done:
    pthread_mutex_destroy(&job.lock);
    cover_dataset_destroy(dataset);
    return status;
}
