/* Label maps out: PNG, TIFF and NIfTI read back as they were written, a NIfTI label lies where its image lies, and what a format
 * cannot hold is refused. */
#include "io_test.h"

#include "io/bytes/source.h"
#include "io/image/nifti_header.h"

#include <zlib.h>

static struct image label_map(cover_dtype dtype, int64_t depth, int64_t height, int64_t width) {
    struct image label = {.dtype = dtype, .dims = depth > 1 ? 3 : 2, .channels = 1, .size = {depth, height, width}};
    int64_t count = depth * height * width;
    label.data = memory_alloc(context, (size_t)count * cover_dtype_bytes(dtype));
    for (int64_t i = 0; i < count; i++) {
        if (dtype == COVER_U8) ((uint8_t *)label.data)[i] = (uint8_t)(i * 7);
        else ((uint16_t *)label.data)[i] = (uint16_t)(i * 777);
    }
    return label;
}

static void check_read_back(const char *name, const struct image *label) {
    struct image read;
    ck_assert_ok(image_read(&read, context, in_folder(name), 0));
    ck_assert_shape(&read, label->dtype, label->dims, 1, label->size[0], label->size[1], label->size[2]);
    ck_assert_mem_eq(read.data, label->data,
                     (size_t)(label->size[0] * label->size[1] * label->size[2]) * cover_dtype_bytes(label->dtype));
    for (int a = 0; a < 3 && label->spacing_mm[1] > 0; a++) ck_assert_double_eq_tol(read.spacing_mm[a], label->spacing_mm[a], 1e-5);
    image_free(&read, context);
}

START_TEST(a_label_comes_back_from_every_format) {
    static const struct {
        const char *name;
        int64_t size[3];
        bool spacing;
    } cases[] = {{"a.png", {1, 5, 7}},       {"a.tif", {1, 5, 7}, true}, {"b.tiff", {4, 3, 300}},  {"c.tif", {1, 200, 300}},
                 {"a.nii", {3, 4, 5}, true}, {"a.nii.gz", {3, 4, 5}},    {"b.nii.gz", {1, 31, 33}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int wide = 0; wide < 2; wide++) {
            const int64_t *size = cases[i].size;
            struct image label = label_map(wide ? COVER_U16 : COVER_U8, size[0], size[1], size[2]);
            if (cases[i].spacing) label.spacing_mm[0] = size[0] > 1 ? 2 : 0, label.spacing_mm[1] = 0.5, label.spacing_mm[2] = 0.25;
            if (cases[i].spacing && size[0] > 1) label.affine[2] = -2, label.affine[5] = 0.5, label.affine[8] = 0.25;
            ck_assert_ok(label_write(context, in_folder(cases[i].name), &label, NULL));
            check_read_back(cases[i].name, &label);
            image_free(&label, context);
        }
}
END_TEST

/* An image of 3 x 4 x 5 voxels (z, y, x) whose qform and sform are both coded, oblique, and say different things. */
static void image_header(struct nifti_header *header, int rank) {
    static const double sform[12] = {0, -0.75, 0.1, 10, 0.5, 0, 0, 20, 0, 0.2, -2, 30};
    static const double dim[8] = {0, 5, 4, 3, 1, 1, 1, 1}, pixdim[4] = {-1, 0.5, 0.75, 2};
    *header = (struct nifti_header){.version = 1};
    memcpy(header->bytes, &(int32_t){348}, 4);
    memcpy(header->bytes + 344, "n+1", 4);
    for (int i = 0; i < 8; i++) nifti_put(header, NIFTI_DIM, i, i ? dim[i] : rank);
    for (int i = 0; i < 4; i++) nifti_put(header, NIFTI_PIXDIM, i, pixdim[i]);
    for (int i = 0; i < 12; i++) nifti_put(header, NIFTI_SROW, i, sform[i]);
    for (int i = 0; i < 3; i++) {
        nifti_put(header, NIFTI_QUATERN, i, 0.1 * (i + 1));
        nifti_put(header, NIFTI_QOFFSET, i, -5 * i);
    }
    nifti_put(header, NIFTI_QFORM_CODE, 0, 1);
    nifti_put(header, NIFTI_SFORM_CODE, 0, 2);
    nifti_put(header, NIFTI_UNITS, 0, 10);
    nifti_put(header, NIFTI_DATATYPE, 0, 4);
    nifti_put(header, NIFTI_BITPIX, 0, 16);
    nifti_put(header, NIFTI_OFFSET, 0, 352);
}

START_TEST(a_nifti_label_lies_where_its_image_lies) {
    for (int packed = 0; packed < 2; packed++) {
        struct nifti_header header;
        struct image image, label;
        char like[256], path[256];
        uint8_t file[352 + 120] = {0}, written[352];
        image_header(&header, 4);
        memcpy(file, header.bytes, 348);
        snprintf(like, sizeof like, "%s", in_folder(packed ? "image.nii.gz" : "image.nii"));
        snprintf(path, sizeof path, "%s", in_folder("label.nii"));
        gzFile stream = gzopen(like, packed ? "wb" : "wbT");
        ck_assert_int_eq(gzwrite(stream, file, sizeof file), sizeof file);
        ck_assert_int_eq(gzclose(stream), Z_OK);
        ck_assert_ok(image_read(&image, context, like, 0));
        label = label_map(COVER_U8, 3, 4, 5);
        memcpy(label.affine, image.affine, sizeof label.affine);
        ck_assert_ok(label_write(context, path, &label, like));
        struct source source;
        ck_assert_ok(source_open(&source, path));
        ck_assert_ok(source_read(&source, 0, written, sizeof written));
        ck_assert_uint_eq(source.bytes, 352 + 60);
        source_close(&source);
        ck_assert_mem_eq(written + 76, file + 76, 16);          /* pixdim 0..3 */
        ck_assert_int_eq(written[123], 10);                     /* units */
        ck_assert_mem_eq(written + 252, file + 252, 328 - 252); /* qform, sform: codes and numbers */
        ck_assert_int_eq(written[40], 3);                       /* the image's rank without its fourth axis */
        ck_assert_int_eq(written[70], 2);
        struct image read;
        ck_assert_ok(image_read(&read, context, path, 0));
        ck_assert_mem_eq(read.affine, image.affine, sizeof read.affine);
        ck_assert_mem_eq(read.spacing_mm, image.spacing_mm, sizeof read.spacing_mm);
        image_free(&read, context);
        image_free(&label, context);
        image_free(&image, context);
    }
}
END_TEST

START_TEST(what_a_format_cannot_hold_is_refused) {
    struct image volume = label_map(COVER_U8, 2, 3, 4), odd = {.dtype = COVER_F32, .channels = 1, .size = {1, 1, 1}};
    static const char *const names[] = {"a.jpg", "a.txt", "a"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(label_write(context, in_folder(names[i]), &volume, NULL), COVER_ERROR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(cover_error_text(), ".nii"));
    }
    ck_assert_int_eq(label_write(context, in_folder("a.png"), &volume, NULL), COVER_ERROR_SHAPE);
    ck_assert_int_eq(label_write(context, in_folder("a.png"), &odd, NULL), COVER_ERROR_INTERNAL);
    ck_assert_int_eq(label_write(context, in_folder("no/such/a.png"), &volume, NULL), COVER_ERROR_SHAPE);
    ck_assert_int_eq(label_write(context, in_folder("no/such/a.tif"), &volume, NULL), COVER_ERROR_IO);
    ck_assert_int_eq(label_write(context, in_folder("no/such/a.nii"), &volume, NULL), COVER_ERROR_IO);
    image_free(&volume, context);
}
END_TEST

START_TEST(refused_memory_leaves_the_old_label) {
    static const char *const names[] = {"a.png", "a.tif", "a.nii.gz"};
    for (int i = 0; i < 3; i++) {
        struct image label = label_map(COVER_U8, 1, 40, 50);
        ck_assert_ok(label_write(context, in_folder(names[i]), &label, NULL));
        struct image other = label_map(COVER_U16, 1, 40, 50);
        cover_status status = COVER_ERROR_MEMORY;
        for (long n = 1; status != COVER_OK && n < 200; n++) {
            watched.calls = 0, watched.fail_at = n;
            status = label_write(context, in_folder(names[i]), &other, NULL);
            watched.fail_at = 0;
            check_read_back(names[i], status == COVER_OK ? &other : &label);
        }
        ck_assert_ok(status);
        image_free(&label, context);
        image_free(&other, context);
    }
}
END_TEST

START_TEST(extensions_are_found_as_formats_have_them) {
    ck_assert_str_eq(image_extension("a/b.x.nii.gz"), ".nii.gz");
    ck_assert_str_eq(image_extension("b.NII"), ".NII");
    ck_assert_str_eq(image_extension("b.jpeg"), ".jpeg");
    ck_assert_str_eq(image_extension("a.png/b"), "");
    ck_assert_str_eq(image_extension(".png"), "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("label write");
    TCase *tcase = tcase_create("label write");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, a_label_comes_back_from_every_format);
    ADD(tcase, a_nifti_label_lies_where_its_image_lies);
    ADD(tcase, what_a_format_cannot_hold_is_refused);
    ADD(tcase, refused_memory_leaves_the_old_label);
    ADD(tcase, extensions_are_found_as_formats_have_them);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
