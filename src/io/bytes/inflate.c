/* Deflated bytes of a source unpacked in one go (RFC 1950, 1951), see inflate.h.  Called by zip.c and dataset_codec.c. */
#include "inflate.h"

enum { PIECE_BYTES = 1 << 16 };

static voidpf allocate(voidpf context, uInt items, uInt size) {
    int64_t bytes;
    return multiply(items, size, &bytes) ? memory_alloc(context, (size_t)bytes) : NULL;
}
static void release(voidpf context, voidpf memory) { memory_free(context, memory); }

z_stream zlib_stream(cover_context *context) { return (z_stream){.zalloc = allocate, .zfree = release, .opaque = context}; }

cover_status source_inflate(void *out, uint64_t bytes, const char **wrong, uint64_t *left, const struct source *source,
                            cover_context *context, uint64_t offset, uint64_t packed, int window) {
    z_stream stream = zlib_stream(context);
    uint64_t taken = 0, given = 0;
    if (inflateInit2(&stream, window) != Z_OK) return COVER_ERROR_MEMORY; /* the refused allocation has set the text */
    uint8_t beyond, *piece = memory_alloc(context, PIECE_BYTES);          /* beyond: one byte more than promised shows a lie */
    cover_status status = piece ? COVER_OK : COVER_ERROR_MEMORY;
    bool more = false;
    for (int result = Z_OK; status == COVER_OK && result == Z_OK && !more;) {
        if (stream.avail_in == 0 && taken < packed) {
            const uInt now = packed - taken < PIECE_BYTES ? (uInt)(packed - taken) : PIECE_BYTES;
            GO(source_read(source, offset + taken, piece, now));
            taken += now;
            stream.next_in = piece, stream.avail_in = now;
        }
        const uInt room = zlib_count(bytes - given); /* 0 at the end, where a checksum may still be to be read */
        stream.next_out = room ? (uint8_t *)out + given : &beyond, stream.avail_out = room ? room : 1;
        result = inflate(&stream, Z_NO_FLUSH);
        more = !room && stream.avail_out == 0;
        if (room) given += room - stream.avail_out;
        if (result == Z_MEM_ERROR) status = COVER_ERROR_MEMORY;
        const bool whole = result == Z_STREAM_END && given == bytes && !more;
        *wrong = whole ? NULL : stream.msg ? stream.msg : "they have another length";
    }
    *left = packed - taken + stream.avail_in;
done:
    inflateEnd(&stream);
    memory_free(context, piece);
    return status;
}
