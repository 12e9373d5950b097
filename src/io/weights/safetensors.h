/* safetensors: an 8-byte header length, a JSON header, tensors (huggingface.co/docs/safetensors).  Reading goes through
 * tensor_file.h; this is the writer.  Called by weights.c. */
#ifndef COVER_SAFETENSORS_H
#define COVER_SAFETENSORS_H

#include "tensor_file.h"

struct tensor_output {
    const char *name;
    enum tensor_type type;
    int rank;
    const int64_t *shape;
    const void *data; /* dense, little-endian; NULL = values of `entry` in `file`, read when they are written */
    struct tensor_file *file;
    const struct tensor_entry *entry;
};

/* Write tensors and metadata in the order given, and a hash of them behind the metadata (tensor_hash.h); equal content gives equal bytes.
 * Replaces `path` in one move.
 * Names must be sound and differ, as those of parameter tables and tensor files do.  COVER_ERROR_IO; reading errors. */
cover_status safetensors_write(cover_context *context, const char *path, const struct tensor_output *tensors, int64_t count,
                               const struct tensor_pair *metadata, int64_t metadata_count);

#endif
