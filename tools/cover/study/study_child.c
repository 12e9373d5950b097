/* One run of a study: `cover` once more, as a child process whose standard output is kept.  Called by study.c.
 *
 * The child is a process group of its own, so that Ctrl-C on a terminal reaches the study alone, which passes it on once:
 * the child saves at the first signal, as ever, and knows what one more means.  Should the study be killed, Linux sends the
 * child SIGTERM, and it saves, too. */
#include "study.h"

#include "../signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static volatile sig_atomic_t signals_seen;
static volatile pid_t child;

static void pass_on(int number) {
    signals_seen = 1;
    if (child > 0) kill(child, number);
}

void study_catch_signals(void) { signals_catch(pass_on); }

bool study_interrupted(void) { return signals_seen || signals_asked(); }

/* In the child, between fork and exec: async-signal-safe calls alone. */
static void become(const char *const words[], int output, pid_t parent, const sigset_t *mask) {
    signals_release();
    setpgid(0, 0);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0) _exit(127);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    if (getppid() != parent) _exit(127);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv("/proc/self/exe", (char *const *)words);
    execvp(words[0], (char *const *)words); /* where there is no /proc */
    _exit(127);
}

static char *read_all(FILE *stream) {
    char *text = NULL;
    size_t length = 0, got;
    rewind(stream);
    do {
        text = need(realloc(text, length + 65537));
        got = fread(text + length, 1, 65536, stream);
        length += got;
    } while (got);
    text[length] = 0;
    return text;
}

int study_execute(const char *const words[], char **output) {
    sigset_t before;
    FILE *stream = tmpfile();
    int status = 0;
    *output = NULL;
    if (!stream) {
        return refuse(&verb_study, COVER_ERROR_IO, "a temporary file: %s", strerror(errno));
    }
    signals_block(&before); /* until `child` is set */
    pid_t parent = getpid(), made = fork();
    if (made == 0) become(words, fileno(stream), parent, &before);
    child = made;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (made < 0) {
        refuse(&verb_study, COVER_ERROR_IO, "a process cannot be started: %s", strerror(errno));
        fclose(stream);
        return EXIT_FAILED;
    }
    while (waitpid(made, &status, 0) < 0 && errno == EINTR) {}
    child = 0;
    *output = read_all(stream);
    fclose(stream);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
