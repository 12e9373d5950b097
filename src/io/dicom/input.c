/* See input.h. */
#include "input.h"

#include <string.h>

void input_open(struct dicom_input *input, cover_context *context, const struct source *source) {
    input->context = context, input->source = source;
    input->at = 0, input->end = source->bytes;
    input->window_at = 0, input->window_bytes = 0;
    input->deflated = false;
}

static void *allocate(void *context, unsigned count, unsigned size) { return memory_alloc(context, (size_t)count * size); }
static void release(void *context, void *memory) { memory_free(context, memory); }

cover_status input_deflated(struct dicom_input *input) {
    input->piece_at = input->at;
    input->window_bytes = 0, input->window_at = 0;
    input->at = 0, input->end = INPUT_UNKNOWN;
    input->inflater = (z_stream){.zalloc = allocate, .zfree = release, .opaque = input->context};
    if (inflateInit2(&input->inflater, -MAX_WBITS) != Z_OK) return fail(COVER_ERROR_MEMORY, "no memory to inflate a data set");
    input->deflated = true;
    return COVER_OK;
}

void input_close(struct dicom_input *input) {
    if (input->deflated) inflateEnd(&input->inflater);
    input->deflated = false;
}

uint64_t input_left(const struct dicom_input *input) {
    return input->end == INPUT_UNKNOWN ? INPUT_UNKNOWN : input->end - input->at;
}

/* As many bytes as fit into `room`, or as there are. */
static cover_status inflate_some(struct dicom_input *input, uint8_t *to, size_t room, size_t *got) {
    z_stream *inflater = &input->inflater;
    inflater->next_out = to, inflater->avail_out = (uInt)room;
    while (inflater->avail_out > 0 && input->end == INPUT_UNKNOWN) {
        if (inflater->avail_in == 0) {
            const uint64_t left = input->source->bytes - input->piece_at;
            const size_t bytes = left < INPUT_PIECE ? (size_t)left : INPUT_PIECE;
            if (bytes == 0) return fail(COVER_ERROR_FORMAT, "its deflated data set ends early");
            TRY(source_read(input->source, input->piece_at, input->piece, bytes));
            input->piece_at += bytes;
            inflater->next_in = input->piece, inflater->avail_in = (uInt)bytes;
        }
        const int result = inflate(inflater, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) return fail(COVER_ERROR_MEMORY, "no memory to inflate a data set");
        if (result == Z_STREAM_END) input->end = inflater->total_out;
        else if (result != Z_OK && result != Z_BUF_ERROR) return fail(COVER_ERROR_FORMAT, "its deflated data set is damaged");
    }
    *got = room - inflater->avail_out;
    return COVER_OK;
}

/* The window begins at `at` and holds `bytes`, if there are so many. */
static cover_status fill(struct dicom_input *input, size_t bytes) {
    size_t have = 0, got = 0;
    if (input->at >= input->window_at && input->at < input->window_at + input->window_bytes) {
        const size_t from = (size_t)(input->at - input->window_at);
        have = input->window_bytes - from;
        if (have >= bytes) return COVER_OK;
        memmove(input->window, input->window + from, have);
    }
    input->window_at = input->at, input->window_bytes = have;
    if (input->deflated) {
        TRY(inflate_some(input, input->window + have, INPUT_WINDOW - have, &got));
    } else {
        const uint64_t left = input->end - (input->at + have);
        got = left < INPUT_WINDOW - have ? (size_t)left : INPUT_WINDOW - have;
        TRY(source_read(input->source, input->at + have, input->window + have, got));
    }
    input->window_bytes = have + got;
    return COVER_OK;
}

cover_status input_peek(struct dicom_input *input, const uint8_t **here, size_t *present, size_t bytes) {
    TRY(fill(input, bytes));
    const size_t from = (size_t)(input->at - input->window_at);
    const size_t have = input->window_bytes - from;
    *here = input->window + from;
    *present = have < bytes ? have : bytes;
    return COVER_OK;
}

/* What of the next bytes the window has; to may be NULL. */
static size_t from_window(struct dicom_input *input, uint8_t *to, uint64_t bytes) {
    if (input->at < input->window_at || input->at >= input->window_at + input->window_bytes) return 0;
    const size_t from = (size_t)(input->at - input->window_at), have = input->window_bytes - from;
    const size_t count = bytes < have ? (size_t)bytes : have;
    if (to) memcpy(to, input->window + from, count);
    input->at += count;
    return count;
}

static cover_status too_few(const struct dicom_input *input, uint64_t bytes) {
    return fail(COVER_ERROR_FORMAT, "ends early: %llu bytes are needed at offset %llu%s", (unsigned long long)bytes,
                (unsigned long long)input->at, input->deflated ? " of the inflated data set" : "");
}

cover_status input_take(struct dicom_input *input, void *to, uint64_t bytes) {
    uint8_t *next = to;
    if (bytes > input_left(input)) return too_few(input, bytes);
    while (bytes > 0) {
        size_t got = from_window(input, next, bytes);
        next += got, bytes -= got;
        if (bytes == 0) break;
        if (bytes < INPUT_WINDOW) {
            TRY(fill(input, 1));
            if (input->window_bytes == 0) return too_few(input, bytes);
            continue;
        }
        got = (size_t)(bytes < (1u << 30) ? bytes : 1u << 30);
        if (input->deflated) {
            TRY(inflate_some(input, next, got, &got));
            if (got == 0) return too_few(input, bytes);
        } else {
            TRY(source_read(input->source, input->at, next, got));
        }
        input->at += got, next += got, bytes -= got;
    }
    return COVER_OK;
}

cover_status input_skip(struct dicom_input *input, uint64_t bytes) {
    if (bytes > input_left(input)) return too_few(input, bytes);
    if (!input->deflated) {
        input->at += bytes;
        return COVER_OK;
    }
    while (bytes > 0) {
        bytes -= from_window(input, NULL, bytes);
        if (bytes == 0) break;
        TRY(fill(input, 1));
        if (input->window_bytes == 0) return too_few(input, bytes);
    }
    return COVER_OK;
}
