/* cover ... --ranks N: this command once more, N times, each process a rank.  Rank 0 has this terminal; what the others say is
 * kept, and shown when rank 0 could not say it.  Without --threads each rank is given its part of the processors.
 *
 * Signals go to all: each of them knows what one more means.  Each is a process group of its own, so that
 * Ctrl-C reaches them through here, once; should this process be killed, Linux sends them SIGTERM, and they stop and save. */
#include "ranks.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 512, WORDS = 8192, TOKEN_BYTES = 32, VARIABLES = 4, VARIABLE_BYTES = 128 };
static const double TERM_SECONDS = 1, KILL_SECONDS = 30; /* for the others, after a rank has failed */

struct child {
    pid_t process;
    int words;        /* what it wrote to stderr, -1 = nothing is kept */
    bool ended, ours; /* ours: we killed it */
    int status;
};

struct start {
    struct session *session;
    int ranks;
    struct child child[MOST];
    char folder[64], address[80], token[2 * TOKEN_BYTES + 1];
    double failed; /* when the first rank failed, 0 = none has */
    int first;     /* that rank */
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- signals */

static volatile sig_atomic_t wanted, suspended; /* the last signal that is to be passed on */
static void on_signal(int number) { wanted = number; }
static void on_suspend(int number) { (void)number, suspended = 1; }

static void catch_signals(void) {
    struct sigaction suspend = {.sa_handler = on_suspend};
    sigemptyset(&suspend.sa_mask);
    signals_catch(on_signal);
    sigaction(SIGTSTP, &suspend, NULL);
    if (signals_asked()) wanted = SIGTERM; /* before there was anybody to pass it on to */
}

static void send_all(struct start *start, int number) {
    for (int rank = 0; rank < start->ranks; rank++)
        if (!start->child[rank].ended) kill(start->child[rank].process, number);
}

/* ---- a child, between fork and exec: async-signal-safe calls alone */

/* Its share of the processors that this process may use. */
static void take_processors(int rank, int ranks) {
    cpu_set_t all, own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof all, &all) != 0) return;
    int count = CPU_COUNT(&all), place = 0;
    int from = ranks <= count ? rank * count / ranks : rank % count, to = ranks <= count ? (rank + 1) * count / ranks : from + 1;
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        if (!CPU_ISSET(processor, &all)) continue;
        if (place >= from && place < to) CPU_SET(processor, &own);
        place++;
    }
    sched_setaffinity(0, sizeof own, &own);
}

static void become(const struct start *start, int rank, pid_t parent, const sigset_t *mask, char *const environment[]) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    signals_release();
    sigaction(SIGTSTP, &action, NULL);
    setpgid(0, 0);
    int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) _exit(127);
    if (rank > 0 && (dup2(nothing, STDOUT_FILENO) < 0 || dup2(start->child[rank].words, STDERR_FILENO) < 0)) _exit(127);
    if (!given(start->session, OPTION_THREADS)) take_processors(rank, start->ranks);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execve("/proc/self/exe", start->session->argv, environment);
    _exit(127);
}

/* Nobody but these ranks has it. */
static bool make_token(char text[2 * TOKEN_BYTES + 1]) {
    unsigned char random[TOKEN_BYTES];
    ssize_t made;
    do made = getrandom(random, sizeof random, 0);
    while (made < 0 && errno == EINTR);
    if (made != TOKEN_BYTES) return false;
    for (int i = 0; i < TOKEN_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", random[i]);
    return true;
}

/* Ours, with what a rank is told in place of what may be there. */
static char **make_environment(const struct start *start, int rank, char own[VARIABLES][VARIABLE_BYTES]) {
    extern char **environ;
    int count = 0, kept = 0;
    snprintf(own[0], VARIABLE_BYTES, RANK_VARIABLE "=%d", rank);
    snprintf(own[1], VARIABLE_BYTES, RANKS_VARIABLE "=%d", start->ranks);
    snprintf(own[2], VARIABLE_BYTES, ADDRESS_VARIABLE "=%s", start->address);
    snprintf(own[3], VARIABLE_BYTES, TOKEN_VARIABLE "=%s", start->token);
    while (environ[count]) count++;
    char **made = need(calloc((size_t)count + VARIABLES + 1, sizeof *made));
    for (int i = 0; i < count; i++) {
        bool ours = false;
        for (int j = 0; j < VARIABLES; j++) ours = ours || strncmp(environ[i], own[j], strcspn(own[j], "=") + 1) == 0;
        if (!ours) made[kept++] = environ[i];
    }
    for (int i = 0; i < VARIABLES; i++) made[kept++] = own[i];
    return made;
}

static bool start_child(struct start *start, int rank) {
    struct child *child = &start->child[rank];
    char own[VARIABLES][VARIABLE_BYTES];
    sigset_t before;
    if (rank > 0) {
        char path[] = "/tmp/cover-words-XXXXXX";
        child->words = mkostemp(path, O_CLOEXEC);
        if (child->words < 0) return false;
        unlink(path);
    }
    char **environment = make_environment(start, rank, own);
    signals_block(&before);
    pid_t parent = getpid();
    child->process = fork();
    if (child->process == 0) become(start, rank, parent, &before, environment);
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(environment);
    return child->process > 0;
}

/* ---- watching over them */

static int exit_of(const struct child *child) { return WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -1; }

static void reap(struct start *start) {
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
        for (int rank = 0; rank < start->ranks; rank++) {
            struct child *child = &start->child[rank];
            if (child->process != ended) continue;
            child->ended = true, child->status = status;
            if (status == 0 || exit_of(child) == EXIT_INTERRUPTED || start->failed) continue;
            start->failed = now(), start->first = rank;
        }
}

static bool all_ended(const struct start *start) {
    for (int rank = 0; rank < start->ranks; rank++)
        if (!start->child[rank].ended) return false;
    return true;
}

/* Ranks end each other when one fails; one that is stopped, or waits for those who have not come, is ended here. */
static void end_others(struct start *start, int number) {
    for (int rank = 0; rank < start->ranks; rank++)
        if (!start->child[rank].ended) start->child[rank].ours = true;
    send_all(start, number);
    send_all(start, SIGCONT);
}

static void suspend(struct start *start) {
    suspended = 0;
    send_all(start, SIGSTOP);
    raise(SIGSTOP);
    send_all(start, SIGCONT); /* after `fg` */
}

static void wait_for_all(struct start *start) {
    const struct timespec nap = {.tv_nsec = 20000000};
    bool asked = false, killed = false;
    for (;;) {
        reap(start);
        if (all_ended(start)) break;
        if (wanted) {
            int number = wanted;
            wanted = 0;
            send_all(start, number);
        }
        if (suspended) suspend(start);
        double since = start->failed ? now() - start->failed : 0;
        if (since > TERM_SECONDS && !asked) asked = true, end_others(start, SIGTERM);
        if (since > KILL_SECONDS && !killed) killed = true, end_others(start, SIGKILL);
        nanosleep(&nap, NULL);
    }
}

/* ---- last words */

static void show_words(const struct start *start, int rank) {
    static char words[WORDS + 1];
    if (rank == 0) return;
    ssize_t count = pread(start->child[rank].words, words, WORDS, 0);
    if (count > 0) fprintf(stderr, "%.*s%s", (int)count, words, words[count - 1] == '\n' ? "" : "\n");
}

/* A signal that nobody sent through here. */
static bool was_killed(const struct child *child) {
    return WIFSIGNALED(child->status) && !child->ours && !signals_asks_for_a_stop(WTERMSIG(child->status));
}

/* Rank 0 has said what went wrong, unless it could not: then the first rank that failed by itself does. */
static int last_words(const struct start *start) {
    int speaker = start->first, worst = EXIT_OK;
    if (exit_of(&start->child[0]) >= 0) answer_begin(); /* its result or its error is on stdout */
    for (int rank = 0; rank < start->ranks; rank++) {
        const struct child *child = &start->child[rank];
        if (child->status) worst = start->failed ? EXIT_FAILED : EXIT_INTERRUPTED;
        if (!was_killed(child)) continue;
        refuse(start->session->verb, COVER_ERROR_RANK, "rank %d (process %ld) was killed by signal %d (%s)", rank,
               (long)child->process, WTERMSIG(child->status), strsignal(WTERMSIG(child->status)));
        show_words(start, rank);
    }
    if (exit_of(&start->child[0]) > 0) return exit_of(&start->child[0]);
    if (worst != EXIT_FAILED) return worst;
    for (int rank = 1; rank < start->ranks && exit_of(&start->child[speaker]) <= 0; rank++) speaker = rank;
    if (exit_of(&start->child[speaker]) > 0) show_words(start, speaker);
    return exit_of(&start->child[speaker]) > 0 ? exit_of(&start->child[speaker]) : worst;
}

static void clean(struct start *start) {
    char path[112];
    for (int rank = 0; rank < start->ranks; rank++) {
        snprintf(path, sizeof path, rank ? "%s.%d" : "%s", start->address, rank);
        unlink(path);
        if (start->child[rank].words >= 0) close(start->child[rank].words);
    }
    rmdir(start->folder);
}

int ranks_start(struct session *session, int ranks) {
    if (ranks > MOST) return usage_error(session->verb, "--ranks %d: at most %d on one machine", ranks, MOST);
    struct start *start = need(calloc(1, sizeof *start));
    start->session = session, start->ranks = ranks;
    for (int rank = 0; rank < ranks; rank++) start->child[rank] = (struct child){.words = -1, .ended = true};
    strcpy(start->folder, "/tmp/cover-XXXXXX");
    int status = EXIT_FAILED;
    if (!mkdtemp(start->folder)) {
        status = refuse(session->verb, COVER_ERROR_IO, "a folder in /tmp: %s", strerror(errno));
        goto done;
    }
    if (!make_token(start->token)) {
        fprintf(stderr, "cover %s: the system gives no random numbers: %s\n", session->verb->name, strerror(errno));
        rmdir(start->folder);
        goto done;
    }
    snprintf(start->address, sizeof start->address, "%s/ranks", start->folder);
    catch_signals();
    for (int rank = 0; rank < ranks; rank++) {
        if (start_child(start, rank)) {
            start->child[rank].ended = false;
            continue;
        }
        refuse(session->verb, COVER_ERROR_IO, "rank %d cannot be started: %s", rank, strerror(errno));
        start->failed = now(), start->first = rank;
        end_others(start, SIGTERM);
        break;
    }
    wait_for_all(start);
    status = last_words(start);
    clean(start);
done:
    free(start);
    return status;
}
