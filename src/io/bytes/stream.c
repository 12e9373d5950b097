/* See stream.h.  gzip files may have several members one after the other (pigz, bgzip) and zeros behind the last. */
#include "stream.h"

#include "inflate.h"

#include <string.h>

bool is_gzip(const uint8_t *head, size_t bytes) { return bytes >= 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8; }

cover_status stream_open(struct stream *stream, cover_context *context, const uint8_t *bytes, size_t count) {
    *stream = (struct stream){.context = context, .bytes = bytes, .count = count};
    if (!is_gzip(bytes, count)) return COVER_OK;
    stream->inflater = zlib_stream(context);
    int result = inflateInit2(&stream->inflater, 15 + 16); /* gzip alone, window of any size */
    if (result == Z_MEM_ERROR) return COVER_ERROR_MEMORY;
    if (result != Z_OK) return fail(COVER_ERROR_INTERNAL, "zlib could not start: %d", result);
    stream->gzip = true;
    return COVER_OK;
}

void stream_close(struct stream *stream) {
    if (stream->gzip) inflateEnd(&stream->inflater);
    stream->gzip = false;
}

/* After a member: another one, the end, or zeros that pad a block of tape. */
static cover_status next_member(struct stream *stream) {
    const uint8_t *rest = stream->bytes + stream->at;
    size_t left = stream->count - stream->at;
    if (is_gzip(rest, left)) return inflateReset(&stream->inflater) == Z_OK ? COVER_OK : COVER_ERROR_INTERNAL;
    for (size_t i = 0; i < left; i++)
        if (rest[i])
            return fail(COVER_ERROR_FORMAT, "damaged gzip data: byte %zu, behind the end of the data, is not zero", stream->at + i);
    stream->ended = true;
    return COVER_OK;
}

static cover_status inflate_some(struct stream *stream, uint8_t *to, size_t bytes, size_t *got) {
    const unsigned piece = 1u << 30; /* zlib counts in 32 bits */
    z_stream *z = &stream->inflater;
    *got = 0;
    while (*got < bytes && !stream->ended) {
        size_t left = stream->count - stream->at, room = bytes - *got;
        z->next_in = (Bytef *)(stream->bytes + stream->at), z->avail_in = left < piece ? (unsigned)left : piece;
        z->next_out = to + *got, z->avail_out = room < piece ? (unsigned)room : piece;
        int result = inflate(z, Z_NO_FLUSH);
        stream->at = (size_t)(z->next_in - stream->bytes);
        *got = (size_t)(z->next_out - to);
        if (result == Z_STREAM_END) TRY(next_member(stream));
        else if (result == Z_MEM_ERROR) return COVER_ERROR_MEMORY;
        else if (result == Z_BUF_ERROR) /* no progress: there is no input left */
            return fail(COVER_ERROR_FORMAT, "truncated: the gzip data ends early, after %llu bytes of content",
                        (unsigned long long)(stream->position + *got));
        else if (result != Z_OK) return fail(COVER_ERROR_FORMAT, "damaged gzip data: %s", z->msg ? z->msg : "not inflatable");
    }
    return COVER_OK;
}

static cover_status stream_some(struct stream *stream, void *to, size_t bytes, size_t *got) {
    if (stream->gzip) {
        TRY(inflate_some(stream, to, bytes, got));
    } else {
        size_t left = stream->count - stream->at;
        *got = bytes < left ? bytes : left;
        memcpy(to, stream->bytes + stream->at, *got);
        stream->at += *got;
    }
    stream->position += *got;
    return COVER_OK;
}

cover_status stream_read(struct stream *stream, void *to, size_t bytes) {
    size_t got;
    TRY(stream_some(stream, to, bytes, &got));
    if (got < bytes)
        return fail(COVER_ERROR_FORMAT, "truncated: it ends after %llu bytes%s, where %llu are needed",
                    (unsigned long long)stream->position, stream->gzip ? " of unpacked content" : "",
                    (unsigned long long)(stream->position + (bytes - got)));
    return COVER_OK;
}

cover_status stream_skip(struct stream *stream, uint64_t bytes) {
    uint8_t scratch[4096];
    while (bytes > 0) {
        size_t piece = bytes < sizeof scratch ? (size_t)bytes : sizeof scratch;
        TRY(stream_read(stream, scratch, piece));
        bytes -= piece;
    }
    return COVER_OK;
}

uint64_t stream_most_left(const struct stream *stream) {
    uint64_t left = stream->count - stream->at;
    /* what zlib took in may still come out: a window and a code at most */
    return stream->gzip ? (left + 64) * DEFLATE_RATIO + 65536 : left;
}

cover_status stream_finish(struct stream *stream, uint64_t slack) {
    uint8_t scratch[4096];
    if (!stream->gzip) return COVER_OK;
    for (uint64_t extra = 0; !stream->ended;) {
        size_t got;
        TRY(stream_some(stream, scratch, sizeof scratch, &got));
        extra += got;
        if (extra > slack)
            return fail(COVER_ERROR_FORMAT, "more than %llu bytes follow what the header describes; the file is damaged",
                        (unsigned long long)slack);
    }
    return COVER_OK;
}
