/* The seal: the first 512 bytes (the HDF5 user block) of every HDF5 file of ours.  It says what the file is, how long
 * it must be, and carries the SHA-256 of the part that has to be sound before anything else is looked at: all that
 * follows in a checkpoint, the directory in a dataset (docs/dataset.md). */
#ifndef COVER_SEAL_H
#define COVER_SEAL_H

#include "core/base/base.h"
#include "core/base/sha256.h"
#include "source.h"

enum { SEAL_BYTES = 512, SEAL_FORMAT_BYTES = 16 };

struct seal {
    char format[SEAL_FORMAT_BYTES]; /* "dataset", "checkpoint" */
    unsigned major, minor;          /* a higher major cannot be read, a higher minor can */
    uint64_t file_bytes;            /* length of the whole file, the seal included */
    uint64_t begin, bytes;          /* the sealed part */
    uint8_t hash[SHA256_BYTES];
    uint8_t rest[SHA256_BYTES]; /* dataset: hash of all bytes behind the seal but for stored pixels; else 0 */
};

void seal_encode(uint8_t block[SEAL_BYTES], const struct seal *seal);
/* Read and check the seal of an open file: ours, undamaged, the format and major that the caller knows, the whole
 * length present, the sealed part inside.  Error texts begin with the path. */
cover_status seal_read(struct seal *seal, const struct source *source, const char *format, unsigned major);
/* The sealed part, whole, which has the hash that the seal says: read once (memory_free). */
cover_status seal_load(uint8_t **content, const struct seal *seal, cover_context *context, const struct source *source);
/* The format that a file's seal names, "" when it has none or cannot be read: for telling files apart. */
void seal_format(char format[SEAL_FORMAT_BYTES], const uint8_t *head, size_t bytes);
void seal_peek(const char *path, char format[SEAL_FORMAT_BYTES]);

#endif
