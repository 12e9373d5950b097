/* NIfTI files of both versions and byte orders, plain and gzip, of every type: exact values and geometry; then the
 * three attacks, lying headers and bombs. */
#include "nifti_test.h"

#define SIZE_OF_ALL (5 * 4 * 3)

/* A volume of 5 x 4 x 3 (x, y, z) with 12 values of one type, repeated. */
#define VALUES 12
static const uint8_t of_uint8[VALUES] = {0, 1, 2, 127, 128, 129, 200, 201, 254, 255, 77, 3};
static const int8_t of_int8[VALUES] = {0, 1, -1, 127, -128, -127, 100, -100, 50, -50, 7, -7};
static const uint16_t of_uint16[VALUES] = {0, 1, 255, 256, 257, 32767, 32768, 65534, 65535, 4660, 500, 9};
static const int16_t of_int16[VALUES] = {0, 1, -1, 255, -256, 32767, -32768, 4660, -4660, 12, 13, -1024};
static const uint32_t of_uint32[VALUES] = {0, 1, 65536, 16777216, 4294967040u, 2147483648u, 4, 5, 6, 7, 8, 305419896};
static const int32_t of_int32[VALUES] = {0, 1, -1, 65536, -65536, 16777216, -16777216, 2147483520, 305419896, 3, 2, 1};
static const uint64_t of_uint64[VALUES] = {0, 1, 65536, 16777216, 1ull << 40, 1ull << 63, 4, 5, 6, 7, 8, 9};
static const int64_t of_int64[VALUES] = {0, 1, -1, 65536, -65536, 1ll << 40, -(1ll << 40), INT64_MIN, 12, 13, 14, 15};
static const float of_float32[VALUES] = {0, 1, -1, 0.5f, 1e-30f, 1e30f, -3.25f, INFINITY, 7, 8, 9, 1.1f};
static const double of_float64[VALUES] = {0, 1, -1, 0.5, 1e-30, 1e30, -3.25, INFINITY, 7, 8, 9, 1.1};

#define AS_DOUBLE(values)                                                                                                          \
    static double values##_at(size_t i) { return (double)values[i]; }
AS_DOUBLE(of_uint8)
AS_DOUBLE(of_int8)
AS_DOUBLE(of_uint16)
AS_DOUBLE(of_int16)
AS_DOUBLE(of_uint32)
AS_DOUBLE(of_int32)
AS_DOUBLE(of_uint64)
AS_DOUBLE(of_int64)
AS_DOUBLE(of_float32)
AS_DOUBLE(of_float64)
static const struct {
    int code, bytes;
    const void *values;
    double (*at)(size_t i);
    cover_dtype dtype; /* unscaled */
} types[] = {
    {2, 1, of_uint8, of_uint8_at, COVER_U8},       {256, 1, of_int8, of_int8_at, COVER_F32},
    {512, 2, of_uint16, of_uint16_at, COVER_U16},  {4, 2, of_int16, of_int16_at, COVER_F32},
    {768, 4, of_uint32, of_uint32_at, COVER_F32},  {8, 4, of_int32, of_int32_at, COVER_F32},
    {1280, 8, of_uint64, of_uint64_at, COVER_F32}, {1024, 8, of_int64, of_int64_at, COVER_F32},
    {16, 4, of_float32, of_float32_at, COVER_F32}, {64, 8, of_float64, of_float64_at, COVER_F32},
};
enum { TYPES = sizeof types / sizeof *types };

static struct nifti_spec volume(int version, bool big, int type, void *room) {
    for (size_t i = 0; i < SIZE_OF_ALL; i++)
        memcpy((char *)room + i * (size_t)types[type].bytes,
               (const char *)types[type].values + i % VALUES * (size_t)types[type].bytes, (size_t)types[type].bytes);
    return (struct nifti_spec){.version = version,
                               .big = big,
                               .datatype = types[type].code,
                               .bytes_each = types[type].bytes,
                               .rank = 3,
                               .dim = {5, 4, 3, 1, 1, 1, 1},
                               .pixdim = {1, 0.5, 0.75, 2},
                               .units = 2,
                               .voxels = room,
                               .voxel_count = SIZE_OF_ALL};
}

static double pixel(const struct image *image, size_t i) {
    return image->dtype == COVER_U8    ? ((const uint8_t *)image->data)[i]
           : image->dtype == COVER_U16 ? ((const uint16_t *)image->data)[i]
                                       : ((const float *)image->data)[i];
}

START_TEST(every_type_version_and_byte_order_gives_the_same_values) {
    for (int type = 0; type < TYPES; type++)
        for (int variant = 0; variant < 8; variant++) {
            uint64_t room[SIZE_OF_ALL];
            struct nifti_spec spec = volume(1 + variant % 2, variant & 2, type, room);
            struct bytes file = nifti_file(&spec);
            if (variant & 4) {
                struct bytes packed = gzipped(file.data, file.count);
                bytes_free(&file);
                file = packed;
            }
            struct image image = decoded(&file);
            ck_assert_shape(&image, types[type].dtype, 3, 1, 3, 4, 5);
            for (size_t i = 0; i < SIZE_OF_ALL; i++)
                ck_assert_msg(pixel(&image, i) == (double)(float)types[type].at(i % VALUES), "type %d variant %d voxel %zu",
                              types[type].code, variant, i);
            ck_assert(image.spacing_mm[0] == 2 && image.spacing_mm[1] == 0.75 && image.spacing_mm[2] == 0.5);
            image_free(&image, context);
            bytes_free(&file);
        }
}
END_TEST

START_TEST(scaling_gives_float32_of_slope_times_value_plus_intercept) {
    for (int type = 0; type < TYPES; type++) {
        uint64_t room[SIZE_OF_ALL];
        struct nifti_spec spec = volume(2, false, type, room);
        spec.slope = 0.25, spec.inter = -3;
        struct bytes file = nifti_file(&spec);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_F32, 3, 1, 3, 4, 5);
        for (size_t i = 0; i < SIZE_OF_ALL; i++)
            ck_assert(pixel(&image, i) == (double)(float)(types[type].at(i % VALUES) * 0.25 - 3));
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(a_slope_of_zero_one_or_nan_scales_nothing) {
    static const double slopes[] = {0, 1, NAN, INFINITY};
    for (int s = 0; s < 4; s++) {
        uint64_t room[SIZE_OF_ALL];
        struct nifti_spec spec = volume(1, true, 2, room);
        spec.slope = slopes[s], spec.inter = slopes[s] == 1 ? 0 : 5;
        struct bytes file = nifti_file(&spec);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U16, 3, 1, 3, 4, 5);
        ck_assert(pixel(&image, 8) == 65535);
        image_free(&image, context);
        bytes_free(&file);
    }
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, true, 2, room);
    spec.slope = 2, spec.inter = NAN;
    struct bytes file = nifti_file(&spec);
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "scl_inter is nan");
    bytes_free(&file);
}
END_TEST

START_TEST(nan_voxels_stay_nan) {
    float room[SIZE_OF_ALL] = {1, NAN, -INFINITY};
    struct nifti_spec spec = volume(1, false, 8, (uint64_t[SIZE_OF_ALL]){0});
    spec.voxels = room;
    struct bytes file = nifti_file(&spec);
    struct image image = decoded(&file);
    ck_assert(pixel(&image, 0) == 1 && isnan(pixel(&image, 1)) && pixel(&image, 2) == -INFINITY);
    image_free(&image, context);
    bytes_free(&file);
}
END_TEST

START_TEST(rgb_gives_three_channels_and_drops_alpha) {
    for (int components = 3; components <= 4; components++) {
        uint8_t voxels[SIZE_OF_ALL * 4];
        for (size_t i = 0; i < sizeof voxels; i++) voxels[i] = (uint8_t)(i * 7);
        struct nifti_spec spec = {.version = 1,
                                  .datatype = components == 3 ? 128 : 2304,
                                  .bytes_each = 1,
                                  .rank = 3,
                                  .dim = {5, 4, 3},
                                  .pixdim = {1, 1, 1, 1},
                                  .slope = 3,
                                  .voxels = voxels,
                                  .voxel_count = (size_t)(SIZE_OF_ALL * components)};
        struct bytes file = nifti_file(&spec);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_U8, 3, 3, 3, 4, 5);
        for (int i = 0; i < SIZE_OF_ALL; i++)
            for (int c = 0; c < 3; c++) ck_assert_int_eq(((uint8_t *)image.data)[3 * i + c], voxels[components * i + c]);
        image_free(&image, context);
        spec.rank = 4, spec.dim[3] = 2, spec.voxel_count = 0;
        struct bytes series = nifti_file(&spec);
        ck_assert_refused(&series, COVER_ERROR_UNSUPPORTED, "2 volumes of RGB");
        bytes_free(&file);
        bytes_free(&series);
    }
}
END_TEST

START_TEST(a_fourth_or_fifth_dimension_becomes_channels) {
    int16_t voxels[4 * 6];
    for (int i = 0; i < 24; i++) voxels[i] = (int16_t)(100 * (i / 6) + i % 6);
    for (int rank = 4; rank <= 7; rank++) {
        struct nifti_spec spec = {.version = 1,
                                  .datatype = 4,
                                  .bytes_each = 2,
                                  .rank = rank,
                                  .dim = {3, 2, 1, 1, 1, 1, 1},
                                  .pixdim = {1, 1, 1, 1},
                                  .voxels = voxels,
                                  .voxel_count = 24};
        spec.dim[rank - 1] = 4;
        struct bytes file = nifti_file(&spec);
        struct image image = decoded(&file);
        ck_assert_shape(&image, COVER_F32, 2, 4, 1, 2, 3);
        for (size_t i = 0; i < 6; i++)
            for (size_t c = 0; c < 4; c++) ck_assert(pixel(&image, 4 * i + c) == (double)(100 * c + i));
        image_free(&image, context);
        bytes_free(&file);
    }
}
END_TEST

START_TEST(series_and_double_extra_dimensions_are_refused) {
    uint8_t voxels[1] = {0};
    struct nifti_spec spec = {
        .version = 1, .datatype = 2, .bytes_each = 1, .rank = 4, .dim = {1, 1, 1, 17}, .voxels = voxels, .voxel_count = 1};
    struct bytes series = nifti_file(&spec);
    ck_assert_refused(&series, COVER_ERROR_UNSUPPORTED, "dim[4] is 17");
    spec.rank = 5, spec.dim[3] = 2, spec.dim[4] = 3;
    struct bytes twice = nifti_file(&spec);
    ck_assert_refused(&twice, COVER_ERROR_UNSUPPORTED, "dim[5] is 3");
    bytes_free(&series);
    bytes_free(&twice);
}
END_TEST

START_TEST(trailing_ones_are_dropped) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 0, room);
    spec.rank = 2, spec.dim[0] = 15, spec.dim[1] = 4, spec.dim[2] = 0;
    struct bytes flat = nifti_file(&spec);
    struct image image = decoded(&flat);
    ck_assert_shape(&image, COVER_U8, 2, 1, 1, 4, 15);
    ck_assert(image.spacing_mm[0] == 0 && image.spacing_mm[1] == 0.75 && image.spacing_mm[2] == 0.5);
    image_free(&image, context);
    spec.rank = 7, spec.dim[2] = 1;
    struct bytes many = nifti_file(&spec);
    image = decoded(&many);
    ck_assert_shape(&image, COVER_U8, 2, 1, 1, 4, 15);
    ck_assert(image.spacing_mm[0] == 2);
    image_free(&image, context);
    bytes_free(&flat);
    bytes_free(&many);
}
END_TEST

/* ---- geometry */
static struct image with_geometry(const struct nifti_spec *spec) {
    struct bytes file = nifti_file(spec);
    struct image image = decoded(&file);
    bytes_free(&file);
    return image;
}
static void ck_assert_affine(struct image image, const double expected[12]) {
    for (int i = 0; i < 12; i++)
        ck_assert_msg(fabs(image.affine[i] - expected[i]) < 1e-6, "affine[%d] is %g, not %g", i, image.affine[i], expected[i]);
    image_free(&image, context);
}

START_TEST(sform_goes_before_qform_and_without_both_the_affine_is_unknown) {
    uint64_t room[SIZE_OF_ALL];
    for (int version = 1; version <= 2; version++) {
        struct nifti_spec spec = volume(version, version == 1, 0, room);
        for (int i = 0; i < 12; i++) spec.srow[i] = i + 0.5;
        /* a quarter turn about z: x goes to y, y to -x; z mirrored by pixdim[0] < 0 */
        spec.quatern[2] = sqrt(0.5), spec.pixdim[0] = -1;
        spec.qoffset[0] = 10, spec.qoffset[1] = 20, spec.qoffset[2] = 30;
        ck_assert_affine(with_geometry(&spec), (const double[12]){0});
        spec.qform_code = 1;
        ck_assert_affine(with_geometry(&spec), (const double[12]){0, -0.75, 0, 10, 0.5, 0, 0, 20, 0, 0, -2, 30});
        spec.sform_code = 2;
        ck_assert_affine(with_geometry(&spec), spec.srow);
    }
}
END_TEST

START_TEST(a_half_turn_survives_the_rounding_of_its_quaternion) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 0, room);
    spec.qform_code = 1, spec.pixdim[0] = 1;
    spec.quatern[0] = sqrt(0.5) + 1e-7, spec.quatern[1] = sqrt(0.5) + 1e-7; /* b^2 + c^2 > 1 */
    struct image image = with_geometry(&spec);
    const double expected[12] = {0, 0.75, 0, 0, 0.5, 0, 0, 0, 0, 0, -2, 0};
    ck_assert_affine(image, expected);
}
END_TEST

START_TEST(units_become_millimetres) {
    static const struct {
        int code;
        double mm;
    } units[] = {{0, 1}, {1, 1000}, {2, 1}, {3, 0.001}, {2 | 8, 1}, {3 | 16, 0.001}};
    uint64_t room[SIZE_OF_ALL];
    for (size_t u = 0; u < sizeof units / sizeof *units; u++)
        for (int version = 1; version <= 2; version++) {
            struct nifti_spec spec = volume(version, false, 0, room);
            const double mm = units[u].mm;
            spec.units = units[u].code, spec.sform_code = 1;
            spec.srow[0] = 0.5, spec.srow[5] = 0.75, spec.srow[10] = 2, spec.srow[3] = -7;
            struct image image = with_geometry(&spec);
            ck_assert(image.spacing_mm[0] == 2 * mm && image.spacing_mm[2] == 0.5 * mm);
            ck_assert_affine(image, (const double[12]){0.5 * mm, 0, 0, -7 * mm, 0, 0.75 * mm, 0, 0, 0, 0, 2 * mm, 0});
        }
}
END_TEST

START_TEST(an_sform_of_another_scale_than_pixdim_counts_and_is_noted) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 0, room);
    spec.sform_code = 1;
    spec.srow[0] = -2, spec.srow[6] = 3, spec.srow[9] = 4; /* y and z change places */
    struct image image = with_geometry(&spec);
    ck_assert(image.spacing_mm[2] == 2 && image.spacing_mm[1] == 4 && image.spacing_mm[0] == 3);
    ck_assert_ptr_nonnull(strstr(image.note, "sform says voxels of 2 x 4 x 3 mm (x, y, z), its pixdim 0.5 x 0.75 x 2 mm"));
    image_free(&image, context);
    spec.srow[0] = 0.5 * 1.0005, spec.srow[6] = 2, spec.srow[9] = 0.75; /* rounding */
    image = with_geometry(&spec);
    ck_assert(image.spacing_mm[2] == 0.5 && !image.note[0]);
    image_free(&image, context);
    memset(spec.srow, 0, sizeof spec.srow); /* no place at all */
    image = with_geometry(&spec);
    ck_assert(image.spacing_mm[2] == 0.5 && !image.note[0]);
    image_free(&image, context);
}
END_TEST

START_TEST(unknown_geometry_is_zero_and_broken_geometry_an_error) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 0, room);
    memset(spec.pixdim, 0, sizeof spec.pixdim);
    struct image image = with_geometry(&spec);
    ck_assert(image.spacing_mm[0] == 0 && image.spacing_mm[1] == 0 && image.spacing_mm[2] == 0);
    ck_assert_affine(image, (const double[12]){0});
    spec.pixdim[1] = spec.pixdim[2] = spec.pixdim[3] = NAN;
    image = with_geometry(&spec);
    ck_assert(image.spacing_mm[0] == 0);
    ck_assert_affine(image, (const double[12]){0});
    spec.sform_code = 1, spec.srow[6] = NAN;
    struct bytes file = nifti_file(&spec);
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "element 6 of the affine (sform or qform) is nan");
    bytes_free(&file);
}
END_TEST

/* ---- gzip */
START_TEST(gzip_members_follow_each_other_and_zeros_pad) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 2, room);
    struct bytes plain = nifti_file(&spec), file = {0};
    for (size_t at = 0; at < plain.count; at += 100) {
        struct bytes member = gzipped(plain.data + at, plain.count - at < 100 ? plain.count - at : 100);
        bytes_add(&file, member.data, member.count);
        bytes_free(&member);
    }
    struct image image = decoded(&file);
    ck_assert_shape(&image, COVER_U16, 3, 1, 3, 4, 5);
    for (size_t i = 0; i < SIZE_OF_ALL; i++) ck_assert(pixel(&image, i) == of_uint16[i % VALUES]);
    image_free(&image, context);
    bytes_add(&file, (uint8_t[512]){0}, 512);
    image = decoded(&file);
    image_free(&image, context);
    bytes_add(&file, "x", 1);
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "is not zero");
    bytes_free(&plain);
    bytes_free(&file);
}
END_TEST

START_TEST(a_gzip_bomb_behind_a_small_volume_is_refused) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 2, room);
    struct bytes plain = nifti_file(&spec);
    bytes_put(&plain, 64 << 20, "", 1);
    struct bytes bomb = gzipped(plain.data, plain.count);
    ck_assert_uint_lt(bomb.count, 1 << 17);
    ck_assert_refused(&bomb, COVER_ERROR_FORMAT, "follow what the header describes");
    bytes_free(&plain);
    bytes_free(&bomb);
}
END_TEST

START_TEST(a_bomb_that_its_header_declares_is_bounded_by_the_limit) {
    struct nifti_spec spec = {
        .version = 1, .datatype = 2, .bytes_each = 1, .rank = 3, .dim = {1024, 1024, 64}, .pixdim = {1, 1, 1, 1}};
    struct bytes plain = nifti_file(&spec);
    bytes_put(&plain, plain.count + (64 << 20) - 1, "", 1);
    struct bytes bomb = gzipped(plain.data, plain.count);
    struct image image;
    watched.largest = 1 << 20;
    ck_assert_int_eq(image_decode(&image, context, "b.nii.gz", bomb.data, bomb.count, (64 << 20) - 1), COVER_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "b.nii.gz: 64 x 1024 x 1024"));
    watched.largest = 0;
    ck_assert_ok(image_decode(&image, context, "b.nii.gz", bomb.data, bomb.count, 64 << 20));
    image_free(&image, context);
    bytes_free(&plain);
    bytes_free(&bomb);
}
END_TEST

START_TEST(gzip_of_something_else_is_refused_as_that) {
    struct bytes file = gzipped("just some text that is longer than a word", 41);
    ck_assert_refused(&file, COVER_ERROR_UNSUPPORTED, "no NIfTI file inside");
    bytes_free(&file);
}
END_TEST

/* ---- damage */
static struct bytes small_file(int version, bool big, bool packed) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(version, big, 3, room);
    spec.qform_code = 1, spec.sform_code = big ? 0 : 1;
    struct bytes file = nifti_file(&spec);
    if (!packed) return file;
    struct bytes result = gzipped(file.data, file.count);
    bytes_free(&file);
    return result;
}
#define FOR_SMALL_FILES(statement)                                                                                                 \
    for (int variant = 0; variant < 8; variant++) {                                                                                \
        struct bytes file = small_file(1 + variant % 2, variant & 2, variant & 4);                                                 \
        statement;                                                                                                                 \
        bytes_free(&file);                                                                                                         \
    }

START_TEST(every_truncated_nifti_is_refused) { FOR_SMALL_FILES(every_shorter_file_is_refused(&file)); }
END_TEST
START_TEST(every_changed_byte_of_a_nifti_is_survived) { FOR_SMALL_FILES(every_changed_byte_is_survived(&file, file.count)); }
END_TEST
START_TEST(refused_memory_leaks_nothing) { FOR_SMALL_FILES(every_refused_allocation_is_survived(&file)); }
END_TEST

START_TEST(wrong_fields_are_named) {
    static const struct {
        size_t at;
        int value; /* int16 */
        cover_status status;
        const char *says;
    } wrong[] = {
        {40, 0, COVER_ERROR_FORMAT, "a/file: dim[0] is 0, not 1 to 7"},
        {40, 8, COVER_ERROR_FORMAT, "dim[0] is 8"},
        {42, -3, COVER_ERROR_FORMAT, "a/file: dim[1] is -3; the file is damaged or not NIfTI"},
        {44, 0, COVER_ERROR_FORMAT, "dim[2] is 0"},
        {70, 3, COVER_ERROR_FORMAT, "datatype is 3, which NIfTI does not define"},
        {70, 32, COVER_ERROR_UNSUPPORTED, "datatype is complex64"},
        {110, 0, COVER_ERROR_FORMAT, "vox_offset is"},
        {110, 0x7fc0, COVER_ERROR_FORMAT, "vox_offset is nan"},
        {110, 0x43b1, COVER_ERROR_FORMAT, "it is truncated or damaged"}, /* 354 */
        {344, 'n' + ('x' << 8), COVER_ERROR_FORMAT, "no NIfTI magic"},
        {0, 347, COVER_ERROR_UNSUPPORTED, "not an image that is known here (PNG, JPEG, TIFF, NIfTI)"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct bytes file = small_file(1, false, false);
        put_i16(&file, wrong[i].at, wrong[i].value, false);
        ck_assert_refused(&file, wrong[i].status, wrong[i].says);
        bytes_free(&file);
    }
    struct bytes pair = small_file(1, false, false);
    bytes_put(&pair, 344, "ni1", 4);
    ck_assert_refused(&pair, COVER_ERROR_UNSUPPORTED, ".hdr/.img pair");
    bytes_free(&pair);
}
END_TEST

START_TEST(a_header_of_100_gigabytes_in_a_kilobyte_is_refused) {
    for (int packed = 0; packed < 2; packed++)
        for (int version = 1; version <= 2; version++) {
            struct nifti_spec spec = {
                .version = version, .datatype = 4, .bytes_each = 2, .rank = 3, .dim = {5000, 5000, 2000}, .pixdim = {1, 1, 1, 1}};
            struct bytes plain = nifti_file(&spec), file = {0};
            if (packed) file = gzipped(plain.data, plain.count);
            ck_assert_refused(packed ? &file : &plain, COVER_ERROR_FORMAT, "dim says 5000 x 5000 x 2000 voxels");
            bytes_free(&plain);
            bytes_free(&file);
        }
}
END_TEST

START_TEST(sizes_whose_product_overflows_are_refused) {
    struct nifti_spec spec = {.version = 2, .datatype = 64, .bytes_each = 8, .rank = 3, .pixdim = {1, 1, 1, 1}};
    static const int64_t dims[][3] = {{1ll << 40, 1ll << 40, 1ll << 40}, {1ll << 31, 1ll << 31, 4}, {1ll << 21, 1ll << 40, 1}};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        memcpy(spec.dim, dims[i], sizeof dims[i]);
        struct bytes file = nifti_file(&spec);
        ck_assert_refused(&file, COVER_ERROR_FORMAT, "dim says");
        bytes_free(&file);
    }
    spec.dim[0] = INT64_MAX;
    struct bytes file = nifti_file(&spec);
    ck_assert_refused(&file, COVER_ERROR_FORMAT, "dim[1] is 9223372036854775808");
    bytes_free(&file);
}
END_TEST

START_TEST(voxels_may_start_behind_extensions) {
    uint64_t room[SIZE_OF_ALL];
    struct nifti_spec spec = volume(1, false, 2, room);
    struct bytes plain = nifti_file(&spec), file = {0};
    bytes_add(&file, plain.data, 352);
    bytes_add(&file, (uint8_t[64]){32}, 64);
    bytes_add(&file, plain.data + 352, plain.count - 352);
    put_f32(&file, 108, 352 + 64, false);
    struct image image = decoded(&file);
    for (size_t i = 0; i < SIZE_OF_ALL; i++) ck_assert(pixel(&image, i) == of_uint16[i % VALUES]);
    image_free(&image, context);
    bytes_free(&plain);
    bytes_free(&file);
}
END_TEST

RUN_IO_TESTS("io nifti", every_type_version_and_byte_order_gives_the_same_values,
             scaling_gives_float32_of_slope_times_value_plus_intercept, a_slope_of_zero_one_or_nan_scales_nothing,
             nan_voxels_stay_nan, rgb_gives_three_channels_and_drops_alpha, a_fourth_or_fifth_dimension_becomes_channels,
             series_and_double_extra_dimensions_are_refused, trailing_ones_are_dropped,
             sform_goes_before_qform_and_without_both_the_affine_is_unknown, a_half_turn_survives_the_rounding_of_its_quaternion,
             units_become_millimetres, an_sform_of_another_scale_than_pixdim_counts_and_is_noted,
             unknown_geometry_is_zero_and_broken_geometry_an_error, gzip_members_follow_each_other_and_zeros_pad,
             a_gzip_bomb_behind_a_small_volume_is_refused, a_bomb_that_its_header_declares_is_bounded_by_the_limit,
             gzip_of_something_else_is_refused_as_that, every_truncated_nifti_is_refused, every_changed_byte_of_a_nifti_is_survived,
             refused_memory_leaks_nothing, wrong_fields_are_named, a_header_of_100_gigabytes_in_a_kilobyte_is_refused,
             sizes_whose_product_overflows_are_refused, voxels_may_start_behind_extensions)
