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

struct reason {
    char text[256];
    bool memory;
};

/* The first record of an upward walk is the innermost: where the trouble began. */
static herr_t innermost(unsigned index, const H5E_error2_t *record, void *data) {
    struct reason *reason = data;
    if (index == 0 && record->desc) strncpy(reason->text, record->desc, sizeof reason->text - 1);
    if (record->maj_num == H5E_RESOURCE && record->min_num == H5E_NOSPACE) reason->memory = true;
    return 0;
}

cover_status hdf5_fail(cover_status status, const char *path, const char *what) {
    struct reason reason = {"no reason given; memory may be short"};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &reason);
    if (reason.memory) return fail(COVER_ERROR_MEMORY, "%s: out of memory in libhdf5: %s", path, reason.text);
    return fail(status, "%s: %s: HDF5: %s", path, what, reason.text);
}

hid_t hdf5_plain_dataset_list(void) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list >= 0) {
        H5Pset_obj_track_times(list, false);
        H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    }
    return list;
}

static bool links_are_hard(hid_t file, const char *path) {
    char part[256];
    const size_t length = strlen(path);
    for (size_t i = 1; i <= length && length < sizeof part; i++) {
        H5L_info_t about;
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (H5Lget_info(file, part, &about, H5P_DEFAULT) < 0 || about.type != H5L_TYPE_HARD) return false;
    }
    return length > 0 && length < sizeof part;
}

hid_t hdf5_open_array(hid_t file, const char *path) {
    if (!links_are_hard(file, path)) return -1;
    const hid_t array = H5Dopen2(file, path, H5P_DEFAULT), list = array < 0 ? -1 : H5Dget_create_plist(array);
    const bool chunked = list >= 0 && H5Pget_layout(list) == H5D_CHUNKED;
    if (list >= 0) H5Pclose(list);
    if (chunked) return array;
    if (array >= 0) H5Dclose(array);
    return -1;
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
