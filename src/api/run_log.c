/* log.jsonl and events of a run.  Called by pretrain.c. */
#include "run_log.h"

#include "../core/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOG_LIMIT = 1 << 30 };

/* Bytes of the whole lines up to `step`. */
static size_t kept_bytes(const char *text, size_t bytes, int64_t step) {
    size_t kept = 0;
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(text + at, '\n', bytes - at);
        if (!newline) break; /* a line cut short by a crash */
        size_t end = (size_t)(newline - text) + 1;
        json_t *line = json_loadb(text + at, end - at, 0, NULL);
        json_t *number = json_object_get(line, "step");
        bool keep = json_is_integer(number) && json_integer_value(number) <= step;
        json_decref(line);
        if (!keep) break;
        kept = at = end;
    }
    return kept;
}

static cover_status cannot_write(const struct run_log *log) {
    return fail(COVER_ERROR_IO, "%s: cannot be written: %s", log->path, strerror(errno));
}

static cover_status drop_later(struct run_log *log, int64_t step) {
    uint8_t *text;
    size_t bytes;
    TRY(file_read(log->context, log->path, LOG_LIMIT, &text, &bytes));
    size_t kept = kept_bytes((const char *)text, bytes, step);
    memory_free(log->context, text);
    return kept == bytes || ftruncate(log->descriptor, (off_t)kept) == 0 ? COVER_OK : cannot_write(log);
}

cover_status run_log_open(struct run_log *log, cover_context *context, const char *run, int64_t step) {
    cover_status status = COVER_ERROR_MEMORY;
    *log = (struct run_log){.context = context, .descriptor = -1};
    if (!(log->path = path_join(context, run, "log.jsonl"))) goto done;
    log->descriptor = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->descriptor < 0) GO(cannot_write(log));
    if (flock(log->descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        GO(fail(COVER_ERROR_IO, "%s: another process is training in this folder; wait for it, or name another folder", run));
    GO(drop_later(log, step));
    GO(events_open(&log->events, context, run, step));
done:
    if (status != COVER_OK) run_log_close(log);
    return status;
}

void run_log_add(struct run_log *log, const cover_step_report *report) {
    cover_step_report *sum = &log->sum;
    sum->step = report->step, sum->lr = report->lr;
    sum->loss += report->loss, sum->l_vec += report->l_vec, sum->l_con += report->l_con, sum->l_zero += report->l_zero;
    sum->grad_norm += report->grad_norm, sum->seconds += report->seconds, sum->pairs_per_second += report->pairs_per_second;
    log->count++;
}

cover_status run_log_flush(struct run_log *log) {
    if (log->count == 0) return COVER_OK;
    const double n = (double)log->count;
    const cover_step_report mean = log->sum;
    const struct event_scalar scalars[] = {
        {"loss", mean.loss / n},       {"l_vec", mean.l_vec / n},         {"l_con", mean.l_con / n},
        {"l_zero", mean.l_zero / n},   {"grad_norm", mean.grad_norm / n}, {"lr", mean.lr},
        {"seconds", mean.seconds / n}, {"pairs_per_s", mean.pairs_per_second / n},
    };
    const int count = sizeof scalars / sizeof *scalars;
    log->sum = (cover_step_report){0}, log->count = 0;
    struct text line = {.context = log->context};
    text_add(&line, "{\"step\": %lld", (long long)mean.step);
    for (int i = 0; i < count; i++) text_add(&line, ", \"%s\": %.9g", scalars[i].tag, scalars[i].value);
    text_add(&line, "}\n");
    char *text = NULL;
    TRY(text_take(&line, &text));
    size_t bytes = strlen(text);
    ssize_t written = write(log->descriptor, text, bytes); /* one write: a line is there or not */
    memory_free(log->context, text);
    if (written != (ssize_t)bytes)
        return fail(COVER_ERROR_IO, "%s: cannot be written: %s", log->path, written < 0 ? strerror(errno) : "disk full");
    return events_append(log->events, mean.step, scalars, count);
}

cover_status run_log_close(struct run_log *log) {
    cover_status status = log->events ? events_close(log->events) : COVER_OK;
    if (log->descriptor >= 0) close(log->descriptor);
    memory_free(log->context, log->path);
    *log = (struct run_log){.descriptor = -1};
    return status;
}
