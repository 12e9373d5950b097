/* Progress on stderr: on a terminal a bar with rate, time left and losses, redrawn ten times a second; elsewhere a line
 * every few seconds.  The callbacks are handed to the library by main.c and the verbs. */
#include "command.h"

#include <libcover/task.h>
#include <libcover/trainer.h>

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double REDRAW_SECONDS = 0.1, LINE_SECONDS = 5, RATE_SECONDS = 8;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool speaks_utf8(void) {
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

void progress_begin(struct progress *progress, const char *title, bool quiet) {
    const char *terminal = getenv("TERM");
    *progress = (struct progress){.title = title, .quiet = quiet, .utf8 = speaks_utf8(), .started = now()};
    progress->terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    progress->shown = progress->started;
    progress->shown_done = -1;
}

static void clear_bar(struct progress *progress) {
    if (progress->drawn) fputs("\r\033[2K", stderr);
    progress->drawn = false;
}

void progress_end(struct progress *progress) {
    if (progress->drawn) fputc('\n', stderr);
    progress->drawn = false;
}

void progress_say(struct progress *progress, const char *format, ...) {
    if (progress->quiet) return;
    clear_bar(progress);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void progress_on_log(void *user, cover_log_level level, const char *line) {
    struct progress *progress = user;
    if (progress->silent || level == COVER_LOG_DEBUG || (level == COVER_LOG_INFO && progress->quiet)) return;
    clear_bar(progress);
    fprintf(stderr, "%s%s\n", level == COVER_LOG_WARNING ? "warning: " : "", line);
}

void print_seconds(char *text, size_t bytes, double seconds) {
    long whole = lround(fmin(seconds, 1e9));
    if (whole >= 3600) snprintf(text, bytes, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else snprintf(text, bytes, "%ld:%02ld", whole / 60, whole % 60);
}

static void draw_bar(struct progress *progress, double part, const char *behind) {
    struct winsize window;
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
    int room = width - 1 - (int)strlen(progress->title) - 2 - (int)strlen(behind);
    int cells = room > 32 ? 32 : room < 8 ? 8 : room, full = (int)(part * cells);
    char bar[256] = "";
    for (int i = 0; i < cells; i++) {
        const char *fine = i < full ? "━" : i == full ? "╸" : "─", *plain = i < full ? "=" : i == full ? ">" : ".";
        strcat(bar, progress->utf8 ? fine : plain);
    }
    /* what does not fit is cut: a line that wraps could not be drawn over */
    int left = width - 1 - (int)strlen(progress->title) - 2 - cells;
    fprintf(stderr, "\r\033[2K%s %s %.*s", progress->title, bar, left > 0 ? left : 0, behind);
    fflush(stderr);
    progress->drawn = true;
}

/* Rate, time left and `figures`, when it is time to show them or the work is done. */
static void show(struct progress *progress, int64_t done, int64_t total, const char *figures) {
    double time = now(), since = time - progress->shown;
    bool first = progress->shown_done<0, last = total> 0 && done >= total;
    if (progress->quiet || (!first && !last && since < (progress->terminal ? REDRAW_SECONDS : LINE_SECONDS))) return;
    if (!first && since > 0 && done > progress->shown_done) {
        double rate = (double)(done - progress->shown_done) / since, weight = 1 - exp(-since / RATE_SECONDS);
        progress->rate = progress->rate > 0 ? progress->rate + weight * (rate - progress->rate) : rate;
    }
    if (first || done > progress->shown_done) progress->shown = time, progress->shown_done = done;

    char left[32], count[64], behind[256];
    bool foreseen = total > 0 && !last && progress->rate > 0;
    print_seconds(left, sizeof left, foreseen ? (double)(total - done) / progress->rate : 0);
    snprintf(count, sizeof count, total > 0 ? "%lld/%lld" : "%lld", (long long)done, (long long)total);
    snprintf(behind, sizeof behind, " %s  %s%s%s", count, figures, foreseen ? "  ETA " : "", foreseen ? left : "");
    double part = total > 0 ? (double)done / (double)total : 0;
    if (progress->terminal) draw_bar(progress, part < 0 ? 0 : part > 1 ? 1 : part, behind);
    else fprintf(stderr, "%s:%s\n", progress->title, behind);
}

int progress_on_work(void *user, int64_t done, int64_t total, const char *what) {
    struct progress *progress = user;
    if (done < progress->shown_done) progress->shown_done = -1, progress->rate = 0; /* another phase of the work */
    char figures[128];
    int length = snprintf(figures, sizeof figures, "%.40s", what ? what : "");
    if (progress->rate > 0) snprintf(figures + length, sizeof figures - (size_t)length, "  %.3g/s", progress->rate);
    show(progress, done, total, figures);
    return 0;
}

static void smooth(double *value, double next, bool first) {
    if (!isfinite(next)) return;
    *value = first || !isfinite(*value) ? next : *value + 0.1 * (next - *value);
}

/* What another figure is measured against is seen in their ratio. */
static bool is_yardstick(const cover_step_report *report, int count, int figure) {
    for (int i = 0; i < count; i++)
        if (report->figures[i].over && strcmp(report->figures[i].over, report->figures[figure].name) == 0) return true;
    return false;
}

static void add_figure(char *line, size_t bytes, size_t *used, const char *name, const char *over, double value) {
    if (*used >= bytes) return;
    int more = snprintf(line + *used, bytes - *used, "  %s%s%s %.3f", name, *over ? "/" : "", over, value);
    if (more > 0) *used += (size_t)more;
}

void progress_on_step(void *user, const cover_step_report *report, int64_t steps) {
    struct progress *progress = user;
    const int count = report->figure_count < PROGRESS_FIGURES ? report->figure_count : PROGRESS_FIGURES;
    for (int i = 0; i < count; i++) smooth(&progress->figure[i], report->figures[i].value, !progress->smoothing);
    smooth(&progress->samples_per_second, report->samples_per_second, !progress->smoothing);
    progress->smoothing = true;
    char line[192];
    size_t used = (size_t)snprintf(line, sizeof line, "%.3g %ss/s", progress->samples_per_second, report->sample);
    for (int i = 0; i < count; i++)
        if (!is_yardstick(report, count, i)) add_figure(line, sizeof line, &used, report->figures[i].name, "", progress->figure[i]);
    for (int i = 0; i < count; i++)
        for (int k = 0; report->figures[i].over && k < count; k++)
            if (strcmp(report->figures[i].over, report->figures[k].name) == 0)
                add_figure(line, sizeof line, &used, report->figures[i].name, report->figures[k].name,
                           progress->figure[i] / progress->figure[k]);
    show(progress, report->step, steps, line);
}

void progress_on_task(void *user, const cover_task_report *report, int64_t steps) {
    struct progress *progress = user;
    smooth(&progress->loss, report->loss, !progress->smoothing);
    smooth(&progress->samples_per_second, report->samples_per_second, !progress->smoothing);
    progress->smoothing = true;
    char figures[192], score[64] = "";
    if (report->best_step > 0) snprintf(score, sizeof score, "  val %.4f  best %.4f", report->score, report->best_score);
    snprintf(figures, sizeof figures, "%.3g samples/s  loss %.4f%s", progress->samples_per_second, progress->loss, score);
    show(progress, report->step, steps, figures);
}
