/* NIfTI files out: volumes and displacement fields as their bytes say it (offsets of nifti1.h), read back by ours, and
 * replaced in one move. */
#include "nifti_test.h"

static int16_t i16_at(const uint8_t *file, size_t at) {
    int16_t value;
    memcpy(&value, file + at, 2);
    return value;
}
static float f32_at(const uint8_t *file, size_t at) {
    float value;
    memcpy(&value, file + at, 4);
    return value;
}

/* The bytes of a file, unpacked. */
static struct bytes unpacked(const char *name) {
    struct bytes file = {0};
    gzFile stream = gzopen(in_folder(name), "rb"); /* reads plain files too */
    ck_assert_ptr_nonnull(stream);
    uint8_t piece[4096];
    for (int got; (got = gzread(stream, piece, sizeof piece)) > 0;) bytes_add(&file, piece, (size_t)got);
    gzclose(stream);
    return file;
}

static struct bytes field_written(const char *name, const float *field, const struct image *fixed, const struct image *moving) {
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder(name));
    ck_assert_ok(nifti_write_field(context, path, field, fixed, moving));
    return unpacked(name);
}

static bool is_packed(const char *name) {
    uint8_t head[2];
    FILE *file = fopen(in_folder(name), "rb");
    ck_assert_uint_eq(fread(head, 1, 2, file), 2);
    fclose(file);
    return head[0] == 0x1f && head[1] == 0x8b;
}

#define OBLIQUE                                                                                                                    \
    { 0, -0.75, 0.1, 10, 0.5, 0, 0, 20, 0, 0.2, -2, 30 }
static const double oblique[12] = OBLIQUE;
#define SPACING                                                                                                                    \
    { 2, 0.75, 0.5 }
static const struct image cube = {.dims = 3, .size = {4, 4, 4}, .spacing_mm = SPACING};

START_TEST(a_volume_is_written_with_its_geometry_plain_and_packed) {
    float values[3 * 4 * 5];
    for (int i = 0; i < 60; i++) values[i] = (float)i / 7;
    const struct image like = {.dims = 3, .size = {3, 4, 5}, .spacing_mm = SPACING, .affine = OBLIQUE};
    for (int packed = 0; packed < 2; packed++) {
        const char *name = packed ? "v.nii.gz" : "v.nii";
        ck_assert_ok(nifti_write(context, in_folder(name), values, &like));
        struct bytes file = unpacked(name);
        ck_assert_int_eq(is_packed(name), packed);
        ck_assert_uint_eq(file.count, 352 + sizeof values);
        ck_assert_mem_eq(file.data + 352, values, sizeof values);
        ck_assert_mem_eq(file.data + 344, "n+1", 4);
        const int dim[8] = {3, 5, 4, 3, 1, 1, 1, 1};
        for (size_t i = 0; i < 8; i++) ck_assert_int_eq(i16_at(file.data, 40 + 2 * i), dim[i]);
        ck_assert_int_eq(i16_at(file.data, 68), 0);
        ck_assert_int_eq(i16_at(file.data, 70), 16);
        ck_assert_int_eq(i16_at(file.data, 72), 32);
        ck_assert_int_eq(file.data[123], 2);
        for (size_t i = 0; i < 12; i++) ck_assert(f32_at(file.data, 280 + 4 * i) == (float)oblique[i]);

        struct image image = {0};
        ck_assert_ok(image_read(&image, context, in_folder(name), 0));
        ck_assert_shape(&image, COVER_F32, 3, 1, 3, 4, 5);
        ck_assert_mem_eq(image.data, values, sizeof values);
        for (int i = 0; i < 12; i++) ck_assert(fabs(image.affine[i] - oblique[i]) < 1e-6);
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(a_field_is_written_in_mm_along_l_p_s_one_volume_a_component) {
    enum { COUNT = 3 * 4 * 5 };
    float field[COUNT * 3];
    for (int i = 0; i < COUNT * 3; i++) field[i] = (float)((i * 37) % 23) / 4 - 2;
    const struct image image = {.dims = 3, .size = {3, 4, 5}, .spacing_mm = SPACING, .affine = OBLIQUE};
    struct bytes file = field_written("f.nii.gz", field, &image, &image);
    const int dim[8] = {5, 5, 4, 3, 1, 3, 1, 1};
    for (size_t i = 0; i < 8; i++) ck_assert_int_eq(i16_at(file.data, 40 + 2 * i), dim[i]);
    ck_assert_int_eq(i16_at(file.data, 68), 1007);
    ck_assert_uint_eq(file.count, 352 + sizeof field);
    for (size_t i = 0; i < COUNT; i++) {
        const float z = field[3 * i], y = field[3 * i + 1], x = field[3 * i + 2];
        for (size_t row = 0; row < 3; row++) {
            const double *to = oblique + 4 * row, ras = to[0] * x + to[1] * y + to[2] * z;
            ck_assert(fabs(f32_at(file.data, 352 + 4 * (row * COUNT + i)) - (row < 2 ? -ras : ras)) < 1e-5);
        }
    }
    bytes_free(&file);
}
END_TEST

/* Where voxel v of an image lies, L, P, S. */
static void place(double lps[3], const double affine[12], double x, double y, double z) {
    for (int row = 0; row < 3; row++) {
        const double *to = affine + 4 * row, ras = to[0] * x + to[1] * y + to[2] * z + to[3];
        lps[row] = row < 2 ? -ras : ras;
    }
}

START_TEST(a_field_leads_from_the_frame_of_one_image_into_that_of_the_other) {
    enum { COUNT = 3 * 4 * 5 };
    float field[COUNT * 3];
    for (int i = 0; i < COUNT * 3; i++) field[i] = (float)((i * 37) % 23) / 4 - 2;
    static const struct image frames[] = {
        {.dims = 3, .size = {3, 4, 5}, .affine = {0, -0.75, 0.1, -60, 0.5, 0, 0, 42, 0, 0.2, -2, 31}}, /* moved */
        {.dims = 3, .size = {3, 4, 5}, .affine = {0.5, 0, 0, 1, 0, -0.5, 0, 2, 0, 0, 4, 3}},           /* turned, another spacing */
        {.dims = 3, .size = {3, 4, 5}, .spacing_mm = SPACING, .affine = OBLIQUE},
    };
    for (int m = 0; m < 3; m++)
        for (int f = 0; f < 3; f++) {
            struct bytes file = field_written("f.nii.gz", field, &frames[f], &frames[m]);
            for (size_t i = 0; i < COUNT; i++) {
                const double x = (double)(i % 5), y = (double)(i / 5 % 4), z = (double)(i / 20);
                const float *u = field + 3 * i;
                double from[3], to[3];
                place(from, frames[f].affine, x, y, z);
                place(to, frames[m].affine, x + (double)u[2], y + (double)u[1], z + (double)u[0]);
                for (size_t row = 0; row < 3; row++)
                    ck_assert_double_eq_tol(f32_at(file.data, 352 + 4 * (row * COUNT + i)), to[row] - from[row], 1e-4);
            }
            bytes_free(&file);
        }
}
END_TEST

START_TEST(a_single_slice_of_a_volume_stays_one_and_its_field_has_three_components) {
    float field[4 * 5 * 2], values[20] = {0};
    for (int i = 0; i < 40; i++) field[i] = (float)i / 8;
    const struct image slice = {.dims = 2, .volume = true, .size = {1, 4, 5}, .affine = OBLIQUE};
    struct bytes file = field_written("f.nii", field, &slice, &slice);
    const int dim[8] = {5, 5, 4, 1, 1, 3, 1, 1};
    for (size_t i = 0; i < 8; i++) ck_assert_int_eq(i16_at(file.data, 40 + 2 * i), dim[i]);
    for (size_t i = 0; i < 20; i++)
        for (size_t row = 0; row < 3; row++) {
            const double *to = oblique + 4 * row, ras = to[0] * (double)field[2 * i + 1] + to[1] * (double)field[2 * i];
            ck_assert_double_eq_tol(f32_at(file.data, 352 + 4 * (20 * row + i)), row < 2 ? -ras : ras, 1e-5);
        }
    bytes_free(&file);
    ck_assert_ok(nifti_write(context, in_folder("v.nii"), values, &slice));
    file = unpacked("v.nii");
    ck_assert_int_eq(i16_at(file.data, 40), 3);
    bytes_free(&file);
}
END_TEST

START_TEST(a_flat_field_has_two_components) {
    float field[4 * 5 * 2];
    for (int i = 0; i < 40; i++) field[i] = (float)i;
    const struct image image = {
        .dims = 2, .size = {1, 4, 5}, .spacing_mm = SPACING, .affine = {0.5, 0, 0, 1, 0, 0.75, 0, 2, 0, 0, 1, 3}};
    struct bytes file = field_written("f.nii", field, &image, &image);
    const int dim[8] = {5, 5, 4, 1, 1, 2, 1, 1};
    for (size_t i = 0; i < 8; i++) ck_assert_int_eq(i16_at(file.data, 40 + 2 * i), dim[i]);
    for (size_t i = 0; i < 20; i++) {
        ck_assert(f32_at(file.data, 352 + 4 * i) == -0.5f * field[2 * i + 1]);
        ck_assert(f32_at(file.data, 352 + 4 * (20 + i)) == -0.75f * field[2 * i]);
    }
    bytes_free(&file);
}
END_TEST

START_TEST(without_an_affine_the_axes_are_l_p_s_and_the_field_keeps_its_signs) {
    float field[4 * 5 * 2];
    for (int i = 0; i < 40; i++) field[i] = (float)i;
    for (int known = 0; known < 2; known++) {
        struct image image = {.dims = 2, .size = {1, 4, 5}};
        if (known) memcpy(image.spacing_mm, cube.spacing_mm, sizeof image.spacing_mm);
        struct bytes file = field_written("f.nii", field, &image, &image);
        const float width = known ? 0.5f : 1, height = known ? 0.75f : 1;
        ck_assert(f32_at(file.data, 280) == -width && f32_at(file.data, 280 + 20) == -height);
        ck_assert(f32_at(file.data, 280 + 40) == (known ? 2 : 1));
        ck_assert(f32_at(file.data, 80) == width && f32_at(file.data, 84) == height);
        for (size_t i = 0; i < 20; i++) {
            ck_assert(f32_at(file.data, 352 + 4 * i) == width * field[2 * i + 1]);
            ck_assert(f32_at(file.data, 352 + 4 * (20 + i)) == height * field[2 * i]);
        }
        bytes_free(&file);
    }
}
END_TEST

START_TEST(equal_volumes_give_equal_files) {
    float values[64] = {1, 2, 3};
    struct bytes one, two;
    ck_assert_ok(nifti_write(context, in_folder("1.nii.gz"), values, &cube));
    ck_assert_ok(nifti_write(context, in_folder("2.nii.gz"), values, &cube));
    ck_assert_ok(file_read(context, in_folder("1.nii.gz"), 0, &one.data, &one.count));
    ck_assert_ok(file_read(context, in_folder("2.nii.gz"), 0, &two.data, &two.count));
    ck_assert_uint_eq(one.count, two.count);
    ck_assert_mem_eq(one.data, two.data, one.count);
    memory_free(context, one.data);
    memory_free(context, two.data);
}
END_TEST

START_TEST(what_nifti_1_cannot_hold_is_refused_before_the_file_is_touched) {
    float values[64] = {0};
    const char *path = file_of("kept.nii", "old", 3);
    ck_assert_int_eq(nifti_write(context, path, values, &(struct image){.size = {1, 32768, 2}}), COVER_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "axis H has size 32768"));
    ck_assert_int_eq(nifti_write(context, path, values, &(struct image){.size = {0, 2, 2}}), COVER_ERROR_SHAPE);
    struct bytes old;
    ck_assert_ok(file_read(context, path, 0, &old.data, &old.count));
    ck_assert_uint_eq(old.count, 3);
    memory_free(context, old.data);
    ck_assert_int_eq(nifti_write(context, "/nowhere/at/all.nii", values, &cube), COVER_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "/nowhere/at/all.nii"));
}
END_TEST

START_TEST(refused_memory_leaves_the_old_file_and_no_other) {
    float values[64] = {0};
    const char *path = file_of("kept.nii.gz", "old", 3);
    long before = watched.alive;
    for (long call = 1;; call++) {
        watched.calls = 0, watched.fail_at = call;
        cover_status status = nifti_write(context, path, values, &cube);
        watched.fail_at = 0;
        ck_assert_int_eq(watched.alive, before);
        if (status == COVER_OK) {
            ck_assert_int_gt(call, 3);
            break;
        }
        ck_assert_int_eq(status, COVER_ERROR_MEMORY);
        struct bytes old;
        ck_assert_ok(file_read(context, path, 0, &old.data, &old.count));
        ck_assert_mem_eq(old.data, "old", 3);
        memory_free(context, old.data);
    }
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(rmdir(test_folder), 0); /* nothing else is in it */
}
END_TEST

RUN_IO_TESTS("io nifti write", a_volume_is_written_with_its_geometry_plain_and_packed,
             a_field_is_written_in_mm_along_l_p_s_one_volume_a_component,
             a_field_leads_from_the_frame_of_one_image_into_that_of_the_other,
             a_single_slice_of_a_volume_stays_one_and_its_field_has_three_components, a_flat_field_has_two_components,
             without_an_affine_the_axes_are_l_p_s_and_the_field_keeps_its_signs, equal_volumes_give_equal_files,
             what_nifti_1_cannot_hold_is_refused_before_the_file_is_touched, refused_memory_leaves_the_old_file_and_no_other)
