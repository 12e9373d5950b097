/* Networks out of files, and image files through them: backbone and head of a run folder, cover_images_match(). */
#include "../../fixture.h"

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

int main(void) {
    Suite *suite = suite_create("network files");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, with_context, without_context);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    ADD(tcase, a_backbone_of_a_run_has_its_settings);
    ADD(tcase, a_head_of_a_run_gives_each_parameter_by_its_name);
    ADD(tcase, two_image_files_are_matched_into_a_field_file);
    return run_suite(suite);
}
