/* A parsed data set: its elements in one array, in the order of the file, sequences with their items behind them; and the values that are
 * small enough to keep.  Made by dicom_parse() (parse.c), which has checked every length and the order of the tags.
 * Called by all readers of attributes. */
#ifndef COVER_DICOM_TREE_H
#define COVER_DICOM_TREE_H

#include "io/bytes/source.h"
#include "tags.h"

struct dicom_node {
    uint32_t tag;
    uint32_t length; /* of the value, in bytes; of pixel data in fragments, of sequences and items without one: 0 */
    uint64_t at;     /* where the value begins in the data set */
    int64_t next;    /* the next node that is not inside this one */
    int64_t kept;    /* where the value begins in tree->bytes; -1 = it is not kept */
    char vr[2];      /* "UN" in an implicit data set; "SQ" of each sequence, "--" of an item */
};
struct dicom_fragment {
    uint64_t at, length;
};
struct dicom_tree {
    cover_context *context;
    struct dicom_node *nodes;
    int64_t count, capacity;
    uint8_t *bytes;
    int64_t kept, room;
    struct dicom_fragment *fragments; /* of the pixel data, the offset table first */
    int64_t fragment_count, fragment_capacity;
    bool big_endian, implicit, deflated;
    uint64_t data_at;     /* where the data set begins in the source */
    char syntax[65];      /* transfer syntax UID; "" = none was said */
    const char *notes[4]; /* what is odd, and read all the same (R11) */
    int note_count;
};

/* Does it begin like a DICOM file (R1)?  The first 132 bytes, or all of a smaller one. */
bool dicom_is_one(const uint8_t *head, size_t bytes);
/* dicom_tree_free() after success and after failure; error texts do not name the source. */
cover_status dicom_parse(struct dicom_tree *tree, cover_context *context, const struct source *source);
void dicom_tree_free(struct dicom_tree *tree);
/* Explicit VR: has an element of this one a length of 4 bytes? */
bool dicom_has_long_form(const char vr[2]);

/* An element of the data set, or of an item; NULL = it is not there. */
const struct dicom_node *dicom_find(const struct dicom_tree *tree, const struct dicom_node *item, uint32_t tag);
/* Items of a sequence, one after the other: NULL ends them.  sequence may be NULL. */
const struct dicom_node *dicom_first(const struct dicom_tree *tree, const struct dicom_node *sequence);
const struct dicom_node *dicom_next(const struct dicom_tree *tree, const struct dicom_node *sequence,
                                    const struct dicom_node *item);

/* The bytes of a value as they are; NULL where it is not there, empty or not kept.  node may be NULL. */
const uint8_t *dicom_bytes(const struct dicom_tree *tree, const struct dicom_node *node, size_t *count);
/* A text without the blanks and zeros around it, cut to fit; "" where there is none.  Returns its length. */
size_t dicom_text(const struct dicom_tree *tree, const struct dicom_node *node, char *to, size_t room);
bool dicom_text_is(const struct dicom_tree *tree, const struct dicom_node *node, const char *text);
/* The values between backslashes of a text, one after the other, without the blanks and zeros around; false behind the last one. */
struct dicom_parts {
    const uint8_t *from, *end; /* of what is left; NULL = nothing */
};
struct dicom_parts dicom_parts(const struct dicom_tree *tree, const struct dicom_node *node);
bool dicom_part(struct dicom_parts *parts, const uint8_t **part, size_t *length);
/* Is it one of them? */
bool dicom_text_has(const struct dicom_tree *tree, const struct dicom_node *node, const char *part);
/* Numbers of text (DS, IS): *count of them, at most `most`, 0 where there is none.  COVER_ERROR_FORMAT names attribute and value (R9). */
cover_status dicom_decimals(const struct dicom_tree *tree, const struct dicom_node *node, double *values, int most, int *count);
/* The same where it is known how many there must be, or none (*present false). */
cover_status dicom_vector(const struct dicom_tree *tree, const struct dicom_node *node, double *values, int count, bool *present);
cover_status dicom_integer(const struct dicom_tree *tree, const struct dicom_node *node, int64_t *value, bool *present);
/* US or SS: the value of an element as it is stored; *present false where it is not there. */
cover_status dicom_short(const struct dicom_tree *tree, const struct dicom_node *node, uint16_t *value, bool *present);
/* Numbers of 2, 4 and 8 bytes in the order of the data set. */
uint16_t dicom_u16(const struct dicom_tree *tree, const uint8_t *bytes);
uint32_t dicom_u32(const struct dicom_tree *tree, const uint8_t *bytes);
double dicom_f64(const struct dicom_tree *tree, const uint8_t *bytes);

#endif
