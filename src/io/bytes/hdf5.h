/* libhdf5 kept in its place: one lock, silenced errors, files built as an image in memory and written in one move, and
 * nothing opened before its seal and hash were checked.  Called by checkpoints, pack and check; all of it internal.
 *
 * Every call below, and every libhdf5 call of ours, is made between hdf5_begin() and hdf5_end(). */
#ifndef COVER_HDF5_H
#define COVER_HDF5_H

#include "core/base/base.h"
#include "seal.h"

#include <libcover/tensor.h>

#include <hdf5.h>

/* libhdf5 has one global state.  begin takes the one lock of libcover around it and puts the host's automatic error
 * printing aside; end restores both.  Not recursive: begin only once on a thread. */
struct hdf5_guard {
    unsigned is_second; /* was the handler set by H5Eset_auto2, not H5Eset_auto1? */
    void *handler1, *handler2, *data;
};
void hdf5_begin(struct hdf5_guard *guard);
void hdf5_end(struct hdf5_guard *guard);

/* fail(status, "path: what: the innermost message of libhdf5"). */
cover_status hdf5_fail(cover_status status, const char *path, const char *what);

/* An empty HDF5 file in memory; nothing touches the disk before hdf5_image_save().  Close it with H5Fclose(). */
cover_status hdf5_image_create(hid_t *file);
/* Write seal + image to path: temporary file, fsync, rename.  Equal content gives equal bytes.  Everything that was
 * opened in `file` must be closed; `file` itself stays open. */
cover_status hdf5_image_save(hid_t file, cover_context *context, const char *path, const char *format, unsigned major,
                             unsigned minor);
/* Open such a file for reading after checking its seal, its length and the hash of all of it. */
cover_status hdf5_sealed_open(hid_t *file, cover_context *context, const char *path, const char *format, unsigned major);

/* Open a file for reading without the checks above: only what was hashed by other means.  Negative on failure. */
hid_t hdf5_open(const char *path);

/* File type of a dtype (little-endian); negative for F16 and BF16, which HDF5 has not. */
hid_t hdf5_type(cover_dtype dtype);

/* Array `name` below place (a file or group; missing groups in "a/b/c" are created). */
cover_status hdf5_write(hid_t place, const char *name, cover_dtype dtype, int rank, const int64_t *shape, const void *data);
/* Does a dataset or group of this name exist? */
bool hdf5_has(hid_t place, const char *name);
/* What array `name` is.  COVER_ERROR_FORMAT when it is missing, no array, or of a type without a dtype. */
cover_status hdf5_shape(hid_t place, const char *name, cover_dtype *dtype, int *rank, int64_t shape[COVER_MAX_RANK]);
/* Read it; it must have exactly this dtype and shape. */
cover_status hdf5_read(hid_t place, const char *name, cover_dtype dtype, int rank, const int64_t *shape, void *data);

/* UTF-8 text as a scalar dataset; a read text is released with memory_free(). */
cover_status hdf5_write_text(hid_t place, const char *name, const char *text);
cover_status hdf5_read_text(hid_t place, cover_context *context, const char *name, char **text);

/* A creation list for datasets without times, so that equal content gives equal bytes; creates missing groups on the
 * way.  Close both with H5Pclose(). */
hid_t hdf5_plain_dataset_list(void);
hid_t hdf5_parents_list(void);

#endif
