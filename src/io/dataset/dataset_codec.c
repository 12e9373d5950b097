/* Stored pixels of the dataset file: HDF5's shuffle and deflate filters, without libhdf5, so that any number of threads
 * expand at once (docs/dataset.md, "Stored pixels").  Called by the dataset reader, pack and check. */
#include "dataset_format.h"

#include <string.h>
#include <zlib.h>

static voidpf zlib_alloc(voidpf context, uInt items, uInt size) {
    int64_t bytes;
    return multiply(items, size, &bytes) ? memory_alloc(context, (size_t)bytes) : NULL;
}
static void zlib_free(voidpf context, voidpf memory) { memory_free(context, memory); }

/* All first bytes of the elements, then all second bytes, ...: near values differ in their low bytes only. */
static void shuffle(uint8_t *to, const uint8_t *from, uint64_t count, size_t element) {
    for (size_t b = 0; b < element; b++)
        for (uint64_t i = 0; i < count; i++) to[b * count + i] = from[i * element + b];
}

static void unshuffle(uint8_t *to, const uint8_t *from, uint64_t count, size_t element) {
    for (size_t b = 0; b < element; b++)
        for (uint64_t i = 0; i < count; i++) to[i * element + b] = from[b * count + i];
}

/* zlib counts in unsigned int. */
static uInt at_most(uint64_t bytes) { return bytes < 1u << 30 ? (uInt)bytes : 1u << 30; }

cover_status dataset_compress(cover_context *context, const void *pixels, uint64_t bytes, size_t element, void **stored,
                              uint64_t *stored_bytes) {
    cover_status status = COVER_OK;
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = context};
    uint8_t *shuffled = NULL, *out = NULL;
    if (deflateInit(&stream, DATASET_DEFLATE_LEVEL) != Z_OK) return fail(COVER_ERROR_MEMORY, "zlib: out of memory");
    const uint64_t bound = deflateBound(&stream, bytes);
    uint64_t taken = 0, given = 0;
    out = memory_alloc(context, bound);
    if (element > 1) shuffled = memory_alloc(context, bytes);
    if (!out || (element > 1 && !shuffled)) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    if (shuffled) shuffle(shuffled, pixels, bytes / element, element);
    const uint8_t *from = shuffled ? shuffled : pixels;
    int result = Z_OK;
    while (result == Z_OK) {
        stream.next_in = (Bytef *)(from + taken), stream.avail_in = at_most(bytes - taken);
        stream.next_out = out + given, stream.avail_out = at_most(bound - given);
        const uInt offered = stream.avail_in, room = stream.avail_out;
        result = deflate(&stream, taken + offered == bytes ? Z_FINISH : Z_NO_FLUSH);
        taken += offered - stream.avail_in, given += room - stream.avail_out;
    }
    if (result != Z_STREAM_END) {
        status = fail(COVER_ERROR_INTERNAL, "zlib: deflate answered %d", result);
        goto done;
    }
    *stored = out, *stored_bytes = given;
    out = NULL;
done:
    deflateEnd(&stream);
    memory_free(context, shuffled);
    memory_free(context, out);
    return status;
}

cover_status dataset_expand(cover_context *context, const struct source *source, uint64_t offset, uint64_t stored_bytes,
                            size_t element, void *pixels, uint64_t bytes) {
    enum { PIECE = 1 << 16 };
    cover_status status = COVER_OK;
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = context};
    uint8_t *piece = NULL, *shuffled = NULL;
    uint64_t taken = 0, given = 0;
    if (inflateInit(&stream) != Z_OK) return fail(COVER_ERROR_MEMORY, "zlib: out of memory");
    piece = memory_alloc(context, PIECE);
    if (element > 1) shuffled = memory_alloc(context, bytes);
    if (!piece || (element > 1 && !shuffled)) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    uint8_t *to = shuffled ? shuffled : pixels;
    int result = Z_OK;
    while (result == Z_OK) {
        if (stream.avail_in == 0) {
            if (taken == stored_bytes) break;
            const uInt now = stored_bytes - taken < PIECE ? (uInt)(stored_bytes - taken) : PIECE;
            GO(source_read(source, offset + taken, piece, now));
            taken += now;
            stream.next_in = piece, stream.avail_in = now;
        }
        const uInt room = at_most(bytes - given); /* 0 at the end, where the checksum is still to be read */
        stream.next_out = to + given, stream.avail_out = room;
        result = inflate(&stream, Z_NO_FLUSH);
        given += room - stream.avail_out;
        if (result == Z_BUF_ERROR && stream.avail_in == 0) result = Z_OK; /* wants more input */
    }
    if (result == Z_MEM_ERROR) status = fail(COVER_ERROR_MEMORY, "zlib: out of memory");
    else if (result != Z_STREAM_END || given != bytes || taken != stored_bytes || stream.avail_in != 0)
        status = fail(COVER_ERROR_FORMAT, "%s: stored values at byte %llu are damaged: %s", source->name,
                      (unsigned long long)offset, stream.msg ? stream.msg : "they have another length");
    else if (shuffled) unshuffle(pixels, shuffled, bytes / element, element);
done:
    inflateEnd(&stream);
    memory_free(context, piece);
    memory_free(context, shuffled);
    return status;
}
