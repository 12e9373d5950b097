/* Stored pixels of the dataset file: HDF5's shuffle and deflate filters, without libhdf5, so that any number of threads
 * expand at once (docs/dataset.md, "Stored pixels").  Called by the dataset reader, pack and check. */
#include "core/base/memory.h"
#include "dataset_format.h"
#include "io/bytes/inflate.h"

#include <string.h>

/* All first bytes of the elements, then all second bytes, ...: near values differ in their low bytes only. */
static void shuffle(uint8_t *to, const uint8_t *from, uint64_t count, size_t element) {
    for (size_t b = 0; b < element; b++)
        for (uint64_t i = 0; i < count; i++) to[b * count + i] = from[i * element + b];
}

static void unshuffle(uint8_t *to, const uint8_t *from, uint64_t count, size_t element) {
    for (size_t b = 0; b < element; b++)
        for (uint64_t i = 0; i < count; i++) to[i * element + b] = from[b * count + i];
}

cover_status dataset_compress(cover_context *context, const void *pixels, uint64_t bytes, size_t element, void **stored,
                              uint64_t *stored_bytes) {
    cover_status status = COVER_OK;
    z_stream stream = zlib_stream(context);
    uint8_t *shuffled = NULL, *out = NULL;
    if (deflateInit(&stream, DATASET_DEFLATE_LEVEL) != Z_OK) return fail(COVER_ERROR_MEMORY, "zlib: out of memory");
    const uint64_t bound = deflateBound(&stream, bytes);
    uint64_t taken = 0, given = 0;
    out = memory_within(context, bound);
    if (element > 1) shuffled = memory_within(context, bytes);
    if (!out || (element > 1 && !shuffled)) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    if (shuffled) shuffle(shuffled, pixels, bytes / element, element);
    const uint8_t *from = shuffled ? shuffled : pixels;
    int result = Z_OK;
    while (result == Z_OK) {
        stream.next_in = (Bytef *)(from + taken), stream.avail_in = zlib_count(bytes - taken);
        stream.next_out = out + given, stream.avail_out = zlib_count(bound - given);
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
    uint8_t *shuffled = element > 1 ? memory_alloc(context, bytes) : NULL;
    if (element > 1 && !shuffled) return COVER_ERROR_MEMORY;
    const char *wrong = NULL;
    uint64_t left = 0;
    cover_status status =
        source_inflate(shuffled ? shuffled : pixels, bytes, &wrong, &left, source, context, offset, stored_bytes, MAX_WBITS);
    if (status == COVER_OK && (wrong || left))
        status = fail(COVER_ERROR_FORMAT, "%s: stored values at byte %llu are damaged: %s", source->name,
                      (unsigned long long)offset, wrong ? wrong : "they have another length");
    else if (status == COVER_OK && shuffled) unshuffle(pixels, shuffled, bytes / element, element);
    memory_free(context, shuffled);
    return status;
}
