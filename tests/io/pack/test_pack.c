/* Preparation of images, bad input, and what pack promises about its output: equal for any number of threads, equal
 * after any interruption, replaced only at the end. */
#include "../files.h"

#include "io/dataset/dataset.h"
#include "io/image/resample.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* What the_content_hash_is_that_of_the_samples_alone packs, by the definition in docs/dataset.md. */
#define KNOWN_HASH "a200c2b68ddb5006c4920e91620510c802ed94ff7c639d34581d80a5de92c55e"

/* ---- dtypes and preparation */

START_TEST(eight_and_sixteen_bits_stay_and_all_else_is_float32) {
    const int size[3] = {3, 4, 5};
    const double spacing[3] = {3, 2, 1.5};
    uint8_t u8[60];
    uint16_t u16[60];
    int16_t i16[60];
    float f32[60];
    for (int k = 0; k < 60; k++)
        u8[k] = value_of(1, k), u16[k] = (uint16_t)(k * 997), i16[k] = (int16_t)(k * 97 - 999), f32[k] = (float)k * 0.37f;
    write_nifti(at("in/a.nii"), 2, size, spacing, u8);
    write_nifti(at("in/b.nii"), 512, size, spacing, u16);
    write_nifti(at("in/c.nii"), 4, size, spacing, i16);
    write_nifti(at("in/d.nii"), 16, size, spacing, f32);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    const cover_dtype expected[4] = {COVER_U8, COVER_U16, COVER_F32, COVER_F32};
    for (int i = 0; i < 4; i++) {
        const cover_sample_info info = sample_of(dataset, i);
        cover_tensor *image;
        ck_assert_int_eq((int)info.dtype, (int)expected[i]);
        ck_assert(info.size[0] == 3 && info.size[1] == 4 && info.size[2] == 5);
        ck_assert_double_eq_tol(info.spacing_mm[0], 3, 1e-6);
        ck_assert_double_eq_tol(info.spacing_mm[2], 1.5, 1e-6);
        ck_assert_double_eq_tol(info.affine[0], 1.5, 1e-6);
        ck_assert_double_eq_tol(info.affine[11], 30, 1e-6);
        ck_assert_ok(cover_dataset_read(&image, dataset, i));
        const void *data = cover_tensor_data(image);
        if (i == 0) ck_assert_mem_eq(data, u8, sizeof u8);
        if (i == 1) ck_assert_mem_eq(data, u16, sizeof u16);
        for (int k = 0; i == 2 && k < 60; k++) ck_assert(((const float *)data)[k] == i16[k]);
        if (i == 3) ck_assert_mem_eq(data, f32, sizeof f32);
        cover_tensor_destroy(image);
    }
    cover_dataset_destroy(dataset);
}
END_TEST

/* The formula of docs/dataset.md, one output at a time, in double. */
static double resampled(const float *x, int64_t n, int64_t m, int64_t i) {
    const double s = (double)n / (double)m, c = ((double)i + 0.5) * s - 0.5, reach = s > 1 ? s : 1;
    double sum = 0, weights = 0;
    for (int64_t j = 0; j < n; j++) {
        const double w = 1 - fabs((double)j - c) / reach;
        if (w > 0) sum += w * (double)x[j], weights += w;
    }
    return sum / weights;
}

static void make_image(struct image *image, cover_dtype dtype, int channels, int64_t d, int64_t h, int64_t w) {
    *image = (struct image){.dtype = dtype, .dims = d > 1 ? 3 : 2, .channels = channels, .size = {d, h, w}};
    for (int a = 0; a < 3; a++) image->spacing_mm[a] = 1 + a, image->affine[4 * a + 2 - a] = 2, image->affine[4 * a + 3] = a;
    image->data = memory_alloc(context, (size_t)(d * h * w * channels) * cover_dtype_bytes(dtype));
    ck_assert_ptr_nonnull(image->data);
}

START_TEST(resampling_is_the_stated_formula_along_each_axis) {
    static const int64_t sizes[][2] = {{7, 7}, {7, 13}, {13, 7}, {40, 3}, {3, 40}, {1, 5}, {5, 1}, {64, 32}, {9, 10}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int axis = 0; axis < 3; axis++) {
            const int64_t n = sizes[s][0], m = sizes[s][1];
            int64_t from[3] = {3, 4, 2}, to[3] = {3, 4, 2};
            struct image image;
            from[axis] = n, to[axis] = m;
            make_image(&image, COVER_F32, 2, from[0], from[1], from[2]);
            float *values = image.data, line[64];
            const int64_t count = from[0] * from[1] * from[2] * 2;
            for (int64_t k = 0; k < count; k++) values[k] = (float)value_of((int)s, k) - 100;
            const int64_t stride[3] = {from[1] * from[2] * 2, from[2] * 2, 2};
            /* the line through pixel 1 of the other axes, channel 1 */
            int64_t start = 1;
            for (int a = 0; a < 3; a++) start += a == axis ? 0 : stride[a];
            for (int64_t j = 0; j < n; j++) line[j] = values[start + j * stride[axis]];
            ck_assert_ok(resample_linear(&image, context, to));
            const int64_t stride_to[3] = {to[1] * to[2] * 2, to[2] * 2, 2};
            start = 1;
            for (int a = 0; a < 3; a++) start += a == axis ? 0 : stride_to[a];
            for (int64_t i = 0; i < m; i++)
                ck_assert_double_eq_tol((double)((float *)image.data)[start + i * stride_to[axis]], resampled(line, n, m, i), 1e-3);
            ck_assert_int_eq(image.size[axis], m);
            image_free(&image, context);
        }
}
END_TEST

START_TEST(resampling_keeps_the_extent_in_the_world) {
    struct image image;
    make_image(&image, COVER_U8, 1, 4, 6, 8);
    memset(image.data, 9, 4 * 6 * 8);
    ck_assert_ok(resample_linear(&image, context, (int64_t[]){2, 9, 8}));
    /* corner (-1/2, -1/2, -1/2) of the first voxel stays where it was: x = 2 * -1/2 + 0, y = ... + 1, z = ... + 2
         */
    for (int row = 0; row < 3; row++) {
        double corner = image.affine[4 * row + 3];
        for (int column = 0; column < 3; column++) corner -= image.affine[4 * row + column] / 2;
        ck_assert_double_eq_tol(corner, row - 1, 1e-12);
    }
    for (int a = 0; a < 3; a++)
        ck_assert_double_eq_tol(image.spacing_mm[a] * (double)image.size[a], (1 + a) * (double)(4 + 2 * a), 1e-12);
    for (int k = 0; k < 2 * 9 * 8; k++) ck_assert_uint_eq(((uint8_t *)image.data)[k], 9);
    image_free(&image, context);
}
END_TEST

START_TEST(labels_take_the_nearest_value) {
    struct image image;
    make_image(&image, COVER_U16, 1, 1, 2, 5);
    const uint16_t values[10] = {1, 2, 300, 4, 5, 6, 7, 8, 9, 1000};
    memcpy(image.data, values, sizeof values);
    ck_assert_ok(resample_nearest(&image, context, (int64_t[]){1, 4, 10}));
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 10; x++) ck_assert_uint_eq(((uint16_t *)image.data)[y * 10 + x], values[y / 2 * 5 + x / 2]);
    ck_assert_ok(resample_nearest(&image, context, (int64_t[]){1, 1, 3}));
    ck_assert_uint_eq(((uint16_t *)image.data)[0], 6); /* row 2 of 4, column floor(0.5 * 10 / 3) */
    ck_assert_uint_eq(((uint16_t *)image.data)[1], 8);
    image_free(&image, context);
}
END_TEST

START_TEST(size_and_spacing_resample_image_and_label_together) {
    write_png(at("in/images/a.png"), 20, 12, 1, 1);
    write_label(at("in/labels/a.png"), 20, 12, 3);
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.size[1] = 10, options.size[2] = 24;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    const cover_sample_info info = sample_of(dataset, 0);
    ck_assert(info.size[1] == 10 && info.size[2] == 24 && info.dtype == COVER_U8);
    cover_tensor *label;
    ck_assert_ok(cover_dataset_read_label(&label, dataset, 0));
    ck_assert(cover_tensor_shape(label)[0] == 10 && cover_tensor_shape(label)[1] == 24);
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 24; x++)
            ck_assert_uint_eq(((uint8_t *)cover_tensor_data(label))[y * 24 + x], ((2 * y + 1) * 12 + x / 2) / 3 % 3);
    cover_tensor_destroy(label);
    cover_dataset_destroy(dataset);
    options.size[1] = options.size[2] = 0;
    options.spacing_mm[1] = 1;
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT, "spacing along H is not known");

    float volume[6 * 4 * 5];
    for (int k = 0; k < 120; k++) volume[k] = (float)value_of(3, k);
    write_nifti(at("vol/v.nii"), 16, (int[]){6, 4, 5}, (double[]){2, 1, 1.5}, volume);
    options.spacing_mm[0] = 3, options.spacing_mm[1] = 0, options.spacing_mm[2] = 0.7;
    ck_assert_ok(pack(at("vol"), at("out.h5"), &options, NULL));
    dataset = open_dataset(at("out.h5"));
    const cover_sample_info v = sample_of(dataset, 0);
    ck_assert(v.size[0] == 4 && v.size[1] == 4 && v.size[2] == 11);
    ck_assert_double_eq_tol(v.spacing_mm[0], 3, 1e-6);
    ck_assert_double_eq_tol(v.spacing_mm[2], 7.5 / 11, 1e-6);
    cover_dataset_destroy(dataset);

    write_nifti(at("flat/v.nii"), 16, (int[]){1, 10, 12}, (double[]){1, 1, 1}, volume);
    options.dims = 2;
    for (int a = 0; a < 3; a++) options.spacing_mm[a] = 0.5; /* one number for every axis: a 2D image has no D */
    ck_assert_ok(pack(at("flat"), at("out.h5"), &options, NULL));
    dataset = open_dataset(at("out.h5"));
    const cover_sample_info flat = sample_of(dataset, 0);
    ck_assert(flat.size[0] == 1 && flat.size[1] == 20 && flat.size[2] == 24);
    cover_dataset_destroy(dataset);
}
END_TEST

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

START_TEST(window_and_percentiles_clip_each_image) {
    const int size[3] = {2, 9, 11};
    float values[198], sorted[198];
    for (int k = 0; k < 198; k++) values[k] = sorted[k] = (float)((k * 7919) % 1000) * 1.7f - 400;
    qsort(sorted, 198, sizeof *sorted, by_value);
    write_nifti(at("in/a.nii"), 16, size, (double[]){1, 1, 1}, values);
    for (int percentile = 0; percentile < 2; percentile++) {
        cover_pack_options options = COVER_PACK_OPTIONS_INIT;
        double low = -100, high = 250.5;
        if (percentile) {
            options.percentile[0] = 2.5, options.percentile[1] = 97;
            const double a = 0.025 * 197, b = 0.97 * 197; /* as numpy.percentile has it */
            low = (double)sorted[(int)a] + (a - floor(a)) * (double)(sorted[(int)a + 1] - sorted[(int)a]);
            high = (double)sorted[(int)b] + (b - floor(b)) * (double)(sorted[(int)b + 1] - sorted[(int)b]);
        } else {
            options.window[0] = low, options.window[1] = high;
        }
        ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
        cover_dataset *dataset = open_dataset(at("out.h5"));
        float *pixels;
        struct grid grid;
        int integer_max;
        ck_assert_ok(dataset_read_f32(dataset, 0, &pixels, &grid, &integer_max));
        for (int k = 0; k < 198; k++) ck_assert_float_eq_tol(pixels[k], fminf(fmaxf(values[k], (float)low), (float)high), 1e-4f);
        memory_free(context, pixels);
        cover_dataset_destroy(dataset);
    }
    write_png(at("png/a.png"), 16, 16, 1, 1);
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.window[0] = 30.4, options.window[1] = 99.6;
    ck_assert_ok(pack(at("png"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    cover_tensor *image;
    ck_assert_ok(cover_dataset_read(&image, dataset, 0));
    for (int k = 0; k < 256; k++) {
        const int value = value_of(1, k);
        ck_assert_int_eq(((uint8_t *)cover_tensor_data(image))[k], value < 30 ? 30 : value > 100 ? 100 : value);
    }
    cover_tensor_destroy(image);
    cover_dataset_destroy(dataset);
    options.window[0] = 252, options.window[1] = 300;
    ck_assert_fails(pack(at("png"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT,
                    "constant image: every pixel is 252 once clipped");
}
END_TEST

START_TEST(channels_become_grey_or_rgb_when_asked) {
    write_png(at("in/grey.png"), 5, 6, 1, 1);
    write_png(at("in/rgb.png"), 5, 6, 3, 2);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_SHAPE, "channels 3 in 1 image: ");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "in/rgb.png"));
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "ask for channels grey or rgb"));
    ck_assert(!file_exists(at("out.h5")) && !file_exists(at("out.h5.spool")));
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.channels = 1;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    cover_tensor *image;
    ck_assert_ok(cover_dataset_read(&image, dataset, 1));
    for (int k = 0; k < 30; k++) {
        const int r = value_of(2, 3 * k), g = value_of(2, 3 * k + 1), b = value_of(2, 3 * k + 2);
        ck_assert_int_eq(((uint8_t *)cover_tensor_data(image))[k], (299 * r + 587 * g + 114 * b + 500) / 1000);
    }
    cover_tensor_destroy(image);
    cover_dataset_destroy(dataset);
    options.channels = 3;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    dataset = open_dataset(at("out.h5"));
    ck_assert_ok(cover_dataset_read(&image, dataset, 0));
    for (int k = 0; k < 90; k++) ck_assert_int_eq(((uint8_t *)cover_tensor_data(image))[k], value_of(1, k / 3));
    cover_tensor_destroy(image);
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(options_out_of_range_are_refused_before_work_starts) {
    static const cover_pack_options wrong[] = {
        {sizeof(cover_pack_options), .dims = 4},
        {sizeof(cover_pack_options), .channels = 2},
        {sizeof(cover_pack_options), .size = {0, -1, 0}},
        {sizeof(cover_pack_options), .spacing_mm = {0, -1, 0}},
        {sizeof(cover_pack_options), .spacing_mm = {0, NAN, 0}},
        {sizeof(cover_pack_options), .spacing_mm = {0, 1, 0}, .size = {0, 8, 8}},
        {sizeof(cover_pack_options), .window = {5, 5}},
        {sizeof(cover_pack_options), .window = {0, INFINITY}},
        {sizeof(cover_pack_options), .percentile = {50, 101}},
        {sizeof(cover_pack_options), .percentile = {50, 10}},
        {sizeof(cover_pack_options), .percentile = {1, 99}, .window = {0, 10}},
        {3},
    };
    write_png(at("in/a.png"), 5, 6, 1, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(pack(at("in"), at("out.h5"), &wrong[i], NULL), COVER_ERROR_ARGUMENT);
    ck_assert_fails(pack(at("in"), at("in"), NULL, NULL), COVER_ERROR_ARGUMENT, "is a folder");
    ck_assert_fails(pack(at("in"), "", NULL, NULL), COVER_ERROR_ARGUMENT, "is a folder");
    ck_assert_fails(pack(at("in"), at("none/out.h5"), NULL, NULL), COVER_ERROR_IO, "cannot be written: No such file");
    ck_assert(!file_exists(at("out.h5.spool")));
}
END_TEST

/* ---- bad input */

/* Seven files that cannot be used, and two that can. */
static void write_bad_and_good(void) {
    float values[64];
    for (int k = 0; k < 64; k++) values[k] = (float)k;
    write_png(at("in/good1.png"), 8, 8, 1, 1);
    write_png(at("in/good2.png"), 8, 8, 1, 2);
    write_png(at("in/constant.png"), 8, 8, 1, -1);
    write_text(at("in/empty.png"), "");
    write_text(at("in/liar.png"), "this is not a PNG");
    uint8_t *bytes;
    size_t count;
    ck_assert_ok(file_read(context, at("in/good1.png"), 0, &bytes, &count));
    write_bytes(at("in/truncated.png"), bytes, count / 2);
    memcpy(bytes + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8); /* 2^31 x 2^31 pixels in a few bytes */
    write_bytes(at("in/huge.png"), bytes, count);
    memory_free(context, bytes);
    values[5] = NAN;
    write_nifti(at("in/nan.nii"), 16, (int[]){1, 8, 8}, (double[]){1, 1, 1}, values);
    values[5] = INFINITY;
    write_nifti(at("in/inf.nii"), 16, (int[]){1, 8, 8}, (double[]){1, 1, 1}, values);
}

static int found;
static int count_file(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)path, (void)about, (void)where;
    return found += kind == FTW_F, 0;
}
static int files_below(const char *path) {
    found = 0;
    nftw(path, count_file, 16, FTW_PHYS);
    return found;
}

/* Is a temporary file of the output there? */
static bool left_beside(void) {
    bool found = false;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) found |= strncmp(entry->d_name, ".cover-", 7) == 0;
    closedir(entries);
    return found;
}

START_TEST(what_a_killed_pack_has_left_is_removed_by_the_next) {
    write_png(at("in/a.png"), 6, 5, 1, 1);
    write_text(at(".cover-0123456789abcdef"), "half");
    write_text(at("out.h5.tmp-12"), "not ours");
    ck_assert(left_beside());
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert(!left_beside());
    ck_assert(file_exists(at("out.h5.tmp-12")));
}
END_TEST

/* A dataset at the output's name, and once more to compare with. */
static void pack_old(void) {
    write_png(at("old/a.png"), 6, 5, 1, 1);
    ck_assert_ok(pack(at("old"), at("out.h5"), NULL, NULL));
    ck_assert_ok(pack(at("old"), at("old.h5"), NULL, NULL));
}

START_TEST(what_is_no_dataset_is_not_replaced) {
    write_png(at("in/a.png"), 6, 5, 1, 1);
    write_text(at("notes.txt"), "precious");
    ck_assert_fails(pack(at("in"), at("notes.txt"), NULL, NULL), COVER_ERROR_ARGUMENT,
                    "notes.txt: is there already and no dataset");
    ck_assert_fails(pack(at("in"), at("in/a.png"), NULL, NULL), COVER_ERROR_ARGUMENT, "in/a.png: is there already");
    ck_assert_fails(pack(at("in"), "/dev/null", NULL, NULL), COVER_ERROR_ARGUMENT, "/dev/null: is a device");
    ck_assert(!file_exists(at("notes.txt.spool")));
    write_text(at("empty.h5"), "");
    ck_assert_ok(pack(at("in"), at("empty.h5"), NULL, NULL));
    ck_assert_ok(pack(at("in"), at("empty.h5"), NULL, NULL));
}
END_TEST

START_TEST(every_image_that_cannot_be_used_is_listed_and_nothing_is_written) {
    static const char *const reasons[] = {"in/constant.png: constant image: every pixel is 7",
                                          "in/empty.png: the file is empty",
                                          "in/liar.png: ",
                                          "in/truncated.png: ",
                                          "in/huge.png: ",
                                          "in/nan.nii: 1 of 64 values are NaN or infinite",
                                          "in/inf.nii: 1 of 64 values are NaN or infinite"};
    write_bad_and_good();
    pack_old();
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "7 of 9 images cannot be used; nothing was written");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        ck_assert_msg(strstr(cover_error_text(), reasons[i]) != NULL, "%s is not in: %s", reasons[i], cover_error_text());
        ck_assert_ptr_null(strstr(logged, reasons[i])); /* once is enough */
    }
    same_files(at("out.h5"), at("old.h5"));
    ck_assert(!file_exists(at("out.h5.spool")) && !left_beside());
}
END_TEST

/* Counts in *user; the reasons are those of the text. */
static void hear_of(void *user, const char *file, const char *reason) {
    ck_assert(strncmp(file, folder, strlen(folder)) == 0 && *reason);
    ++*(int *)user;
}

START_TEST(every_image_that_cannot_be_used_is_told_to_who_listens_whether_it_fails_or_not) {
    int heard = 0;
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.unusable = hear_of, options.unusable_user = &heard;
    write_bad_and_good();
    ck_assert_int_eq(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT);
    ck_assert_int_eq(heard, 7);
    options.skip_bad = 1;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    ck_assert_int_eq(heard, 14);
}
END_TEST

START_TEST(an_output_may_have_the_longest_name) {
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX), strcpy(name + NAME_MAX - 3, ".h5");
    write_png(at("in/a.png"), 6, 5, 1, 1);
    for (int less = 0; less < 8; less++) /* on both sides of what leaves room for .spool */
        ck_assert_ok(pack(at("in"), at("%s", name + less), NULL, NULL));
    ck_assert_int_eq(files_below(folder), 1 + 8); /* no spool is left */
}
END_TEST

START_TEST(skip_bad_leaves_them_out_and_lists_them) {
    write_bad_and_good();
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.skip_bad = 1;
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, &summary));
    ck_assert_int_eq(number(summary, "samples"), 2);
    const json_t *bad = json_object_get(summary, "bad");
    ck_assert_uint_eq(json_array_size(bad), 7);
    const char *first = json_string_value(json_object_get(json_array_get(bad, 0), "file"));
    ck_assert_str_eq(first, at("in/constant.png"));
    json_decref(summary);
    ck_assert_ptr_nonnull(strstr(logged, "in/constant.png: constant image: every pixel is 7"));
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(sample_of(dataset, 1).name, "good2.png");
    cover_dataset_destroy(dataset);
    unlink(at("in/good1.png"));
    unlink(at("in/good2.png"));
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT, "7 of 7 images cannot be used");
}
END_TEST

static int times_in(const char *text, const char *part) {
    int times = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) times++;
    return times;
}

START_TEST(each_bad_image_is_told_once_and_many_are_counted) {
    for (int i = 0; i < 50; i++) write_text(at("in/%02d.png", i), "no image");
    write_png(at("in/good.png"), 8, 8, 1, 1);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "and 30 more");
    ck_assert_int_eq(times_in(cover_error_text(), ".png: "), 20);
    ck_assert_str_eq(logged, "");
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.skip_bad = 1;
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, &summary));
    ck_assert_int_eq(times_in(logged, "left out: "), 21);
    ck_assert_ptr_nonnull(strstr(logged, "30 more images"));
    ck_assert_uint_eq(json_array_size(json_object_get(summary, "bad")), 50);
    json_decref(summary);
}
END_TEST

START_TEST(what_is_no_file_is_listed_and_stops_nothing) {
    write_png(at("in/a.png"), 8, 8, 1, 1);
    ck_assert_int_eq(mkfifo(at("in/pipe.png"), 0666), 0);
    ck_assert_int_eq(symlink("/nonexistent", at("in/broken.png")), 0);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "pipe.png: not a regular file");
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "broken.png: cannot be opened: No such file"));
}
END_TEST

START_TEST(names_of_any_bytes_give_valid_json) {
    write_png(at("in/a\"\\\n\x01.png"), 8, 8, 1, 1);
    write_png(at("in/b\xff\xc3(\xe2\x82.png"), 8, 8, 1, 2);
    write_png(at("in/c\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.png"), 8, 8, 1, -1);
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.skip_bad = 1;
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, &summary));
    const json_t *bad = json_array_get(json_object_get(summary, "bad"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(bad, "file")), at("in/c\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.png"));
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    ck_assert_str_eq(sample_of(dataset, 0).name, "a\"\\\n\x01.png");
    ck_assert_str_eq(sample_of(dataset, 1).name, "b\xff\xc3(\xe2\x82.png");
    cover_dataset_destroy(dataset);
}
END_TEST

START_TEST(images_of_other_dimensions_are_refused) {
    float volume[60];
    for (int k = 0; k < 60; k++) volume[k] = (float)k;
    write_png(at("in/a.png"), 8, 8, 1, 1);
    write_nifti(at("in/v.nii"), 16, (int[]){3, 4, 5}, (double[]){1, 1, 1}, volume);
    ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_SHAPE, "the images differ in dims");
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.dims = 2;
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT,
                    "v.nii: 3D image (3x4x5), but 2D was asked for");
    options.skip_bad = 1;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    options.skip_bad = 0, options.dims = 3;
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT, "a.png: 2D image");
    unlink(at("in/v.nii"));
    options.dims = 0, options.size[0] = 4;
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_FORMAT, "give H and W only");
}
END_TEST

START_TEST(labels_that_are_no_labels_are_refused) {
    float values[64];
    for (int k = 0; k < 64; k++) values[k] = (float)(k % 3);
    write_nifti(at("in/images/a.nii"), 16, (int[]){4, 4, 4}, (double[]){1, 1, 1}, values);
    write_nifti(at("in/labels/a.nii"), 16, (int[]){4, 4, 4}, (double[]){1, 1, 1}, values);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL)); /* whole numbers in floats are fine */
    values[7] = 300;
    write_nifti(at("in/labels/a.nii"), 16, (int[]){4, 4, 4}, (double[]){1, 1, 1}, values);
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, &summary));
    ck_assert_int_eq(number(summary, "classes"), 301);
    json_decref(summary);
    cover_dataset *dataset = open_dataset(at("out.h5"));
    cover_tensor *label;
    ck_assert_ok(cover_dataset_read_label(&label, dataset, 0));
    ck_assert_int_eq(cover_tensor_dtype(label), COVER_U16);
    ck_assert_int_eq(((uint16_t *)cover_tensor_data(label))[7], 300);
    cover_tensor_destroy(label);
    cover_dataset_destroy(dataset);
    for (int i = 0; i < 4; i++) {
        values[7] = (const float[]){1.5f, -1, 70000, NAN}[i];
        write_nifti(at("in/labels/a.nii"), 16, (int[]){4, 4, 4}, (double[]){1, 1, 1}, values);
        ck_assert_fails(pack(at("in"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT, "which is no whole number from 0 to 65535");
    }
    write_png(at("rgb/images/a.png"), 4, 4, 1, 1);
    write_png(at("rgb/labels/a.png"), 4, 4, 3, 1);
    ck_assert_fails(pack(at("rgb"), at("out.h5"), NULL, NULL), COVER_ERROR_FORMAT,
                    "labels/a.png: 3 channels, but a label map has one");
}
END_TEST

/* ---- promises about the output */

static void write_many(int count) {
    for (int i = 0; i < count; i++) {
        const int height = 20 + i % 5, width = 30 + i % 3;
        write_png(at("in/images/%03d.png", i), height, width, 1, i);
        if (i % 2) write_label(at("in/labels/%03d.png", i), height, width, 4);
    }
}

START_TEST(one_thread_and_several_write_the_same_file) {
    write_many(60);
    ck_assert_ok(pack(at("in"), at("several.h5"), NULL, NULL));
    cover_context_destroy(context);
    make_context(1);
    ck_assert_ok(pack(at("in"), at("one.h5"), NULL, NULL));
    same_files(at("several.h5"), at("one.h5"));
}
END_TEST

START_TEST(the_content_hash_is_that_of_the_samples_alone) {
    for (int i = 0; i < 3; i++) {
        write_png(at("in/%d.png", i), 6, 7, 1, i);
        write_png(at("elsewhere/deep/er%d.png", i), 6, 7, 1, i);
        write_png(at("other/%d.png", i), 6, 7, 1, i + (i == 2));
    }
    char hash[3][SHA256_TEXT];
    const char *const sources[] = {"in", "elsewhere", "other"};
    for (int s = 0; s < 3; s++) {
        json_t *summary;
        ck_assert_ok(pack(at("%s", sources[s]), at("out.h5"), NULL, &summary));
        strcpy(hash[s], json_string_value(json_object_get(summary, "hash")));
        cover_dataset *dataset = open_dataset(at("out.h5"));
        cover_dataset_info info = COVER_DATASET_INFO_INIT;
        ck_assert_ok(cover_dataset_get_info(&info, dataset));
        ck_assert_str_eq(info.hash, hash[s]);
        cover_dataset_destroy(dataset);
        json_decref(summary);
    }
    ck_assert_str_eq(hash[0], hash[1]);
    ck_assert_str_ne(hash[0], hash[2]);
    /* the definition may not change: runs are tied to datasets by it */
    ck_assert_str_eq(hash[0], KNOWN_HASH);
}
END_TEST

/* Kill the process when progress has been reported `left` times. */
static int killer(void *user, int64_t done, int64_t total, const char *what) {
    (void)done, (void)total, (void)what;
    int *left = user;
    if ((*left)-- <= 0) raise(SIGKILL);
    return 0;
}

/* Pack in a child; true when it finished, false when it was killed. */
static bool pack_in_a_child(cover_pack_options *options, unsigned microseconds) {
    cover_context_destroy(context); /* threads do not survive a fork */
    pid_t child = fork();
    if (child == 0) {
        make_context(3);
        _exit(pack(at("in"), at("out.h5"), options, NULL) == COVER_OK ? 0 : 3);
    }
    if (microseconds > 0) {
        usleep(microseconds);
        kill(child, SIGKILL);
    }
    int result;
    ck_assert_int_eq(waitpid(child, &result, 0), child);
    make_context(3);
    ck_assert_msg(WIFSIGNALED(result) || WEXITSTATUS(result) == 0, "the child failed");
    return !WIFSIGNALED(result);
}

START_TEST(killed_at_any_step_and_resumed_it_writes_the_same_file) {
    write_many(24);
    ck_assert_ok(pack(at("in"), at("unbroken.h5"), NULL, NULL));
    for (int steps = 0; steps < 48; steps += 3) {
        int left = steps;
        cover_pack_options options = COVER_PACK_OPTIONS_INIT;
        options.progress = killer, options.user = &left;
        const bool finished = pack_in_a_child(&options, 0);
        ck_assert(finished || !file_exists(at("out.h5")));
        options = (cover_pack_options)COVER_PACK_OPTIONS_INIT;
        options.resume = 1;
        json_t *summary;
        ck_assert_ok(pack(at("in"), at("out.h5"), &options, &summary));
        if (!finished) ck_assert_int_ge(number(summary, "resumed"), steps < 24 ? steps : 24);
        json_decref(summary);
        same_files(at("out.h5"), at("unbroken.h5"));
        ck_assert(!file_exists(at("out.h5.spool")) && !left_beside());
        unlink(at("out.h5"));
    }
}
END_TEST

START_TEST(killed_at_random_times_again_and_again_it_writes_the_same_file) {
    write_many(60);
    ck_assert_ok(pack(at("in"), at("unbroken.h5"), NULL, NULL));
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.resume = 1;
    unsigned state = (unsigned)time(NULL), first = state;
    for (int round = 0; round < 3; round++) {
        int kills = 0;
        unlink(at("out.h5"));
        do {
            state = state * 1664525 + 1013904223;
            kills++;
        } while (kills < 60 && !pack_in_a_child(&options, 500 + (state >> 16) % 12000));
        if (kills == 60) ck_assert(pack_in_a_child(&options, 0));
        ck_assert_msg(file_exists(at("out.h5")), "seed %u", first);
        same_files(at("out.h5"), at("unbroken.h5"));
    }
}
END_TEST

START_TEST(a_torn_or_damaged_spool_is_used_as_far_as_it_is_whole) {
    write_many(12);
    ck_assert_ok(pack(at("in"), at("unbroken.h5"), NULL, NULL));
    int left = 8;
    cover_pack_options options = COVER_PACK_OPTIONS_INIT, resume = COVER_PACK_OPTIONS_INIT;
    options.progress = killer, options.user = &left;
    resume.resume = 1;
    ck_assert(!pack_in_a_child(&options, 0));
    uint8_t *spool;
    size_t count;
    ck_assert_ok(file_read(context, at("out.h5.spool"), 0, &spool, &count));
    for (size_t keep = 0; keep < count; keep += count / 40 + 1) {
        write_bytes(at("out.h5.spool"), spool, keep);
        ck_assert_ok(pack(at("in"), at("out.h5"), &resume, NULL));
        same_files(at("out.h5"), at("unbroken.h5"));
    }
    for (size_t byte = 48; byte < count; byte += count / 40 + 1) { /* behind magic and plan */
        spool[byte] ^= 1;
        write_bytes(at("out.h5.spool"), spool, count);
        ck_assert_ok(pack(at("in"), at("out.h5"), &resume, NULL));
        same_files(at("out.h5"), at("unbroken.h5"));
        spool[byte] ^= 1;
    }
    write_text(at("out.h5.spool"), "something that is quite another thing, and long enough to look at");
    ck_assert_fails(pack(at("in"), at("out.h5"), &resume, NULL), COVER_ERROR_FORMAT, "not the spool of an interrupted pack");
    memory_free(context, spool);
}
END_TEST

START_TEST(resume_wants_the_same_sources_and_options) {
    write_many(8);
    int left = 5;
    cover_pack_options options = COVER_PACK_OPTIONS_INIT, resume = COVER_PACK_OPTIONS_INIT;
    options.progress = killer, options.user = &left;
    resume.resume = 1;
    ck_assert(!pack_in_a_child(&options, 0));
    resume.size[1] = 16;
    ck_assert_fails(pack(at("in"), at("out.h5"), &resume, NULL), COVER_ERROR_MISMATCH, "not those of the interrupted pack");
    resume.size[1] = 0;
    write_png(at("in/images/000.png"), 22, 30, 1, 77);
    ck_assert_fails(pack(at("in"), at("out.h5"), &resume, NULL), COVER_ERROR_MISMATCH, "without resume to start anew");
    resume.resume = 0;
    ck_assert_ok(pack(at("in"), at("out.h5"), &resume, NULL));
}
END_TEST

struct canceller {
    int left;
    int64_t last, total;
};
static int cancel(void *user, int64_t done, int64_t total, const char *what) {
    struct canceller *canceller = user;
    if (strcmp(what, "packing") == 0) {
        ck_assert_int_eq(done, canceller->last + 1); /* every image once, in step */
        canceller->last = done, canceller->total = total;
    }
    return --canceller->left < 0;
}

START_TEST(cancelling_keeps_the_work_and_resume_goes_on) {
    write_many(20);
    struct canceller canceller = {.left = 6};
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.progress = cancel, options.user = &canceller;
    ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_CANCELLED, "resume goes on from there");
    ck_assert_int_eq(canceller.total, 20);
    ck_assert(!file_exists(at("out.h5")) && file_exists(at("out.h5.spool")));
    options.resume = 1;
    options.progress = NULL;
    json_t *summary;
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, &summary));
    ck_assert_int_ge(number(summary, "resumed"), 7);
    json_decref(summary);
    cover_context_cancel(context);
    options.resume = 0;
    ck_assert_int_eq(pack(at("in"), at("again.h5"), &options, NULL), COVER_ERROR_CANCELLED);
    cover_context_resume(context);
    options.resume = 1;
    ck_assert_ok(pack(at("in"), at("again.h5"), &options, NULL));
    same_files(at("out.h5"), at("again.h5"));
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_file_and_can_be_resumed) {
    write_many(20);
    pack_old();
    ck_assert_ok(pack(at("in"), at("unbroken.h5"), NULL, NULL));
    struct stat about;
    stat(at("unbroken.h5"), &about);
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    options.resume = 1;
    for (off_t room = 0; room < about.st_size; room += about.st_size / 12) {
        limit.rlim_cur = (rlim_t)room;
        setrlimit(RLIMIT_FSIZE, &limit);
        ck_assert_fails(pack(at("in"), at("out.h5"), &options, NULL), COVER_ERROR_IO, "File too large");
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_FSIZE, &limit);
        same_files(at("out.h5"), at("old.h5"));
        ck_assert(!left_beside());
    }
    ck_assert_ok(pack(at("in"), at("out.h5"), &options, NULL));
    same_files(at("out.h5"), at("unbroken.h5"));
}
END_TEST

START_TEST(an_allocator_that_refuses_once_is_an_error_and_nothing_leaks) {
    write_many(4);
    write_text(at("split.csv"), "file,patient\n000.png,a\n001.png,b\n002.png,a\n003.png,c\n");
    pack_with_refusals(at("in"), at("split.csv"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pack");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 180);
    ADD(all, eight_and_sixteen_bits_stay_and_all_else_is_float32);
    ADD(all, resampling_is_the_stated_formula_along_each_axis);
    ADD(all, resampling_keeps_the_extent_in_the_world);
    ADD(all, labels_take_the_nearest_value);
    ADD(all, size_and_spacing_resample_image_and_label_together);
    ADD(all, window_and_percentiles_clip_each_image);
    ADD(all, channels_become_grey_or_rgb_when_asked);
    ADD(all, options_out_of_range_are_refused_before_work_starts);
    ADD(all, what_a_killed_pack_has_left_is_removed_by_the_next);
    ADD(all, what_is_no_dataset_is_not_replaced);
    ADD(all, every_image_that_cannot_be_used_is_listed_and_nothing_is_written);
    ADD(all, every_image_that_cannot_be_used_is_told_to_who_listens_whether_it_fails_or_not);
    ADD(all, an_output_may_have_the_longest_name);
    ADD(all, skip_bad_leaves_them_out_and_lists_them);
    ADD(all, each_bad_image_is_told_once_and_many_are_counted);
    ADD(all, what_is_no_file_is_listed_and_stops_nothing);
    ADD(all, names_of_any_bytes_give_valid_json);
    ADD(all, images_of_other_dimensions_are_refused);
    ADD(all, labels_that_are_no_labels_are_refused);
    ADD(all, one_thread_and_several_write_the_same_file);
    ADD(all, the_content_hash_is_that_of_the_samples_alone);
    ADD(all, killed_at_any_step_and_resumed_it_writes_the_same_file);
    ADD(all, killed_at_random_times_again_and_again_it_writes_the_same_file);
    ADD(all, a_torn_or_damaged_spool_is_used_as_far_as_it_is_whole);
    ADD(all, resume_wants_the_same_sources_and_options);
    ADD(all, cancelling_keeps_the_work_and_resume_goes_on);
    ADD(all, a_full_disk_leaves_the_old_file_and_can_be_resumed);
    ADD(all, an_allocator_that_refuses_once_is_an_error_and_nothing_leaks);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
