/* Bytes to read from any place: an open file or memory, one form.  Every read is checked against the bytes present.
 * Called by the readers of weight files. */
#ifndef COVER_SOURCE_H
#define COVER_SOURCE_H

#include "core/base/base.h"

struct source {
    const char *name; /* for messages; owned by the caller */
    int descriptor;   /* -1 for memory */
    const uint8_t *memory;
    uint64_t bytes; /* when it was opened */
};

cover_status source_open(struct source *source, const char *path);
struct source source_memory(const char *name, const void *memory, uint64_t bytes);
void source_close(struct source *source);

/* COVER_ERROR_FORMAT when [offset, offset + bytes) is not inside; COVER_ERROR_IO when the system refuses. */
cover_status source_read(const struct source *source, uint64_t offset, void *out, uint64_t bytes);

#endif
