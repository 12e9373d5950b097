/* Where images lie and what their headers say of it: odd headers, single slices, orientations. */
#include "../files.h"

#include "io/dataset/reader.h"
#include "io/image/image_rules.h"

static const int size[3] = {3, 4, 5};
static const double spacing[3] = {3, 2, 1.5};

/* A volume whose sform is changed at these elements; see write_nifti(). */
static void write_volume(const char *path, const double change[12]) {
    float values[60];
    for (int k = 0; k < 60; k++) values[k] = (float)k;
    write_nifti(path, 16, size, spacing, values);
    FILE *file = fopen(path, "r+b");
    for (int i = 0; i < 12 && change; i++) {
        const float value = (float)change[i];
        ck_assert_int_eq(fseek(file, 280 + 4 * i, SEEK_SET), 0);
        ck_assert_uint_eq(fwrite(&value, sizeof value, 1, file), 1);
    }
    fclose(file);
}

static const double straight[12] = {1.5, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0}, mirrored[12] = {-1.5, 0, 0, 6, 0, 2, 0, 0, 0, 0, 3, 0};

START_TEST(an_odd_header_is_told_once_and_many_are_counted) {
    const double twice[12] = {3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 6, 0};
    int lines = 0;
    for (int i = 0; i < 30; i++) write_volume(at("in/%02d.nii", i), twice);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    for (const char *text = logged; (text = strstr(text, "the sform counts")); text++) lines++;
    ck_assert_int_eq(lines, 20);
    ck_assert_ptr_nonnull(strstr(logged, "in/00.nii: its sform says voxels of 3 x 4 x 6 mm (x, y, z), its pixdim 1.5 x 2 x 3 mm"));
    ck_assert_ptr_nonnull(strstr(logged, "the same or the like of 10 more images"));
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    for (int a = 0; a < 3; a++) options.spacing_mm[a] = 3;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    const cover_sample_info info = sample_of(dataset, 0); /* spacing and affine are of one mind */
    ck_assert(info.size[0] == 6 && info.size[1] == 5 && info.size[2] == 5);
    for (int a = 0; a < 3; a++) ck_assert_double_eq_tol(info.spacing_mm[a], info.affine[4 * (2 - a) + 2 - a], 1e-9);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(a_single_slice_of_a_volume_joins_volumes_when_asked) {
    const int slice[3] = {1, 4, 5};
    float values[20];
    for (int k = 0; k < 20; k++) values[k] = (float)k;
    write_volume(at("in/a.nii"), NULL);
    write_nifti(at("in/c.nii"), 16, slice, spacing, values);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_SHAPE, "ask for dims 3");
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.dims = 3;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    const cover_sample_info info = sample_of(dataset, 1);
    ck_assert(info.size[0] == 1 && info.size[1] == 4 && info.size[2] == 5);
    cover_tensor *image;
    ck_assert_ok(cover_dataset_read(&image, dataset, 1));
    ck_assert_int_eq(cover_tensor_rank(image), 4);
    cover_tensor_destroy(image);
    cover_dataset_destroy(dataset);
    write_png(at("flat/a.png"), 4, 5, 1, 1);
    ck_assert_fails(pack(at("flat"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT, "but 3D was asked for");
}
END_TEST

START_TEST(images_of_several_orientations_are_a_warning) {
    struct image_rules rules;
    write_volume(at("in/a.nii"), straight);
    write_volume(at("in/b.nii"), mirrored);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert_ptr_nonnull(strstr(logged, "are stored in 2 orientations"));
    ck_assert_ptr_nonnull(strstr(logged, "LAS (1, such as "));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_ok(dataset_rules(&rules, dataset));
    ck_assert_str_eq(rules.orientation, "");
    cover_dataset_destroy(dataset);
    unlink(at("in/a.nii"));
    logged[0] = 0;
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert_str_eq(logged, "");
    dataset = open_dataset(at("out.h5"));
    ck_assert_ok(dataset_rules(&rules, dataset)); /* prediction compares its images with it */
    ck_assert_str_eq(rules.orientation, "LAS");
    ck_assert(!rules.orient);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(images_and_labels_are_brought_to_one_orientation_when_asked) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    uint8_t labels[60];
    for (int k = 0; k < 60; k++) labels[k] = (uint8_t)(k % 5);
    write_volume(at("in/images/a.nii"), straight);
    write_volume(at("in/images/b.nii"), mirrored);
    write_nifti(at("in/labels/a.nii"), 2, size, spacing, labels);
    write_nifti(at("in/labels/b.nii"), 2, size, spacing, labels);
    for (int i = 0; i < 2; i++) { /* labels without a place of their own */
        FILE *file = fopen(at("in/labels/%c.nii", 'a' + i), "r+b");
        fseek(file, 254, SEEK_SET), fwrite("\0\0", 1, 2, file), fclose(file);
    }
    options.orientation = "RAS";
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    ck_assert_ptr_null(strstr(logged, "orientations"));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    for (int i = 0; i < 2; i++) {
        cover_tensor *image, *label;
        ck_assert_ok(cover_dataset_read(&image, dataset, i));
        ck_assert_ok(cover_dataset_read_label(&label, dataset, i));
        ck_assert_double_eq_tol(sample_of(dataset, i).affine[0], 1.5, 1e-9);
        for (int k = 0; k < 60; k++) {
            const int from = i ? k / 5 * 5 + 4 - k % 5 : k;
            ck_assert(((const float *)cover_tensor_data(image))[k] == (float)from);
            ck_assert_uint_eq(((const uint8_t *)cover_tensor_data(label))[k], from % 5);
        }
        cover_tensor_destroy(image);
        cover_tensor_destroy(label);
    }
    cover_dataset_destroy(dataset);
    options.orientation = "RAX";
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_ARGUMENT, "orientation 'RAX'");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("geometry of pack");
    TCase *all = tcase_create("geometry");
    tcase_add_checked_fixture(all, setup, teardown);
    suite_add_tcase(suite, all);
    ADD(all, an_odd_header_is_told_once_and_many_are_counted);
    ADD(all, a_single_slice_of_a_volume_joins_volumes_when_asked);
    ADD(all, images_of_several_orientations_are_a_warning);
    ADD(all, images_and_labels_are_brought_to_one_orientation_when_asked);
    return run_suite(suite);
}
