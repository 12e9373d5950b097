/* An object on its way out in the transfer syntax in which it came: a file's head of our own, then elements as they are handed over.
 * Sequences and items have delimiters, not lengths, so that nothing is measured before it is written.  Called by deidentify_object.c. */
#ifndef COVER_DICOM_RECODE_H
#define COVER_DICOM_RECODE_H

#include "tree.h"

#include "core/base/files.h"
#include "core/base/sha256.h"

#include <string.h>
#include <zlib.h>

enum { RECODE_PIECE = 1 << 16 };
#define RECODE_UNDEFINED 0xffffffffu

struct recode {
    cover_context *context;
    struct replacement *file;
    bool implicit, big_endian, deflating;
    z_stream deflater;
    uint8_t waiting[RECODE_PIECE];
    size_t count;
    uint64_t bytes; /* that the file has */
    struct sha256 hash;
};

/* Zeros as preamble, group 0002, and what follows in the form of the tree's data set.  recode_close() behind it, after failures, too. */
cover_status recode_begin(struct recode *recode, cover_context *context, struct replacement *file, const struct dicom_tree *tree,
                          const char *sop_class, const char *sop_instance);
/* All is with the file; the hash of it. */
cover_status recode_end(struct recode *recode, uint8_t digest[SHA256_BYTES]);
void recode_close(struct recode *recode);

/* Tag, value representation (where the form has them) and length; RECODE_UNDEFINED: delimiters follow. */
cover_status recode_header(struct recode *recode, uint32_t tag, const char vr[2], uint32_t length);
cover_status recode_bytes(struct recode *recode, const void *bytes, size_t count);
/* An element with its value, padded to an even length as its VR has it. */
cover_status recode_value(struct recode *recode, uint32_t tag, const char vr[2], const void *value, size_t bytes);
static inline cover_status recode_text(struct recode *recode, uint32_t tag, const char vr[2], const char *text) {
    return recode_value(recode, tag, vr, text, strlen(text));
}

#endif
