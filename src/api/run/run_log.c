/* log.jsonl and events of a run. */
#include "run_log.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "core/base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOG_LIMIT = 1 << 30 };

/* Bytes of the whole lines up to `step`. */
static cover_status kept_bytes(size_t *kept, const char *path, const char *text, size_t bytes, int64_t step) {
    *kept = 0;
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        if (!newline) break; /* a line cut short by a crash */
        size_t end = (size_t)(newline - text) + 1;
        json_t *line;
        if (json_read(&line, path, text + at, end - at) == COVER_ERROR_MEMORY) return COVER_ERROR_MEMORY;
        json_t *number = json_object_get(line, "step");
        bool keep = json_is_integer(number) && json_integer_value(number) <= step;
        json_decref(line);
        if (!keep) break;
        *kept = at = end;
    }
    return COVER_OK;
}

static cover_status cannot_write(const struct run_log *log) { return fail_system(log->lines.path, "cannot be written"); }

static cover_status drop_later(struct run_log *log, int64_t step) {
    uint8_t *text;
    size_t bytes;
    TRY(file_read(log->context, log->lines.path, LOG_LIMIT, &text, &bytes));
    size_t kept;
    const cover_status status = kept_bytes(&kept, log->lines.path, (const char *)text, bytes, step);
    memory_free(log->context, text);
    if (status != COVER_OK) return status;
    return kept == bytes || descriptor_cut(log->lines.descriptor, kept) ? COVER_OK : cannot_write(log);
}

cover_status run_log_open(struct run_log *log, cover_context *context, const char *run, int64_t step) {
    cover_status status = COVER_ERROR_MEMORY;
    *log = (struct run_log){.context = context, .lines.descriptor = -1};
    char *path = path_join(context, run, "log.jsonl");
    if (!path) goto done;
    if (!journal_open(&log->lines, context, path, O_WRONLY | O_CREAT)) GO(cannot_write(log));
    const enum descriptor_lock lock = descriptor_lock(log->lines.descriptor);
    if (lock == LOCK_OF_ANOTHER)
        GO(fail(COVER_ERROR_IO, "%s: another process is training in this folder; wait for it, or name another folder", run));
    if (lock == LOCK_IMPOSSIBLE)
        log_line(context, COVER_LOG_WARNING, "%s: cannot be locked (%s): let no other process train in this folder", path,
                 strerror(errno));
    GO(drop_later(log, step));
    log->run = run, log->done = step;
done:
    if (status != COVER_OK) run_log_abandon(log);
    return status;
}

/* NULL when there is no memory for it. */
static struct run_value *value_of(struct run_log *log, int64_t step, const char *tag) {
    log->step = step;
    for (int i = 0; i < log->values; i++)
        if (strcmp(log->value[i].tag, tag) == 0) return &log->value[i];
    struct run_value *value = NULL;
    if (array_grow(log->context, &log->value, &log->capacity, log->values + 1, sizeof *log->value)) {
        value = &log->value[log->values];
        *value = (struct run_value){.tag = memory_text(log->context, tag)};
    }
    if (!value || !value->tag) {
        log->failed = true;
        return NULL;
    }
    log->values++;
    return value;
}

static void forget_values(struct run_log *log) {
    for (int i = 0; i < log->values; i++) memory_free(log->context, log->value[i].tag);
    log->values = 0;
}

void run_log_add(struct run_log *log, int64_t step, const char *tag, double number) {
    struct run_value *value = value_of(log, step, tag);
    if (value) value->sum += number, value->count++;
}

void run_log_set(struct run_log *log, int64_t step, const char *tag, double number) {
    struct run_value *value = value_of(log, step, tag);
    if (value) value->sum = number, value->count = 1;
}

static cover_status write_line(struct run_log *log, const struct event_scalar *scalars) {
    struct text line = {.context = log->context};
    char *text = NULL;
    text_add(&line, "{\"step\": %lld", (long long)log->step);
    for (int i = 0; i < log->values; i++) {
        text_add(&line, ", ");
        text_add_json(&line, scalars[i].tag);
        text_add(&line, ": ");
        text_add_number(&line, scalars[i].value, 9);
    }
    text_add(&line, "}\n");
    TRY(text_take(&line, &text));
    const cover_status status = journal_add(&log->lines, text, strlen(text));
    memory_free(log->context, text);
    return status;
}

cover_status run_log_flush(struct run_log *log) {
    cover_status status = COVER_OK;
    if (log->values == 0 && !log->failed) return COVER_OK;
    struct event_scalar *scalars = memory_alloc(log->context, (size_t)log->values * sizeof *scalars);
    if (!scalars || log->failed) {
        status = fail(COVER_ERROR_MEMORY, "%s: no memory for its next line", log->lines.path);
        goto done;
    }
    for (int i = 0; i < log->values; i++)
        scalars[i] = (struct event_scalar){log->value[i].tag, log->value[i].sum / (double)log->value[i].count};
    GO(write_line(log, scalars));
    if (!log->events) GO(events_open(&log->events, log->context, log->run, log->done ? log->done + 1 : 0));
    GO(events_append(log->events, log->step, scalars, log->values));
done:
    forget_values(log);
    log->failed = false;
    memory_free(log->context, scalars);
    return status;
}

cover_status run_log_close(struct run_log *log) {
    cover_status status = journal_flush(&log->lines);
    if (status == COVER_OK) status = events_flush(log->events);
    run_log_abandon(log);
    return status;
}

void run_log_abandon(struct run_log *log) {
    events_close(log->events);
    if (log->context) {
        forget_values(log);
        memory_free(log->context, log->value);
    }
    journal_close(&log->lines);
    *log = (struct run_log){.lines.descriptor = -1};
}
