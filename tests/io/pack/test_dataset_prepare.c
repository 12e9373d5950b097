/* Folders where a packed file is expected: packed once, taken again while nothing changed, packed anew when it did. */
#include "../files.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Was it packed, or taken as it was? */
static bool packs(const char *path, const cover_pack_options *options, int64_t samples) {
    cover_dataset *dataset = NULL;
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    logged[0] = 0;
    ck_assert_ok(cover_dataset_prepare(&dataset, context, path, at("cache"), options));
    ck_assert_ok(cover_dataset_get_info(&info, dataset));
    ck_assert_int_eq(info.samples, samples);
    cover_dataset_destroy(dataset);
    return strstr(logged, "packing it into") != NULL;
}

START_TEST(a_folder_is_packed_once_and_again_when_it_changes) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    for (int i = 0; i < 3; i++) write_png(at("in/%d.png", i), 6, 6, 1, i);
    ck_assert(packs(at("in"), NULL, 3));
    ck_assert(!packs(at("in"), NULL, 3));
    write_png(at("in/3.png"), 6, 6, 1, 3);
    ck_assert(packs(at("in"), NULL, 4));
    options.size[1] = options.size[2] = 5;
    ck_assert(packs(at("in"), &options, 4));
    ck_assert(!packs(at("in"), &options, 4));
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, at("in/1.png"), times, 0), 0);
    ck_assert(packs(at("in"), &options, 4));
}
END_TEST

START_TEST(a_packed_file_is_opened_as_it_is) {
    write_png(at("in/a.png"), 6, 6, 1, 1);
    ck_assert_ok(pack(at("in"), at("out.h5"), NULL, NULL));
    ck_assert(!packs(at("out.h5"), NULL, 1));
    ck_assert(!folder_exists(at("cache")));
    cover_dataset *dataset = NULL;
    ck_assert_int_eq(cover_dataset_prepare(&dataset, context, at("none.h5"), at("cache"), NULL), COVER_ERROR_IO);
    ck_assert_ptr_null(dataset);
}
END_TEST

START_TEST(a_damaged_or_foreign_cache_is_packed_anew) {
    write_png(at("in/a.png"), 6, 6, 1, 1);
    write_png(at("other/a.png"), 6, 6, 1, 2);
    ck_assert(packs(at("in"), NULL, 1));
    write_text(at("cache/dataset.h5"), "damaged");
    ck_assert(packs(at("in"), NULL, 1));
    ck_assert_ok(pack(at("other"), at("cache/dataset.h5"), NULL, NULL)); /* another dataset under the old key */
    ck_assert(packs(at("in"), NULL, 1));
    unlink(at("cache/dataset.key"));
    ck_assert(packs(at("in"), NULL, 1));
    ck_assert(!packs(at("in"), NULL, 1));
}
END_TEST

static int stop_soon(void *user, int64_t done, int64_t total, const char *what) {
    (void)user, (void)total, (void)what;
    return done >= 2;
}

START_TEST(an_interrupted_pack_goes_on_unless_the_sources_changed) {
    cover_pack_options options = COVER_PACK_OPTIONS_INIT;
    cover_dataset *dataset = NULL;
    for (int i = 0; i < 6; i++) write_png(at("in/%d.png", i), 6, 6, 1, i);
    for (int changed = 0; changed < 2; changed++) {
        options.progress = stop_soon;
        ck_assert_int_eq(cover_dataset_prepare(&dataset, context, at("in"), at("cache"), &options), COVER_ERROR_CANCELLED);
        ck_assert(file_exists(at("cache/dataset.h5.spool")));
        options.progress = NULL;
        if (changed) unlink(at("in/5.png"));
        ck_assert(packs(at("in"), &options, 6 - changed));
        write_png(at("in/0.png"), 6, 7, 1, 8);
    }
}
END_TEST

START_TEST(labels_csv_of_a_folder_is_read) {
    write_png(at("in/images/a.png"), 6, 6, 1, 1);
    write_png(at("in/images/b.png"), 6, 6, 1, 2);
    write_text(at("in/labels.csv"), "file,label\na.png,sick\nb.png,fine\n");
    cover_dataset *dataset = NULL;
    ck_assert_ok(cover_dataset_prepare(&dataset, context, at("in"), at("cache"), NULL));
    ck_assert_str_eq(cover_dataset_class_name(dataset, 0), "fine");
    ck_assert_int_eq(sample_of(dataset, 0).class_index, 1);
    cover_dataset_destroy(dataset);
    write_text(at("in/labels.csv"), "file,label\na.png,sick\nb.png,well\nc.png,well\n");
    ck_assert(packs(at("in"), NULL, 2));
    const char *warning = strstr(logged, "1 of 3 lines speak of no image");
    ck_assert_ptr_nonnull(warning);
    ck_assert_ptr_null(strstr(warning + 1, "1 of 3 lines")); /* told once */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dataset of path");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    ADD(all, a_folder_is_packed_once_and_again_when_it_changes);
    ADD(all, a_packed_file_is_opened_as_it_is);
    ADD(all, a_damaged_or_foreign_cache_is_packed_anew);
    ADD(all, an_interrupted_pack_goes_on_unless_the_sources_changed);
    ADD(all, labels_csv_of_a_folder_is_read);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
