/* Progress on stderr: on a terminal a bar with rate, time left and losses, redrawn ten times a second, of which a narrow one shows what is worth
 * most; elsewhere a line every few seconds.  The callbacks are handed to the library by main.c and the verbs. */
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
    *progress = (struct progress){.title = title, .quiet = quiet, .utf8 = speaks_utf8(), .shown_done = -1};
    progress->terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
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
    if (whole >= 86400) snprintf(text, bytes, "%ld d %ld h", whole / 86400, whole / 3600 % 24);
    else if (whole >= 3600) snprintf(text, bytes, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else snprintf(text, bytes, "%ld:%02ld", whole / 60, whole % 60);
}

/* ---- a line: pieces in the order in which they are read, each with its worth */

enum worth { WORTH_MORE, WORTH_SPEED, WORTH_DONE, WORTH_LEFT, WORTH_RESULT, WORTHS };
enum { PIECES = PROGRESS_FIGURES + 8, FEWEST_CELLS = 8, MOST_CELLS = 32 };

struct line {
    int count;
    struct piece {
        char text[64];
        enum worth worth;
        bool shown;
    } piece[PIECES];
};

PRINTF_LIKE(3, 4) static void add(struct line *line, enum worth worth, const char *format, ...) {
    if (line->count == PIECES) return;
    struct piece *piece = &line->piece[line->count++];
    piece->worth = worth;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece->text, sizeof piece->text, format, arguments);
    va_end(arguments);
}

static bool take(int *room, size_t length) {
    if ((int)length > *room) return false;
    *room -= (int)length;
    return true;
}

/* Marks the pieces that fit.  Title and bar are worth more than the figures that are least. */
static void fit(struct line *line, int room, const char *title, bool *titled, int *cells) {
    *cells = 0, *titled = false;
    for (int worth = WORTH_RESULT; worth >= WORTH_MORE; worth--) {
        if (worth == WORTH_MORE) {
            *titled = take(&room, strlen(title) + 1);
            if (*titled && take(&room, FEWEST_CELLS + 1)) *cells = FEWEST_CELLS;
        }
        for (int i = 0; i < line->count; i++) {
            struct piece *piece = &line->piece[i];
            if ((int)piece->worth != worth) continue;
            if (!(piece->shown = take(&room, strlen(piece->text) + 2))) break; /* no lesser one in its place, which would flicker */
        }
    }
    if (*cells) *cells = room > MOST_CELLS - FEWEST_CELLS ? MOST_CELLS : FEWEST_CELLS + room;
}

/* What does not fit is left out: a line that wraps could not be drawn over. */
static void draw_bar(struct progress *progress, double part, struct line *line) {
    struct winsize window;
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80, cells;
    bool titled;
    fit(line, width - 1, progress->title, &titled, &cells);
    fprintf(stderr, "\r\033[2K%s%s", titled ? progress->title : "", titled ? " " : "");
    int full = (int)(part * cells);
    for (int i = 0; i < cells; i++) {
        const char *fine = i < full ? "━" : i == full ? "╸" : "─", *plain = i < full ? "=" : i == full ? ">" : ".";
        fputs(progress->utf8 ? fine : plain, stderr);
    }
    const char *space = cells ? " " : "";
    for (int i = 0; i < line->count; i++) {
        if (!line->piece[i].shown) continue;
        fprintf(stderr, "%s%s", space, line->piece[i].text);
        space = "  ";
    }
    fflush(stderr);
    progress->drawn = true;
}

/* ---- rate and time left */

/* `seconds`: what the unit that was just done took, 0 = not known.  A rate follows what is new, but early on the mean of the phase counts. */
static void measure_rate(struct progress *progress, int64_t done, double seconds, double time) {
    double since = time - progress->shown, weight;
    if (progress->shown_done < 0) {
        progress->begun = time - seconds;
        progress->rate = seconds > 0 ? 1 / seconds : 0;
    } else if (since > 0 && done > progress->shown_done) {
        double rate = (double)(done - progress->shown_done) / since;
        weight = fmax(1 - exp(-since / RATE_SECONDS), since / (time - progress->begun));
        progress->rate = progress->rate > 0 ? progress->rate + weight * (rate - progress->rate) : rate;
    }
}

/* Is it time to show something, or is the work done? */
static bool due(struct progress *progress, const char *phase, int64_t done, int64_t total) {
    if (done < progress->shown_done || strncmp(progress->phase, phase, sizeof progress->phase - 1) != 0) {
        snprintf(progress->phase, sizeof progress->phase, "%s", phase);
        progress->shown_done = -1;
    }
    const bool first = progress->shown_done<0, last = total> 0 && done >= total;
    return !progress->quiet && (first || last || now() - progress->shown >= (progress->terminal ? REDRAW_SECONDS : LINE_SECONDS));
}

static void add_done(struct line *line, int64_t done, int64_t total) {
    if (total > 0) add(line, WORTH_DONE, "%lld/%lld", (long long)done, (long long)total);
    else add(line, WORTH_DONE, "%lld", (long long)done);
}

/* The line with the time that is left behind it. */
static void show(struct progress *progress, int64_t done, int64_t total, double seconds, struct line *line) {
    const double time = now();
    measure_rate(progress, done, seconds, time);
    if (done > progress->shown_done) progress->shown = time, progress->shown_done = done;
    if (total > done && progress->rate > 0) {
        char left[32];
        print_seconds(left, sizeof left, (double)(total - done) / progress->rate);
        add(line, WORTH_LEFT, "ETA %s", left);
    }
    double part = total > 0 ? (double)done / (double)total : 0;
    if (progress->terminal) {
        draw_bar(progress, part < 0 ? 0 : part > 1 ? 1 : part, line);
        return;
    }
    fprintf(stderr, "%s:", progress->title);
    for (int i = 0; i < line->count; i++) fprintf(stderr, "%s%s", i ? "  " : " ", line->piece[i].text);
    fputc('\n', stderr);
}

int progress_on_work(void *user, int64_t done, int64_t total, const char *what) {
    struct progress *progress = user;
    struct line line = {0};
    if (!due(progress, what ? what : "", done, total)) return 0;
    add_done(&line, done, total);
    if (what && *what) add(&line, WORTH_RESULT, "%.40s", what);
    if (progress->shown_done >= 0 && progress->rate > 0) add(&line, WORTH_SPEED, "%.3g/s", progress->rate);
    show(progress, done, total, 0, &line);
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

void progress_on_step(void *user, const cover_step_report *report, int64_t steps) {
    struct progress *progress = user;
    struct line line = {0};
    const cover_figure *figures = report->figures;
    const int count = report->figure_count < PROGRESS_FIGURES ? report->figure_count : PROGRESS_FIGURES;
    for (int i = 0; i < count; i++) smooth(&progress->figure[i], figures[i].value, !progress->smoothing);
    smooth(&progress->samples_per_second, report->samples_per_second, !progress->smoothing);
    progress->smoothing = true;
    if (!due(progress, "step", report->step, steps)) return;
    add_done(&line, report->step, steps);
    add(&line, WORTH_SPEED, "%.3g %ss/s", progress->samples_per_second, report->sample);
    for (int i = 0; i < count; i++)
        if (!is_yardstick(report, count, i)) add(&line, WORTH_MORE, "%.24s %.3f", figures[i].name, progress->figure[i]);
    for (int i = 0; i < count; i++)
        for (int k = 0; figures[i].over && k < count; k++)
            if (strcmp(figures[i].over, figures[k].name) == 0 && progress->figure[k] > 0)
                add(&line, WORTH_RESULT, "%.24s/%.24s %.3f", figures[i].name, figures[k].name,
                    progress->figure[i] / progress->figure[k]);
    show(progress, report->step, steps, report->seconds, &line);
}

void progress_on_task(void *user, const cover_task_report *report, int64_t steps) {
    struct progress *progress = user;
    struct line line = {0};
    smooth(&progress->loss, report->loss, !progress->smoothing);
    smooth(&progress->samples_per_second, report->samples_per_second, !progress->smoothing);
    progress->smoothing = true;
    if (!due(progress, "step", report->step, steps)) return;
    add_done(&line, report->step, steps);
    add(&line, WORTH_SPEED, "%.3g samples/s", progress->samples_per_second);
    add(&line, WORTH_MORE, "loss %.4f", progress->loss);
    if (report->best_step > 0) add(&line, WORTH_MORE, "val %.4f", report->score);
    if (report->best_step > 0) add(&line, WORTH_RESULT, "best %.4f", report->best_score);
    show(progress, report->step, steps, report->seconds, &line);
}
