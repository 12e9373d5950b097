/* log.jsonl, one JSON object a logged step (docs/run-folder.md), read back.  Called for the report's curves. */
#include "core/base/files.h"
#include "core/base/json.h"
#include "report.h"

#include <math.h>
#include <string.h>

static const uint64_t LOG_BYTES_MAX = UINT64_C(1) << 30;
/* Beyond these no run goes; the charts' arithmetic stays exact below them. */
static const int64_t STEP_MAX = INT64_C(1000000000000000);
static const double FIGURE_MAX = 1e30;

static const struct {
    const char *name;
    size_t offset;
} figures[] = {
    {"loss", offsetof(struct report_row, loss)},           {"l_vec", offsetof(struct report_row, l_vec)},
    {"l_con", offsetof(struct report_row, l_con)},         {"l_zero", offsetof(struct report_row, l_zero)},
    {"grad_norm", offsetof(struct report_row, grad_norm)}, {"lr", offsetof(struct report_row, lr)},
    {"seconds", offsetof(struct report_row, seconds)},     {"pairs_per_s", offsetof(struct report_row, pairs_per_s)},
};

static double *figure(struct report_row *row, size_t offset) { return (double *)((char *)row + offset); }

double report_last(const struct report_log *log, size_t offset) {
    for (int64_t i = log->count - 1; i >= 0; i--) {
        double value = *figure(&log->row[i], offset);
        if (isfinite(value)) return value;
    }
    return NAN;
}

static cover_status read_row(struct report_row *row, const char *line, size_t length) {
    json_error_t error;
    json_t *object = json_read(line, length, 0, &error);
    cover_status status = COVER_OK;
    const json_t *step = json_object_get(object, "step");
    if (!object)
        status = fail(COVER_ERROR_FORMAT, "%s", error.text);
    else if (!json_is_integer(step) || json_integer_value(step) < 0 || json_integer_value(step) > STEP_MAX)
        status = fail(COVER_ERROR_FORMAT, "not an object with a step of 0 or more");
    else {
        row->step = json_integer_value(step);
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
            const json_t *value = json_object_get(object, figures[i].name);
            double number = json_number_or_nan(value);
            *figure(row, figures[i].offset) = fabs(number) <= FIGURE_MAX ? number : NAN;
        }
    }
    json_decref(object);
    return status;
}

static cover_status append(struct report_log *log, int64_t *capacity, cover_context *context,
                           const struct report_row *row) {
    while (log->count && log->row[log->count - 1].step >= row->step) log->count--;
    if (log->count == *capacity) {
        int64_t grown = *capacity ? 2 * *capacity : 1024;
        struct report_row *rows = memory_alloc(context, (size_t)grown * sizeof *rows);
        if (!rows) return COVER_ERROR_MEMORY;
        if (log->count) memcpy(rows, log->row, (size_t)log->count * sizeof *rows);
        memory_free(context, log->row);
        log->row = rows, *capacity = grown;
    }
    log->row[log->count++] = *row;
    return COVER_OK;
}

cover_status report_log_read(struct report_log *out, cover_context *context, const char *path) {
    struct report_log log = {0};
    uint8_t *data = NULL;
    size_t bytes = 0;
    int64_t capacity = 0, number = 1;
    cover_status status;
    GO(file_read(context, path, LOG_BYTES_MAX, &data, &bytes));
    for (const char *line = (const char *)data, *end = line + bytes, *newline; line < end;
         line = newline + 1, number++) {
        newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline) break; /* cut short while it was written */
        struct report_row row;
        if (newline == line) continue;
        status = read_row(&row, line, (size_t)(newline - line));
        if (status != COVER_OK) {
            fail_in(status, "%s: line %lld", path, (long long)number);
            goto done;
        }
        GO(append(&log, &capacity, context, &row));
    }
    *out = log;
    log = (struct report_log){0};
    status = COVER_OK;
done:
    memory_free(context, data);
    report_log_free(&log, context);
    return status;
}

void report_log_free(struct report_log *log, cover_context *context) {
    memory_free(context, log->row);
    *log = (struct report_log){0};
}
