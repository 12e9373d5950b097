/* ZIP archives for reading (APPNOTE.TXT 6.3): the central directory, stored and deflated entries, zip64.  Every offset
 * and size is checked against the bytes present.  Called by pth.c. */
#ifndef COVER_ZIP_H
#define COVER_ZIP_H

#include "arena.h"
#include "source.h"

struct zip_entry {
    const char *name;
    uint64_t header;        /* offset of its local header */
    uint64_t packed, bytes; /* size in the file, size unpacked */
    uint32_t crc;           /* 0 = not stored */
    uint16_t method;        /* 0 stored, 8 deflated */
};
struct zip {
    const struct source *source;
    int64_t count;
    struct zip_entry *entries; /* by name */
};

/* Read the directory; names and entries live in the arena. */
cover_status zip_open(struct zip *zip, struct arena *arena, const struct source *source);
/* NULL when there is none. */
const struct zip_entry *zip_find(const struct zip *zip, const char *name);
/* All entry->bytes bytes, compared with the stored CRC-32. */
cover_status zip_read(const struct zip *zip, cover_context *context, const struct zip_entry *entry, void *out);

#endif
