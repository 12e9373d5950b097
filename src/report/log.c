/* log.jsonl, one JSON object a logged step (docs/run-folder.md), read back as one series a figure, whatever the figures are called.
 * Called for the report's curves, by analysis_curves.c and for the last words of a run. */
#include "core/base/files.h"
#include "core/base/json.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint64_t LOG_BYTES_MAX = UINT64_C(1) << 30;
/* Beyond these no run goes; the charts' arithmetic stays exact below them. */
static const int64_t STEP_MAX = INT64_C(1000000000000000);
static const double FIGURE_MAX = 1e30;

const struct report_series *report_find(const struct report_log *log, const char *name) {
    for (int i = 0; i < log->count; i++)
        if (strcmp(log->series[i].name, name) == 0) return &log->series[i];
    return NULL;
}

double report_last(const struct report_log *log, const char *name) {
    const struct report_series *series = report_find(log, name);
    for (int64_t i = series ? series->count - 1 : -1; i >= 0; i--)
        if (isfinite(series->value[i])) return series->value[i];
    return NAN;
}

double report_last_step(const struct report_log *log) { return log->lines.count ? log->lines.step[log->lines.count - 1] : NAN; }

/* Seconds a step are means since the line before. */
double report_seconds(const struct report_log *log) {
    const struct report_series *series = report_find(log, "seconds");
    double sum = 0;
    for (int64_t i = 0; series && i < series->count; i++)
        sum += series->value[i] * (series->step[i] - (i ? series->step[i - 1] : 0));
    return sum;
}

static cover_status append(struct report_series *series, cover_context *context, double step, double value) {
    if (series->count == series->capacity) {
        const int64_t capacity = series->capacity ? 2 * series->capacity : 256;
        double *both = memory_alloc(context, 2 * (size_t)capacity * sizeof *both);
        if (!both) return COVER_ERROR_MEMORY;
        if (series->count) {
            memcpy(both, series->step, (size_t)series->count * sizeof *both);
            memcpy(both + capacity, series->value, (size_t)series->count * sizeof *both);
        }
        memory_free(context, series->step);
        series->step = both, series->value = both + capacity, series->capacity = capacity;
    }
    series->step[series->count] = step, series->value[series->count++] = value;
    return COVER_OK;
}

/* A resumed run says some steps again. */
static void forget_from(struct report_series *series, double step) {
    while (series->count && series->step[series->count - 1] >= step) series->count--;
}

cover_status report_log_line(struct report_log *log, cover_context *context, double step) {
    forget_from(&log->lines, step);
    for (int i = 0; i < log->count; i++) forget_from(&log->series[i], step);
    return append(&log->lines, context, step, step);
}

/* NULL when there are too many, or its name is too long. */
static cover_status new_series(struct report_series **made, struct report_log *log, cover_context *context, const char *name) {
    *made = NULL;
    if (log->count == REPORT_SERIES_MAX || strlen(name) >= sizeof(*made)->name) return COVER_OK;
    if (!array_grow(context, &log->series, &log->capacity, log->count + 1, sizeof **made)) return COVER_ERROR_MEMORY;
    *made = &log->series[log->count++];
    **made = (struct report_series){0};
    snprintf((*made)->name, sizeof(*made)->name, "%s", name);
    return COVER_OK;
}

cover_status report_log_add(struct report_log *log, cover_context *context, const char *name, double value) {
    struct report_series *series = (struct report_series *)report_find(log, name);
    if (!series) TRY(new_series(&series, log, context, name));
    return series ? append(series, context, report_last_step(log), value) : COVER_OK;
}

cover_status report_log_divide(struct report_log *log, cover_context *context, const struct figure_words *figures) {
    char name[FIGURE_NAME];
    for (const struct figure_words *figure = figures; figure && figure->name; figure++) {
        const struct report_series *a = report_find(log, figure->name), *b = figure->over ? report_find(log, figure->over) : NULL;
        if (!a || !b || report_find(log, figure_ratio(name, figure))) continue;
        struct report_series *ratio;
        TRY(new_series(&ratio, log, context, name));
        a = report_find(log, figure->name), b = report_find(log, figure->over); /* they may have moved */
        for (int64_t i = 0, j = 0; ratio && i < a->count; i++) {
            while (j < b->count && b->step[j] < a->step[i]) j++;
            if (j == b->count) break;
            if (b->step[j] == a->step[i] && b->value[j] > 0) TRY(append(ratio, context, a->step[i], a->value[i] / b->value[j]));
        }
    }
    return COVER_OK;
}

bool report_is_clockwork(const char *name) {
    static const char *const names[] = {"step", "epoch", "lr", "seconds"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return true;
    return has_suffix(name, "_per_s");
}

static cover_status read_line(struct report_log *log, cover_context *context, const char *line, size_t length) {
    json_t *object, *value;
    const char *name;
    cover_status status = json_read(&object, "the line", line, length);
    const json_t *step = json_object_get(object, "step");
    if (status != COVER_OK) goto done;
    if (!json_is_integer(step) || json_integer_value(step) < 0 || json_integer_value(step) > STEP_MAX)
        status = fail(COVER_ERROR_FORMAT, "not an object with a step of 0 or more");
    else {
        GO(report_log_line(log, context, (double)json_integer_value(step)));
        json_object_foreach(object, name, value) {
            if (!json_is_number(value) || value == step || fabs(json_number_value(value)) > FIGURE_MAX) continue;
            GO(report_log_add(log, context, name, json_number_value(value)));
        }
    }
done:
    json_decref(object);
    return status;
}

cover_status report_log_read(struct report_log *out, cover_context *context, const char *path) {
    struct report_log log = {0};
    uint8_t *data = NULL;
    size_t bytes = 0;
    int64_t number = 1;
    cover_status status;
    GO(file_read(context, path, LOG_BYTES_MAX, &data, &bytes));
    for (const char *line = (const char *)data, *end = line + bytes, *newline; line < end; line = newline + 1, number++) {
        newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline) break; /* cut short while it was written */
        if (newline == line) continue;
        status = read_line(&log, context, line, (size_t)(newline - line));
        if (status != COVER_OK) GO(fail_in(status, "%s: line %lld", path, (long long)number));
    }
    *out = log;
    log = (struct report_log){0};
done:
    memory_free(context, data);
    report_log_free(&log, context);
    return status;
}

void report_log_free(struct report_log *log, cover_context *context) {
    for (int i = 0; i < log->count; i++) memory_free(context, log->series[i].step);
    memory_free(context, log->lines.step);
    memory_free(context, log->series);
    *log = (struct report_log){0};
}
