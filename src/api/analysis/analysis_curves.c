/* Curves of several runs in one plot a figure (include/libcover/analysis.h; paper, Fig. 5).  A log.jsonl says itself which
 * figures it holds, so pretraining and fine-tuning are drawn alike. */
#include "api/run/run_folder.h"
#include "core/base/files.h"
#include "io/bytes/csv.h"
#include "report/plot.h"
#include "report/report.h"

#include <libcover/analysis.h>

#include <stdio.h>
#include <string.h>

enum { FIGURES_MAX = 24, BUCKETS = 240 };

struct run_curves {
    const char *name;
    struct report_log log;
};

struct curves {
    cover_context *context;
    const char *output;
    struct run_curves run[PLOT_COLOURS];
    int count;
    char figure[FIGURES_MAX][FIGURE_NAME];
    int figures;
};

static bool is_figure(const struct curves *curves, const char *name) {
    for (int f = 0; f < curves->figures; f++)
        if (strcmp(curves->figure[f], name) == 0) return true;
    return false;
}

/* A quotient is drawn in place of its parts. */
static bool is_part(const struct figure_words *figures, const struct report_log *log, const char *name) {
    char ratio[FIGURE_NAME];
    for (; figures && figures->name; figures++)
        if (figures->over && (strcmp(figures->name, name) == 0 || strcmp(figures->over, name) == 0))
            return report_find(log, figure_ratio(ratio, figures)) != NULL;
    return false;
}

/* Every number of the log but the clockwork. */
static cover_status take_run(struct curves *curves, const char *folder) {
    struct run_curves *run = &curves->run[curves->count++];
    const struct objective *objective;
    *run = (struct run_curves){.name = folder};
    char *path = path_join(curves->context, folder, "log.jsonl");
    if (!path) return COVER_ERROR_MEMORY;
    cover_status status;
    GO(output_is_not(curves->output, path));
    GO(report_log_read(&run->log, curves->context, path));
    GO(run_folder_objective(&objective, curves->context, folder));
    const struct figure_words *words = objective ? objective->figure : NULL;
    GO(report_log_divide(&run->log, curves->context, words));
    for (int i = 0; i < run->log.count && curves->figures < FIGURES_MAX; i++) {
        const char *name = run->log.series[i].name;
        if (!report_is_clockwork(name) && !is_part(words, &run->log, name) && !is_figure(curves, name))
            strcpy(curves->figure[curves->figures++], name);
    }
done:
    memory_free(curves->context, path);
    return status;
}

/* ---- drawing */

/* Means over equal runs of values; returns how many. */
static int64_t thin_out(double *x, double *y, const struct run_curves *run, const char *figure) {
    const struct report_series *series = report_find(&run->log, figure);
    int64_t held = series ? series->count : 0, used = 0, count = 0;
    int64_t buckets = held < BUCKETS ? held : BUCKETS;
    for (int64_t i = 0; i < held; i++) {
        if (!count) x[used] = y[used] = 0;
        x[used] += series->step[i], y[used] += series->value[i], count++;
        if ((i + 1) * buckets / held == used && i + 1 < held) continue;
        x[used] /= (double)count, y[used] /= (double)count;
        used++, count = 0;
    }
    return used;
}

static cover_status draw_page(struct text *page, const struct curves *curves) {
    double(*values)[2][BUCKETS] = memory_alloc(curves->context, (size_t)curves->count * sizeof *values);
    if (!values) return COVER_ERROR_MEMORY;
    plot_page_begin(page, "Convergence", "A line a run, a plot a figure of their logs, over optimiser steps.");
    for (int f = 0; f < curves->figures; f++) {
        struct plot_series series[PLOT_COLOURS];
        for (int r = 0; r < curves->count; r++)
            series[r] =
                (struct plot_series){curves->run[r].name, thin_out(values[r][0], values[r][1], &curves->run[r], curves->figure[f]),
                                     values[r][0], values[r][1]};
        plot_add(page, &(struct plot){.title = curves->figure[f], .x_label = "step"}, series, curves->count);
    }
    plot_page_end(page);
    memory_free(curves->context, values);
    return COVER_OK;
}

static void add_csv(struct text *csv, const struct curves *curves) {
    text_add(csv, "run,step,figure,value\n");
    for (int r = 0; r < curves->count; r++)
        for (int f = 0; f < curves->figures; f++) {
            const struct report_series *series = report_find(&curves->run[r].log, curves->figure[f]);
            for (int64_t i = 0; series && i < series->count; i++) {
                csv_add(csv, curves->run[r].name);
                text_add(csv, ",%.0f,", series->step[i]);
                csv_add(csv, curves->figure[f]);
                text_add(csv, ",%.9g\n", series->value[i]);
            }
        }
}

static cover_status write_file(const struct curves *curves, const char *path) {
    struct text text = {.context = curves->context};
    char *data = NULL;
    cover_status status = COVER_OK;
    if (has_suffix(path, ".csv")) add_csv(&text, curves);
    else status = draw_page(&text, curves);
    if (status == COVER_OK) status = text_take(&text, &data);
    if (status == COVER_OK) status = file_replace(curves->context, path, data, strlen(data));
    memory_free(curves->context, data);
    text_free(&text);
    return status;
}

static cover_status write_json(char **json, const struct curves *curves, const char *path) {
    struct text text = {.context = curves->context};
    text_add(&text, "{\"output\": ");
    text_add_json(&text, path);
    text_add(&text, ", \"runs\": [");
    for (int r = 0; r < curves->count; r++) {
        const struct report_log *log = &curves->run[r].log;
        text_add(&text, "%s{\"run\": ", r ? ", " : "");
        text_add_json(&text, curves->run[r].name);
        text_add(&text, ", \"steps\": %.0f, \"last\": {", log->lines.count ? report_last_step(log) : 0);
        for (int f = 0, listed = 0; f < curves->figures; f++) {
            if (!report_find(log, curves->figure[f])) continue;
            text_add(&text, "%s", listed++ ? ", " : "");
            text_add_json(&text, curves->figure[f]);
            text_add(&text, ": %.9g", report_last(log, curves->figure[f]));
        }
        text_add(&text, "}}");
    }
    text_add(&text, "]}");
    cover_status status = text_take(&text, json);
    text_free(&text);
    return status;
}

cover_status cover_analysis_curves(char **json, cover_context *context, const char *const *runs, int count, const char *path) {
    if (!context || !runs || !path) return fail(COVER_ERROR_ARGUMENT, "cover_analysis_curves: an argument is NULL");
    if (count < 1 || count > PLOT_COLOURS)
        return fail(COVER_ERROR_ARGUMENT, "curves of %d runs: give 1 to %d", count, PLOT_COLOURS);
    if (!has_suffix(path, ".html") && !has_suffix(path, ".csv"))
        return fail(COVER_ERROR_ARGUMENT, "%s: give a name that ends in .html or .csv", path);
    struct curves curves = {.context = context, .output = path};
    cover_status status = COVER_OK;
    while (curves.count < count && status == COVER_OK) status = take_run(&curves, runs[curves.count]);
    if (status == COVER_OK) status = write_file(&curves, path);
    if (status == COVER_OK && json) status = write_json(json, &curves, path);
    for (int r = 0; r < curves.count; r++) report_log_free(&curves.run[r].log, context);
    return status;
}
