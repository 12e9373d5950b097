/* What a signal does to a verb that works in this process: save and exit.  Wrappers, terminals and schedulers deliver one request twice within
 * milliseconds, so what comes soon after counts as the same; a later one of a person's ends the process at once, and says what is lost.
 * Called by main.c, ranks_start.c and study_child.c. */
#include "signals.h"

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
    int number;
    bool insists;  /* once more, later: stop at once.  The system sends the others again and again, and means the same. */
    bool optional; /* whoever started us may have it ignored */
} stops[] = {
    {SIGINT, .insists = true}, {SIGTERM, .insists = true}, {SIGHUP, .optional = true}, {SIGXCPU}, {SIGUSR1},
};
static const int ignored[] = {SIGPIPE, SIGXFSZ};
static const double SAME_SECONDS = 1;
enum { STOPS = sizeof stops / sizeof *stops, IGNORED = sizeof ignored / sizeof *ignored };

/* ---- the table */

void signals_catch(void (*handler)(int number)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPS; i++) sigaddset(&action.sa_mask, stops[i].number);
    for (int i = 0; i < STOPS; i++) {
        bool leave = stops[i].optional && sigaction(stops[i].number, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (!leave) sigaction(stops[i].number, &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    for (int i = 0; i < IGNORED; i++) sigaction(ignored[i], &action, NULL);
}

void signals_block(sigset_t *before) {
    sigset_t all;
    sigemptyset(&all);
    for (int i = 0; i < STOPS; i++) sigaddset(&all, stops[i].number);
    sigaddset(&all, SIGTSTP);
    sigprocmask(SIG_BLOCK, &all, before);
}

void signals_release(void) {
    struct sigaction action = {.sa_handler = SIG_DFL}, now;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPS; i++)
        if (sigaction(stops[i].number, NULL, &now) == 0 && now.sa_handler != SIG_IGN) sigaction(stops[i].number, &action, NULL);
}

bool signals_asks_for_a_stop(int number) {
    for (int i = 0; i < STOPS; i++)
        if (stops[i].number == number) return true;
    return false;
}

/* ---- a verb */

static cover_context *volatile running; /* what a signal cancels */
static volatile sig_atomic_t asked;
static volatile double insisted; /* when the first signal came that a later one makes a command of; 0 = none has */
static bool below_a_bar;         /* its message begins a new line */
static bool without_words;       /* another rank says them */
static bool resumes;             /* the verb has checkpoints */

/* A terminal or pipe that takes nothing now must not hold up the stop. */
static void say(const char *words) {
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (without_words || poll(&ready, 1, 0) != 1) return;
    ssize_t written = write(STDERR_FILENO, words, strlen(words));
    (void)written;
}

static bool insists(int number) {
    for (int i = 0; i < STOPS; i++)
        if (stops[i].number == number) return stops[i].insists;
    return false;
}

/* Async-signal-safe calls alone. */
static void on_signal(int number) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    double now = (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
    if (insists(number)) {
        if (insisted > 0 && now - insisted > SAME_SECONDS) {
            if (below_a_bar) say("\n");
            say(resumes ? "stopped at once: what came after the last save is lost; --resume goes on from there\n"
                        : "stopped at once: what was not written yet is lost\n");
            _exit(EXIT_LOST);
        }
        if (!(insisted > 0)) insisted = now;
    }
    if (asked) return;
    asked = 1;
    if (running) cover_context_cancel(running);
    if (below_a_bar) say("\n");
    say("stopping after what is in work; Ctrl-C or SIGTERM once more stops at once\n");
}

void signals_begin(const struct session *session) {
    below_a_bar = session->progress.terminal;
    without_words = session->progress.silent;
    resumes = verb_takes(session->verb, OPTION_RESUME);
    signals_catch(on_signal);
}

bool signals_asked(void) { return asked; }

void signals_cancel(cover_context *context) {
    running = context;
    if (asked) cover_context_cancel(context);
}
