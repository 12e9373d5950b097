/* Networks out of files, and image files through them: backbone and head of a run folder, cover_images_match(). */
#include "../../fixture.h"
#include "core/base/files.h"
#include "core/base/memory.h"
#include "io/image/image.h"

#include <libcover/cover.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(a_backbone_of_a_run_has_its_settings) {
    cover_backbone *backbone;
    ck_assert_ok(cover_backbone_load(&backbone, context, DATA "/run", NULL));
    const cover_config *config = cover_backbone_config(backbone);
    ck_assert_ptr_nonnull(config);
    ck_assert_str_eq(cover_config_get(config, "dims"), "2");
    ck_assert_ptr_null(cover_config_get(config, "nosuch"));
    cover_backbone_destroy(backbone);
}
END_TEST

START_TEST(a_head_of_a_run_gives_each_parameter_by_its_name) {
    cover_head *head;
    ck_assert_ok(cover_head_load(&head, context, DATA "/run", NULL));
    int count = 0;
    for (const char *name; (name = cover_head_parameter_at(head, count)); count++) {
        cover_tensor *value, *again;
        ck_assert_ok(cover_head_get(&value, head, name));
        ck_assert_int_eq(cover_tensor_dtype(value), COVER_F32);
        ck_assert_ok(cover_head_set(head, name, value)); /* what was taken out may be put back */
        ck_assert_ok(cover_head_get(&again, head, name));
        ck_assert_float_eq(*(const float *)cover_tensor_data_const(value), *(const float *)cover_tensor_data_const(again));
        cover_tensor_destroy(value);
        cover_tensor_destroy(again);
    }
    ck_assert_int_gt(count, 0);
    ck_assert_ptr_null(cover_head_parameter_at(head, -1));
    cover_tensor *value = NULL;
    ck_assert_int_eq(cover_head_get(&value, head, "nosuch"), COVER_ERROR_ARGUMENT);
    ck_assert_ptr_null(value);
    cover_head_destroy(head);
    ck_assert_int_eq(cover_head_load(&head, context, DATA "/nosuch", NULL), COVER_ERROR_IO);
}
END_TEST

START_TEST(two_image_files_are_matched_into_a_field_file) {
    char field[] = "/tmp/cover-match-XXXXXX.nii";
    int file = mkstemps(field, 4);
    ck_assert_int_ge(file, 0);
    close(file);
    char *summary = NULL;
    ck_assert_ok(cover_images_match(&summary, context, DATA "/run", DATA "/moving.png", DATA "/fixed.png", field, NULL));
    ck_assert_ptr_nonnull(strstr(summary, "\"mean_mm\""));
    cover_text_release(context, summary);
    FILE *written = fopen(field, "rb");
    int32_t header_bytes = 0;
    ck_assert_ptr_nonnull(written);
    ck_assert_uint_eq(fread(&header_bytes, sizeof header_bytes, 1, written), 1);
    fclose(written);
    ck_assert_int_eq(header_bytes, 348); /* NIfTI-1 */
    ck_assert_int_eq(cover_images_match(NULL, context, DATA "/run", DATA "/nosuch.png", DATA "/fixed.png", field, NULL),
                     COVER_ERROR_IO);
    unlink(field);
}
END_TEST

/* A 64x64 image as NIfTI whose axes are those of the affine. */
static const char *write_frame(const char *name, const double affine[12], int shift) {
    static char paths[4][64];
    static int next;
    char *path = paths[next++ % 4];
    static float values[64 * 64];
    struct image image = {.dims = 2, .volume = true, .size = {1, 64, 64}};
    memcpy(image.affine, affine, sizeof image.affine);
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) values[64 * y + x] = (float)((x + shift) / 9 % 3 * 40 + y / 7 % 4 * 25);
    snprintf(path, 64, "/tmp/cover-frame-%d-%s.nii", (int)getpid(), name);
    ck_assert_ok(nifti_write(context, path, values, &image));
    return path;
}

START_TEST(images_that_are_grey_as_rgb_are_matched_as_grey) {
    char field[64], grey[64], rgb[64];
    uint8_t pixels[64 * 64 * 3], *bytes;
    size_t count;
    snprintf(field, sizeof field, "/tmp/cover-field-%d.nii", (int)getpid());
    snprintf(grey, sizeof grey, "/tmp/cover-grey-%d.png", (int)getpid());
    snprintf(rgb, sizeof rgb, "/tmp/cover-rgb-%d.png", (int)getpid());
    for (int i = 0; i < 64 * 64; i++) pixels[i] = (uint8_t)(i / 64 / 9 * 40 + i % 64 / 11 * 30);
    ck_assert_ok(png_encode(context, &bytes, &count, pixels, 64, 64, 1));
    ck_assert_ok(file_replace(context, grey, bytes, count));
    memory_free(context, bytes);
    for (int spread = 0; spread < 2; spread++) {
        for (int i = 0; i < 3 * 64 * 64; i++)
            pixels[i] = (uint8_t)(i / 3 / 64 / 9 * 40 + i / 3 % 64 / 11 * 30 + (spread && i % 3 == 1));
        ck_assert_ok(png_encode(context, &bytes, &count, pixels, 64, 64, 3));
        ck_assert_ok(file_replace(context, rgb, bytes, count));
        memory_free(context, bytes);
        ck_assert_int_eq(cover_images_match(NULL, context, DATA "/run", rgb, grey, field, NULL),
                         spread ? COVER_ERROR_SHAPE : COVER_OK);
    }
    cover_match_options options = COVER_MATCH_OPTIONS_INIT;
    options.channels = 1; /* colours that differ */
    ck_assert_ok(cover_images_match_with(NULL, context, DATA "/run", rgb, grey, field, &options));
    options.channels = 3;
    ck_assert_fails(cover_images_match_with(NULL, context, DATA "/run", rgb, grey, field, &options), COVER_ERROR_ARGUMENT,
                    "channels makes images of 3 channels, but the network takes 1");
    unlink(field), unlink(grey), unlink(rgb);
}
END_TEST

START_TEST(field_and_warped_image_are_two_files_by_any_name) {
    char folder[] = "/tmp/cover-two-XXXXXX", field[64], other[64], link[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(field, sizeof field, "%s/field.nii", folder), snprintf(link, sizeof link, "%s/link.nii", folder);
    snprintf(other, sizeof other, "%s/../%s/field.nii", folder, path_name(folder));
    ck_assert_int_eq(symlink("field.nii", link), 0);
    const char *const same[] = {field, other, link};
    for (int written = 0; written < 2; written++) { /* before there is a file, and after */
        for (int i = 0; i < 3; i++)
            ck_assert_fails(cover_images_match(NULL, context, DATA "/run", DATA "/moving.png", DATA "/fixed.png", field, same[i]),
                            COVER_ERROR_ARGUMENT, "two results would be written there");
        ck_assert_int_eq(file_exists(field), written);
        ck_assert_ok(cover_images_match(NULL, context, DATA "/run", DATA "/moving.png", DATA "/fixed.png", field, NULL));
    }
    unlink(field), unlink(link), rmdir(folder);
}
END_TEST

START_TEST(a_match_keeps_to_the_memory_limit) {
    cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *own;
    char field[64];
    uint64_t most = 0;
    snprintf(field, sizeof field, "/tmp/cover-field-%d.nii", (int)getpid());
    for (int part = 0; part < 3; part++) { /* without a limit, with enough, with too little */
        options.threads = 2, options.memory_limit_bytes = part == 0 ? 0 : part == 1 ? 2 * most : most / 2;
        ck_assert_ok(cover_context_create(&own, &options));
        cover_status status = cover_images_match(NULL, own, DATA "/run", DATA "/moving.png", DATA "/fixed.png", field, NULL);
        ck_assert_int_eq(status, part < 2 ? COVER_OK : COVER_ERROR_MEMORY);
        if (part == 0) most = memory_most(own);
        cover_context_destroy(own);
    }
    unlink(field);
}
END_TEST

/* What the field says of a pixel of FIXED is where its --warped has taken the value from, whatever the frames are. */
START_TEST(a_field_between_frames_says_where_the_warped_image_comes_from) {
    static const double here[12] = {1, 0, 0, -30, 0, 1, 0, -20, 0, 0, 1, 5};
    static const double frames[][12] = {{1, 0, 0, -30, 0, 1, 0, -20, 0, 0, 1, 5},
                                        {1, 0, 0, -10, 0, 1, 0, -50, 0, 0, 1, 9},
                                        {0, 2, 0, 8, -0.5, 0, 0, 3, 0, 0, 1, 5}};
    char field[64], warped[64];
    snprintf(field, sizeof field, "/tmp/cover-field-%d.nii", (int)getpid());
    snprintf(warped, sizeof warped, "/tmp/cover-warped-%d.nii.gz", (int)getpid());
    struct image first = {0}, whole = {0}, values = {0};
    const char *fixed = write_frame("fixed", here, 0);
    for (int f = 0; f < 3; f++) {
        const double *to = frames[f];
        const char *moving = write_frame("moving", to, 2);
        ck_assert_ok(cover_images_match(NULL, context, DATA "/run", moving, fixed, field, warped));
        ck_assert_ok(image_read(f ? &whole : &first, context, field, 0));
        ck_assert_ok(image_read(&values, context, warped, 0));
        ck_assert_int_eq(first.channels, 3);
        ck_assert(values.volume && values.affine[3] == -30); /* on FIXED's grid */
        if (f) { /* the network sees voxels, so it is the same displacement of them, and each point of it is another one of the world */
            const float *a = first.data, *b = whole.data;
            for (int p = 0; p < 64 * 64; p++) {
                const double x = p % 64, y = p / 64 % 64, u[2] = {x - (double)a[3 * p], y - (double)a[3 * p + 1]};
                for (int row = 0; row < 3; row++) {
                    const double sign = row < 2 ? -1 : 1;
                    const double from = here[4 * row] * x + here[4 * row + 1] * y + here[4 * row + 3];
                    const double place = to[4 * row] * u[0] + to[4 * row + 1] * u[1] + to[4 * row + 3];
                    ck_assert_double_eq_tol((double)b[3 * p + row], sign * (place - from), 1e-3);
                }
            }
            image_free(&whole, context);
        }
        image_free(&values, context);
        unlink(moving);
    }
    image_free(&first, context);
    unlink(fixed), unlink(field), unlink(warped);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("network files");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    ADD(tcase, a_backbone_of_a_run_has_its_settings);
    ADD(tcase, a_head_of_a_run_gives_each_parameter_by_its_name);
    ADD(tcase, two_image_files_are_matched_into_a_field_file);
    ADD(tcase, images_that_are_grey_as_rgb_are_matched_as_grey);
    ADD(tcase, field_and_warped_image_are_two_files_by_any_name);
    ADD(tcase, a_match_keeps_to_the_memory_limit);
    ADD(tcase, a_field_between_frames_says_where_the_warped_image_comes_from);
    return run_suite(suite);
}
