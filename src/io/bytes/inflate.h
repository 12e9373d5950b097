/* Deflated bytes of a source unpacked in one go, and what all that use zlib share.  Called by ZIP archives, streams and the dataset's
 * stored pixels. */
#ifndef COVER_INFLATE_H
#define COVER_INFLATE_H

#include "source.h"

#include <zlib.h>

enum { DEFLATE_RATIO = 1032 }; /* 258 bytes from 2 bits: what says that it unpacks to more lies about its size */

/* A stream whose memory is the context's. */
z_stream zlib_stream(cover_context *context);
/* zlib counts in unsigned int. */
static inline uInt zlib_count(uint64_t bytes) { return bytes < 1u << 30 ? (uInt)bytes : 1u << 30; }

/* `packed` bytes at `offset`, unpacked into `out`; window as inflateInit2() wants it.  *wrong is NULL when they are a whole stream of
 * exactly `bytes` bytes, else a word why not; *left is what of them is behind its end. */
cover_status source_inflate(void *out, uint64_t bytes, const char **wrong, uint64_t *left, const struct source *source,
                            cover_context *context, uint64_t offset, uint64_t packed, int window);

#endif
