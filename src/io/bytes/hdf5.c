/* libhdf5 kept in its place: lock, silence, types and texts.  Called by pack and check. */
#include "hdf5.h"

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
    H5dont_atexit(); /* what it does at exit can crash after an error or without memory; our files are closed by then */
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

cover_status hdf5_write_text(hid_t place, const char *name, const char *text) {
    cover_status status = COVER_OK;
    size_t length = strlen(text);
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), dataset = -1;
    hid_t creation = hdf5_plain_dataset_list();
    /* padded with NUL, not ended by one: the length of the type is the length of the text (at least 1 in HDF5) */
    if (type >= 0 && H5Tset_size(type, length ? length : 1) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0 && space >= 0)
        dataset = H5Dcreate2(place, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        status = hdf5_fail(COVER_ERROR_MEMORY, name, "cannot be written");
    if (dataset >= 0) H5Dclose(dataset);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (creation >= 0) H5Pclose(creation);
    return status;
}
