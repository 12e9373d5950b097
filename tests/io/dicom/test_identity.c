/* Names of volumes (P2): the same in whatever order files come and whatever they are called, patients together, and the link. */
#include "../../fixture.h"

#include "core/base/files.h"
#include "io/dicom/identity.h"

#include <dirent.h>
#include <libcover/dicom.h>
#include <sys/stat.h>

/* Series of the cases, in the order given. */
static cover_dicom *set_of(const char *const *series, int count) {
    cover_dicom *set;
    int volumes;
    char path[1024];
    ck_assert_ok(cover_dicom_create(&set, context, NULL));
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/series/%s", CASES, series[i]);
        ck_assert_ok(cover_dicom_add_path(set, path));
    }
    ck_assert_ok(cover_dicom_volumes(set, &volumes));
    return set;
}

static const struct dicom_identity *find(const cover_dicom *set, const struct dicom_identity *identities, const char *uid) {
    for (int i = 0; i < set->volume_count; i++)
        if (strcmp(set->volumes[i].slices[0]->object->series_uid, uid) == 0) return &identities[i];
    return NULL;
}

START_TEST(names_depend_neither_on_the_order_nor_on_the_names_of_files_P2) {
    static const char *const forth[] = {"ct", "mr_signed12", "cr_monochrome1", "ct_rle", "enhanced_ct"};
    static const char *const back[] = {"enhanced_ct", "ct_rle", "cr_monochrome1", "mr_signed12", "ct"};
    cover_dicom *one = set_of(forth, 5), *other = set_of(back, 5);
    struct dicom_identity *a, *b;
    ck_assert_ok(dicom_identities(&a, one));
    ck_assert_ok(dicom_identities(&b, other));
    ck_assert_int_eq(one->volume_count, other->volume_count);
    ck_assert_int_ge(one->volume_count, 5);
    for (int i = 0; i < one->volume_count; i++) {
        const struct dicom_identity *same = find(other, b, one->volumes[i].slices[0]->object->series_uid);
        ck_assert_ptr_nonnull(same);
        ck_assert_str_eq(a[i].name, same->name);
        ck_assert_int_eq(a[i].name[0], 'P');
        ck_assert_int_eq(a[i].name[5], '/');
        for (int k = 0; k < i; k++) ck_assert_str_ne(a[i].name, a[k].name);
    }
    memory_free(context, a);
    memory_free(context, b);
    cover_dicom_destroy(one);
    cover_dicom_destroy(other);
}
END_TEST

START_TEST(volumes_of_one_patient_have_one_number_P2) {
    static const char *const series[] = {"ct", "ct_two_phases", "mr_signed12"};
    cover_dicom *set = set_of(series, 3);
    struct dicom_identity *identities;
    ck_assert_ok(dicom_identities(&identities, set));
    for (int i = 0; i < set->volume_count; i++)
        for (int k = 0; k < i; k++) {
            uint8_t one[SHA256_BYTES], other[SHA256_BYTES];
            dicom_patient(set->volumes[i].slices[0]->object, one);
            dicom_patient(set->volumes[k].slices[0]->object, other);
            ck_assert_int_eq(memcmp(one, other, sizeof one) == 0, identities[i].patient == identities[k].patient);
        }
    memory_free(context, identities);
    cover_dicom_destroy(set);
}
END_TEST

START_TEST(the_link_says_who_is_who_to_its_owner_alone) {
    static const char *const series[] = {"ct", "mr_signed12"};
    cover_dicom *set = set_of(series, 2);
    struct dicom_identity *identities;
    char path[512];
    uint8_t *data;
    size_t bytes;
    struct stat about;
    snprintf(path, sizeof path, "%s/link.csv", folder);
    ck_assert_ok(file_replace(context, path, "old", 3)); /* for all to read, until now */
    ck_assert_ok(dicom_identities(&identities, set));
    ck_assert_ok(dicom_link_write(set, identities, path));
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_ok(file_read(context, path, 0, &data, &bytes));
    ck_assert_int_eq(strncmp((char *)data, "name,patient_id,issuer,study,series\nP00", 38), 0);
    for (int i = 0; i < set->volume_count; i++) {
        ck_assert_ptr_nonnull(strstr((char *)data, identities[i].name));
        ck_assert_ptr_nonnull(strstr((char *)data, set->volumes[i].slices[0]->object->series_uid));
    }
    memory_free(context, data);
    memory_free(context, identities);
    cover_dicom_destroy(set);
}
END_TEST

START_TEST(an_empty_set_has_no_names) {
    cover_dicom *set;
    struct dicom_identity *identities;
    int count;
    ck_assert_ok(cover_dicom_create(&set, context, NULL));
    ck_assert_ok(cover_dicom_volumes(set, &count));
    ck_assert_ok(dicom_identities(&identities, set));
    memory_free(context, identities);
    cover_dicom_destroy(set);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("identity");
    TCase *tcase = tcase_create("identity");
    tcase_add_checked_fixture(tcase, with_folder, without_folder);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, names_depend_neither_on_the_order_nor_on_the_names_of_files_P2);
    ADD(tcase, volumes_of_one_patient_have_one_number_P2);
    ADD(tcase, the_link_says_who_is_who_to_its_owner_alone);
    ADD(tcase, an_empty_set_has_no_names);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
