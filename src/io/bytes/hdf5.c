/* libhdf5 kept in its place: lock, silence, images in memory, sealed files (docs/dataset.md, "The seal").
 * Called by checkpoints, pack and check. */
#include "hdf5.h"

#include "core/base/files.h"

#include <string.h>

/* libhdf5 is itself one global state, often built without thread safety, so its lock is global as well: the one mutable
 * global of libcover.  A host that uses a libhdf5 without thread safety on other threads must keep them apart itself.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void hdf5_begin(struct hdf5_guard *guard) {
    pthread_mutex_lock(&lock);
    H5E_auto1_t handler1 = NULL;
    H5E_auto2_t handler2 = NULL;
    *guard = (struct hdf5_guard){.is_second = 1};
    H5open();
    H5Eauto_is_v2(H5E_DEFAULT, &guard->is_second);
    if (!guard->is_second) H5Eget_auto1(&handler1, &guard->data);
    else H5Eget_auto2(H5E_DEFAULT, &handler2, &guard->data);
    memcpy(&guard->handler1, &handler1, sizeof handler1);
    memcpy(&guard->handler2, &handler2, sizeof handler2);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void hdf5_end(struct hdf5_guard *guard) {
    H5E_auto1_t handler1;
    H5E_auto2_t handler2;
    memcpy(&handler1, &guard->handler1, sizeof handler1);
    memcpy(&handler2, &guard->handler2, sizeof handler2);
    H5Eclear2(H5E_DEFAULT);
    if (!guard->is_second) H5Eset_auto1(handler1, guard->data);
    else H5Eset_auto2(H5E_DEFAULT, handler2, guard->data);
    pthread_mutex_unlock(&lock);
}

/* The first record of an upward walk is the innermost: where the trouble began. */
static herr_t innermost(unsigned index, const H5E_error2_t *record, void *data) {
    if (index == 0 && record->desc) {
        char *text = data;
        strncpy(text, record->desc, 255);
    }
    return 0;
}

cover_status hdf5_fail(cover_status status, const char *path, const char *what) {
    char text[256] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, text);
    return fail(status, "%s: %s: HDF5: %s", path, what, text);
}

hid_t hdf5_plain_dataset_list(void) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list >= 0) {
        H5Pset_obj_track_times(list, false);
        H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    }
    return list;
}

hid_t hdf5_parents_list(void) {
    hid_t list = H5Pcreate(H5P_LINK_CREATE);
    if (list >= 0) H5Pset_create_intermediate_group(list, 1);
    return list;
}

/* ---- images in memory */

cover_status hdf5_image_create(hid_t *file) {
    const size_t growth = 1 << 20;
    hid_t creation = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS), image = -1;
    if (creation >= 0 && access >= 0 && H5Pset_userblock(creation, SEAL_BYTES) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0 && H5Pset_fapl_core(access, growth, false) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        image = H5Fcreate("image in memory", H5F_ACC_TRUNC, creation, access);
    if (creation >= 0) H5Pclose(creation);
    if (access >= 0) H5Pclose(access);
    if (image < 0) return hdf5_fail(COVER_ERROR_MEMORY, "image in memory", "cannot be created");
    *file = image;
    return COVER_OK;
}

cover_status hdf5_image_save(hid_t file, cover_context *context, const char *path, const char *format, unsigned major,
                             unsigned minor) {
    cover_status status = COVER_OK;
    struct replacement output = {.descriptor = -1};
    struct seal seal = {.major = major, .minor = minor, .begin = SEAL_BYTES};
    uint8_t block[SEAL_BYTES];
    void *image = NULL;
    ssize_t bytes = -1;
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0) bytes = H5Fget_file_image(file, NULL, 0);
    if (bytes <= 0) return hdf5_fail(COVER_ERROR_INTERNAL, path, "the image cannot be measured");
    image = memory_alloc(context, (size_t)bytes);
    if (!image) return fail_in(COVER_ERROR_MEMORY, "%s", path);
    if (H5Fget_file_image(file, image, (size_t)bytes) != bytes) {
        status = hdf5_fail(COVER_ERROR_INTERNAL, path, "the image cannot be taken");
        goto done;
    }
    strncpy(seal.format, format, sizeof seal.format - 1);
    seal.bytes = (uint64_t)bytes;
    seal.file_bytes = SEAL_BYTES + seal.bytes;
    sha256(image, (size_t)bytes, seal.hash);
    seal_encode(block, &seal);
    GO(replacement_begin(&output, context, path));
    GO(replacement_write(&output, block, sizeof block));
    GO(replacement_write(&output, image, (size_t)bytes));
    GO(replacement_commit(&output, context));
done:
    replacement_abandon(&output, context);
    memory_free(context, image);
    return status;
}

hid_t hdf5_open(const char *path) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), opened = -1;
    if (access >= 0) {
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
        H5Pset_file_locking(access, false, true); /* files are only ever replaced whole; some file systems cannot lock */
#endif
        opened = H5Fopen(path, H5F_ACC_RDONLY, access);
        H5Pclose(access);
    }
    return opened;
}

cover_status hdf5_sealed_open(hid_t *file, cover_context *context, const char *path, const char *format, unsigned major) {
    struct seal seal;
    struct source source;
    TRY(source_open(&source, path));
    cover_status status = seal_read(&seal, &source, format, major);
    if (status == COVER_OK && (seal.begin != SEAL_BYTES || seal.bytes != seal.file_bytes - SEAL_BYTES))
        status = fail(COVER_ERROR_FORMAT, "%s: its seal covers only a part of the file", path);
    if (status == COVER_OK) status = seal_verify(&seal, context, &source);
    source_close(&source);
    if (status != COVER_OK) return status;
    hid_t opened = hdf5_open(path);
    if (opened < 0) return hdf5_fail(COVER_ERROR_FORMAT, path, "cannot be opened as HDF5");
    *file = opened;
    return COVER_OK;
}

/* ---- arrays and texts */

hid_t hdf5_type(cover_dtype dtype) {
    switch (dtype) {
    case COVER_U8:
        return H5T_STD_U8LE;
    case COVER_U16:
        return H5T_STD_U16LE;
    case COVER_I16:
        return H5T_STD_I16LE;
    case COVER_I32:
        return H5T_STD_I32LE;
    case COVER_I64:
        return H5T_STD_I64LE;
    case COVER_F32:
        return H5T_IEEE_F32LE;
    default:
        return -1;
    }
}

bool hdf5_has(hid_t place, const char *name) {
    /* H5Lexists wants every group on the way to exist: ask for them one by one */
    char part[1024];
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof part) return false;
    for (size_t i = 1; i <= length; i++) {
        if (name[i] != '/' && name[i] != 0) continue;
        memcpy(part, name, i);
        part[i] = 0;
        if (H5Lexists(place, part, H5P_DEFAULT) <= 0) return false;
    }
    return true;
}

cover_status hdf5_write(hid_t place, const char *name, cover_dtype dtype, int rank, const int64_t *shape, const void *data) {
    cover_status status = COVER_OK;
    hsize_t sizes[COVER_MAX_RANK];
    hid_t type = hdf5_type(dtype), space = -1, dataset = -1;
    hid_t creation = hdf5_plain_dataset_list(), links = hdf5_parents_list();
    if (type < 0 || rank < 0 || rank > COVER_MAX_RANK) {
        status = fail(COVER_ERROR_INTERNAL, "%s: dtype %d, rank %d cannot be written", name, (int)dtype, rank);
        goto done;
    }
    for (int i = 0; i < rank; i++) sizes[i] = (hsize_t)shape[i];
    space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, sizes, NULL);
    if (space >= 0) dataset = H5Dcreate2(place, name, type, space, links, creation, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        status = hdf5_fail(COVER_ERROR_MEMORY, name, "cannot be written");
done:
    if (dataset >= 0) H5Dclose(dataset);
    if (space >= 0) H5Sclose(space);
    if (creation >= 0) H5Pclose(creation);
    if (links >= 0) H5Pclose(links);
    return status;
}

/* Open array `name` and say what it is; *dataset stays open on success. */
static cover_status open_array(hid_t place, const char *name, hid_t *dataset, cover_dtype *dtype, int *rank,
                               int64_t shape[COVER_MAX_RANK]) {
    static const cover_dtype dtypes[] = {COVER_U8, COVER_U16, COVER_I16, COVER_I32, COVER_I64, COVER_F32};
    cover_status status = COVER_OK;
    hsize_t sizes[H5S_MAX_RANK];
    hid_t type = -1, space = -1, opened = -1;
    if (!hdf5_has(place, name)) return fail(COVER_ERROR_FORMAT, "array '%s' is missing", name);
    opened = H5Dopen2(place, name, H5P_DEFAULT);
    if (opened >= 0) type = H5Dget_type(opened), space = H5Dget_space(opened);
    int axes = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    if (type < 0 || axes < 0 || H5Sget_simple_extent_dims(space, sizes, NULL) < 0) {
        status = hdf5_fail(COVER_ERROR_FORMAT, name, "is not an array");
        goto done;
    }
    if (axes > COVER_MAX_RANK) {
        status = fail(COVER_ERROR_FORMAT, "array '%s' has %d axes; at most %d are taken", name, axes, COVER_MAX_RANK);
        goto done;
    }
    size_t known = 0;
    while (known < sizeof dtypes / sizeof *dtypes && H5Tequal(type, hdf5_type(dtypes[known])) <= 0) known++;
    if (known == sizeof dtypes / sizeof *dtypes) {
        status = fail(COVER_ERROR_FORMAT, "array '%s' is of a type that is not read here", name);
        goto done;
    }
    for (int i = 0; i < axes; i++) {
        if (sizes[i] > INT64_MAX) {
            status = fail(COVER_ERROR_FORMAT, "array '%s': axis %d is impossibly long", name, i);
            goto done;
        }
        shape[i] = (int64_t)sizes[i];
    }
    *dtype = dtypes[known], *rank = axes, *dataset = opened;
    opened = -1;
done:
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (opened >= 0) H5Dclose(opened);
    return status;
}

cover_status hdf5_shape(hid_t place, const char *name, cover_dtype *dtype, int *rank, int64_t shape[COVER_MAX_RANK]) {
    hid_t dataset;
    TRY(open_array(place, name, &dataset, dtype, rank, shape));
    H5Dclose(dataset);
    return COVER_OK;
}

cover_status hdf5_read(hid_t place, const char *name, cover_dtype dtype, int rank, const int64_t *shape, void *data) {
    cover_status status = COVER_OK;
    int64_t found_shape[COVER_MAX_RANK];
    cover_dtype found;
    int found_rank;
    hid_t dataset;
    TRY(open_array(place, name, &dataset, &found, &found_rank, found_shape));
    bool same = found == dtype && found_rank == rank;
    for (int i = 0; same && i < rank; i++) same = shape[i] == found_shape[i];
    if (!same) status = fail(COVER_ERROR_FORMAT, "array '%s' has another type or shape than expected", name);
    else if (H5Dread(dataset, hdf5_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        status = hdf5_fail(COVER_ERROR_FORMAT, name, "cannot be read");
    H5Dclose(dataset);
    return status;
}

cover_status hdf5_write_text(hid_t place, const char *name, const char *text) {
    cover_status status = COVER_OK;
    size_t length = strlen(text);
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), dataset = -1;
    hid_t creation = hdf5_plain_dataset_list(), links = hdf5_parents_list();
    /* padded with NUL, not ended by one: the length of the type is the length of the text (at least 1 in HDF5) */
    if (type >= 0 && H5Tset_size(type, length ? length : 1) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0 && space >= 0)
        dataset = H5Dcreate2(place, name, type, space, links, creation, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        status = hdf5_fail(COVER_ERROR_MEMORY, name, "cannot be written");
    if (dataset >= 0) H5Dclose(dataset);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (creation >= 0) H5Pclose(creation);
    if (links >= 0) H5Pclose(links);
    return status;
}

cover_status hdf5_read_text(hid_t place, cover_context *context, const char *name, char **out) {
    cover_status status = COVER_OK;
    char *text = NULL;
    hid_t dataset = -1, type = -1, space = -1;
    hsize_t limit = 0;
    if (!hdf5_has(place, name)) return fail(COVER_ERROR_FORMAT, "text '%s' is missing", name);
    dataset = H5Dopen2(place, name, H5P_DEFAULT);
    if (dataset >= 0) type = H5Dget_type(dataset), space = H5Dget_space(dataset), limit = H5Dget_storage_size(dataset);
    if (type < 0 || space < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 ||
        H5Sget_simple_extent_npoints(space) != 1 || H5Tget_size(type) > limit) {
        status = fail(COVER_ERROR_FORMAT, "'%s' is not a text of fixed length", name);
        goto done;
    }
    text = memory_zero(context, H5Tget_size(type) + 1);
    if (!text) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0) {
        status = hdf5_fail(COVER_ERROR_FORMAT, name, "cannot be read");
        goto done;
    }
    *out = text;
    text = NULL;
done:
    memory_free(context, text);
    if (dataset >= 0) H5Dclose(dataset);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return status;
}
