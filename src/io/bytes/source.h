/* Bytes to read from any place: an open file, memory or whatever the caller reads from, one form.  Every read is checked against the
 * bytes present.  Called by the readers of weight files and of DICOM. */
#ifndef COVER_SOURCE_H
#define COVER_SOURCE_H

#include "core/base/base.h"

struct source {
    const char *name; /* for messages; owned by the caller */
    int descriptor;   /* -1 for memory and for a reader */
    const uint8_t *memory;
    uint64_t bytes; /* when it was opened */
    /* How many bytes it has put into `to`: 0 = there are no more, below 0 = it has failed.  One call at a time. */
    int64_t (*read)(void *user, uint64_t offset, void *to, uint64_t bytes);
    void *user;
};

cover_status source_open(struct source *source, const char *path);
struct source source_memory(const char *name, const void *memory, uint64_t bytes);
void source_close(struct source *source);

/* COVER_ERROR_FORMAT when [offset, offset + bytes) is not inside; COVER_ERROR_IO when the system refuses. */
cover_status source_read(const struct source *source, uint64_t offset, void *out, uint64_t bytes);

#endif
