/* Palettes and YBR become RGB (PS3.3, C.7.6.3.1.2 and C.7.9).  Called by pixels.c. */
#include "set.h"

#include <string.h>

enum { MOST_ENTRIES = 1 << 16 };

static int32_t clamp(double value, double most) {
    const double rounded = value + 0.5;
    return rounded < 0 ? 0 : rounded >= most ? (int32_t)most : (int32_t)rounded;
}

void dicom_ybr_to_rgb(int32_t *values, int64_t pixels, int bits) {
    const double middle = (double)(1u << (bits - 1)), most = 2 * middle - 1;
    for (int64_t i = 0; i < pixels; i++, values += 3) {
        const double y = values[0], blue = values[1] - middle, red = values[2] - middle;
        values[0] = clamp(y + 1.402 * red, most);
        values[1] = clamp(y - 0.114 * 1.772 / 0.587 * blue - 0.299 * 1.402 / 0.587 * red, most);
        values[2] = clamp(y + 1.772 * blue, most);
    }
}

struct table {
    int entries, first, bits;
    uint16_t *values;
};

static cover_status bad_table(int channel, const char *what) {
    return fail(COVER_ERROR_FORMAT, "its %s palette %s", (const char *const[]){"red", "green", "blue"}[channel], what);
}

/* Discrete, linear and indirect segments (PS3.3, C.7.9.2), into exactly as many entries as the descriptor says. */
static cover_status unfold(struct table *table, int channel, const struct dicom_tree *tree, const uint8_t *data, size_t words) {
    size_t at = 0, resume = 0, indirect = 0; /* segments that are still to be copied, and where to go on behind them */
    int made = 0;
    for (;;) {
        if (indirect == 0 && resume) at = resume, resume = 0;
        if (at + 2 > words) break;
        const unsigned opcode = dicom_u16(tree, data + 2 * at), length = dicom_u16(tree, data + 2 * at + 2);
        const bool copied = indirect > 0;
        at += 2;
        if (copied) indirect--;
        if (opcode == 0) {
            if (length > words - at || (int)length > table->entries - made)
                return bad_table(channel, "has a segment beyond its end");
            for (unsigned i = 0; i < length; i++) table->values[made++] = dicom_u16(tree, data + 2 * (at + i));
            at += length;
        } else if (opcode == 1) {
            if (at >= words || made == 0 || (int)length > table->entries - made || length == 0)
                return bad_table(channel, "has a linear segment beyond its end");
            const double from = table->values[made - 1], to = dicom_u16(tree, data + 2 * at++);
            for (unsigned i = 1; i <= length; i++) table->values[made++] = (uint16_t)(from + (to - from) * i / length + 0.5);
        } else if (opcode == 2 && !copied && at + 2 <= words) {
            const size_t offset = dicom_u16(tree, data + 2 * at) | (size_t)dicom_u16(tree, data + 2 * at + 2) << 16;
            resume = at + 2, indirect = length;
            if (offset % 2 || offset / 2 >= words) return bad_table(channel, "has an indirect segment beyond its end");
            at = offset / 2;
        } else {
            return bad_table(channel, "has a segment of an unknown kind");
        }
    }
    return made == table->entries ? COVER_OK : bad_table(channel, "has fewer segments than entries");
}

static cover_status read_table(struct table *table, int channel, const struct dicom_object *object, cover_context *context) {
    static const uint32_t descriptors[] = {TAG_RED_DESCRIPTOR, TAG_GREEN_DESCRIPTOR, TAG_BLUE_DESCRIPTOR};
    static const uint32_t tables[] = {TAG_RED_TABLE, TAG_GREEN_TABLE, TAG_BLUE_TABLE};
    static const uint32_t segments[] = {TAG_RED_SEGMENTS, TAG_GREEN_SEGMENTS, TAG_BLUE_SEGMENTS};
    const struct dicom_tree *tree = &object->tree;
    size_t bytes;
    const uint8_t *descriptor = dicom_bytes(tree, dicom_find(tree, NULL, descriptors[channel]), &bytes);
    if (!descriptor || bytes != 6) return bad_table(channel, "has no descriptor of three values");
    table->entries = dicom_u16(tree, descriptor);
    if (table->entries == 0) table->entries = MOST_ENTRIES;
    table->first = object->shape.is_signed ? (int16_t)dicom_u16(tree, descriptor + 2) : dicom_u16(tree, descriptor + 2);
    table->bits = dicom_u16(tree, descriptor + 4);
    if (table->bits != 8 && table->bits != 16) return bad_table(channel, "has neither 8 nor 16 bits");
    table->values = memory_alloc(context, (size_t)table->entries * sizeof(uint16_t));
    if (!table->values) return COVER_ERROR_MEMORY;
    const uint8_t *data = dicom_bytes(tree, dicom_find(tree, NULL, tables[channel]), &bytes);
    if (!data) {
        data = dicom_bytes(tree, dicom_find(tree, NULL, segments[channel]), &bytes);
        return data ? unfold(table, channel, tree, data, bytes / 2) : bad_table(channel, "is missing");
    }
    const size_t entries = (size_t)table->entries;
    const bool packed = table->bits == 8 && bytes < 2 * entries; /* two entries a word */
    if (bytes < entries * (packed ? 1 : 2)) return bad_table(channel, "has fewer values than entries");
    for (size_t i = 0; i < entries; i++)
        table->values[i] = packed ? data[tree->big_endian ? i ^ 1 : i] : dicom_u16(tree, data + 2 * i);
    return COVER_OK;
}

cover_status dicom_palette(const struct dicom_object *object, int32_t *values, int64_t pixels, cover_context *context, int *bits) {
    struct table tables[3] = {0};
    cover_status status = COVER_OK;
    for (int c = 0; c < 3 && status == COVER_OK; c++) status = read_table(&tables[c], c, object, context);
    if (status == COVER_OK) {
        *bits = tables[0].bits;
        for (int64_t i = pixels; i-- > 0;) { /* from the end: three values replace one */
            const int64_t value = values[i];
            for (int c = 0; c < 3; c++) {
                const int64_t at = value - tables[c].first, last = tables[c].entries - 1;
                values[3 * i + c] = tables[c].values[at < 0 ? 0 : at > last ? last : at];
            }
        }
    }
    for (int c = 0; c < 3; c++) memory_free(context, tables[c].values);
    return status;
}
