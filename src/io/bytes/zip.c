/* ZIP archives for reading (APPNOTE.TXT 6.3, section numbers beside the code).  See zip.h. */
#include "zip.h"

#include "inflate.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    STORED = 0,
    DEFLATED = 8
};
static const uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50, end_signature = 0x06054b50,
                      locator_signature = 0x07064b50, end64_signature = 0x06064b50;
static const uint64_t directory_limit = 1 << 28;

static uint16_t u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static uint32_t u32(const uint8_t *at) { return u16(at) | (uint32_t)u16(at + 2) << 16; }
static uint64_t u64(const uint8_t *at) { return u32(at) | (uint64_t)u32(at + 4) << 32; }

static cover_status damaged(const struct source *source, const char *what) {
    return fail(COVER_ERROR_FORMAT, "%s: a truncated or damaged ZIP archive: %s", source->name, what);
}

/* Where the directory is, as the end record says. */
struct directory {
    uint64_t offset, bytes, count;
};

/* 4.3.14, 4.3.15: archives over 4 GiB have a second, wider end record, found through a locator before the first. */
static cover_status read_end64(struct directory *directory, const struct source *source, uint64_t end) {
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    if (end < LOCATOR_BYTES) return COVER_OK;
    TRY(source_read(source, end - LOCATOR_BYTES, locator, sizeof locator));
    if (u32(locator) != locator_signature) return COVER_OK;
    TRY(source_read(source, u64(locator + 8), record, sizeof record));
    if (u32(record) != end64_signature) return damaged(source, "no zip64 end record where its locator points");
    *directory = (struct directory){.count = u64(record + 32), .bytes = u64(record + 40), .offset = u64(record + 48)};
    return COVER_OK;
}

/* 4.3.16: the end record is the last thing in the file but for a comment. */
static cover_status find_directory(struct directory *directory, struct arena *arena, const struct source *source) {
    uint64_t tail_bytes = source->bytes < END_BYTES + COMMENT_MAX ? source->bytes : END_BYTES + COMMENT_MAX;
    uint8_t *tail = arena_alloc(arena, tail_bytes);
    if (!tail) return COVER_ERROR_MEMORY;
    TRY(source_read(source, source->bytes - tail_bytes, tail, tail_bytes));
    for (uint64_t back = END_BYTES; back <= tail_bytes; back++) {
        const uint8_t *end = tail + tail_bytes - back;
        if (u32(end) != end_signature || u16(end + 20) != back - END_BYTES) continue;
        *directory = (struct directory){.count = u16(end + 10), .bytes = u32(end + 12), .offset = u32(end + 16)};
        return read_end64(directory, source, source->bytes - back);
    }
    return damaged(source, "it has no end record");
}

/* 4.5.3: 64-bit values stand in an extra field, in this order, for those that are all ones in the record. */
static bool read_extra64(struct zip_entry *entry, const uint8_t *extra, size_t bytes) {
    uint64_t *wide[] = {&entry->bytes, &entry->packed, &entry->header};
    while (bytes >= 4) {
        size_t id = u16(extra), length = u16(extra + 2);
        extra += 4, bytes -= 4;
        if (length > bytes) return false;
        for (int i = 0; id == EXTRA_ZIP64 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX) continue;
            if (length < 8) return false;
            *wide[i] = u64(extra);
            extra += 8, length -= 8, bytes -= 8;
        }
        extra += length, bytes -= length;
    }
    return true;
}

/* What an entry claims must be possible before anyone allocates for it. */
static bool sizes_are_possible(const struct zip_entry *entry, const struct source *source) {
    if (entry->packed > source->bytes) return false;
    return entry->method == STORED ? entry->packed == entry->bytes : entry->bytes / DEFLATE_RATIO <= entry->packed;
}

/* 4.3.12: one record of the directory; *whole: its bytes. */
static cover_status read_record(struct zip_entry *entry, const struct source *source, struct arena *arena, const uint8_t *record,
                                size_t bytes, size_t *whole) {
    if (bytes < CENTRAL_BYTES || u32(record) != central_signature)
        return damaged(source, "its directory ends before its last entry");
    size_t name = u16(record + 28), extra = u16(record + 30), comment = u16(record + 32);
    *whole = CENTRAL_BYTES + name + extra + comment;
    if (*whole > bytes) return damaged(source, "an entry goes beyond its directory");
    if (u16(record + 8) & FLAG_ENCRYPTED) return fail(COVER_ERROR_UNSUPPORTED, "%s: is encrypted", source->name);
    entry->method = u16(record + 10);
    entry->crc = u32(record + 16);
    entry->packed = u32(record + 20);
    entry->bytes = u32(record + 24);
    entry->header = u32(record + 42);
    entry->name = arena_text(arena, (const char *)record + CENTRAL_BYTES, name);
    if (!entry->name) return COVER_ERROR_MEMORY;
    if (!read_extra64(entry, record + CENTRAL_BYTES + name, extra))
        return damaged(source, "an extra field of its directory is not sound");
    if (!sizes_are_possible(entry, source)) return damaged(source, "an entry cannot have the size that it claims");
    return COVER_OK;
}

static int by_name(const void *a, const void *b) {
    const struct zip_entry *left = a, *right = b;
    return strcmp(left->name, right->name);
}

cover_status zip_open(struct zip *zip, struct arena *arena, const struct source *source) {
    struct directory directory;
    TRY(find_directory(&directory, arena, source));
    if (directory.bytes > directory_limit || directory.count > directory.bytes / CENTRAL_BYTES)
        return damaged(source, "its directory cannot have the size that it claims");
    if (directory.offset > source->bytes || directory.bytes > source->bytes - directory.offset)
        return damaged(source, "its directory lies outside the file");
    *zip = (struct zip){.source = source};
    uint8_t *records = arena_alloc(arena, directory.bytes);
    zip->entries = arena_alloc(arena, directory.count * sizeof *zip->entries);
    if (!records || !zip->entries) return COVER_ERROR_MEMORY;
    TRY(source_read(source, directory.offset, records, directory.bytes));
    for (size_t at = 0, whole; (uint64_t)zip->count < directory.count; zip->count++, at += whole)
        TRY(read_record(&zip->entries[zip->count], source, arena, records + at, directory.bytes - at, &whole));
    qsort(zip->entries, (size_t)zip->count, sizeof *zip->entries, by_name);
    return COVER_OK;
}

const struct zip_entry *zip_find(const struct zip *zip, const char *name) {
    struct zip_entry key = {.name = name};
    return bsearch(&key, zip->entries, (size_t)zip->count, sizeof key, by_name);
}

static cover_status read_deflated(const struct zip *zip, cover_context *context, const struct zip_entry *entry, uint64_t offset,
                                  uint8_t *out) {
    const char *wrong;
    uint64_t left;
    TRY(source_inflate(out, entry->bytes, &wrong, &left, zip->source, context, offset, entry->packed, -MAX_WBITS));
    return wrong ? damaged(zip->source, "an entry does not unpack") : COVER_OK;
}

static uint32_t checksum(const uint8_t *data, uint64_t bytes) {
    uLong crc = crc32_z(0, NULL, 0);
    return (uint32_t)crc32_z(crc, data, bytes);
}

cover_status zip_read(const struct zip *zip, cover_context *context, const struct zip_entry *entry, void *out) {
    uint8_t local[LOCAL_BYTES];
    TRY(source_read(zip->source, entry->header, local, sizeof local));
    if (u32(local) != local_signature) return damaged(zip->source, "no entry where its directory points");
    uint64_t offset = entry->header + LOCAL_BYTES + u16(local + 26) + u16(local + 28);
    if (offset > zip->source->bytes || entry->packed > zip->source->bytes - offset)
        return damaged(zip->source, "an entry goes beyond its end");
    if (entry->method == STORED) TRY(source_read(zip->source, offset, out, entry->bytes));
    else if (entry->method == DEFLATED) TRY(read_deflated(zip, context, entry, offset, out));
    else return fail(COVER_ERROR_UNSUPPORTED, "%s: packed by method %d", zip->source->name, entry->method);
    if (entry->crc != 0 && checksum(out, entry->bytes) != entry->crc)
        return damaged(zip->source, "an entry does not have its CRC-32");
    return COVER_OK;
}
