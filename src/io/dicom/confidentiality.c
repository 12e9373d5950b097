/* See confidentiality.h. */
#include "confidentiality.h"

#include <stddef.h>
#include <string.h>

/* The columns of the options that are offered, as bits; a C that is no date's is work for a person: it stays with the Basic Profile. */
enum { UIDS = 1, DEVICE = 2, INSTITUTION = 4, PATIENT = 8, FULL = 16, SHIFTED = 32 };
#define BIT(options, column, letter, bit) ((options)[column] == (letter) ? (bit) : 0)
#define BITS(options)                                                                                                              \
    (BIT(options, 1, 'K', UIDS) | BIT(options, 2, 'K', DEVICE) | BIT(options, 3, 'K', INSTITUTION) |                               \
     BIT(options, 4, 'K', PATIENT) | BIT(options, 5, 'K', FULL) | BIT(options, 6, 'C', SHIFTED))

/* Where the type of an attribute decides, what fits each type: it is there where it was, and says nothing (PS3.15, E.1.1). */
enum {
    X = CONFIDENTIAL_GOES,
    Z = CONFIDENTIAL_EMPTY,
    D = CONFIDENTIAL_DUMMY,
    U = CONFIDENTIAL_UID,
    XZ = CONFIDENTIAL_EMPTY,
    XD = CONFIDENTIAL_DUMMY,
    ZD = CONFIDENTIAL_DUMMY,
    XZD = CONFIDENTIAL_DUMMY,
    XZU = CONFIDENTIAL_ITEMS,
};

static const struct row {
    uint32_t tag;
    char vr[3];
    uint8_t action, kept; /* enum confidential_action; columns */
} rows[] = {
#define ROW(tag, vr, action, options, name) {tag, vr, action, BITS(options)},
#define MASK(tag, mask, action, name)
#define MORE(tag, vr, action, options, name)
#include "confidentiality.def"
#undef ROW
#undef MORE
};
static const struct row more[] = {
#define ROW(tag, vr, action, options, name)
#define MORE(tag, vr, action, options, name) {tag, vr, action, BITS(options)},
#include "confidentiality.def"
#undef MASK
};
static const struct {
    uint32_t tag, mask;
} masks[] = {
#undef MORE
#define MORE(tag, vr, action, options, name)
#define MASK(tag, mask, action, name) {tag, mask},
#include "confidentiality.def"
#undef ROW
#undef MORE
#undef MASK
};

struct range {
    uint16_t group, first, last;
};
static const struct range values[] = {
#define VALUES(first, last) {(first) >> 16, (first)&0xffff, (last)&0xffff},
#define SEQUENCES(first, last)
#include "retained.def"
#undef VALUES
#undef SEQUENCES
};
static const struct range sequences[] = {
#define VALUES(first, last)
#define SEQUENCES(first, last) {(first) >> 16, (first)&0xffff, (last)&0xffff},
#include "retained.def"
#undef VALUES
#undef SEQUENCES
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct row *find(const struct row *table, size_t count, uint32_t tag) {
    size_t first = 0, end = count;
    while (first < end) {
        const size_t middle = (first + end) / 2;
        if (table[middle].tag == tag) return &table[middle];
        if (table[middle].tag < tag) first = middle + 1;
        else end = middle;
    }
    return NULL;
}

static bool within(const struct range *ranges, size_t count, uint32_t tag) {
    size_t first = 0, end = count;
    while (first < end) {
        const size_t middle = (first + end) / 2;
        const struct range *range = &ranges[middle];
        if (tag < ((uint32_t)range->group << 16 | range->first)) end = middle;
        else if (tag > ((uint32_t)range->group << 16 | range->last)) first = middle + 1;
        else return true;
    }
    return false;
}

static bool is_date(const char *vr) { return strcmp(vr, "DA") == 0 || strcmp(vr, "DT") == 0; }

static enum confidential_action kept(const struct row *row) {
    return memcmp(row->vr, "SQ", 2) == 0 ? CONFIDENTIAL_ITEMS : CONFIDENTIAL_VALUE;
}

static enum confidential_action with_options(const struct row *row, const struct confidential_choice *choice) {
    const int wanted = (choice->uids ? UIDS : 0) | (choice->device ? DEVICE : 0) | (choice->institution ? INSTITUTION : 0) |
                       (choice->patient ? PATIENT : 0) | (choice->full_dates ? FULL : 0);
    if (row->kept & wanted) return kept(row);
    if (choice->shifted_dates && (row->kept & SHIFTED)) {
        if (is_date(row->vr)) return CONFIDENTIAL_SHIFT;
        if (strcmp(row->vr, "TM") == 0) return CONFIDENTIAL_VALUE; /* days alone are shifted */
    }
    return (enum confidential_action)row->action;
}

enum confidential_action dicom_confidential(uint32_t tag, const struct confidential_choice *choice, const char **vr) {
    *vr = "UN";
    if (tag & 0x10000) return CONFIDENTIAL_GOES; /* private */
    for (size_t i = 0; i < COUNT(masks); i++)
        if ((tag & masks[i].mask) == masks[i].tag) return CONFIDENTIAL_GOES;
    const struct row *row = find(rows, COUNT(rows), tag);
    if (!row) row = find(more, COUNT(more), tag);
    if (row) {
        *vr = row->vr;
        return with_options(row, choice);
    }
    if (within(values, COUNT(values), tag)) return CONFIDENTIAL_VALUE;
    return within(sequences, COUNT(sequences), tag) ? CONFIDENTIAL_ITEMS : CONFIDENTIAL_GOES;
}
