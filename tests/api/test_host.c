/* The library within a host: after fork(), under the host's signals, and when handles are destroyed in any order. */
#include "task_data.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* What becomes of a child that does `work`, within ten seconds: its exit status, or 1000 and the signal that ended it. */
static int in_child(int (*work)(void)) {
    int status;
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(10);
        _exit(work());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static cover_dataset *data;
static cover_trainer *trainer;

static void with_trainer(void) {
    cover_config *config;
    setup();
    data = make_data((struct scene){.kind = DISC}, NULL);
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    set_all(config, "widths=8,8,8,8,8,8,8,8,8 heads=1,1,1,1,1 radius=1 batch=2 steps=9 crop=32x32 work=32x32");
    ck_assert_ok(cover_trainer_create(&trainer, context, data, config));
    cover_config_destroy(config);
}

static void without_trainer(void) {
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(data);
    teardown();
}

static int step_in_child(void) {
    if (cover_trainer_step(NULL, trainer) != COVER_ERROR_UNSUPPORTED) return 1;
    return strstr(cover_error_text(), "made in process") && strstr(cover_error_text(), "fork()") ? 0 : 2;
}

static int destroy_all_in_child(void) {
    without_trainer();
    return 0;
}

static int destroy_in_any_order_in_child(void) {
    cover_context_destroy(context);
    cover_dataset_destroy(data);
    cover_trainer_destroy(trainer);
    return 0;
}

static int work_with_a_context_of_its_own(void) {
    cover_context *own;
    cover_dataset *opened;
    cover_tensor *image;
    if (cover_context_create(&own, NULL) != COVER_OK || cover_dataset_open(&opened, own, at("data.h5")) != COVER_OK) return 1;
    if (cover_dataset_read(&image, opened, 0) != COVER_OK) return 2;
    cover_tensor_destroy(image);
    cover_dataset_destroy(opened);
    cover_context_destroy(own);
    return 0;
}

START_TEST(a_child_of_fork_is_told_and_may_destroy_what_it_has) {
    int (*const works[])(void) = {step_in_child, destroy_in_any_order_in_child, destroy_all_in_child,
                                  work_with_a_context_of_its_own};
    for (int started = 0; started < 2; started++) { /* before the threads are there, and when they wait for work */
        ck_assert_int_eq(in_child(works[_i]), 0);
        if (_i == 2) break; /* its folder is gone */
        ck_assert_ok(cover_trainer_step(NULL, trainer));
    }
}
END_TEST

static int tries;
static void fork_from_the_log(void *user, cover_log_level level, const char *line) {
    (void)user, (void)level, (void)line;
    tries++;
    ck_assert_int_eq(in_child(step_in_child), 0);
    ck_assert_int_eq(in_child(destroy_in_any_order_in_child), 0);
}

START_TEST(a_callback_may_fork) {
    ck_assert_ok(cover_trainer_step(NULL, trainer));
    context->log = fork_from_the_log;
    log_line(context, COVER_LOG_INFO, "a child of this call must not wait for its end");
    ck_assert_int_eq(tries, 1);
}
END_TEST

/* Bits of a signal mask of /proc/self/task/N/status. */
static unsigned long long mask_of(const char *task, const char *name) {
    char path[300], line[256];
    unsigned long long bits = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) bits = strtoull(line + strlen(name), NULL, 16);
    if (file) fclose(file);
    return bits;
}

START_TEST(threads_of_the_library_take_no_signal_of_the_host) {
    static const int theirs[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGUSR1, SIGCHLD, SIGPROF, SIGIO};
    char self[32];
    int seen = 0;
    ck_assert_ok(cover_trainer_step(NULL, trainer)); /* the pool and the threads that read ahead */
    snprintf(self, sizeof self, "%ld", (long)gettid());
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks));) {
        if (task->d_name[0] == '.' || strcmp(task->d_name, self) == 0) continue;
        const unsigned long long blocked = mask_of(task->d_name, "SigBlk:");
        for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) ck_assert(blocked >> (theirs[i] - 1) & 1);
        ck_assert(!(blocked >> (SIGSEGV - 1) & 1)); /* a crash handler of the host still sees its crash */
        seen++;
    }
    closedir(tasks);
    ck_assert_int_ge(seen, 3);
    ck_assert_int_eq((int)(mask_of(self, "SigBlk:") >> (SIGTERM - 1) & 1), 0); /* the host's own thread is as it was */
}
END_TEST

START_TEST(a_context_lives_as_long_as_what_was_made_with_it) {
    cover_config *config;
    cover_tensor *image;
    ck_assert_ok(cover_config_create(&config, context, "demo"));
    ck_assert_ok(cover_dataset_read(&image, data, 0));
    cover_context_destroy(context);
    ck_assert_ok(cover_trainer_step(NULL, trainer));
    ck_assert_ok(cover_config_set(config, "seed", "3"));
    cover_trainer_destroy(trainer);
    cover_dataset_destroy(data);
    ck_assert_ptr_nonnull(cover_tensor_data(image));
    cover_config_destroy(config);
    cover_tensor_destroy(image); /* the last one takes the context along; sanitizers see it */
    setup();
    trainer = NULL, data = NULL;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("host");
    TCase *tcase = tcase_create("host");
    tcase_add_checked_fixture(tcase, with_trainer, without_trainer);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, a_child_of_fork_is_told_and_may_destroy_what_it_has, 0, 4);
    ADD(tcase, a_callback_may_fork);
    ADD(tcase, threads_of_the_library_take_no_signal_of_the_host);
    ADD(tcase, a_context_lives_as_long_as_what_was_made_with_it);
    return run_suite(suite);
}
