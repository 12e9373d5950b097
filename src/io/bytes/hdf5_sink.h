/* A libhdf5 driver for one big file of ours behind an open descriptor.  libhdf5 1.10 crashes at exit after a write
 * was refused (disk full): this driver remembers the first refusal, tells libhdf5 that all is well, and lets the writer
 * ask.  It also tells where raw data went, so that readers need no libhdf5.  Called by the dataset writer and check. */
#ifndef COVER_HDF5_SINK_H
#define COVER_HDF5_SINK_H

#include "hdf5.h"

struct hdf5_sink {
    int descriptor;      /* open for reading, and for writing an empty file */
    int error;           /* errno of the first refused read or write; 0 = none */
    uint64_t raw_offset; /* where the last piece of raw data (not metadata) went */
    uint64_t raw_bytes;
    uint64_t end; /* of what libhdf5 has allocated; when it is opened, of the file */
    hid_t driver;
};

/* Create an HDF5 file with a user block of SEAL_BYTES in sink->descriptor.  The sink must outlive the file. */
cover_status hdf5_sink_create(hid_t *file, struct hdf5_sink *sink);
/* Read one: no path is opened, neither this file's nor another that it may name.  */
cover_status hdf5_sink_open(hid_t *file, struct hdf5_sink *sink, const char *path);
/* Close the file, and say whether everything was written or read: COVER_ERROR_IO names the path and the reason. */
cover_status hdf5_sink_close(hid_t file, struct hdf5_sink *sink, const char *path);

#endif
