/* log.jsonl of fine-tuning read as one series a figure, whatever the figures are called (docs/run-folder.md).  Called
 * for the report's curves. */
#include "core/base/files.h"
#include "core/base/json.h"
#include "task_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint64_t LOG_BYTES_MAX = UINT64_C(1) << 30;
static const int64_t STEP_MAX = INT64_C(1000000000000000);
static const double FIGURE_MAX = 1e30;

const struct task_series *task_log_find(const struct task_log *log, const char *name) {
    for (int i = 0; i < log->count; i++)
        if (strcmp(log->series[i].name, name) == 0) return &log->series[i];
    return NULL;
}

static cover_status append(struct task_log *log, cover_context *context, const char *name, double step, double value) {
    struct task_series *series = (struct task_series *)task_log_find(log, name);
    if (!series) {
        if (log->count == TASK_SERIES_MAX || strlen(name) >= sizeof series->name) return COVER_OK;
        series = &log->series[log->count++];
        *series = (struct task_series){0};
        snprintf(series->name, sizeof series->name, "%s", name);
    }
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
static void forget_from(struct task_log *log, double step) {
    for (int i = 0; i < log->count; i++)
        while (log->series[i].count && log->series[i].step[log->series[i].count - 1] >= step) log->series[i].count--;
}

static cover_status read_line(struct task_log *log, cover_context *context, const char *line, size_t length) {
    json_error_t error;
    json_t *object = json_read(line, length, 0, &error), *value;
    const json_t *step = json_object_get(object, "step");
    const char *name;
    cover_status status = COVER_OK;
    if (!object)
        status = fail(COVER_ERROR_FORMAT, "%s", error.text);
    else if (!json_is_integer(step) || json_integer_value(step) < 0 || json_integer_value(step) > STEP_MAX)
        status = fail(COVER_ERROR_FORMAT, "not an object with a step of 0 or more");
    else {
        const double at = (double)json_integer_value(step);
        forget_from(log, at);
        json_object_foreach(object, name, value) {
            if (!json_is_number(value) || value == step || fabs(json_number_value(value)) > FIGURE_MAX) continue;
            GO(append(log, context, name, at, json_number_value(value)));
        }
    }
done:
    json_decref(object);
    return status;
}

cover_status task_log_read(struct task_log *out, cover_context *context, const char *path) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    int64_t number = 1;
    struct task_log *log = memory_zero(context, sizeof *log);
    cover_status status;
    GO(log ? COVER_OK : COVER_ERROR_MEMORY);
    GO(file_read(context, path, LOG_BYTES_MAX, &data, &bytes));
    for (const char *line = (const char *)data, *end = line + bytes, *newline; line < end;
         line = newline + 1, number++) {
        newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline) break; /* cut short while it was written */
        if (newline == line) continue;
        status = read_line(log, context, line, (size_t)(newline - line));
        if (status != COVER_OK) GO(fail_in(status, "%s: line %lld", path, (long long)number));
    }
    *out = *log;
    log->count = 0;
done:
    if (log) task_log_free(log, context);
    memory_free(context, log);
    memory_free(context, data);
    return status;
}

void task_log_free(struct task_log *log, cover_context *context) {
    for (int i = 0; i < log->count; i++) memory_free(context, log->series[i].step);
    log->count = 0;
}
