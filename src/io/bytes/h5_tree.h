/* Our own reader and writer of the plainest HDF5: superblock 0, groups with symbol tables, version 1 headers, arrays in one piece
 * (docs/weights.md, "Checkpoints").  What libhdf5 makes of its defaults is read, what is written every libhdf5 reads; neither
 * needs it, so that nothing it does can end a process that trains or predicts.  Called by checkpoints. */
#ifndef COVER_H5_TREE_H
#define COVER_H5_TREE_H

#include "arena.h"

#include <libcover/tensor.h>

enum { H5_NAME_MAX = 1024 }; /* bytes of a name, which has no '/' */

struct h5_array {
    const char *path;  /* "weights/inc.bias": groups and a name */
    bool is_text;      /* UTF-8 in one fixed-length string; rank 0, dtype COVER_U8 */
    cover_dtype dtype; /* COVER_U8, U16, I16, I32, I64, F32 */
    int rank;          /* 0 = one number */
    int64_t shape[COVER_MAX_RANK];
    const void *data; /* dense, little-endian; what was read may lie unaligned */
    uint64_t bytes;
};

/* ---- reading */

/* Starts from {.arena = {.context = context}}; h5_tree_free() also after an error. */
struct h5_tree {
    struct arena arena;
    struct h5_array *arrays; /* by path, in the order of strcmp() */
    int64_t count, capacity;
};
/* All arrays of an HDF5 file whose superblock is its first byte.  `name` is for messages.  The arrays' data lie in `bytes`, which
 * must outlive the tree.  Work and memory are bounded by `count`; COVER_ERROR_FORMAT, COVER_ERROR_MEMORY. */
cover_status h5_tree_read(struct h5_tree *tree, const char *name, const uint8_t *bytes, uint64_t count);
const struct h5_array *h5_tree_find(const struct h5_tree *tree, const char *path); /* NULL when there is none */
void h5_tree_free(struct h5_tree *tree);

/* ---- writing */

/* Replace `path` by such a file of these arrays behind a seal of this format, in one move.  The order of the arrays does not
 * matter: equal content gives equal bytes.  COVER_ERROR_IO, COVER_ERROR_MEMORY. */
cover_status h5_tree_write(cover_context *context, const char *path, const char *format, unsigned major, unsigned minor,
                           const struct h5_array *arrays, int64_t count);

/* ---- shared by both: the start of a datatype message (III.3.2.4 of the format's specification, version 1) */

struct h5_type {
    cover_dtype dtype;
    uint8_t bytes[24], used; /* zeros behind them */
};
extern const struct h5_type h5_types[];
extern const int h5_type_count;
/* Texts: class 3, padded with NUL, UTF-8; then the length in 4 bytes. */
enum { H5_TEXT_CLASS = 0x13, H5_TEXT_STYLE = 0x11 };
/* Messages of an object header. */
enum {
    H5_NIL = 0,
    H5_DATASPACE = 1,
    H5_DATATYPE = 3,
    H5_OLD_FILL = 4,
    H5_FILL = 5,
    H5_LAYOUT = 8,
    H5_ATTRIBUTE = 0xc,
    H5_COMMENT = 0xd,
    H5_OLD_TIME = 0xe,
    H5_CONTINUATION = 0x10,
    H5_SYMBOL_TABLE = 0x11,
    H5_TIME = 0x12
};
enum { H5_SUPERBLOCK_BYTES = 96, H5_SYMBOL_BYTES = 40, H5_NODE_HEAD_BYTES = 24 };
extern const uint8_t h5_signature[8];

#endif
