/* Curves of several runs in one plot a figure (include/libcover/analysis.h; paper, Fig. 5).  A log.jsonl says itself which
 * figures it holds, so pretraining and fine-tuning are drawn alike. */
#include "core/base/files.h"
#include "core/base/json.h"
#include "io/bytes/csv.h"
#include "report/plot.h"

#include <libcover/analysis.h>

#include <math.h>
#include <string.h>

enum { FIGURES_MAX = 24, BUCKETS = 240 };
static const uint64_t LOG_BYTES_MAX = UINT64_C(1) << 30;

struct run_log {
    const char *name;
    json_t *lines; /* array of objects with a step */
};

struct curves {
    cover_context *context;
    struct run_log log[PLOT_COLOURS];
    int count;
    char figure[FIGURES_MAX][64];
    int figures;
};

/* ---- reading */

static double step_of(const json_t *line) { return json_number_value(json_object_get(line, "step")); }

/* Two losses of pretraining as one figure: how much of the zero field's loss is left. */
static void add_ratio(json_t *line) {
    double zero = json_number_value(json_object_get(line, "l_zero"));
    if (zero > 0) json_object_set_new(line, "l_vec / l_zero", json_real(json_number_value(json_object_get(line, "l_vec")) / zero));
}

static cover_status read_line(struct run_log *log, const char *line, size_t length) {
    json_error_t error;
    json_t *object = json_read(line, length, 0, &error);
    cover_status status = COVER_OK;
    if (!object) status = fail(COVER_ERROR_FORMAT, "%s", error.text);
    else if (!json_is_number(json_object_get(object, "step"))) status = fail(COVER_ERROR_FORMAT, "not an object with a step");
    else {
        size_t count; /* a run that was resumed says some steps again */
        while ((count = json_array_size(log->lines)) && step_of(json_array_get(log->lines, count - 1)) > step_of(object))
            json_array_remove(log->lines, count - 1);
        add_ratio(object);
        if (json_array_append(log->lines, object) != 0) status = fail(COVER_ERROR_MEMORY, "out of memory");
    }
    json_decref(object);
    return status;
}

static cover_status read_log(struct run_log *log, cover_context *context, const char *run) {
    uint8_t *data = NULL;
    size_t bytes, number = 0;
    cover_status status;
    char *path = path_join(context, run, "log.jsonl");
    if (!path) return COVER_ERROR_MEMORY;
    log->name = run;
    log->lines = json_array();
    GO(file_read(context, path, LOG_BYTES_MAX, &data, &bytes));
    for (const char *line = (const char *)data, *end = line + bytes, *newline; line < end; line = newline + 1) {
        newline = memchr(line, '\n', (size_t)(end - line));
        number++;
        if (!newline) break; /* cut short while it was written */
        if (newline == line) continue;
        status = read_line(log, line, (size_t)(newline - line));
        if (status != COVER_OK) GO(fail_in(status, "%s: line %zu", path, number));
    }
done:
    memory_free(context, data);
    memory_free(context, path);
    return status;
}

/* ---- which figures: every number of the logs but the clockwork */

static bool is_clockwork(const char *name) {
    static const char *const names[] = {"step", "epoch", "lr", "seconds", "pairs_per_s", "samples_per_s", "l_zero", "l_vec"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

static void find_figures(struct curves *curves) {
    for (int r = 0; r < curves->count; r++)
        for (size_t i = 0; i < json_array_size(curves->log[r].lines); i++) {
            const char *key;
            json_t *value;
            json_object_foreach(json_array_get(curves->log[r].lines, i), key, value) {
                int f = 0;
                if (!json_is_number(value) || is_clockwork(key) || strlen(key) >= sizeof curves->figure[0]) continue;
                while (f < curves->figures && strcmp(curves->figure[f], key) != 0) f++;
                if (f == curves->figures && f < FIGURES_MAX) strcpy(curves->figure[curves->figures++], key);
            }
        }
}

/* ---- drawing */

/* Means over equal runs of lines that hold the figure; returns how many. */
static int64_t thin_out(double *x, double *y, const struct run_log *log, const char *figure) {
    int64_t held = 0, used = 0, at = 0, count = 0;
    size_t i;
    json_t *line;
    json_array_foreach(log->lines, i, line) held += json_is_number(json_object_get(line, figure));
    int64_t buckets = held < BUCKETS ? held : BUCKETS;
    json_array_foreach(log->lines, i, line) {
        const json_t *value = json_object_get(line, figure);
        if (!json_is_number(value)) continue;
        if (!count) x[used] = y[used] = 0;
        x[used] += step_of(line), y[used] += json_number_value(value), count++, at++;
        if (at * buckets / held == used && at < held) continue;
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
                (struct plot_series){curves->log[r].name, thin_out(values[r][0], values[r][1], &curves->log[r], curves->figure[f]),
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
            size_t i;
            json_t *line;
            json_array_foreach(curves->log[r].lines, i, line) {
                const json_t *value = json_object_get(line, curves->figure[f]);
                if (!json_is_number(value)) continue;
                csv_add(csv, curves->log[r].name);
                text_add(csv, ",%.0f,", step_of(line));
                csv_add(csv, curves->figure[f]);
                text_add(csv, ",%.9g\n", json_number_value(value));
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
        const json_t *lines = curves->log[r].lines;
        size_t count = json_array_size(lines);
        text_add(&text, "%s{\"run\": ", r ? ", " : "");
        text_add_json(&text, curves->log[r].name);
        text_add(&text, ", \"steps\": %.0f, \"last\": {", count ? step_of(json_array_get(lines, count - 1)) : 0);
        for (int f = 0, listed = 0; f < curves->figures; f++)
            for (size_t i = count; i-- > 0;) {
                const json_t *value = json_object_get(json_array_get(lines, i), curves->figure[f]);
                if (!json_is_number(value)) continue;
                text_add(&text, "%s", listed++ ? ", " : "");
                text_add_json(&text, curves->figure[f]);
                text_add(&text, ": %.9g", json_number_value(value));
                break;
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
    struct curves curves = {.context = context};
    cover_status status = COVER_OK;
    while (curves.count < count && status == COVER_OK) {
        status = read_log(&curves.log[curves.count], context, runs[curves.count]);
        curves.count++;
    }
    if (status == COVER_OK) find_figures(&curves);
    if (status == COVER_OK) status = write_file(&curves, path);
    if (status == COVER_OK && json) status = write_json(json, &curves, path);
    for (int r = 0; r < curves.count; r++) json_decref(curves.log[r].lines);
    return status;
}
