/* Our own plain HDF5: libhdf5 reads what we write, we read what libhdf5 writes by default, and whatever else it can write is
 * refused, as is everything damaged or in a circle. */
#include "h5_image.h"

#include "io/bytes/h5_tree.h"
#include "io/bytes/source.h"

#include <unistd.h>

static cover_context *context;
static char folder[64], path[96];

static void setup(void) {
    strcpy(folder, "/tmp/cover-h5-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file.h5", folder);
    ck_assert_ok(cover_context_create(&context, NULL));
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}
static void teardown(void) {
    cover_context_destroy(context);
    unlink(path);
    rmdir(folder);
}

static const float numbers[6] = {1, 2, 3, 4, 5, -6.5f};
static const int64_t step = -41;

/* One of each, in no order. */
static const struct h5_array some[] = {
    {"weights/a.b.c/values", .dtype = COVER_F32, .rank = 2, .shape = {2, 3}, .data = numbers, .bytes = sizeof numbers},
    {"step", .dtype = COVER_I64, .data = &step, .bytes = sizeof step},
    {"config", .is_text = true, .data = "{\"lr\": 1}", .bytes = 9},
    {"weights/a.b.c-d", .dtype = COVER_F32, .rank = 1, .shape = {1}, .data = numbers + 5, .bytes = 4},
    {"weights/a.b", .dtype = COVER_U8, .rank = 1, .shape = {3}, .data = "\1\2\3", .bytes = 3},
    {"state/none", .dtype = COVER_U8, .rank = 1, .shape = {0}, .data = "", .bytes = 0},
    {"state/i16", .dtype = COVER_I16, .rank = 1, .shape = {2}, .data = numbers, .bytes = 4},
    {"state/u16", .dtype = COVER_U16, .rank = 1, .shape = {2}, .data = numbers, .bytes = 4},
    {"state/i32", .dtype = COVER_I32, .rank = 1, .shape = {1}, .data = numbers, .bytes = 4},
    {"empty", .is_text = true, .data = "", .bytes = 1},
};
enum { SOME = sizeof some / sizeof *some };

/* The sealed part of the file at `path`. */
static uint8_t *load(uint64_t *bytes) {
    struct source source;
    struct seal seal;
    uint8_t *content;
    ck_assert_ok(source_open(&source, path));
    ck_assert_ok(seal_read(&seal, &source, "checkpoint", 1));
    ck_assert_ok(seal_load(&content, &seal, context, &source));
    source_close(&source);
    *bytes = seal.bytes;
    return content;
}

static void check_same(const struct h5_array *read, const struct h5_array *wanted) {
    ck_assert_ptr_nonnull(read);
    ck_assert_str_eq(read->path, wanted->path);
    ck_assert(read->is_text == wanted->is_text && read->rank == wanted->rank && read->bytes == wanted->bytes);
    if (!read->is_text) ck_assert_int_eq(read->dtype, wanted->dtype);
    for (int axis = 0; axis < read->rank; axis++) ck_assert_int_eq(read->shape[axis], wanted->shape[axis]);
    if (read->bytes > 0) ck_assert_mem_eq(read->data, wanted->data, read->bytes);
}

START_TEST(what_was_written_is_read_back) {
    struct h5_tree tree = {.arena = {.context = context}};
    uint64_t bytes;
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, some, SOME));
    uint8_t *content = load(&bytes);
    ck_assert_ok(h5_tree_read(&tree, path, content, bytes));
    ck_assert_int_eq(tree.count, SOME);
    for (int i = 0; i < SOME; i++) check_same(h5_tree_find(&tree, some[i].path), &some[i]);
    ck_assert_ptr_null(h5_tree_find(&tree, "weights"));
    ck_assert_ptr_null(h5_tree_find(&tree, "weights/a"));
    h5_tree_free(&tree);
    memory_free(context, content);
}
END_TEST

START_TEST(equal_content_gives_equal_bytes_in_any_order) {
    struct h5_array turned[SOME];
    uint64_t bytes[2];
    uint8_t *content[2];
    for (int i = 0; i < SOME; i++) turned[i] = some[SOME - 1 - i];
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, some, SOME));
    content[0] = load(&bytes[0]);
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, turned, SOME));
    content[1] = load(&bytes[1]);
    ck_assert_uint_eq(bytes[0], bytes[1]);
    ck_assert_mem_eq(content[0], content[1], bytes[0]);
    memory_free(context, content[0]), memory_free(context, content[1]);
}
END_TEST

/* The arrays of many names, each its own number; some groups deep. */
enum { MANY = 3000 };
static struct h5_array *many(float *values, char (*names)[48]) {
    struct h5_array *arrays = calloc(MANY, sizeof *arrays);
    for (int i = 0; i < MANY; i++) {
        values[i] = (float)i;
        snprintf(names[i], sizeof *names, i % 7 ? "weights/n%d.weight" : "optimiser/m/n%d", i * 7919 % MANY);
        arrays[i] = (struct h5_array){names[i], .dtype = COVER_F32, .rank = 1, .shape = {1}, .data = &values[i], .bytes = 4};
    }
    return arrays;
}

static herr_t count_link(hid_t group, const char *name, const H5L_info_t *about, void *data) {
    (void)group, (void)name;
    ck_assert_int_eq(about->type, H5L_TYPE_HARD);
    ++*(int *)data;
    return 0;
}

static hid_t memory_type(const struct h5_array *array) {
    hid_t type = H5Tcopy(array->is_text ? H5T_C_S1 : hdf5_type(array->dtype));
    if (array->is_text) H5Tset_size(type, array->bytes), H5Tset_strpad(type, H5T_STR_NULLPAD), H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static void check_by_libhdf5(const struct h5_array *arrays, int count) {
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), creation = H5Fget_create_plist(file);
    hsize_t block = 0, shape[COVER_MAX_RANK];
    ck_assert_int_ge(file, 0);
    H5Pget_userblock(creation, &block);
    ck_assert_uint_eq(block, SEAL_BYTES);
    for (int i = 0; i < count; i++) {
        uint8_t values[64] = {0};
        hid_t array = H5Dopen2(file, arrays[i].path, H5P_DEFAULT), type = H5Dget_type(array), space = H5Dget_space(array);
        ck_assert_msg(array >= 0, "%s", arrays[i].path);
        hid_t wanted = memory_type(&arrays[i]);
        ck_assert_int_gt(H5Tequal(type, wanted), 0);
        ck_assert_int_eq(H5Sget_simple_extent_dims(space, shape, NULL), arrays[i].rank);
        for (int axis = 0; axis < arrays[i].rank; axis++) ck_assert_uint_eq(shape[axis], (hsize_t)arrays[i].shape[axis]);
        ck_assert_uint_eq(H5Dget_storage_size(array), arrays[i].bytes);
        ck_assert_int_ge(H5Dread(array, wanted, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
        if (arrays[i].bytes > 0) ck_assert_mem_eq(values, arrays[i].data, arrays[i].bytes);
        H5Tclose(wanted), H5Tclose(type), H5Sclose(space), H5Dclose(array);
    }
    H5Pclose(creation), H5Fclose(file);
}

START_TEST(libhdf5_reads_what_we_write) {
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, some, SOME));
    check_by_libhdf5(some, SOME);
}
END_TEST

START_TEST(groups_of_thousands_go_both_ways) {
    static float values[MANY];
    static char names[MANY][48];
    struct h5_tree tree = {.arena = {.context = context}};
    struct h5_array *arrays = many(values, names);
    int links[2] = {0};
    uint64_t bytes;
    size_t image_bytes;
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, arrays, MANY));
    check_by_libhdf5(arrays, MANY);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (int g = 0; g < 2; g++) {
        hid_t group = H5Gopen2(file, g ? "weights" : "optimiser/m", H5P_DEFAULT);
        ck_assert_int_ge(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, count_link, &links[g]), 0);
        H5Gclose(group);
    }
    H5Fclose(file);
    ck_assert_int_eq(links[0] + links[1], MANY);
    uint8_t *content = load(&bytes);
    ck_assert_ok(h5_tree_read(&tree, path, content, bytes));
    for (int i = 0; i < MANY; i++) check_same(h5_tree_find(&tree, arrays[i].path), &arrays[i]);
    h5_tree_free(&tree);
    memory_free(context, content);
    /* of libhdf5, which makes B-trees of several levels for so many */
    file = image_begin(H5F_LIBVER_EARLIEST);
    for (int i = 0; i < MANY; i++) image_array(file, arrays[i].path, H5T_IEEE_F32LE, 1, (hsize_t[]){1}, arrays[i].data);
    uint8_t *image = image_end(file, &image_bytes);
    ck_assert_ok(h5_tree_read(&tree, path, image, image_bytes));
    ck_assert_int_eq(tree.count, MANY);
    for (int i = 0; i < MANY; i++) check_same(h5_tree_find(&tree, arrays[i].path), &arrays[i]);
    h5_tree_free(&tree);
    free(image);
    free(arrays);
}
END_TEST

/* Attributes until the header goes on elsewhere, values in the header, a text that ends with NUL, an array never written. */
START_TEST(what_libhdf5_makes_of_its_defaults_is_read) {
    struct h5_tree tree = {.arena = {.context = context}};
    size_t bytes;
    hid_t file = image_begin(H5F_LIBVER_EARLIEST), space = H5Screate_simple(2, (hsize_t[]){2, 3}, NULL);
    hid_t compact = H5Pcreate(H5P_DATASET_CREATE), scalar = H5Screate(H5S_SCALAR), text = H5Tcopy(H5T_C_S1);
    H5Pset_layout(compact, H5D_COMPACT);
    hid_t array = H5Dcreate2(file, "compact", H5T_IEEE_F32LE, space, H5P_DEFAULT, compact, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(array, H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers), 0);
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "note %d", i);
        hid_t note = H5Acreate2(array, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
        ck_assert_int_ge(note, 0);
        H5Aclose(note);
    }
    H5Dclose(array);
    H5Tset_size(text, 6);
    image_array(file, "text", text, 0, NULL, "hello");
    image_array(file, "some/step", H5T_STD_I64LE, 0, NULL, &step);
    image_array(file, "none", H5T_STD_U8LE, 1, (hsize_t[]){0}, NULL);
    H5Gclose(H5Gcreate2(file, "empty", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Tclose(text), H5Sclose(space), H5Sclose(scalar), H5Pclose(compact);
    uint8_t *image = image_end(file, &bytes);
    ck_assert_ok(h5_tree_read(&tree, "x.h5", image, bytes));
    ck_assert_int_eq(tree.count, 4);
    check_same(h5_tree_find(&tree, "compact"), &(struct h5_array){"compact", false, COVER_F32, 2, {2, 3}, numbers, sizeof numbers});
    check_same(h5_tree_find(&tree, "text"), &(struct h5_array){"text", true, COVER_U8, 0, {0}, "hello", 6});
    check_same(h5_tree_find(&tree, "some/step"), &(struct h5_array){"some/step", false, COVER_I64, 0, {0}, &step, sizeof step});
    check_same(h5_tree_find(&tree, "none"), &(struct h5_array){"none", false, COVER_U8, 1, {0}, NULL, 0});
    h5_tree_free(&tree);
    free(image);
}
END_TEST

/* ---- what else HDF5 can be */

static void make_external_link(hid_t file) { H5Lcreate_external("/etc/passwd", "/x", file, "x", H5P_DEFAULT, H5P_DEFAULT); }
static void make_soft_link(hid_t file) { H5Lcreate_soft("/step", file, "x", H5P_DEFAULT, H5P_DEFAULT); }
static void make_circle(hid_t file) {
    hid_t group = H5Gcreate2(file, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "x", group, "y", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
}
static void make_unwritten(hid_t file) {
    image_array(file, "x", H5T_IEEE_F32LE, 2, (hsize_t[]){1 << 20, 25000}, NULL);
} /* 100 GB */
static void make_double(hid_t file) { image_array(file, "x", H5T_IEEE_F64LE, 0, NULL, numbers); }
static void make_big_endian(hid_t file) { image_array(file, "x", H5T_STD_I32BE, 0, NULL, numbers); }
static void make_texts(hid_t file) { image_array(file, "x", H5T_C_S1, 1, (hsize_t[]){3}, "abc"); }
static void make_deep(hid_t file) { image_array(file, "a/b/c/d/e/f/g/h/x", H5T_STD_U8LE, 0, NULL, "a"); }
static void make_many_axes(hid_t file) { image_array(file, "x", H5T_STD_U8LE, 6, (hsize_t[]){1, 1, 1, 1, 1, 1}, "a"); }
static void make_shared_type(hid_t file) {
    hid_t type = H5Tcopy(H5T_STD_I64LE);
    H5Tcommit2(file, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    image_array(file, "x", type, 0, NULL, &step);
    H5Tclose(type);
}
static void make_new_group(hid_t file) {
    hid_t list = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED);
    H5Gclose(H5Gcreate2(file, "x", H5P_DEFAULT, list, H5P_DEFAULT));
    H5Pclose(list);
}
static void make_by(hid_t file, void (*set)(hid_t list)) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, (hsize_t[]){4}, NULL);
    set(list);
    hid_t array = H5Dcreate2(file, "x", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    ck_assert_int_ge(array, 0);
    H5Dclose(array), H5Sclose(space), H5Pclose(list);
}
static void set_chunks(hid_t list) { H5Pset_chunk(list, 1, (hsize_t[]){2}), H5Pset_deflate(list, 1); }
static void set_external(hid_t list) { H5Pset_external(list, "/etc/passwd", 0, 4); }
static void set_virtual(hid_t list) {
    hid_t space = H5Screate_simple(1, (hsize_t[]){4}, NULL);
    H5Pset_virtual(list, space, "/etc/passwd", "/x", space);
    H5Sclose(space);
}
static void make_chunks(hid_t file) { make_by(file, set_chunks); }
static void make_external(hid_t file) { make_by(file, set_external); }
static void make_virtual(hid_t file) { make_by(file, set_virtual); }
static void make_nothing(hid_t file) { (void)file; }

static const struct {
    void (*make)(hid_t file);
    const char *text;
    H5F_libver_t form;
} others[] = {
    {make_external_link, "its root is not stored as a checkpoint stores it: its header has a part that none", H5F_LIBVER_EARLIEST},
    {make_soft_link, "'x' is not stored as a checkpoint stores it: it is a link to elsewhere", H5F_LIBVER_EARLIEST},
    {make_circle, "it lies too deep", H5F_LIBVER_EARLIEST},
    {make_unwritten, "'x' is not stored as a checkpoint stores it: its values lie outside of the file", H5F_LIBVER_EARLIEST},
    {make_double, "its type is none of a checkpoint", H5F_LIBVER_EARLIEST},
    {make_big_endian, "its type is none of a checkpoint", H5F_LIBVER_EARLIEST},
    {make_texts, "it is a row of texts", H5F_LIBVER_EARLIEST},
    {make_deep, "'a/b/c/d/e/f/g/h' is not stored as a checkpoint stores it: it lies too deep", H5F_LIBVER_EARLIEST},
    {make_many_axes, "it has too many axes", H5F_LIBVER_EARLIEST},
    {make_shared_type, "'type' is not stored", H5F_LIBVER_EARLIEST},
    {make_new_group, "its header has a part that none", H5F_LIBVER_EARLIEST},
    {make_chunks, "'x' is not stored as a checkpoint stores it: its header has a part that none", H5F_LIBVER_EARLIEST},
    {make_external, "'x' is not stored as a checkpoint stores it: its header has a part that none", H5F_LIBVER_EARLIEST},
    {make_virtual, "'x' is not stored as a checkpoint stores it", H5F_LIBVER_EARLIEST},
    {make_nothing, "its superblock is not of version 0", H5F_LIBVER_V110},
};

START_TEST(everything_else_is_refused_by_name) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct h5_tree tree = {.arena = {.context = context}};
        size_t bytes;
        hid_t file = image_begin(others[i].form);
        others[i].make(file);
        uint8_t *image = image_end(file, &bytes);
        ck_assert_fails(h5_tree_read(&tree, "x.h5", image, bytes), COVER_ERROR_FORMAT, "x.h5: ", others[i].text);
        h5_tree_free(&tree);
        free(image);
    }
}
END_TEST

static uint8_t *put(uint8_t *to, uint64_t value, size_t bytes) { return memcpy(to, &value, bytes), to + bytes; }

/* An object header whose piece ends in a word that it goes on at its own begin. */
START_TEST(parts_that_name_each_other_in_a_circle_are_refused) {
    enum { BYTES = 4096, HEADER = 96, PIECE = 200, LENGTH = 3800 };
    static uint8_t image[BYTES];
    struct h5_tree tree = {.arena = {.context = context}};
    uint64_t bytes;
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, some, SOME));
    uint8_t *content = load(&bytes);
    memcpy(image, content, H5_SUPERBLOCK_BYTES);
    memory_free(context, content);
    put(image + 64, HEADER, 8);
    put(image + HEADER, 1, 8), put(image + HEADER + 8, 24, 8);
    put(put(put(put(image + HEADER + 16, H5_CONTINUATION, 2), 16, 6), PIECE, 8), LENGTH, 8);
    put(put(image + PIECE, H5_NIL, 2), LENGTH - 8 - 24, 6);
    put(put(put(put(image + PIECE + LENGTH - 24, H5_CONTINUATION, 2), 16, 6), PIECE, 8), LENGTH, 8);
    ck_assert_fails(h5_tree_read(&tree, "x.h5", image, BYTES), COVER_ERROR_FORMAT, "name each other in a circle");
    h5_tree_free(&tree);
}
END_TEST

/* Each byte of the structures becomes others: an answer or an error, all of what is answered can be read, and none is cut short. */
START_TEST(damaged_structures_never_reach_outside_of_the_file) {
    uint64_t bytes, sum = 0;
    ck_assert_ok(h5_tree_write(context, path, "checkpoint", 1, 0, some, SOME));
    uint8_t *content = load(&bytes), *own = malloc(bytes);
    for (uint64_t at = 0; at < bytes; at++)
        for (int value = 0; value < 5; value++) {
            struct h5_tree tree = {.arena = {.context = context}};
            memcpy(own, content, bytes);
            own[at] = (uint8_t[]){0, 255, 1, (uint8_t)(content[at] + 8), (uint8_t)(content[at] ^ 128)}[value];
            const cover_status status = h5_tree_read(&tree, "x.h5", own, bytes);
            ck_assert(status == COVER_OK || status == COVER_ERROR_FORMAT);
            for (int64_t i = 0; status == COVER_OK && i < tree.count; i++)
                for (uint64_t b = 0; b < tree.arrays[i].bytes; b++) sum += ((const uint8_t *)tree.arrays[i].data)[b];
            h5_tree_free(&tree);
        }
    for (uint64_t count = 0; count < bytes; count++) {
        struct h5_tree tree = {.arena = {.context = context}};
        uint8_t *part = memcpy(malloc(count + 1), content, count);
        ck_assert_int_eq(h5_tree_read(&tree, "x.h5", part, count), COVER_ERROR_FORMAT);
        h5_tree_free(&tree);
        free(part);
    }
    ck_assert_uint_gt(sum, 0);
    free(own);
    memory_free(context, content);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plain HDF5");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    ADD(all, what_was_written_is_read_back);
    ADD(all, equal_content_gives_equal_bytes_in_any_order);
    ADD(all, libhdf5_reads_what_we_write);
    ADD(all, groups_of_thousands_go_both_ways);
    ADD(all, what_libhdf5_makes_of_its_defaults_is_read);
    ADD(all, everything_else_is_refused_by_name);
    ADD(all, parts_that_name_each_other_in_a_circle_are_refused);
    ADD(all, damaged_structures_never_reach_outside_of_the_file);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
