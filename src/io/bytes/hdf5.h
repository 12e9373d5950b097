/* libhdf5 kept in its place: one lock, silenced errors, and nothing of it at exit.  Called by pack and check; training and
 * prediction do without it (h5_tree.h, io/dataset/dataset.h).
 *
 * Every call below, and every libhdf5 call of ours, is made between hdf5_begin() and hdf5_end(). */
#ifndef COVER_HDF5_H
#define COVER_HDF5_H

#include "core/base/base.h"

#include <libcover/tensor.h>

#include <hdf5.h>

/* libhdf5 has one global state, and what it does when the process ends can crash after an error: begin tells it to leave that, unless
 * the host uses it already.  (Files that a host then leaves open are not flushed at its end.)  begin also takes the one lock of libcover around it and puts the host's automatic error
 * printing aside; end restores both.  Not recursive: begin only once on a thread. */
struct hdf5_guard {
    unsigned is_second; /* was the handler set by H5Eset_auto2, not H5Eset_auto1? */
    void *handler1, *handler2, *data;
};
void hdf5_begin(struct hdf5_guard *guard);
void hdf5_end(struct hdf5_guard *guard);

/* fail(status, "path: what: the innermost message of libhdf5"); COVER_ERROR_MEMORY where that is about memory. */
cover_status hdf5_fail(cover_status status, const char *path, const char *what);

/* A chunked array by its path, for reading.  Nothing outside of this file is opened: every link on the way is a hard one, and the array
 * neither is virtual nor has its data elsewhere.  Negative when it is not there so; nobody else opens what a file names. */
hid_t hdf5_open_array(hid_t file, const char *path);

/* File type of a dtype (little-endian); negative for F16 and BF16, which HDF5 has not. */
hid_t hdf5_type(cover_dtype dtype);

/* UTF-8 text as a scalar dataset. */
cover_status hdf5_write_text(hid_t place, const char *name, const char *text);

/* A creation list for datasets without times, so that equal content gives equal bytes.  Close it with H5Pclose(). */
hid_t hdf5_plain_dataset_list(void);

#endif
