/* The log of a run: log.jsonl and TensorBoard events, means since the line before (docs/run-folder.md). */
#ifndef COVER_RUN_LOG_H
#define COVER_RUN_LOG_H

#include "../report/events.h"

#include <libcover/trainer.h>

struct run_log {
    cover_context *context;
    char *path;
    int descriptor;
    struct events *events;
    cover_step_report sum; /* since the last line */
    int64_t count;
};

/* Open run/log.jsonl and drop what it says of steps after `step` (a resumed run makes them again).  The open log locks the
 * folder: COVER_ERROR_IO when another process trains in it. */
cover_status run_log_open(struct run_log *log, cover_context *context, const char *run, int64_t step);
void run_log_add(struct run_log *log, const cover_step_report *report);
/* Write the line of what was added; nothing when nothing was. */
cover_status run_log_flush(struct run_log *log);
cover_status run_log_close(struct run_log *log);

#endif
