/* Records into a growing file, now or later.  See journal.h. */
#include "journal.h"
#include "descriptor.h"

#include <errno.h>
#include <string.h>

void journal_take(struct journal *journal, cover_context *context, char *path, int descriptor) {
    *journal = (struct journal){.path = path, .waiting.context = context, .descriptor = descriptor};
}

bool journal_open(struct journal *journal, cover_context *context, char *path, int flags) {
    journal_take(journal, context, path, descriptor_open(path, flags | O_APPEND));
    return journal->descriptor >= 0;
}

/* Where a write stops in the middle of a record, the next one goes on there. */
static bool write_waiting(struct journal *journal) {
    struct text *waiting = &journal->waiting;
    const size_t left = waiting->length - journal->written;
    const size_t now = left ? descriptor_write(journal->descriptor, waiting->data + journal->written, left) : 0;
    journal->written += now;
    if (now < left) return false;
    waiting->length = journal->written = 0;
    return true;
}

cover_status journal_add(struct journal *journal, const void *record, size_t bytes) {
    struct text *waiting = &journal->waiting;
    text_add_bytes(waiting, record, bytes);
    if (waiting->failed) {
        waiting->failed = false; /* those before it still wait */
        return COVER_ERROR_MEMORY;
    }
    const bool written = write_waiting(journal);
    if (!written && !journal->refused)
        log_line(waiting->context, COVER_LOG_WARNING, "%s: cannot be written: %s; what is to be written waits, and is tried again",
                 journal->path, strerror(errno));
    journal->refused = !written;
    return COVER_OK;
}

cover_status journal_flush(struct journal *journal) {
    if (write_waiting(journal)) return COVER_OK;
    return fail(COVER_ERROR_IO, "%s: cannot be written: %s; its end is missing", journal->path, strerror(errno));
}

cover_status journal_commit(struct journal *journal) {
    TRY(journal_flush(journal));
    if (descriptor_sync(journal->descriptor)) return COVER_OK;
    return fail(COVER_ERROR_IO, "%s: cannot be written: %s", journal->path, strerror(errno));
}

void journal_forget(struct journal *journal, uint64_t bytes) {
    journal->waiting.length = journal->written = 0;
    descriptor_cut(journal->descriptor, bytes);
}

void journal_close(struct journal *journal) {
    if (journal->path && journal->descriptor >= 0) {
        (void)write_waiting(journal);
        descriptor_close(journal->descriptor);
    }
    if (journal->path) {
        memory_free(journal->waiting.context, journal->path);
        text_free(&journal->waiting);
    }
    *journal = (struct journal){.descriptor = -1};
}
