/* The bytes of a file in memory, inflated on the way when they are gzip (RFC 1952).  Nothing is inflated that was not
 * asked for, so a bomb costs no memory.  Called by the NIfTI reader. */
#ifndef COVER_STREAM_H
#define COVER_STREAM_H

#include "core/base/base.h"

#include <zlib.h>

struct stream {
    cover_context *context;
    const uint8_t *bytes;
    size_t count, at;  /* of the file */
    uint64_t position; /* bytes handed out */
    bool gzip;
    bool ended; /* the last gzip member is over, its checksum was right */
    z_stream inflater;
};

bool is_gzip(const uint8_t *head, size_t bytes);
/* stream_close() after success and after failure. */
cover_status stream_open(struct stream *stream, cover_context *context, const uint8_t *bytes, size_t count);
void stream_close(struct stream *stream);
/* All `bytes`, or an error that says where the file ends. */
cover_status stream_read(struct stream *stream, void *to, size_t bytes);
cover_status stream_skip(struct stream *stream, uint64_t bytes);
/* No more than this can be left to read, whatever a header says. */
uint64_t stream_most_left(const struct stream *stream);
/* Read to the end, so that the checksum of a gzip file is looked at; over `slack` further bytes are an error. */
cover_status stream_finish(struct stream *stream, uint64_t slack);

#endif
