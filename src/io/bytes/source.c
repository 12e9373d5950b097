/* Bytes to read from an open file or from memory.  See source.h. */
#include "source.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

cover_status source_open(struct source *source, const char *path) {
    struct stat about;
    int descriptor = descriptor_open(path, O_RDONLY | O_NONBLOCK); /* a FIFO must not stop us here */
    if (descriptor < 0) return fail_system(path, "cannot be opened");
    cover_status status = COVER_OK;
    if (fstat(descriptor, &about) != 0) status = fail_system(path, "cannot be examined");
    else if (!S_ISREG(about.st_mode)) status = fail(COVER_ERROR_IO, "%s: not a regular file", path);
    if (status != COVER_OK) {
        descriptor_close(descriptor);
        return status;
    }
    *source = (struct source){.name = path, .descriptor = descriptor, .bytes = (uint64_t)about.st_size};
    return COVER_OK;
}

struct source source_memory(const char *name, const void *memory, uint64_t bytes) {
    return (struct source){.name = name, .descriptor = -1, .memory = memory, .bytes = bytes};
}

void source_close(struct source *source) {
    if (source->descriptor >= 0) descriptor_close(source->descriptor);
    *source = (struct source){.descriptor = -1};
}

static cover_status read_by(const struct source *source, uint64_t offset, uint8_t *out, uint64_t bytes) {
    while (bytes > 0) {
        const int64_t got = source->read(source->user, offset, out, bytes);
        if (got < 0) return fail(COVER_ERROR_IO, "its reader has failed at offset %llu", (unsigned long long)offset);
        if (got == 0 || (uint64_t)got > bytes)
            return fail(COVER_ERROR_IO, "its reader gave %lld of %llu bytes at offset %llu", (long long)got,
                        (unsigned long long)bytes, (unsigned long long)offset);
        out += got, offset += (uint64_t)got, bytes -= (uint64_t)got;
    }
    return COVER_OK;
}

cover_status source_read(const struct source *source, uint64_t offset, void *out, uint64_t bytes) {
    if (offset > source->bytes || bytes > source->bytes - offset)
        return fail(COVER_ERROR_FORMAT, "%s%struncated: %llu bytes are needed at offset %llu, but the file ends at %llu",
                    source->name, *source->name ? ": " : "", (unsigned long long)bytes, (unsigned long long)offset,
                    (unsigned long long)source->bytes);
    if (source->read) return read_by(source, offset, out, bytes);
    if (source->descriptor < 0) {
        if (bytes) memcpy(out, source->memory + offset, bytes);
        return COVER_OK;
    }
    const int64_t got = descriptor_read_at(source->descriptor, out, bytes, offset);
    const char *between = *source->name ? ": " : ""; /* some are not named */
    if (got < 0) return fail(COVER_ERROR_IO, "%s%scannot be read: %s", source->name, between, strerror(errno));
    if ((uint64_t)got < bytes) return fail(COVER_ERROR_IO, "%s%sbecame shorter while it was read", source->name, between);
    return COVER_OK;
}
