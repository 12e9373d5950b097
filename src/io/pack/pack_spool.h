/* The spool of pack: finished samples one behind the other in a file beside the output, in the order in which threads
 * finish them.  Whatever kills the process, the whole records before the break are good, and pack goes on from there.
 * Called by pack.c; append may be called from several threads at once. */
#ifndef COVER_PACK_SPOOL_H
#define COVER_PACK_SPOOL_H

#include "pack.h"

struct pack_spool {
    cover_context *context;
    char *path;
    int descriptor;
    pthread_mutex_t lock;
    int64_t count;     /* items of the plan */
    uint64_t *offsets; /* of each item's record; 0 = not there yet */
    uint64_t end;
    int64_t found; /* records taken over from an interrupted pack */
};

/* What the spool keeps of a sample beside its stored bytes. */
struct spool_sample {
    struct dataset_row row;
    int32_t dims, channels, label_max;
    uint64_t seen[4];
};

/* Open OUTPUT.spool (spool-HASH for a name that leaves no room) for `count` items.  `plan` is the hash of everything that decides the result: with resume, records
 * of the same plan are kept; of another plan, COVER_ERROR_MISMATCH. */
cover_status pack_spool_open(struct pack_spool *spool, cover_context *context, const char *output, int64_t count,
                             const uint8_t plan[SHA256_BYTES], bool resume, bool private);
static inline bool pack_spool_has(const struct pack_spool *spool, int64_t item) { return spool->offsets[item] != 0; }
cover_status pack_spool_append(struct pack_spool *spool, int64_t item, const struct packed_sample *sample);
cover_status pack_spool_sample(const struct pack_spool *spool, int64_t item, struct spool_sample *sample);
/* Stored image or label, into row.image_bytes or row.label_bytes of memory. */
cover_status pack_spool_stored(const struct pack_spool *spool, int64_t item, bool label, void *bytes);
/* Keep the file for a later resume, or remove it. */
void pack_spool_close(struct pack_spool *spool, bool keep);

#endif
