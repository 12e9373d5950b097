/* The log of a run: log.jsonl and TensorBoard events, means since the line before (docs/run-folder.md).  Called by
 * driver.c and finetune.c. */
#ifndef COVER_RUN_LOG_H
#define COVER_RUN_LOG_H

#include "core/base/journal.h"
#include "report/events.h"

struct run_value {
    char *tag;
    double sum;
    int64_t count;
};

struct run_log {
    cover_context *context;
    struct journal lines;  /* log.jsonl */
    const char *run;       /* the caller's; the folder */
    int64_t done;          /* the step that the run goes on after; 0 = it is new */
    struct events *events; /* NULL before the first line: a run with nothing left to do leaves no file */
    int64_t step;          /* of the values below; 0 = nothing to write */
    struct run_value *value;
    int values;
    int64_t capacity;
    bool failed; /* a value found no memory: the next flush says so */
};

/* Open run/log.jsonl and drop what it says of steps after `step` (a resumed run makes them again); TensorBoard will drop the same.
 * `run` lives as long as the log.  The open log locks the folder: COVER_ERROR_IO when another process trains in it. */
cover_status run_log_open(struct run_log *log, cover_context *context, const char *run, int64_t step);
/* A value of a step; the line will hold its mean since the line before. */
void run_log_add(struct run_log *log, int64_t step, const char *tag, double value);
/* A value that stands for itself: the last one given goes into the line. */
void run_log_set(struct run_log *log, int64_t step, const char *tag, double value);
/* Write the line of what was added; nothing when nothing was.  A line that the disk refuses waits for the next, with a warning. */
cover_status run_log_flush(struct run_log *log);
/* COVER_ERROR_IO when lines are still refused; the log is closed all the same. */
cover_status run_log_close(struct run_log *log);
/* Close it after an error, which is the one to tell; takes one that is not open. */
void run_log_abandon(struct run_log *log);

#endif
