/* Files that are replaced, files that grow, and the calls below both, in the face of a system that refuses, is interrupted or does half. */
#include "../../fixture.h"
#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "core/base/journal.h"
#include "faults/fault.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char warnings[2048];
static void remember(void *user, cover_log_level level, const char *line) {
    (void)user;
    const size_t have = strlen(warnings);
    if (level == COVER_LOG_WARNING) snprintf(warnings + have, sizeof warnings - have, "%s\n", line);
}

static void setup(void) {
    with_folder();
    context->log = remember;
    warnings[0] = 0;
}
static void teardown(void) {
    fault_set("", NULL, NULL, 0, 0);
    without_folder();
}

static const char *at(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static void ck_content(const char *path, const char *expected) {
    uint8_t *data;
    size_t bytes;
    ck_assert_ok(file_read(context, path, 0, &data, &bytes));
    ck_assert_str_eq((char *)data, expected);
    memory_free(context, data);
}

/* How many entries the folder has. */
static int entries(void) {
    int count = 0;
    DIR *list = path_list(folder);
    for (struct dirent *entry; (entry = readdir(list));) count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(list);
    return count;
}

static mode_t mode_of(const char *path) {
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    return about.st_mode & 07777;
}

/* ---- calls that are refused */

START_TEST(interrupted_and_short_calls_go_on) {
    static const char *const reasons[] = {"EINTR", "SHORT"};
    for (int r = 0; r < 2; r++)
        for (long number = 1; number < 40; number++) {
            fault_set("open,opendir,read,write,fsync,fsyncdir,rename,close,mkdir,unlink,flock", folder, reasons[r], number, 0);
            ck_assert_ok(folder_create(at("sub")));
            ck_assert_ok(file_replace(context, at("sub/file"), "0123456789", 10));
            ck_content(at("sub/file"), "0123456789");
            ck_assert_ok(temporaries_remove(context, at("sub")));
        }
    ck_assert(fault_seen() > 10 && fault_seen() < 40); /* each of them failed once */
    ck_assert_int_eq(fault_failed(), 0);
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(a_refused_call_leaves_the_old_file_and_nothing_else) {
    static const char *const calls[] = {"open", "write", "fsync", "close", "rename"};
    static const char *const reasons[] = {"EIO", "ENOSPC", "EDQUOT"};
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++) {
            ck_assert_ok(file_replace(context, at("file"), "old", 3));
            fault_set(calls[c], folder, reasons[r], 1, 0);
            ck_assert_fails(file_replace(context, at("file"), "new", 3), COVER_ERROR_IO, at("file"));
            ck_assert_int_eq(fault_failed(), 1);
            fault_set("", NULL, NULL, 0, 0);
            ck_content(at("file"), "old");
            ck_assert_int_eq(entries(), 1);
        }
}
END_TEST

START_TEST(a_folder_that_cannot_be_synced_is_a_warning_that_is_said_once) {
    static const char *const reasons[] = {"ENOTSUP", "ENOSYS", "EBADF", "EINVAL", "EROFS", "EACCES"};
    static const char *const calls[] = {"fsyncdir", "opendir"};
    for (size_t c = 0; c < 2; c++)
        for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++) {
            fault_set(calls[c], NULL, reasons[r], 1, 1);
            ck_assert_ok(file_replace(context, at("file"), "new", 3));
            ck_assert_int_eq(fault_failed(), 1);
        }
    ck_assert_ptr_nonnull(strstr(warnings, "file: is in place, but its folder cannot be synced (Operation not supported)"));
    ck_assert_ptr_eq(strchr(warnings, '\n'), warnings + strlen(warnings) - 1);
    fault_set("fsyncdir", NULL, "EIO", 1, 1);
    ck_assert_fails(file_replace(context, at("file"), "newer", 5), COVER_ERROR_IO, "file: is in place, but its folder");
    fault_set("", NULL, NULL, 0, 0);
    ck_content(at("file"), "newer");
}
END_TEST

START_TEST(a_file_that_cannot_be_synced_is_a_warning_where_nothing_can) {
    fault_set("fsync", NULL, "ENOTSUP", 1, 1);
    ck_assert_ok(file_replace(context, at("file"), "new", 3));
    ck_assert_ptr_nonnull(strstr(warnings, "file: is in place, but it cannot be synced"));
    ck_content(at("file"), "new");
}
END_TEST

START_TEST(no_descriptor_is_one_of_the_standard_ones) {
    const pid_t child = fork();
    if (child == 0) {
        for (int number = 0; number < 3; number++) close(number);
        const int file = descriptor_open(at("file"), O_RDWR | O_CREAT);
        const int flags = fcntl(file, F_GETFD);
        DIR *list = path_list(folder);
        _exit(file > 2 && (flags & FD_CLOEXEC) && list && dirfd(list) > 2 && fcntl(0, F_GETFD) < 0 ? 0 : 1);
    }
    int result;
    waitpid(child, &result, 0);
    ck_assert_int_eq(result, 0);
}
END_TEST

/* ---- names */

START_TEST(the_longest_name_can_be_replaced) {
    char name[256];
    memset(name, 'L', 255), name[255] = 0;
    for (int turn = 0; turn < 2; turn++) ck_assert_ok(file_replace(context, at(name), "x", 1));
    ck_content(at(name), "x");
}
END_TEST

START_TEST(a_file_planted_at_a_temporary_name_is_not_written) {
    char *name, *again;
    int one, two;
    ck_assert_ok(temporary_beside(&name, &one, context, at("victim")));
    ck_assert_ok(temporary_beside(&again, &two, context, at("victim")));
    ck_assert_str_ne(name, again);
    ck_assert_int_eq(strncmp(path_name(name), ".cover-", 7), 0);
    close(one), close(two);
    memory_free(context, name), memory_free(context, again);
    ck_assert_int_eq(temporary_beside(&name, &one, context, "/nosuch/folder/file"), COVER_ERROR_IO);
}
END_TEST

START_TEST(what_dead_writers_left_is_removed_and_what_living_ones_have_is_not) {
    char *name, *left;
    int descriptor, dead;
    ck_assert_ok(temporary_beside(&name, &descriptor, context, at("file")));
    ck_assert_ok(temporary_beside(&left, &dead, context, at("file")));
    close(dead);
    ck_assert_ok(file_replace(context, at(".cover-0123456789abcdeg"), "", 0));
    ck_assert_ok(file_replace(context, at(".cover-0123456789abcdef0"), "", 0));
    ck_assert_int_eq(symlink("/etc/passwd", at(".cover-fedcba9876543210")), 0);
    ck_assert_ok(temporaries_remove_beside(context, at("file")));
    ck_assert(file_exists(name) && !file_exists(left));
    ck_assert_int_eq(entries(), 4);
    close(descriptor);
    ck_assert_ok(temporaries_remove(context, folder));
    ck_assert(!file_exists(name));
    memory_free(context, name), memory_free(context, left);
}
END_TEST

/* ---- what is there already */

START_TEST(a_replaced_file_keeps_its_mode) {
    ck_assert_ok(file_replace(context, at("file"), "old", 3));
    static const mode_t modes[] = {0640, 0600, 0444, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        ck_assert_int_eq(chmod(at("file"), modes[i]), 0);
        ck_assert_ok(file_replace(context, at("file"), "new", 3));
        ck_assert_int_eq(mode_of(at("file")), modes[i]);
    }
    ck_assert_int_eq(chmod(at("file"), 04755), 0);
    ck_assert_ok(file_replace(context, at("file"), "new", 3));
    ck_assert_int_eq(mode_of(at("file")), 0755);
}
END_TEST

START_TEST(a_replaced_file_keeps_owner_and_group_where_we_may_give_them) {
    if (geteuid() != 0) return; /* nobody else may */
    struct stat about;
    ck_assert_ok(file_replace(context, at("file"), "old", 3));
    ck_assert_int_eq(chown(at("file"), 12345, 23456), 0);
    ck_assert_int_eq(chmod(at("file"), 0640), 0);
    ck_assert_ok(file_replace(context, at("file"), "new", 3));
    ck_assert_int_eq(stat(at("file"), &about), 0);
    ck_assert(about.st_uid == 12345 && about.st_gid == 23456 && (about.st_mode & 0777) == 0640);
    ck_assert_int_eq(chmod(folder, 0777), 0);
    const pid_t child = fork();
    if (child == 0) { /* who may not give the group gives nobody its rights */
        if (setgid(34567) != 0 || setuid(34567) != 0) _exit(1);
        _exit(file_replace(context, at("file"), "other", 5) == COVER_OK ? 0 : 2);
    }
    int result;
    waitpid(child, &result, 0);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(stat(at("file"), &about), 0);
    ck_assert(about.st_uid == 34567 && about.st_gid == 34567 && (about.st_mode & 0777) == 0600);
}
END_TEST

START_TEST(a_link_stays_one_and_what_it_leads_to_is_replaced) {
    struct stat about;
    ck_assert_ok(folder_create(at("deep")));
    ck_assert_ok(file_replace(context, at("deep/real"), "old", 3));
    ck_assert_int_eq(symlink("deep/second", at("first")), 0);
    ck_assert_int_eq(symlink("real", at("deep/second")), 0);
    ck_assert_ok(file_replace(context, at("first"), "new", 3));
    ck_content(at("deep/real"), "new");
    ck_assert(lstat(at("first"), &about) == 0 && S_ISLNK(about.st_mode));
    ck_assert(lstat(at("deep/second"), &about) == 0 && S_ISLNK(about.st_mode));
    ck_assert_int_eq(unlink(at("deep/real")), 0); /* now it leads nowhere */
    ck_assert_ok(file_replace(context, at("first"), "made", 4));
    ck_content(at("deep/real"), "made");
    ck_assert_int_eq(symlink("round", at("round")), 0);
    ck_assert_fails(file_replace(context, at("round"), "x", 1), COVER_ERROR_IO, at("round"));
}
END_TEST

START_TEST(nothing_is_put_in_the_place_of_a_device_a_pipe_or_a_folder) {
    struct stat about;
    ck_assert_int_eq(mkfifo(at("pipe"), 0666), 0);
    ck_assert_int_eq(symlink("/dev/null", at("null")), 0);
    ck_assert_int_eq(symlink("/proc/self/fd/1", at("printed")), 0);
    ck_assert_fails(file_replace(context, at("pipe"), "x", 1), COVER_ERROR_ARGUMENT, "is a pipe");
    ck_assert_fails(file_replace(context, folder, "x", 1), COVER_ERROR_ARGUMENT, "is a folder");
    ck_assert_ok(file_replace(context, "/dev/null", "x", 1));
    ck_assert_ok(file_replace(context, at("null"), "x", 1));
    ck_assert_fails(file_replace(context, "/dev/full", "x", 1), COVER_ERROR_IO, "/dev/full: cannot be written");
    ck_assert(stat("/dev/null", &about) == 0 && S_ISCHR(about.st_mode));
    ck_assert(lstat(at("pipe"), &about) == 0 && S_ISFIFO(about.st_mode));
    ck_assert_int_eq(entries(), 3);
    const pid_t child = fork();
    if (child == 0) {
        dup2(open(at("printed-to"), O_WRONLY | O_CREAT, 0666), 1);
        _exit(file_replace(context, at("printed"), "x", 1) == COVER_ERROR_ARGUMENT ? 0 : 1);
    }
    int result;
    waitpid(child, &result, 0);
    ck_assert_int_eq(result, 0);
    ck_content(at("printed-to"), "");
}
END_TEST

START_TEST(a_result_does_not_replace_its_source_under_any_name) {
    ck_assert_ok(file_replace(context, at("source"), "x", 1));
    ck_assert_int_eq(symlink("source", at("link")), 0);
    ck_assert_int_eq(link(at("source"), at("hard")), 0);
    static const char *const names[] = {"source", "link", "hard"};
    for (int i = 0; i < 3; i++)
        ck_assert_fails(output_is_not(at(names[i]), at("source")), COVER_ERROR_ARGUMENT, names[i], "source");
    ck_assert_ok(output_is_not(at("other"), at("source")));
    ck_assert_ok(output_is_not(at("source"), NULL));
}
END_TEST

/* ---- files that grow */

START_TEST(a_growing_file_loses_and_tears_no_record_however_often_it_is_refused) {
    static const char *const reasons[] = {"EINTR", "SHORT", "EIO", "ENOSPC"};
    for (size_t r = 0; r < sizeof reasons / sizeof *reasons; r++)
        for (long number = 1; number <= 30; number++) {
            struct journal journal;
            char expected[512] = "", record[32];
            ck_assert(journal_open(&journal, context, memory_text(context, at("log")), O_WRONLY | O_CREAT | O_TRUNC));
            fault_set("write", "log", reasons[r], number, 0);
            for (int i = 0; i < 30; i++) {
                const int length = snprintf(record, sizeof record, "record %d\n", i);
                strcat(expected, record);
                ck_assert_ok(journal_add(&journal, record, (size_t)length));
            }
            ck_assert_int_eq(fault_failed(), 1);
            ck_assert_ok(journal_flush(&journal));
            journal_close(&journal);
            ck_content(at("log"), expected);
        }
}
END_TEST

START_TEST(what_a_growing_file_is_refused_to_the_end_is_an_error_there) {
    struct journal journal;
    ck_assert(journal_open(&journal, context, memory_text(context, at("log")), O_WRONLY | O_CREAT));
    fault_set("write", "log", "ENOSPC", 2, 1);
    for (int i = 0; i < 5; i++) ck_assert_ok(journal_add(&journal, "record\n", 7));
    ck_assert_ptr_nonnull(strstr(warnings, "log: cannot be written: No space left on device"));
    ck_assert_ptr_eq(strchr(warnings, '\n'), warnings + strlen(warnings) - 1); /* said once */
    ck_assert_fails(journal_flush(&journal), COVER_ERROR_IO, at("log"), "No space left");
    fault_set("", NULL, NULL, 0, 0);
    journal_close(&journal); /* tries once more */
    ck_content(at("log"), "record\nrecord\nrecord\nrecord\nrecord\n");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("files");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, setup, teardown);
    ADD(tcase, interrupted_and_short_calls_go_on);
    ADD(tcase, a_refused_call_leaves_the_old_file_and_nothing_else);
    ADD(tcase, a_folder_that_cannot_be_synced_is_a_warning_that_is_said_once);
    ADD(tcase, a_file_that_cannot_be_synced_is_a_warning_where_nothing_can);
    ADD(tcase, no_descriptor_is_one_of_the_standard_ones);
    ADD(tcase, the_longest_name_can_be_replaced);
    ADD(tcase, a_file_planted_at_a_temporary_name_is_not_written);
    ADD(tcase, what_dead_writers_left_is_removed_and_what_living_ones_have_is_not);
    ADD(tcase, a_replaced_file_keeps_its_mode);
    ADD(tcase, a_replaced_file_keeps_owner_and_group_where_we_may_give_them);
    ADD(tcase, a_link_stays_one_and_what_it_leads_to_is_replaced);
    ADD(tcase, nothing_is_put_in_the_place_of_a_device_a_pipe_or_a_folder);
    ADD(tcase, a_result_does_not_replace_its_source_under_any_name);
    ADD(tcase, a_growing_file_loses_and_tears_no_record_however_often_it_is_refused);
    ADD(tcase, what_a_growing_file_is_refused_to_the_end_is_an_error_there);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
