/* A file that grows by whole records while something runs.  What cannot be written now waits, and is written before the next: a disk
 * that is full for a while costs no record and tears none, and the work goes on.  Who may not
 * go on without it takes journal_commit() and journal_forget().  Called by run_log.c, events.c and audit.c. */
#ifndef COVER_JOURNAL_H
#define COVER_JOURNAL_H

#include "base.h"

struct journal {
    char *path;
    int descriptor;      /* -1 = not open */
    struct text waiting; /* from `written` on */
    size_t written;
    bool refused; /* the last try was, and it has been said */
};

/* Opened with `flags` (O_WRONLY | O_CREAT | ...) at its end; the journal takes the path over, also when it is refused, which errno
 * says. */
bool journal_open(struct journal *journal, cover_context *context, char *path, int flags);
/* The same with a descriptor that is open already, with O_APPEND. */
void journal_take(struct journal *journal, cover_context *context, char *path, int descriptor);
/* Write a record behind those that wait.  One that is refused waits, and a warning says so once; COVER_ERROR_MEMORY when it cannot
 * even wait. */
cover_status journal_add(struct journal *journal, const void *record, size_t bytes);
/* Write what waits: COVER_ERROR_IO when that is refused. */
cover_status journal_flush(struct journal *journal);
/* The same, and on the disk. */
cover_status journal_commit(struct journal *journal);
/* The file as it was when it had so many bytes, and nothing waits. */
void journal_forget(struct journal *journal, uint64_t bytes);
/* What waits is tried once more, without a word.  Takes one that is not open. */
void journal_close(struct journal *journal);

#endif
