/* Ranks that do not come, do not belong, are killed, stopped, or give up: every other rank ends in time, and knows which it was. */
#include "together.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char address[96];

static void setup(void) { snprintf(address, sizeof address, "/tmp/cover-faults-%ld", (long)getpid()); }

static cover_ranks_options options_of(int rank, int ranks) {
    cover_ranks_options options = COVER_RANKS_OPTIONS_INIT;
    options.rank = rank, options.ranks = ranks, options.address = address;
    options.join_seconds = 10, options.deadline_seconds = 1;
    return options;
}

/* ---- ranks as processes: what each says at its end comes back through a pipe */

enum { RANKS = 3 };
struct word {
    int rank;
    cover_status status;
    double seconds;
    char text[256];
};
typedef void rank_work(cover_context *context, int rank);

static pid_t start_rank(int rank, int output, rank_work *work) {
    pid_t process = fork();
    if (process) return process;
    cover_context *context;
    cover_ranks_options options = options_of(rank, RANKS);
    struct word word = {.rank = rank, .status = together_join(&context, &(struct together){.threads = 1}, &options)};
    double begin = seconds_now();
    if (word.status == COVER_OK) {
        work(context, rank);
        while ((word.status = cover_context_agree(context, COVER_OK)) == COVER_OK) {}
    }
    word.seconds = seconds_now() - begin;
    snprintf(word.text, sizeof word.text, "%s", cover_error_text());
    cover_context_destroy(context);
    _exit(write(output, &word, sizeof word) != sizeof word);
}

static int start_all(pid_t process[RANKS], rank_work *work) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    for (int rank = 0; rank < RANKS; rank++) process[rank] = start_rank(rank, ends[1], work);
    close(ends[1]);
    return ends[0];
}

/* Every rank but `lost` ends with COVER_ERROR_RANK and a text that begins so. */
static void others_end(int output, const pid_t process[RANKS], int lost, const char *beginning, double within) {
    struct word word;
    int heard = 0;
    for (; heard < RANKS - 1 && read(output, &word, sizeof word) == sizeof word; heard++) {
        ck_assert_int_ne(word.rank, lost);
        ck_assert_int_eq(word.status, COVER_ERROR_RANK);
        ck_assert_msg(strncmp(word.text, beginning, strlen(beginning)) == 0, "rank %d: %s", word.rank, word.text);
        ck_assert_msg(word.seconds < within, "rank %d took %.1f seconds", word.rank, word.seconds);
    }
    ck_assert_int_eq(heard, RANKS - 1);
    for (int rank = 0; rank < RANKS; rank++) kill(process[rank], SIGKILL), waitpid(process[rank], NULL, 0);
    close(output);
}

static int victim;
static void killed(cover_context *context, int rank) {
    (void)context;
    if (rank == victim) usleep(200000), raise(SIGKILL);
}
static void stopped(cover_context *context, int rank) {
    (void)context;
    if (rank == victim) usleep(200000), raise(SIGSTOP);
}

START_TEST(a_killed_rank_is_named_by_all_others_at_once) {
    pid_t process[RANKS];
    char beginning[64];
    victim = _i;
    int output = start_all(process, killed);
    snprintf(beginning, sizeof beginning, "rank %d (process %ld on", victim, (long)process[victim]);
    others_end(output, process, victim, beginning, 5);
}
END_TEST

START_TEST(a_stopped_rank_is_named_by_all_others_after_the_deadline) {
    pid_t process[RANKS];
    char beginning[64];
    victim = _i;
    int output = start_all(process, stopped);
    snprintf(beginning, sizeof beginning, "rank %d (process %ld on", victim, (long)process[victim]);
    others_end(output, process, victim, beginning, 1 + 2);
}
END_TEST

/* ---- ranks as threads */

static void slow_work(cover_context *context, int rank, void *user) {
    (void)user;
    if (rank == 1) usleep(1600000);
    ck_assert_ok(cover_context_agree(context, COVER_OK));
}
START_TEST(a_rank_that_is_slow_but_alive_is_waited_for) {
    run_together(&(struct together){.ranks = 2, .deadline_seconds = 0.8, .work = slow_work});
}
END_TEST

static void giving_up(cover_context *context, int rank, void *user) {
    (void)user;
    struct communicator *c = context->communicator;
    cover_status status = COVER_OK;
    if (rank == 2) {
        ck_assert_ok(cover_context_agree(context, COVER_OK)); /* then all others have joined */
        c->abort(c, COVER_ERROR_DEVICE, "rank 2's device is gone");
    }
    while ((status = cover_context_agree(context, COVER_OK)) == COVER_OK) {}
    ck_assert_int_eq(status, COVER_ERROR_DEVICE);
    ck_assert_str_eq(cover_error_text(), "rank 2's device is gone");
    ck_assert(atomic_load(&c->failed) && cancelled(context));
    ck_assert_int_eq(cover_context_speaks(context), rank == 0);
}
START_TEST(a_rank_that_gives_up_tells_all_why) { run_together(&(struct together){.ranks = 4, .work = giving_up}); }
END_TEST

static void leaving(cover_context *context, int rank, void *user) {
    (void)user;
    if (rank == 1) return;
    ck_assert_int_eq(cover_context_agree(context, COVER_OK), COVER_ERROR_RANK);
    ck_assert_ptr_nonnull(strstr(cover_error_text(), "rank 1 ("));
}
START_TEST(a_rank_that_leaves_too_early_is_named) { run_together(&(struct together){.ranks = 2, .work = leaving}); }
END_TEST

struct joiner {
    cover_ranks_options options;
    cover_status status;
    char text[512];
};
static void *join_thread(void *argument) {
    struct joiner *joiner = argument;
    cover_context *context;
    joiner->status = together_join(&context, &(struct together){.threads = 1}, &joiner->options);
    snprintf(joiner->text, sizeof joiner->text, "%s", cover_error_text());
    cover_context_destroy(context);
    return NULL;
}
static void join_all(struct joiner *joiners, int count, const char *pattern) {
    pthread_t thread[4];
    for (int i = 0; i < count; i++) pthread_create(&thread[i], NULL, join_thread, &joiners[i]);
    for (int i = 0; i < count; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(joiners[i].status, COVER_ERROR_RANK);
        ck_assert_msg(strstr(joiners[i].text, pattern) != NULL, "%d: %s", i, joiners[i].text);
    }
    ck_assert(!file_exists(address));
}

START_TEST(ranks_of_another_number_are_refused_everywhere) {
    struct joiner joiners[3] = {{options_of(0, 3)}, {options_of(1, 3)}, {options_of(2, 4)}};
    join_all(joiners, 3, "was told of 4 ranks, but rank 0 of 3");
}
END_TEST

START_TEST(two_ranks_of_one_number_are_refused_everywhere) {
    struct joiner joiners[3] = {{options_of(0, 3)}, {options_of(1, 3)}, {options_of(1, 3)}};
    join_all(joiners, 3, "two processes call themselves rank 1");
}
END_TEST

START_TEST(ranks_that_do_not_come_are_listed) {
    struct joiner joiners[2] = {{options_of(0, 4)}, {options_of(2, 4)}};
    joiners[0].options.join_seconds = joiners[1].options.join_seconds = 0.5;
    join_all(joiners, 2, "2 of 4 ranks did not come within 0.5 seconds: 1, 3");
}
END_TEST

/* Somebody else who connects is passed over, whatever is said. */
static void *stranger(void *argument) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char noise[4096];
    (void)argument;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", address);
    memset(noise, 'n', sizeof noise);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    while (connect(descriptor, (struct sockaddr *)&to, sizeof to) != 0) usleep(1000);
    ssize_t written = send(descriptor, noise, sizeof noise, MSG_NOSIGNAL);
    (void)written;
    close(descriptor);
    return NULL;
}
static void agree_once(cover_context *context, int rank, void *user) {
    (void)rank, (void)user;
    ck_assert_ok(cover_context_agree(context, COVER_OK));
}
START_TEST(strangers_are_passed_over) {
    pthread_t thread;
    pthread_create(&thread, NULL, stranger, NULL);
    run_together(&(struct together){.ranks = 2, .address = address, .late = 1, .work = agree_once});
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(wrong_options_are_refused) {
    cover_context *context;
    ck_assert_ok(cover_context_create(&context, NULL));
    static const struct {
        int rank, ranks;
        const char *transport, *address;
        double deadline;
        const char *text;
    } cases[] = {
        {0, 0, NULL, "/tmp/x", 0, "ranks is 0"},
        {2, 2, NULL, "/tmp/x", 0, "rank is 2"},
        {0, 2, "pigeon", "/tmp/x", 0, "transport 'pigeon' is not known"},
        {0, 2, NULL, "nowhere", 0, "address 'nowhere'"},
        {0, 2, NULL, "host:", 0, "address 'host:'"},
        {0, 2, NULL, NULL, 0, "sockets need an address"},
        {0, 2, NULL, "/tmp/x", -1, "0 or more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cover_ranks_options options = COVER_RANKS_OPTIONS_INIT;
        options.rank = cases[i].rank, options.ranks = cases[i].ranks, options.transport = cases[i].transport;
        options.address = cases[i].address, options.deadline_seconds = cases[i].deadline;
        ck_assert_int_eq(cover_context_join(context, &options), COVER_ERROR_ARGUMENT);
        ck_assert_msg(strstr(cover_error_text(), cases[i].text) != NULL, "%s", cover_error_text());
    }
    cover_ranks_options alone = COVER_RANKS_OPTIONS_INIT, absent = COVER_RANKS_OPTIONS_INIT;
    alone.ranks = 1;
    ck_assert_ok(cover_context_join(context, &alone));
    ck_assert_int_eq(cover_context_ranks(context), 1);
    absent.transport = "mpi", absent.module = "/nowhere/libcover-mpi.so";
    ck_assert_int_eq(cover_context_join(context, &absent), COVER_ERROR_UNSUPPORTED);
    cover_context_destroy(context);
}
END_TEST

START_TEST(a_module_made_with_another_header_is_refused) {
    char module[4096];
    cover_context *context;
    cover_ranks_options options = COVER_RANKS_OPTIONS_INIT;
    ssize_t length = readlink("/proc/self/exe", module, sizeof module - 1);
    ck_assert_int_gt(length, 0);
    module[length] = 0;
    snprintf(strrchr(module, '/'), 64, "/libcover-mpi-stale.so");
    options.transport = "mpi", options.module = module;
    ck_assert_ok(cover_context_create(&context, NULL));
    ck_assert_fails(cover_context_join(context, &options), COVER_ERROR_UNSUPPORTED, module, "was not made with this libcover (");
    cover_context_destroy(context);
}
END_TEST

START_TEST(waiting_for_others_can_be_cancelled) {
    cover_context *context;
    cover_ranks_options options = options_of(0, 2);
    ck_assert_ok(cover_context_create(&context, NULL));
    cover_context_cancel(context);
    ck_assert_int_eq(cover_context_join(context, &options), COVER_ERROR_CANCELLED);
    options.rank = 1;
    ck_assert_int_eq(cover_context_join(context, &options), COVER_ERROR_CANCELLED);
    cover_context_destroy(context);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("faults of ranks");
    TCase *tcase = tcase_create("faults of ranks");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_loop_test(tcase, a_killed_rank_is_named_by_all_others_at_once, 0, 2);
    tcase_add_loop_test(tcase, a_stopped_rank_is_named_by_all_others_after_the_deadline, 0, 2);
    ADD(tcase, a_rank_that_is_slow_but_alive_is_waited_for);
    ADD(tcase, a_rank_that_gives_up_tells_all_why);
    ADD(tcase, a_rank_that_leaves_too_early_is_named);
    ADD(tcase, ranks_of_another_number_are_refused_everywhere);
    ADD(tcase, two_ranks_of_one_number_are_refused_everywhere);
    ADD(tcase, ranks_that_do_not_come_are_listed);
    ADD(tcase, strangers_are_passed_over);
    ADD(tcase, wrong_options_are_refused);
    ADD(tcase, a_module_made_with_another_header_is_refused);
    ADD(tcase, waiting_for_others_can_be_cancelled);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
