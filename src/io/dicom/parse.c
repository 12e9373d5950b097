/* The bytes of a DICOM object become a tree (PS3.5, 7; PS3.10, 7).  Nothing is believed: each length is compared with what is left in its
 * item, its sequence and the object before a byte of it is read (R4), nesting has a bound and costs no stack (R5), tags ascend (R7).
 * Called by object.c and dicomdir.c. */
#include "input.h"
#include "tree.h"

#include "core/base/memory.h"

#include <string.h>

enum {
    DEEPEST = 32,            /* sequences in sequences */
    KEEP_MOST = 1 << 20,     /* a longer value stays where it is */
    HEAD = 132,              /* preamble and "DICM" */
    INFLATE_MOST = 32 << 20, /* of a deflated data set, before its pixel data */
};
#define UNDEFINED 0xffffffffu

struct level {
    uint64_t end;  /* of its bytes; INPUT_UNKNOWN = until a delimiter */
    int64_t node;  /* -1 = the data set itself */
    uint32_t last; /* tag */
    bool items;    /* a sequence; else a data set */
    bool implicit;
};
struct parser {
    struct dicom_input input;
    struct dicom_tree *tree;
    struct level levels[2 * DEEPEST + 1];
    int depth;
    bool pixels; /* are behind us */
};
struct element {
    uint32_t tag, length;
    char vr[2];
};

/* ---- what it is */

static bool plausible(const uint8_t *head, size_t bytes) {
    if (bytes < 8) return false;
    const unsigned group = head[0] | (unsigned)head[1] << 8, element = head[2] | (unsigned)head[3] << 8;
    const uint32_t length = head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
    static const char vrs[] = "UL OB UI SH AE CS DA TM LO ST LT PN";
    if ((group != 2 && group != 8) || element > 0x2000) return false;
    for (const char *vr = vrs; *vr; vr += vr[2] ? 3 : 2)
        if (memcmp(vr, head + 4, 2) == 0) return true;
    return length <= 256; /* implicit: group lengths, character sets, image types */
}

bool dicom_is_one(const uint8_t *head, size_t bytes) {
    return (bytes >= HEAD && memcmp(head + HEAD - 4, "DICM", 4) == 0) || plausible(head, bytes);
}

static void note(struct dicom_tree *tree, const char *text) {
    if (tree->note_count < (int)(sizeof tree->notes / sizeof *tree->notes)) tree->notes[tree->note_count++] = text;
}

static cover_status cut_short(uint32_t tag) {
    char name[DICOM_TAG_TEXT];
    return fail(COVER_ERROR_FORMAT, "ends early, within %s", dicom_tag_name(name, tag));
}

/* ---- one element */

bool dicom_has_long_form(const char vr[2]) {
    static const char short_forms[] = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US";
    for (const char *known = short_forms; *known; known += known[2] ? 3 : 2)
        if (memcmp(known, vr, 2) == 0) return false;
    return true; /* those that may come, too (PS3.5, 7.1.2) */
}

static bool is_letter(char c) { return c >= 'A' && c <= 'Z'; }

/* Its tag and length; at least 8 bytes are there, or it is an error. */
static cover_status read_header(struct parser *parser, struct element *element) {
    const struct dicom_tree *tree = parser->tree;
    const uint8_t *here;
    size_t present;
    TRY(input_peek(&parser->input, &here, &present, 12));
    if (present < 8) return fail(COVER_ERROR_FORMAT, "ends early, within the tag of an element");
    *element = (struct element){.tag = (uint32_t)dicom_u16(tree, here) << 16 | dicom_u16(tree, here + 2), .vr = {'U', 'N'}};
    size_t bytes = 8;
    if (element->tag >> 16 == 0xfffe || parser->levels[parser->depth].implicit) {
        element->length = dicom_u32(tree, here + 4);
    } else {
        char name[DICOM_TAG_TEXT];
        memcpy(element->vr, here + 4, 2);
        if (!is_letter(element->vr[0]) || !is_letter(element->vr[1]))
            return fail(COVER_ERROR_FORMAT, "%s has no value representation; is it what its transfer syntax says?",
                        dicom_tag_name(name, element->tag));
        element->length = dicom_u16(tree, here + 6);
        if (dicom_has_long_form(element->vr)) {
            if (present < 12) return cut_short(element->tag);
            element->length = dicom_u32(tree, here + 8), bytes = 12;
        }
    }
    return input_skip(&parser->input, bytes);
}

static cover_status add_node(struct dicom_tree *tree, const struct element *element, uint64_t at) {
    if (!array_grow(tree->context, &tree->nodes, &tree->capacity, tree->count + 1, sizeof *tree->nodes)) return COVER_ERROR_MEMORY;
    tree->nodes[tree->count] = (struct dicom_node){.tag = element->tag,
                                                   .length = element->length == UNDEFINED ? 0 : element->length,
                                                   .at = at,
                                                   .next = tree->count + 1,
                                                   .kept = -1,
                                                   .vr = {element->vr[0], element->vr[1]}};
    tree->count++;
    return COVER_OK;
}

/* The value into the tree, or past it. */
static cover_status keep(struct parser *parser, const struct element *element) {
    struct dicom_tree *tree = parser->tree;
    if (parser->input.deflated && parser->input.at + element->length > INFLATE_MOST)
        return fail(COVER_ERROR_FORMAT, "its deflated data set has more than %d MiB before its pixel data", INFLATE_MOST >> 20);
    if (element->length == 0 || element->length > KEEP_MOST) return input_skip(&parser->input, element->length);
    if (!array_grow(tree->context, &tree->bytes, &tree->room, tree->kept + element->length, 1)) return COVER_ERROR_MEMORY;
    TRY(input_take(&parser->input, tree->bytes + tree->kept, element->length));
    tree->nodes[tree->count - 1].kept = tree->kept;
    tree->kept += element->length;
    return COVER_OK;
}

/* The bytes that are left for something in here. */
static uint64_t left_here(const struct parser *parser) {
    uint64_t left = input_left(&parser->input);
    for (int d = parser->depth; d >= 0; d--)
        if (parser->levels[d].end != INPUT_UNKNOWN) {
            const uint64_t here = parser->levels[d].end - parser->input.at;
            return here < left ? here : left;
        }
    return left;
}

static cover_status check_length(const struct parser *parser, const struct element *element) {
    char name[DICOM_TAG_TEXT];
    const uint64_t left = left_here(parser);
    if (element->length == UNDEFINED || element->length <= left) return COVER_OK;
    return fail(COVER_ERROR_FORMAT, "%s says %lu bytes, but %llu are left", dicom_tag_name(name, element->tag),
                (unsigned long)element->length, (unsigned long long)left);
}

/* ---- sequences */

static cover_status descend(struct parser *parser, const struct element *element, bool items, bool implicit) {
    if (parser->depth == 2 * DEEPEST) return fail(COVER_ERROR_FORMAT, "sequences are nested more than %d deep", DEEPEST);
    parser->levels[++parser->depth] =
        (struct level){.end = element->length == UNDEFINED ? INPUT_UNKNOWN : parser->input.at + element->length,
                       .node = parser->tree->count - 1,
                       .items = items,
                       .implicit = implicit};
    return COVER_OK;
}

static void ascend(struct parser *parser) {
    parser->tree->nodes[parser->levels[parser->depth].node].next = parser->tree->count;
    parser->depth--;
}

/* An item, or the end of a sequence without a length. */
static cover_status read_item(struct parser *parser) {
    struct element element;
    struct level *level = &parser->levels[parser->depth];
    TRY(read_header(parser, &element));
    if (element.tag == (uint32_t)TAG_SEQUENCE_END && level->end == INPUT_UNKNOWN) {
        ascend(parser);
        return COVER_OK;
    }
    if (element.tag != (uint32_t)TAG_ITEM) {
        char name[DICOM_TAG_TEXT], sequence[DICOM_TAG_TEXT];
        return fail(COVER_ERROR_FORMAT, "%s stands where an item of %s must be", dicom_tag_name(name, element.tag),
                    dicom_tag_name(sequence, parser->tree->nodes[level->node].tag));
    }
    TRY(check_length(parser, &element));
    memcpy(element.vr, "--", 2);
    const bool implicit = level->implicit;
    TRY(add_node(parser->tree, &element, parser->input.at));
    return descend(parser, &element, false, implicit);
}

/* ---- pixel data */

static cover_status add_fragment(struct dicom_tree *tree, uint64_t at, uint64_t length) {
    if (!array_grow(tree->context, &tree->fragments, &tree->fragment_capacity, tree->fragment_count + 1, sizeof *tree->fragments))
        return COVER_ERROR_MEMORY;
    tree->fragments[tree->fragment_count++] = (struct dicom_fragment){at, length};
    return COVER_OK;
}

/* Items without a data set in them, until their delimiter (PS3.5, A.4); those of the object's own pixels are noted. */
static cover_status read_fragments(struct parser *parser, bool own) {
    for (;;) {
        struct element element;
        TRY(read_header(parser, &element));
        if (element.tag == (uint32_t)TAG_SEQUENCE_END) return COVER_OK;
        if (element.tag != (uint32_t)TAG_ITEM || element.length == UNDEFINED)
            return fail(COVER_ERROR_FORMAT, "its pixel data is not a list of fragments");
        TRY(check_length(parser, &element));
        if (own) TRY(add_fragment(parser->tree, parser->input.at, element.length));
        TRY(input_skip(&parser->input, element.length));
    }
}

static bool is_pixels(uint32_t tag) { return tag == TAG_PIXELS || tag == TAG_FLOAT_PIXELS || tag == TAG_DOUBLE_PIXELS; }

/* ---- a data set */

static cover_status begins_with_item(struct parser *parser, uint32_t length, bool *is) {
    const struct dicom_tree *tree = parser->tree;
    const uint8_t *here;
    size_t present;
    if (length < 8) return COVER_OK;
    TRY(input_peek(&parser->input, &here, &present, 8));
    *is = present == 8 && ((uint32_t)dicom_u16(tree, here) << 16 | dicom_u16(tree, here + 2)) == (uint32_t)TAG_ITEM &&
          (dicom_u32(tree, here + 4) == UNDEFINED || dicom_u32(tree, here + 4) <= length - 8);
    return COVER_OK;
}

/* What a reader without a dictionary can tell: SQ, no length, or a value of unknown kind that begins with an item. */
static cover_status take_value(struct parser *parser, const struct element *element) {
    const bool unknown = memcmp(element->vr, "UN", 2) == 0, own = parser->depth == 0;
    bool implicit = parser->levels[parser->depth].implicit, items = memcmp(element->vr, "SQ", 2) == 0;
    if (is_pixels(element->tag)) {
        if (own) parser->pixels = true;
        if (element->length != UNDEFINED) return input_skip(&parser->input, parser->input.deflated ? 0 : element->length);
        if (own && parser->input.deflated) return fail(COVER_ERROR_FORMAT, "its pixel data is compressed twice");
        return read_fragments(parser, own);
    }
    if (!items && element->length == UNDEFINED && !unknown) {
        char name[DICOM_TAG_TEXT];
        return fail(COVER_ERROR_FORMAT, "%s has no length, and is no sequence", dicom_tag_name(name, element->tag));
    }
    if (unknown && element->length != UNDEFINED) TRY(begins_with_item(parser, element->length, &items));
    items = items || element->length == UNDEFINED;
    if (!items) return keep(parser, element);
    if (unknown) implicit = true; /* PS3.5, 6.2.2, note 4 */
    memcpy(parser->tree->nodes[parser->tree->count - 1].vr, "SQ", 2);
    return descend(parser, element, true, implicit);
}

/* Behind the pixel data may be anything; it is passed over when it is no element. */
static bool is_rest(const struct parser *parser, const struct element *element) {
    return parser->depth == 0 && parser->pixels && (element->tag <= (uint32_t)TAG_PIXELS || element->length > left_here(parser)) &&
           !is_pixels(element->tag);
}

static cover_status read_element(struct parser *parser) {
    struct level *level = &parser->levels[parser->depth];
    struct element element;
    char name[DICOM_TAG_TEXT];
    cover_status status = read_header(parser, &element);
    if (parser->depth == 0 && parser->pixels && (status == COVER_ERROR_FORMAT || is_rest(parser, &element))) {
        note(parser->tree, "bytes behind its last element");
        return input_skip(&parser->input, input_left(&parser->input));
    }
    TRY(status);
    if (element.tag == (uint32_t)TAG_ITEM_END && level->node >= 0 && level->end == INPUT_UNKNOWN) {
        ascend(parser);
        return COVER_OK;
    }
    if (element.tag >> 16 == 0xfffe)
        return fail(COVER_ERROR_FORMAT, "%s stands where an element must be", dicom_tag_name(name, element.tag));
    if (element.tag <= level->last)
        return fail(COVER_ERROR_FORMAT, "%s %s", dicom_tag_name(name, element.tag),
                    element.tag == level->last ? "stands there twice" : "is out of order");
    level->last = element.tag;
    TRY(check_length(parser, &element));
    TRY(add_node(parser->tree, &element, parser->input.at));
    return take_value(parser, &element);
}

static cover_status read_data_set(struct parser *parser) {
    struct dicom_tree *tree = parser->tree;
    parser->levels[0] = (struct level){.end = INPUT_UNKNOWN, .node = -1, .implicit = tree->implicit};
    for (;;) {
        while (parser->depth > 0 && parser->levels[parser->depth].end == parser->input.at) ascend(parser);
        /* the pixels of a deflated data set are left where they are */
        if (parser->input.deflated && parser->pixels) return COVER_OK;
        const uint8_t *here;
        size_t present;
        TRY(input_peek(&parser->input, &here, &present, 1));
        if (present == 0) break;
        TRY(parser->levels[parser->depth].items ? read_item(parser) : read_element(parser));
    }
    return parser->depth == 0 ? COVER_OK : cut_short(tree->nodes[parser->levels[1].node].tag);
}

/* ---- the file's own group (PS3.10, 7.1): explicit little endian, until a group that is another */

static cover_status read_meta(struct parser *parser, bool *any) {
    struct dicom_tree *tree = parser->tree;
    uint64_t said = 0, begin = 0;
    *any = false;
    for (uint32_t last = 0;;) {
        const uint8_t *here;
        size_t present;
        TRY(input_peek(&parser->input, &here, &present, 8));
        if (present < 8 || dicom_u16(tree, here) != 2) break;
        struct element element;
        uint8_t value[256] = {0};
        char name[DICOM_TAG_TEXT];
        parser->levels[0].implicit = false;
        TRY(read_header(parser, &element));
        if (element.length == UNDEFINED || element.tag <= last)
            return fail(COVER_ERROR_FORMAT, "%s is out of order", dicom_tag_name(name, element.tag));
        TRY(check_length(parser, &element));
        last = element.tag, *any = true;
        const size_t count = element.length < sizeof value - 1 ? element.length : sizeof value - 1;
        TRY(input_take(&parser->input, value, count));
        TRY(input_skip(&parser->input, element.length - count));
        if (element.tag == TAG_META_LENGTH && count == 4) said = dicom_u32(tree, value), begin = parser->input.at;
        if (element.tag != TAG_TRANSFER_SYNTAX) continue;
        size_t length = strnlen((const char *)value, count);
        while (length > 0 && value[length - 1] == ' ') length--;
        if (length >= sizeof tree->syntax)
            return fail(COVER_ERROR_FORMAT, "its transfer syntax UID has %d characters", (int)length);
        memcpy(tree->syntax, value, length);
    }
    if (begin && begin + said != parser->input.at) note(tree, "a wrong length of its group 0002");
    return COVER_OK;
}

/* How the data set is encoded: what its transfer syntax says, without one as it looks. */
static cover_status choose_form(struct parser *parser, bool meta) {
    struct dicom_tree *tree = parser->tree;
    const uint8_t *here;
    size_t present;
    if (meta && !tree->syntax[0]) return fail(COVER_ERROR_FORMAT, "its transfer syntax UID (0002,0010) is missing");
    TRY(input_peek(&parser->input, &here, &present, 8));
    if (!meta) {
        const bool letters = present == 8 && is_letter((char)here[4]) && is_letter((char)here[5]);
        strcpy(tree->syntax, letters ? "1.2.840.10008.1.2.1" : "1.2.840.10008.1.2");
        note(tree, "no preamble and no group 0002");
    }
    tree->implicit = strcmp(tree->syntax, "1.2.840.10008.1.2") == 0;
    tree->deflated = strcmp(tree->syntax, "1.2.840.10008.1.2.1.99") == 0;
    tree->data_at = parser->input.at;
    if (tree->deflated) TRY(input_deflated(&parser->input));
    tree->big_endian = strcmp(tree->syntax, "1.2.840.10008.1.2.2") == 0;
    return COVER_OK;
}

cover_status dicom_parse(struct dicom_tree *tree, cover_context *context, const struct source *source) {
    struct parser parser;
    const uint8_t *here;
    size_t present;
    bool meta = false;
    cover_status status;
    *tree = (struct dicom_tree){.context = context};
    parser.tree = tree, parser.depth = 0, parser.pixels = false;
    parser.levels[0] = (struct level){.end = INPUT_UNKNOWN, .node = -1};
    input_open(&parser.input, context, source);
    GO(input_peek(&parser.input, &here, &present, HEAD));
    if (!dicom_is_one(here, present)) GO(fail(COVER_ERROR_FORMAT, "not DICOM"));
    if (present == HEAD && memcmp(here + HEAD - 4, "DICM", 4) == 0) GO(input_skip(&parser.input, HEAD));
    else note(tree, "no preamble");
    GO(read_meta(&parser, &meta));
    GO(choose_form(&parser, meta));
    GO(read_data_set(&parser));
    if (tree->count == 0) status = fail(COVER_ERROR_FORMAT, "it has no data set");
done:
    input_close(&parser.input);
    return status;
}
