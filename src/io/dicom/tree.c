/* Reading a parsed data set.  See tree.h. */
#include "tree.h"

#include "core/base/number.h"

#include <math.h>
#include <string.h>

void dicom_tree_free(struct dicom_tree *tree) {
    memory_free(tree->context, tree->nodes);
    memory_free(tree->context, tree->bytes);
    memory_free(tree->context, tree->fragments);
    *tree = (struct dicom_tree){.context = tree->context};
}

const struct dicom_node *dicom_find(const struct dicom_tree *tree, const struct dicom_node *item, uint32_t tag) {
    const int64_t end = item ? item->next : tree->count;
    for (int64_t i = item ? item - tree->nodes + 1 : 0; i < end && tree->nodes[i].tag <= tag; i = tree->nodes[i].next)
        if (tree->nodes[i].tag == tag) return &tree->nodes[i];
    return NULL;
}

const struct dicom_node *dicom_first(const struct dicom_tree *tree, const struct dicom_node *sequence) {
    if (!sequence || sequence - tree->nodes + 1 >= sequence->next) return NULL;
    return sequence + 1;
}

const struct dicom_node *dicom_next(const struct dicom_tree *tree, const struct dicom_node *sequence,
                                    const struct dicom_node *item) {
    return item->next < sequence->next ? &tree->nodes[item->next] : NULL;
}

const uint8_t *dicom_bytes(const struct dicom_tree *tree, const struct dicom_node *node, size_t *count) {
    if (!node || node->kept < 0 || node->length == 0) {
        *count = 0;
        return NULL;
    }
    *count = node->length;
    return tree->bytes + node->kept;
}

static bool is_blank(uint8_t c) { return c == ' ' || c == 0; }

/* Of one part between backslashes, or of all of them: without the blanks around. */
static const uint8_t *trim(const uint8_t *from, const uint8_t *end, size_t *length) {
    while (from < end && is_blank(*from)) from++;
    while (end > from && is_blank(end[-1])) end--;
    *length = (size_t)(end - from);
    return from;
}

size_t dicom_text(const struct dicom_tree *tree, const struct dicom_node *node, char *to, size_t room) {
    size_t count, length = 0;
    const uint8_t *bytes = dicom_bytes(tree, node, &count);
    if (bytes) bytes = trim(bytes, bytes + count, &length);
    if (length >= room) length = room - 1;
    if (length > 0) memcpy(to, bytes, length);
    to[length] = 0;
    return length;
}

bool dicom_text_is(const struct dicom_tree *tree, const struct dicom_node *node, const char *text) {
    size_t count, length = 0;
    const uint8_t *bytes = dicom_bytes(tree, node, &count);
    if (bytes) bytes = trim(bytes, bytes + count, &length);
    return length == strlen(text) && (length == 0 || memcmp(bytes, text, length) == 0);
}

struct dicom_parts dicom_parts(const struct dicom_tree *tree, const struct dicom_node *node) {
    size_t count;
    const uint8_t *from = dicom_bytes(tree, node, &count);
    return (struct dicom_parts){from, from ? from + count : NULL};
}

bool dicom_part(struct dicom_parts *parts, const uint8_t **part, size_t *length) {
    const uint8_t *begin = parts->from;
    if (!begin) return false;
    const uint8_t *stop = memchr(begin, '\\', (size_t)(parts->end - begin));
    *part = trim(begin, stop ? stop : parts->end, length);
    parts->from = stop ? stop + 1 : NULL;
    return true;
}

bool dicom_text_has(const struct dicom_tree *tree, const struct dicom_node *node, const char *part) {
    struct dicom_parts parts = dicom_parts(tree, node);
    const uint8_t *bytes;
    size_t length;
    while (dicom_part(&parts, &bytes, &length))
        if (length == strlen(part) && memcmp(bytes, part, length) == 0) return true;
    return false;
}

/* May a value stand in a message?  What is no number may be a name, and long digits a date, in an object whose tags are damaged (P1). */
static bool may_be_said(const char *text) {
    size_t digits = 0;
    if (strspn(text, "0123456789.,+-eE\\ ") != strlen(text)) return false;
    for (; *text; text++)
        if ((digits = is_digit(*text) ? digits + 1 : 0) >= 6) return false;
    return true;
}

static cover_status not_number(const struct dicom_tree *tree, const struct dicom_node *node, const char *what) {
    char name[DICOM_TAG_TEXT], text[48];
    dicom_text(tree, node, text, sizeof text);
    dicom_tag_name(name, node->tag);
    if (!may_be_said(text)) return fail(COVER_ERROR_FORMAT, "%s: %s", name, what);
    return fail(COVER_ERROR_FORMAT, "%s is \"%s\": %s", name, text, what);
}

cover_status dicom_decimals(const struct dicom_tree *tree, const struct dicom_node *node, double *values, int most, int *count) {
    struct dicom_parts parts = dicom_parts(tree, node);
    const uint8_t *part;
    size_t length;
    *count = 0;
    if (dicom_text_is(tree, node, "")) return COVER_OK;
    while (dicom_part(&parts, &part, &length)) {
        char text[64], *stop;
        if (*count == most) return not_number(tree, node, "more values than it has");
        if (length == 0 || length >= sizeof text) return not_number(tree, node, "not a number");
        memcpy(text, part, length);
        text[length] = 0;
        if (strspn(text, "+-.0123456789eE") != length)
            return not_number(tree, node, "not a number"); /* no hex, no NaN, no infinity */
        values[*count] = number_read(text, &stop);
        if (*stop || !isfinite(values[*count])) return not_number(tree, node, "not a number");
        ++*count;
    }
    return COVER_OK;
}

cover_status dicom_vector(const struct dicom_tree *tree, const struct dicom_node *node, double *values, int count, bool *present) {
    int found = 0;
    if (node) TRY(dicom_decimals(tree, node, values, count, &found));
    *present = found > 0;
    if (found > 0 && found < count) {
        char text[48];
        number_print(text, sizeof text, "it has %d of %d values", found, count);
        return not_number(tree, node, text);
    }
    return COVER_OK;
}

cover_status dicom_integer(const struct dicom_tree *tree, const struct dicom_node *node, int64_t *value, bool *present) {
    double number = 0;
    TRY(dicom_vector(tree, node, &number, 1, present));
    if (number != rint(number) || fabs(number) > INT32_MAX) return not_number(tree, node, "not a whole number of 32 bits");
    *value = (int64_t)number;
    return COVER_OK;
}

cover_status dicom_short(const struct dicom_tree *tree, const struct dicom_node *node, uint16_t *value, bool *present) {
    size_t count;
    const uint8_t *bytes = dicom_bytes(tree, node, &count);
    *present = bytes != NULL;
    if (!bytes) return COVER_OK;
    if (count < 2) {
        char name[DICOM_TAG_TEXT];
        return fail(COVER_ERROR_FORMAT, "%s has %d bytes, where 2 are needed", dicom_tag_name(name, node->tag), (int)count);
    }
    *value = dicom_u16(tree, bytes);
    return COVER_OK;
}

uint16_t dicom_u16(const struct dicom_tree *tree, const uint8_t *bytes) {
    return tree->big_endian ? (uint16_t)(bytes[0] << 8 | bytes[1]) : (uint16_t)(bytes[1] << 8 | bytes[0]);
}

uint32_t dicom_u32(const struct dicom_tree *tree, const uint8_t *bytes) {
    const uint32_t first = dicom_u16(tree, bytes), second = dicom_u16(tree, bytes + 2);
    return tree->big_endian ? first << 16 | second : second << 16 | first;
}

double dicom_f64(const struct dicom_tree *tree, const uint8_t *bytes) {
    const uint64_t first = dicom_u32(tree, bytes), second = dicom_u32(tree, bytes + 4);
    const uint64_t bits = tree->big_endian ? first << 32 | second : second << 32 | first;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
