/* HDF5 files that libhdf5 makes in memory, for tests of our own reader: as older versions made checkpoints, and as somebody else
 * might.  The user block is left out: the first byte is the superblock's. */
#ifndef COVER_H5_IMAGE_TEST_H
#define COVER_H5_IMAGE_TEST_H

#include "../../check_main.h"

#include "io/bytes/hdf5.h"
#include "io/bytes/seal.h"

static inline hid_t image_begin(H5F_libver_t form) {
    hid_t creation = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    ck_assert_int_ge(H5Pset_userblock(creation, SEAL_BYTES), 0);
    ck_assert_int_ge(H5Pset_fapl_core(access, 1 << 20, false), 0);
    ck_assert_int_ge(H5Pset_libver_bounds(access, form, H5F_LIBVER_LATEST), 0);
    hid_t file = H5Fcreate("image", H5F_ACC_TRUNC, creation, access);
    ck_assert_int_ge(file, 0);
    H5Pclose(creation), H5Pclose(access);
    return file;
}

/* free() */
static inline uint8_t *image_end(hid_t file, size_t *bytes) {
    ck_assert_int_ge(H5Fflush(file, H5F_SCOPE_GLOBAL), 0);
    *bytes = (size_t)H5Fget_file_image(file, NULL, 0);
    uint8_t *image = malloc(*bytes);
    ck_assert_int_eq(H5Fget_file_image(file, image, *bytes), (ssize_t)*bytes);
    ck_assert_int_ge(H5Fclose(file), 0);
    return image;
}

static inline void image_array(hid_t place, const char *path, hid_t type, int rank, const hsize_t *shape, const void *data) {
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = rank ? H5Screate_simple(rank, shape, NULL) : H5Screate(H5S_SCALAR);
    H5Pset_create_intermediate_group(links, 1);
    hid_t array = H5Dcreate2(place, path, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(array, 0);
    if (data) ck_assert_int_ge(H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    H5Dclose(array), H5Sclose(space), H5Pclose(links);
}

static inline void image_text(hid_t place, const char *path, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) ? strlen(text) : 1), H5Tset_strpad(type, H5T_STR_NULLPAD), H5Tset_cset(type, H5T_CSET_UTF8);
    image_array(place, path, type, 0, NULL, text);
    H5Tclose(type);
}

#endif
