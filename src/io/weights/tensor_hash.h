/* A hash of what a safetensors file holds, in its own metadata: of names, types, shapes and values of the tensors, and of the other
 * metadata, whatever order they stand in (docs/weights.md, "The hash").  It finds damage; it signs nothing.  Called by safetensors.c,
 * which writes it, by who reads weights to go on with them, and by check. */
#ifndef COVER_TENSOR_HASH_H
#define COVER_TENSOR_HASH_H

#include "core/base/sha256.h"
#include "tensor_file.h"

enum { TENSOR_HASH_PAIRS = 2 };

struct hashed_tensor {
    const char *name;
    enum tensor_type type;
    int rank;
    const int64_t *shape;
    uint8_t digest[SHA256_BYTES]; /* of its values as stored, dense */
};

/* Is it a key of the hash's own? */
bool tensor_hash_owns(const char *key);
/* The pairs for a file of these tensors, which are put in the order of their names, and this other metadata. */
cover_status tensor_hash_pairs(struct tensor_pair pairs[TENSOR_HASH_PAIRS], struct arena *arena, struct hashed_tensor *tensors,
                               int64_t count, const struct tensor_pair *metadata, int64_t metadata_count);

/* Read all values and compare; *present: is there a hash at all (may be NULL)?  COVER_ERROR_FORMAT names the first tensor that is not
 * as it was written. */
cover_status tensor_hash_verify(struct tensor_file *file, bool *present);

#endif
