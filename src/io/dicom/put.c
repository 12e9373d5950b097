/* See put.h. */
#include "put.h"

#include "uid.h"

#include "core/base/number.h"

#include <string.h>

/* Of this library, as other implementations see it (PS3.10, 7.1). */

enum { PREAMBLE = 128, DECIMAL_MOST = 16 };

static void give_up(struct dicom_put *put, cover_status status) {
    if (put->status == COVER_OK) put->status = status;
}

static uint8_t *room_for(struct dicom_put *put, size_t bytes) {
    if (put->status != COVER_OK) return NULL;
    if (!array_grow(put->context, &put->bytes, &put->capacity, put->count + (int64_t)bytes, 1)) {
        give_up(put, COVER_ERROR_MEMORY);
        return NULL;
    }
    uint8_t *at = put->bytes + put->count;
    put->count += (int64_t)bytes;
    return at;
}

static void store(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static bool is_vr(const char *list, const char vr[3]) {
    for (; *list; list += list[2] ? 3 : 2)
        if (memcmp(list, vr, 2) == 0) return true;
    return false;
}

/* Tag, VR and length; the value is the caller's to store. */
static uint8_t *element(struct dicom_put *put, uint32_t tag, const char vr[3], uint64_t length) {
    const bool is_long = is_vr("OB OW SQ UT", vr);
    if (put->status != COVER_OK) return NULL;
    char name[DICOM_TAG_TEXT];
    if (put->levels[put->depth].items || tag <= put->levels[put->depth].last) {
        give_up(put, fail(COVER_ERROR_INTERNAL, "%s is written out of order", dicom_tag_name(name, tag)));
        return NULL;
    }
    if (length >= (is_long ? UINT32_MAX : UINT16_MAX)) {
        give_up(put, fail(COVER_ERROR_UNSUPPORTED, "%s would have %llu bytes, more than DICOM can say", dicom_tag_name(name, tag),
                          (unsigned long long)length));
        return NULL;
    }
    put->levels[put->depth].last = tag;
    uint8_t *at = room_for(put, is_long ? 12 : 8);
    if (!at) return NULL;
    store(at, tag >> 16, 2);
    store(at + 2, tag & 0xffff, 2);
    memcpy(at + 4, vr, 2);
    if (is_long) store(at + 6, length << 16, 6);
    else store(at + 6, length, 2);
    return at;
}

/* An element with room for its value. */
static uint8_t *value_room(struct dicom_put *put, uint32_t tag, const char vr[3], size_t bytes) {
    return element(put, tag, vr, bytes) ? room_for(put, bytes) : NULL;
}

void put_value(struct dicom_put *put, uint32_t tag, const char vr[3], const void *value, size_t bytes) {
    uint8_t *at = value_room(put, tag, vr, bytes + bytes % 2);
    if (!at || bytes == 0) return;
    memcpy(at, value, bytes);
    if (bytes % 2) at[bytes] = is_vr("UI OB UN", vr) ? 0 : ' ';
}

void put_text(struct dicom_put *put, uint32_t tag, const char vr[3], const char *text) {
    put_value(put, tag, vr, text, strlen(text));
}

void put_decimals(struct dicom_put *put, uint32_t tag, const double *values, int count) {
    char text[8 * (DECIMAL_MOST + 1)];
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        char number[40];
        int digits = 11;
        do number_print(number, sizeof number, "%.*g", digits--, values[i] + 0.0);
        while (strlen(number) > DECIMAL_MOST);
        if (i > 0) text[length++] = '\\';
        memcpy(text + length, number, strlen(number));
        length += strlen(number);
    }
    put_value(put, tag, "DS", text, length);
}

void put_decimal(struct dicom_put *put, uint32_t tag, double value) { put_decimals(put, tag, &value, 1); }

void put_integer(struct dicom_put *put, uint32_t tag, int64_t value) {
    char text[24];
    number_print(text, sizeof text, "%lld", (long long)value);
    put_text(put, tag, "IS", text);
}

void put_shorts(struct dicom_put *put, uint32_t tag, const uint16_t *values, int count) {
    uint8_t *at = value_room(put, tag, "US", 2 * (size_t)count);
    for (int i = 0; at && i < count; i++) store(at + 2 * i, values[i], 2);
}

void put_short(struct dicom_put *put, uint32_t tag, int value) { put_shorts(put, tag, &(uint16_t){(uint16_t)value}, 1); }

void put_longs(struct dicom_put *put, uint32_t tag, const uint32_t *values, int count) {
    uint8_t *at = value_room(put, tag, "UL", 4 * (size_t)count);
    for (int i = 0; at && i < count; i++) store(at + 4 * i, values[i], 4);
}

void put_tag(struct dicom_put *put, uint32_t tag, uint32_t value) {
    uint8_t bytes[4];
    store(bytes, value >> 16, 2);
    store(bytes + 2, value & 0xffff, 2);
    put_value(put, tag, "AT", bytes, sizeof bytes);
}

void put_source(struct dicom_put *put, uint32_t tag, const char vr[3], const struct dicom_tree *tree, const struct dicom_node *node,
                bool empty) {
    size_t count;
    const uint8_t *bytes = dicom_bytes(tree, node, &count);
    while (count > 0 && (bytes[count - 1] == 0 || bytes[count - 1] == ' ')) count--;
    if (count > 0 || empty) put_value(put, tag, vr, bytes, count);
}

void put_code(struct dicom_put *put, uint32_t tag, const char *value, const char *scheme, const char *meaning) {
    put_open(put, tag);
    put_text(put, TAG_CODE_VALUE, "SH", value);
    put_text(put, TAG_CODE_SCHEME, "SH", scheme);
    put_text(put, TAG_CODE_MEANING, "LO", meaning);
    put_close(put);
}

/* ---- nesting */

static void descend(struct dicom_put *put, bool items) {
    if (put->status != COVER_OK) return;
    if (put->depth + 1 == PUT_DEEPEST) {
        give_up(put, fail(COVER_ERROR_INTERNAL, "sequences are written more than %d deep", PUT_DEEPEST));
        return;
    }
    put->depth++;
    put->levels[put->depth].length_at = put->count - 4;
    put->levels[put->depth].last = 0;
    put->levels[put->depth].items = items;
}

void put_sequence(struct dicom_put *put, uint32_t tag) {
    if (element(put, tag, "SQ", 0)) descend(put, true);
}

void put_item(struct dicom_put *put) {
    if (put->status == COVER_OK && !put->levels[put->depth].items)
        give_up(put, fail(COVER_ERROR_INTERNAL, "an item is written outside of a sequence"));
    uint8_t *at = room_for(put, 8);
    if (!at) return;
    memcpy(at, "\xfe\xff\x00\xe0\0\0\0\0", 8);
    descend(put, false);
}

void put_end(struct dicom_put *put) {
    if (put->status != COVER_OK) return;
    if (put->depth == 0) {
        give_up(put, fail(COVER_ERROR_INTERNAL, "more sequences are ended than begun"));
        return;
    }
    const int64_t at = put->levels[put->depth--].length_at, length = put->count - at - 4;
    if (length >= (int64_t)UINT32_MAX)
        give_up(put, fail(COVER_ERROR_UNSUPPORTED, "a sequence would have more bytes than DICOM can say"));
    else store(put->bytes + at, (uint64_t)length, 4);
}

void put_open(struct dicom_put *put, uint32_t tag) {
    put_sequence(put, tag);
    put_item(put);
}

void put_close(struct dicom_put *put) {
    put_end(put);
    put_end(put);
}

/* ---- the whole */

void put_begin(struct dicom_put *put, cover_context *context, const char *sop_class, const char *sop_instance) {
    *put = (struct dicom_put){.context = context};
    uint8_t *at = room_for(put, PREAMBLE + 4);
    if (!at) return;
    memset(at, 0, PREAMBLE);
    memcpy(at + PREAMBLE, "DICM", 4);
    put_longs(put, TAG_META_LENGTH, &(uint32_t){0}, 1);
    const int64_t begin = put->count;
    put_value(put, TAG_META_VERSION, "OB", "\0\1", 2);
    put_text(put, TAG_META_CLASS, "UI", sop_class);
    put_text(put, TAG_META_INSTANCE, "UI", sop_instance);
    put_text(put, TAG_TRANSFER_SYNTAX, "UI", "1.2.840.10008.1.2.1");
    put_text(put, TAG_IMPLEMENTATION_UID, "UI", DICOM_IMPLEMENTATION_UID);
    put_text(put, TAG_IMPLEMENTATION_NAME, "SH", DICOM_IMPLEMENTATION_NAME);
    if (put->status == COVER_OK) store(put->bytes + begin - 4, (uint64_t)(put->count - begin), 4);
}

void put_pixels(struct dicom_put *put, const char vr[3], const void *pixels, uint64_t bytes) {
    if (!element(put, TAG_PIXELS, vr, bytes + bytes % 2)) return;
    put->pixels = pixels;
    put->pixel_bytes = bytes;
}

cover_status put_end_object(struct dicom_put *put) {
    if (put->status == COVER_OK && put->depth > 0)
        give_up(put, fail(COVER_ERROR_INTERNAL, "%d sequences are not ended", put->depth));
    return put->status;
}

void put_free(struct dicom_put *put) {
    memory_free(put->context, put->bytes);
    *put = (struct dicom_put){.context = put->context};
}

/* ---- out */

/* The bytes of the object, from three places: what was put, the pixels, and their padding. */
static int64_t read_back(void *user, uint64_t offset, void *to, uint64_t bytes) {
    const struct dicom_put *put = user;
    const struct {
        const uint8_t *from;
        uint64_t count;
    } parts[] = {{put->bytes, (uint64_t)put->count}, {put->pixels, put->pixel_bytes}, {(const uint8_t *)"", put->pixel_bytes % 2}};
    for (int i = 0; i < 3; i++) {
        if (offset < parts[i].count) {
            const uint64_t count = bytes < parts[i].count - offset ? bytes : parts[i].count - offset;
            memcpy(to, parts[i].from + offset, count);
            return (int64_t)count;
        }
        offset -= parts[i].count;
    }
    return 0;
}

void put_as_source(const struct dicom_put *put, struct source *source) {
    *source = source_memory("", NULL, (uint64_t)put->count + put->pixel_bytes + put->pixel_bytes % 2);
    source->read = read_back;
    source->user = (void *)put;
}

cover_status put_send(const struct dicom_put *put, cover_write_fn *take, void *user) {
    const int odd = put->pixel_bytes % 2;
    struct callback_turn turn = callback_enter(put->context);
    int refused = take(user, put->bytes, (size_t)put->count);
    if (!refused && put->pixel_bytes > 0) refused = take(user, put->pixels, (size_t)put->pixel_bytes);
    if (!refused && odd) refused = take(user, "", 1);
    callback_leave(put->context, turn);
    if (refused) return fail(COVER_ERROR_IO, "the object was not taken: write gave %d", refused);
    return COVER_OK;
}
