/* A libhdf5 driver that survives a full disk and tells where raw data went (docs/dataset.md, "How it is written").
 * Called by the dataset writer. */
#include "hdf5_sink.h"

#include "core/base/descriptor.h"
#include "seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sink_file {
    H5FD_t base; /* libhdf5's part comes first */
    struct hdf5_sink *sink;
    haddr_t allocated, written; /* libhdf5 calls them EOA and EOF */
};

/* What H5Pset_driver() carries to open(). */
struct sink_access {
    struct hdf5_sink *sink;
};

static H5FD_t *sink_open(const char *name, unsigned flags, hid_t access, haddr_t limit) {
    (void)name, (void)flags, (void)limit;
    const struct sink_access *given = H5Pget_driver_info(access);
    struct sink_file *file = given ? calloc(1, sizeof *file) : NULL;
    if (!file) return NULL;
    file->sink = given->sink;
    file->written = given->sink->end;
    return &file->base;
}

static herr_t sink_shut(H5FD_t *base) {
    struct sink_file *file = (struct sink_file *)base;
    file->sink->end = file->allocated;
    free(file);
    return 0;
}

static herr_t sink_query(const H5FD_t *base, unsigned long *flags) {
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA;
    return 0;
}

static haddr_t sink_allocated(const H5FD_t *base, H5FD_mem_t type) {
    (void)type;
    return ((const struct sink_file *)base)->allocated;
}

static herr_t sink_allocate(H5FD_t *base, H5FD_mem_t type, haddr_t end) {
    (void)type;
    ((struct sink_file *)base)->allocated = end;
    return 0;
}

static haddr_t sink_written(const H5FD_t *base, H5FD_mem_t type) {
    (void)type;
    return ((const struct sink_file *)base)->written;
}

static herr_t sink_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t bytes, void *data) {
    (void)type, (void)transfer;
    struct hdf5_sink *sink = ((struct sink_file *)base)->sink;
    int64_t got = descriptor_read_at(sink->descriptor, data, bytes, at);
    if (got < 0 && !sink->error) sink->error = errno;
    if (got < 0) got = 0;                               /* refused: the writer stops at the next look at sink->error */
    memset((char *)data + got, 0, bytes - (size_t)got); /* never written */
    return 0;
}

static herr_t sink_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t bytes, const void *data) {
    (void)transfer;
    struct sink_file *file = (struct sink_file *)base;
    struct hdf5_sink *sink = file->sink;
    if (type == H5FD_MEM_DRAW) sink->raw_offset = at, sink->raw_bytes = bytes;
    if (at + bytes > file->written) file->written = at + bytes;
    if (!sink->error && !descriptor_write_at(sink->descriptor, data, bytes, at)) sink->error = errno;
    return 0;
}

static herr_t sink_truncate(H5FD_t *base, hid_t transfer, hbool_t closing) {
    (void)transfer, (void)closing;
    struct sink_file *file = (struct sink_file *)base;
    if (!file->sink->error && !descriptor_cut(file->sink->descriptor, file->allocated)) file->sink->error = errno;
    file->written = file->allocated;
    return 0;
}

static const H5FD_class_t sink_class = {
#if H5_VERSION_GE(1, 14, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)713, /* any number from 512 on is free for drivers that are not registered */
#endif
    .name = "cover sink",
    .maxaddr = ((haddr_t)1 << 62),
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct sink_access),
    .open = sink_open,
    .close = sink_shut,
    .query = sink_query,
    .get_eoa = sink_allocated,
    .set_eoa = sink_allocate,
    .get_eof = sink_written,
    .read = sink_read,
    .write = sink_write,
    .truncate = sink_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* A list that says: through this driver, and everything closed with the file. */
static hid_t access_by(struct hdf5_sink *sink) {
    const struct sink_access carried = {sink};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    sink->driver = H5FDregister(&sink_class);
    if (sink->driver >= 0 && access >= 0 && H5Pset_driver(access, sink->driver, &carried) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        return access;
    if (access >= 0) H5Pclose(access);
    return -1;
}

cover_status hdf5_sink_open(hid_t *file, struct hdf5_sink *sink, const char *path) {
    const hid_t access = access_by(sink), opened = access >= 0 ? H5Fopen("cover sink", H5F_ACC_RDONLY, access) : -1;
    cover_status status = COVER_OK;
    if (opened < 0) status = hdf5_fail(COVER_ERROR_FORMAT, path, "cannot be opened as HDF5");
    if (access >= 0) H5Pclose(access);
    if (opened < 0 && sink->driver >= 0) H5FDunregister(sink->driver);
    if (opened >= 0) *file = opened;
    return status;
}

cover_status hdf5_sink_create(hid_t *file, struct hdf5_sink *sink) {
    hid_t creation = H5Pcreate(H5P_FILE_CREATE), access = access_by(sink), created = -1;
    /* The 1.10 format: checksums on metadata, and a chunk index whose look-up does not grow with the samples. */
    if (creation >= 0 && access >= 0 && H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 &&
        H5Pset_userblock(creation, SEAL_BYTES) >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        created = H5Fcreate("cover sink", H5F_ACC_TRUNC, creation, access);
    if (creation >= 0) H5Pclose(creation);
    if (access >= 0) H5Pclose(access);
    if (created < 0) {
        cover_status status = hdf5_fail(COVER_ERROR_INTERNAL, "dataset", "cannot be begun");
        if (sink->driver >= 0) H5FDunregister(sink->driver);
        return status;
    }
    *file = created;
    return COVER_OK;
}

cover_status hdf5_sink_close(hid_t file, struct hdf5_sink *sink, const char *path) {
    cover_status status = COVER_OK;
    if (H5Fclose(file) < 0) status = hdf5_fail(COVER_ERROR_INTERNAL, path, "cannot be closed");
    H5FDunregister(sink->driver);
    if (sink->error) return fail(COVER_ERROR_IO, "%s: cannot be read or written: %s", path, strerror(sink->error));
    return status;
}
