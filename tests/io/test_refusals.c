/* Every reader of files on small files of each kind (tests/fuzz/corpus): with each allocation refused, with each call of the file system
 * refused or cut short, and with each end of the file missing.  Usage: test_refusals, CORPUS being the folder. */
#include "files.h"

#include "../faults/fault.h"

#include "core/base/json.h"
#include "io/bytes/csv.h"
#include "io/weights/tensor_hash.h"
#include "io/weights/weights.h"
#include "report/report.h"

#include <dirent.h>
#include <libcover/predictor.h>
#include <libcover/weights.h>

/* ---- the readers: a status, and nothing kept */

static cover_status read_csv(cover_context *own, const char *path) {
    struct csv csv;
    const cover_status status = csv_read(&csv, own, path, false);
    if (status == COVER_OK) csv_free(&csv);
    return status;
}

static cover_status read_log(cover_context *own, const char *path) {
    static const struct figure_words ratio[] = {{.name = "l_vec", .over = "loss"}, {0}};
    struct report_log log;
    TRY(report_log_read(&log, own, path));
    const cover_status status = report_log_divide(&log, own, ratio);
    report_log_free(&log, own);
    return status;
}

static cover_status read_image(cover_context *own, const char *path) {
    struct image image = {0};
    const cover_status status = image_read(&image, own, path, 0);
    image_free(&image, own);
    return status;
}

static cover_status read_weights(cover_context *own, const char *path) {
    struct tensor_file *file;
    struct weights_name *names;
    int64_t count;
    cover_config *config = NULL;
    cover_status status;
    TRY(tensor_file_open(&file, own, path));
    for (int64_t i = 0; i < file->count; i++) {
        float *values = NULL;
        status = tensor_load_f32(file, &file->entries[i], &values);
        memory_free(own, values);
        if (status == COVER_ERROR_MEMORY || status == COVER_ERROR_IO) goto done;
    }
    GO(tensor_hash_verify(file, NULL));
    GO(weights_names(file, &names, &count));
    GO(cover_config_create(&config, own, NULL));
    status = weights_describe(config, NULL, file);
done:
    cover_config_destroy(config);
    tensor_file_close(file);
    return status;
}

static cover_status read_task(cover_context *own, const char *path) {
    cover_predictor *predictor;
    const cover_status status = cover_predictor_load(&predictor, own, path, NULL);
    if (status == COVER_OK) cover_predictor_destroy(predictor);
    return status;
}

static cover_status read_about(cover_context *own, const char *path) {
    char *text;
    const cover_status status = cover_weights_info(&text, own, path);
    if (status == COVER_OK) cover_text_release(own, text);
    return status;
}

static cover_status read_dataset(cover_context *own, const char *path) {
    cover_dataset *dataset;
    cover_tensor *tensor;
    TRY(cover_dataset_open(&dataset, own, path));
    cover_dataset_info info = COVER_DATASET_INFO_INIT;
    cover_status status = cover_dataset_get_info(&info, dataset);
    for (int64_t i = 0; i < info.samples && status == COVER_OK; i++) {
        status = cover_dataset_read(&tensor, dataset, i);
        if (status == COVER_OK) cover_tensor_destroy(tensor);
        if (status == COVER_OK && info.has_labels) {
            status = cover_dataset_read_label(&tensor, dataset, i);
            if (status == COVER_OK) cover_tensor_destroy(tensor);
        }
    }
    cover_dataset_destroy(dataset);
    return status;
}

static cover_status check_dataset(cover_context *own, const char *path) {
    char *report;
    TRY(cover_file_check(&report, own, path));
    json_t *object;
    cover_status status = json_read(&object, "report", report, strlen(report));
    if (status == COVER_OK && !json_is_true(json_object_get(object, "ok"))) {
        const char *first = json_string_value(json_array_get(json_object_get(object, "errors"), 0));
        status = strstr(first, "memory") ? COVER_ERROR_MEMORY : fail(COVER_ERROR_FORMAT, "%s", first);
    }
    json_decref(object);
    cover_text_release(own, report);
    return status;
}

static cover_status read_study(cover_context *own, const char *path) {
    cover_dicom *set;
    cover_tensor *image;
    char *report;
    int volumes = 0;
    TRY(cover_dicom_create(&set, own, NULL));
    cover_status status = cover_dicom_add_path(set, path);
    if (status == COVER_OK) status = cover_dicom_volumes(set, &volumes);
    for (int v = 0; v < volumes && status == COVER_OK; v++) {
        status = cover_dicom_read(set, v, &image, NULL, NULL);
        if (status == COVER_OK) cover_tensor_destroy(image);
    }
    if (status == COVER_OK) {
        status = cover_dicom_report(set, &report);
        if (status == COVER_OK) cover_text_release(own, report);
    }
    cover_dicom_destroy(set);
    return status;
}

#define OLD "../../data/0.1.0/"
static const struct reading {
    const char *corpus, *ending; /* NULL = all of its files */
    cover_status (*read)(cover_context *own, const char *path);
    bool nameless; /* its errors name no path */
} readings[] = {
    {"csv", NULL, read_csv},
    {"log", NULL, read_log},
    {"image", NULL, read_image},
    {"tensor_file", NULL, read_weights},
    {"tensor_file", NULL, read_about},
    {"checkpoint", NULL, read_weights},
    {"checkpoint", NULL, read_task},
    {"checkpoint", NULL, read_about},
    {"dataset", NULL, read_dataset},
    {"dataset", NULL, check_dataset},
    {"dicom", NULL, read_study, true},
    {OLD "run", ".h5", read_weights},
    {OLD "run", ".safetensors", read_weights},
    {OLD "run", ".h5", read_about},
    {OLD "seg", ".h5", read_task},
    {OLD "seg", ".safetensors", read_task},
};

/* ---- for each reader and file */

static uint8_t *bytes;
static size_t count;

typedef void each_fn(const struct reading *reading, const char *name);

/* `name` is a copy in the folder, which has its end's name. */
static void for_each(each_fn *call) {
    for (size_t r = 0; r < sizeof readings / sizeof *readings; r++) {
        char corpus[512];
        struct dirent **entries;
        snprintf(corpus, sizeof corpus, CORPUS "/%s", readings[r].corpus);
        const int files = scandir(corpus, &entries, NULL, alphasort);
        ck_assert_int_gt(files, 2); /* "." and ".." */
        for (int i = 0; i < files; i++) {
            const char *ending = readings[r].ending;
            if (entries[i]->d_name[0] != '.' && (!ending || has_suffix(entries[i]->d_name, ending))) {
                char from[800], name[512];
                snprintf(from, sizeof from, "%s/%s", corpus, entries[i]->d_name);
                ck_assert_ok(file_read(context, from, 0, &bytes, &count));
                snprintf(name, sizeof name, "%s", at("%s", entries[i]->d_name));
                write_bytes(name, bytes, count);
                call(&readings[r], name);
                memory_free(context, bytes);
            }
            free(entries[i]);
        }
        free(entries);
    }
}

static cover_context *poor_context(void) {
    static const cover_allocator allocator = {refusing_allocate, refusing_release, NULL};
    cover_context_options with = COVER_CONTEXT_OPTIONS_INIT;
    cover_context *poor = NULL;
    with.allocator = &allocator, with.threads = 1;
    atomic_store(&refuse_at, -1);
    ck_assert_ok(cover_context_create(&poor, &with));
    return poor;
}

static void refuse_each_allocation(const struct reading *reading, const char *name) {
    cover_context *poor = poor_context();
    (void)reading->read(poor, name); /* what is made once in a context's life is there */
    const cover_status usual = reading->read(poor, name);
    const long long living = atomic_load(&alive);
    for (long long n = 0, ended = 0; !ended; n++) {
        atomic_store(&requests, 0);
        atomic_store(&refuse_at, n);
        const cover_status status = reading->read(poor, name);
        ended = atomic_load(&requests) <= n;
        atomic_store(&refuse_at, -1);
        ck_assert_msg(status == (ended ? usual : COVER_ERROR_MEMORY), "%s, request %lld: %s: %s", name, n,
                      cover_status_name(status), cover_error_text());
        ck_assert_msg(atomic_load(&alive) == living, "%s, request %lld: a block is left", name, n);
    }
    cover_context_destroy(poor);
    ck_assert_int_eq(atomic_load(&alive), 0);
}

static void refuse_each_call(const struct reading *reading, const char *name) {
    static const struct {
        const char *reason;
        bool failure;
    } ways[] = {{"EIO", true}, {"EINTR", false}, {"SHORT", false}};
    const cover_status usual = reading->read(context, name);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (long n = 1, ended = 0; !ended; n++) {
            fault_set("open,read,pread", folder, ways[w].reason, n, 0);
            const cover_status status = reading->read(context, name);
            ended = fault_failed() == 0;
            fault_set("", NULL, NULL, 0, 0);
            const bool right = ended || !ways[w].failure ? status == usual : status != COVER_OK && status != COVER_ERROR_MEMORY;
            ck_assert_msg(right, "%s, call %ld, %s: %s: %s", name, n, ways[w].reason, cover_status_name(status),
                          cover_error_text());
        }
}

static void cut_at_each_byte(const struct reading *reading, const char *name) {
    const size_t step = 1 + count / 1000;
    for (size_t length = 0; length < count; length += step) {
        ck_assert_int_eq(truncate(name, (off_t)(count - 1 - length)), 0);
        const cover_status status = reading->read(context, name);
        ck_assert_msg(status != COVER_ERROR_MEMORY && status != COVER_ERROR_INTERNAL, "%s without %zu bytes: %s", name, length + 1,
                      cover_error_text());
        if (status != COVER_OK && !reading->nameless) ck_assert_ptr_nonnull(strstr(cover_error_text(), path_name(name)));
    }
}

START_TEST(each_refused_allocation_is_short_memory_and_leaves_nothing) { for_each(refuse_each_allocation); }
END_TEST
START_TEST(each_refused_call_is_told_and_an_interrupted_one_changes_nothing) { for_each(refuse_each_call); }
END_TEST
START_TEST(a_file_that_ends_anywhere_is_read_or_refused_by_name) { for_each(cut_at_each_byte); }
END_TEST

int main(void) {
    Suite *suite = suite_create("refusals");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_checked_fixture(all, setup, teardown);
    ADD(all, each_refused_allocation_is_short_memory_and_leaves_nothing);
    ADD(all, each_refused_call_is_told_and_an_interrupted_one_changes_nothing);
    ADD(all, a_file_that_ends_anywhere_is_read_or_refused_by_name);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
