/* The audit: jobs in a chain of lines that cannot be changed without a trace, whoever writes at the same time and whatever is refused. */
#include "../../fixture.h"

#include "core/base/files.h"
#include "faults/fault.h"
#include "io/dicom/audit.h"

#include <jansson.h>
#include <libcover/dataset.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct audit audit;

static void setup(void) { with_folder(); }
static void teardown(void) {
    fault_set("", NULL, NULL, 0, 0);
    audit_close(&audit);
    without_folder();
}

static const char *at(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static struct audit_job job_of(const char *options) {
    struct audit_job job = {
        .verb = "test", .options = options, .study_uid = "1.2.3.CANARY", .series_uid = "1.2.4.CANARY", .images = 1};
    uint8_t hash[SHA256_BYTES] = {1};
    sha256(hash, sizeof hash, hash);
    sha256_text(hash, job.sha256);
    return job;
}

static void run_job(const char *options) {
    struct audit_job job = job_of(options);
    struct audit_end end = {.status = "ok"};
    ck_assert_ok(audit_start(&audit, &job));
    ck_assert_ok(audit_end(&audit, &job, &end));
}

static char *load(const char *path, size_t *bytes) {
    static uint8_t *data; /* not on the stack: what the caller keeps is what it points to */
    ck_assert_ok(file_read(context, path, 0, &data, bytes));
    return (char *)data;
}

/* How many findings `cover check` has; *lines as it counts them. */
static int findings(const char *path, int *lines) {
    char *text;
    ck_assert_ok(cover_file_check(&text, context, path));
    json_t *report = json_loads(text, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(report, "kind")), "audit");
    const int found = (int)json_array_size(json_object_get(report, "errors"));
    ck_assert_int_eq(json_is_true(json_object_get(report, "ok")), found == 0);
    if (lines) *lines = (int)json_integer_value(json_object_get(report, "lines"));
    json_decref(report);
    cover_text_release(context, text);
    return found;
}

START_TEST(each_job_is_a_start_and_an_end_in_one_chain_without_a_uid) {
    size_t bytes;
    int lines;
    struct stat about;
    ck_assert_ok(audit_open(&audit, context, at("audit.jsonl"), NULL));
    for (int i = 0; i < 3; i++) run_job("a");
    ck_assert_int_eq(findings(at("audit.jsonl"), &lines), 0);
    ck_assert_int_eq(lines, 6);
    char *text = load(at("audit.jsonl"), &bytes);
    ck_assert_ptr_null(strstr(text, "CANARY"));
    ck_assert_ptr_nonnull(strstr(text, "\"study\":\"hmac:"));
    memory_free(context, text);
    ck_assert_int_eq(stat(at("audit.jsonl"), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_int_eq(stat(at("audit.jsonl.key"), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
    ck_assert_int_eq(about.st_size, 32);
}
END_TEST

START_TEST(a_line_that_is_changed_removed_put_in_or_cut_is_found) {
    size_t bytes;
    ck_assert_ok(audit_open(&audit, context, at("audit.jsonl"), NULL));
    for (int i = 0; i < 3; i++) run_job("a");
    char *text = load(at("audit.jsonl"), &bytes), *changed = memory_alloc(context, 2 * bytes);
    const char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
    const size_t before = (size_t)(second - text), line = (size_t)(third - second), behind = bytes - before - line;
    for (size_t i = 0; i < bytes; i += 17) { /* any byte but in the last line, which nothing follows yet */
        if (!memchr(text + i, '\n', bytes - 1 - i)) break;
        memcpy(changed, text, bytes);
        changed[i] ^= 1;
        if (i < 14) continue; /* then it does not begin like an audit */
        ck_assert_ok(file_replace(context, at("changed.jsonl"), changed, bytes));
        ck_assert_msg(findings(at("changed.jsonl"), NULL) > 0, "byte %zu", i);
    }
    memcpy(changed, text, before);
    memcpy(changed + before, third, behind);
    ck_assert_ok(file_replace(context, at("removed.jsonl"), changed, before + behind));
    ck_assert_int_gt(findings(at("removed.jsonl"), NULL), 0);
    memcpy(changed, text, before + line);
    memcpy(changed + before + line, second, line + behind);
    ck_assert_ok(file_replace(context, at("twice.jsonl"), changed, bytes + line));
    ck_assert_int_gt(findings(at("twice.jsonl"), NULL), 0);
    ck_assert_ok(file_replace(context, at("cut.jsonl"), text, bytes - 5));
    ck_assert_int_eq(findings(at("cut.jsonl"), NULL), 1);
    memory_free(context, changed);
    memory_free(context, text);
}
END_TEST

START_TEST(processes_that_write_at_once_make_one_chain) {
    enum { PROCESSES = 4, JOBS = 20 };
    pid_t children[PROCESSES];
    int lines;
    for (int p = 0; p < PROCESSES; p++) {
        children[p] = fork();
        if (children[p] > 0) continue;
        cover_context *own;
        cover_context_options options = COVER_CONTEXT_OPTIONS_INIT;
        if (cover_context_create(&own, &options) != COVER_OK) _exit(1);
        if (audit_open(&audit, own, at("audit.jsonl"), NULL) != COVER_OK) _exit(2);
        for (int i = 0; i < JOBS; i++) {
            struct audit_job job = job_of("many");
            struct audit_end end = {.status = "ok"};
            if (audit_start(&audit, &job) != COVER_OK || audit_end(&audit, &job, &end) != COVER_OK) _exit(3);
        }
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        ck_assert_int_eq(waitpid(children[p], &status, 0), children[p]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(findings(at("audit.jsonl"), &lines), 0);
    ck_assert_int_eq(lines, 2 * PROCESSES * JOBS);
}
END_TEST

START_TEST(the_same_job_again_is_told_when_it_first_began_R35) {
    ck_assert_ok(audit_open(&audit, context, at("audit.jsonl"), NULL));
    struct audit_job first = job_of("one"), other = job_of("two"), again = job_of("one");
    ck_assert_ok(audit_start(&audit, &first)); /* and is killed */
    usleep(5000);
    ck_assert_ok(audit_start(&audit, &other));
    ck_assert_ok(audit_start(&audit, &again));
    ck_assert_str_eq(again.id, first.id);
    ck_assert_str_ne(other.id, first.id);
    ck_assert_str_eq(again.first, first.first);
    ck_assert_int_gt(strcmp(other.first, first.first), 0);
}
END_TEST

START_TEST(the_same_key_gives_the_same_hashes_and_another_key_others) {
    const char *const keys[] = {"one.key", "one.key", "other.key"};
    char *texts[3];
    size_t bytes;
    ck_assert_ok(file_replace(context, at("one.key"), "0123456789abcdef", 16));
    ck_assert_ok(file_replace(context, at("other.key"), "0123456789abcdeg", 16));
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.jsonl", i);
        ck_assert_ok(audit_open(&audit, context, at(name), at(keys[i])));
        run_job("a");
        audit_close(&audit);
        texts[i] = load(at(name), &bytes);
    }
    const char *study[3];
    for (int i = 0; i < 3; i++) study[i] = strstr(texts[i], "\"study\"");
    ck_assert_int_eq(strncmp(study[0], study[1], 80), 0);
    ck_assert_int_ne(strncmp(study[0], study[2], 80), 0);
    for (int i = 0; i < 3; i++) memory_free(context, texts[i]);
    ck_assert_ok(file_replace(context, at("short.key"), "0123456789abcde", 15));
    ck_assert_fails(audit_open(&audit, context, at("short.jsonl"), at("short.key")), COVER_ERROR_ARGUMENT, "15 bytes", "16");
}
END_TEST

START_TEST(a_line_that_cannot_be_written_fails_the_job_and_leaves_nothing_of_it) {
    static const char *const calls[] = {"write", "fsync"}, *const reasons[] = {"EIO", "ENOSPC"};
    size_t before, bytes;
    ck_assert_ok(audit_open(&audit, context, at("audit.jsonl"), NULL));
    run_job("a");
    char *text = load(at("audit.jsonl"), &before);
    for (int c = 0; c < 2; c++)
        for (int r = 0; r < 2; r++) {
            struct audit_job job = job_of("b");
            fault_set(calls[c], "audit.jsonl", reasons[r], 1, 1);
            ck_assert_fails(audit_start(&audit, &job), COVER_ERROR_IO, "audit.jsonl");
            fault_set("", NULL, NULL, 0, 0);
            char *now = load(at("audit.jsonl"), &bytes);
            ck_assert_uint_eq(bytes, before);
            ck_assert_int_eq(memcmp(now, text, bytes), 0);
            memory_free(context, now);
        }
    run_job("c");
    ck_assert_int_eq(findings(at("audit.jsonl"), NULL), 0);
    memory_free(context, text);
}
END_TEST

START_TEST(what_a_power_cut_left_of_a_line_goes_and_the_chain_goes_on) {
    size_t bytes;
    ck_assert_ok(audit_open(&audit, context, at("audit.jsonl"), NULL));
    run_job("a");
    char *text = load(at("audit.jsonl"), &bytes);
    FILE *file = fopen(at("audit.jsonl"), "ab");
    fwrite(text, 1, 100, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(findings(at("audit.jsonl"), NULL), 1);
    run_job("b");
    ck_assert_int_eq(findings(at("audit.jsonl"), NULL), 0);
    memory_free(context, text);
}
END_TEST

START_TEST(what_is_no_audit_is_not_appended_to) {
    struct audit_job job = job_of("a");
    ck_assert_ok(file_replace(context, at("notes.txt"), "a line\n", 7));
    ck_assert_ok(audit_open(&audit, context, at("notes.txt"), NULL));
    ck_assert_fails(audit_start(&audit, &job), COVER_ERROR_FORMAT, "notes.txt");
    audit_close(&audit);
    ck_assert_int_eq(symlink(at("notes.txt"), at("link.jsonl")), 0);
    ck_assert_fails(audit_open(&audit, context, at("link.jsonl"), NULL), COVER_ERROR_IO, "link.jsonl");
    ck_assert_fails(audit_open(&audit, context, folder, NULL), COVER_ERROR_IO, folder);
}
END_TEST

START_TEST(without_a_file_a_job_still_has_its_name_and_its_time) {
    struct audit_job job = job_of("a");
    struct audit_end end = {.status = "ok"};
    ck_assert_ok(audit_open(&audit, context, NULL, NULL));
    ck_assert_ok(audit_start(&audit, &job));
    ck_assert_uint_eq(strlen(job.id), 71);
    ck_assert_uint_eq(strlen(job.first), 24);
    ck_assert_ok(audit_end(&audit, &job, &end));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("audit");
    TCase *tcase = tcase_create("audit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    ADD(tcase, each_job_is_a_start_and_an_end_in_one_chain_without_a_uid);
    ADD(tcase, a_line_that_is_changed_removed_put_in_or_cut_is_found);
    ADD(tcase, processes_that_write_at_once_make_one_chain);
    ADD(tcase, the_same_job_again_is_told_when_it_first_began_R35);
    ADD(tcase, the_same_key_gives_the_same_hashes_and_another_key_others);
    ADD(tcase, a_line_that_cannot_be_written_fails_the_job_and_leaves_nothing_of_it);
    ADD(tcase, what_a_power_cut_left_of_a_line_goes_and_the_chain_goes_on);
    ADD(tcase, what_is_no_audit_is_not_appended_to);
    ADD(tcase, without_a_file_a_job_still_has_its_name_and_its_time);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
