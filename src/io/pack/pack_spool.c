/* The spool of pack: an append-only file of records, each with its length and checksums.
 * Called by pack.c. */
#include "pack_spool.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

/* The file is read by the library that wrote it, on the machine that wrote it: plain structs, a version in the magic.
 */
struct spool_head {
    char magic[16];
    uint8_t plan[SHA256_BYTES];
};
static const char spool_magic[16] = "COVER spool 2\n";

struct spool_record {
    uint32_t mark;
    uint32_t check; /* CRC-32 of the rest of this struct */
    int64_t item;
    struct spool_sample sample;
    uint32_t payload_check; /* CRC-32 of image and label */
};
enum { RECORD_MARK = 0x44524352, CHECKED_FROM = offsetof(struct spool_record, item) };

static cover_status refused(const struct pack_spool *spool, const char *doing) { return fail_system(spool->path, doing); }

static uint32_t checksum(uint32_t start, const void *data, uint64_t bytes) {
    return bytes > 0 ? (uint32_t)crc32_z(start, data, bytes) : start;
}

static uint32_t record_check(const struct spool_record *record) {
    return checksum(0, (const char *)record + CHECKED_FROM, sizeof *record - CHECKED_FROM);
}

static cover_status read_at(const struct pack_spool *spool, uint64_t offset, void *data, uint64_t bytes) {
    const struct source source = {.name = spool->path, .descriptor = spool->descriptor, .bytes = spool->end};
    return source_read(&source, offset, data, bytes);
}

static cover_status write_at(const struct pack_spool *spool, const void *data, uint64_t bytes, uint64_t offset) {
    if (!descriptor_write_at(spool->descriptor, data, bytes, offset)) return refused(spool, "cannot be written");
    return COVER_OK;
}

static cover_status start_anew(struct pack_spool *spool, const uint8_t plan[SHA256_BYTES]) {
    struct spool_head head;
    memcpy(head.magic, spool_magic, sizeof head.magic);
    memcpy(head.plan, plan, sizeof head.plan);
    if (!descriptor_cut(spool->descriptor, 0)) return refused(spool, "cannot be written");
    TRY(write_at(spool, &head, sizeof head, 0));
    spool->end = sizeof head;
    return COVER_OK;
}

/* Is there a whole record at `offset`?  Its bytes are read and compared; *next is where the one behind it begins. */
static cover_status read_record(const struct pack_spool *spool, uint64_t offset, struct spool_record *record, uint8_t *piece,
                                size_t piece_bytes, bool *whole, uint64_t *next) {
    *whole = false;
    if (spool->end - offset < sizeof *record) return COVER_OK;
    TRY(read_at(spool, offset, record, sizeof *record));
    if (record->mark != RECORD_MARK || record->check != record_check(record)) return COVER_OK;
    const struct dataset_row *row = &record->sample.row;
    uint64_t left = spool->end - offset - sizeof *record, at = offset + sizeof *record;
    if (record->item < 0 || record->item >= spool->count || row->image_bytes > left || row->label_bytes > left - row->image_bytes)
        return COVER_OK;
    uint32_t check = 0;
    *next = at + row->image_bytes + row->label_bytes;
    while (at < *next) {
        const size_t now = *next - at < piece_bytes ? (size_t)(*next - at) : piece_bytes;
        TRY(read_at(spool, at, piece, now));
        check = checksum(check, piece, now);
        at += now;
    }
    *whole = check == record->payload_check;
    return COVER_OK;
}

/* Take over the whole records of an interrupted pack; what follows them is cut off. */
static cover_status take_over(struct pack_spool *spool) {
    enum { PIECE = 1 << 20 };
    cover_status status = COVER_OK;
    uint64_t offset = sizeof(struct spool_head), next;
    struct spool_record record;
    bool whole;
    uint8_t *piece = memory_alloc(spool->context, PIECE);
    if (!piece) return COVER_ERROR_MEMORY;
    for (;; offset = next) {
        if (cancelled(spool->context)) GO(fail(COVER_ERROR_CANCELLED, "cancelled"));
        GO(read_record(spool, offset, &record, piece, PIECE, &whole, &next));
        if (!whole) break;
        spool->found += spool->offsets[record.item] == 0;
        spool->offsets[record.item] = offset;
    }
    if (!descriptor_cut(spool->descriptor, offset)) GO(refused(spool, "cannot be written"));
    spool->end = offset;
done:
    memory_free(spool->context, piece);
    return status;
}

static cover_status resume_or_start(struct pack_spool *spool, const uint8_t plan[SHA256_BYTES], bool resume) {
    struct spool_head head;
    struct stat about;
    if (fstat(spool->descriptor, &about) != 0) return refused(spool, "cannot be examined");
    spool->end = (uint64_t)about.st_size;
    if (!resume || spool->end < sizeof head) return start_anew(spool, plan);
    TRY(read_at(spool, 0, &head, sizeof head));
    if (memcmp(head.magic, spool_magic, sizeof head.magic) != 0)
        return fail(COVER_ERROR_FORMAT, "%s: not the spool of an interrupted pack; remove it, or pack without resume", spool->path);
    if (memcmp(head.plan, plan, sizeof head.plan) != 0)
        return fail(COVER_ERROR_MISMATCH,
                    "%s: sources or options are not those of the interrupted pack; use the same, or pack "
                    "without resume to start anew",
                    spool->path);
    return take_over(spool);
}

/* "OUTPUT.spool"; where a name cannot be so long, "spool-" and the hash of it. */
static char *spool_path(cover_context *context, const char *output) {
    const size_t name = strlen(path_name(output)), folder = strlen(output) - name;
    const size_t bytes = folder + name + sizeof ".spool-" + SHA256_TEXT;
    char hash[SHA256_TEXT], *path = memory_alloc(context, bytes);
    uint8_t digest[SHA256_BYTES];
    if (path && name + strlen(".spool") <= NAME_MAX) snprintf(path, bytes, "%s.spool", output);
    else if (path) {
        sha256(path_name(output), name, digest);
        sha256_text(digest, hash);
        snprintf(path, bytes, "%.*sspool-%s", (int)folder, output, hash);
    }
    return path;
}

cover_status pack_spool_open(struct pack_spool *spool, cover_context *context, const char *output, int64_t count,
                             const uint8_t plan[SHA256_BYTES], bool resume, bool private) {
    cover_status status = COVER_OK;
    *spool = (struct pack_spool){.context = context, .descriptor = -1, .count = count};
    pthread_mutex_init(&spool->lock, NULL);
    spool->path = spool_path(context, output);
    spool->offsets = memory_zero(context, (size_t)count * sizeof *spool->offsets);
    if (!spool->path || !spool->offsets) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    spool->descriptor = (private ? descriptor_open_private : descriptor_open)(spool->path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (spool->descriptor < 0) GO(fail_system(output, "cannot be written"));
    const enum descriptor_lock lock = descriptor_lock(spool->descriptor);
    if (lock == LOCK_OF_ANOTHER) GO(fail(COVER_ERROR_IO, "%s: another pack is writing it", output));
    if (lock == LOCK_IMPOSSIBLE)
        log_line(context, COVER_LOG_WARNING, "%s: cannot be locked (%s): let no other pack write it", spool->path, strerror(errno));
    GO(resume_or_start(spool, plan, resume));
    status = temporaries_remove_beside(context, output);
done:
    if (status != COVER_OK) pack_spool_close(spool, true);
    return status;
}

cover_status pack_spool_append(struct pack_spool *spool, int64_t item, const struct packed_sample *sample) {
    const struct dataset_row *row = &sample->row;
    struct spool_record record;
    memset(&record, 0, sizeof record); /* its padding is written, too */
    record.mark = RECORD_MARK, record.item = item;
    record.sample.row = *row;
    record.sample.dims = sample->dims, record.sample.channels = sample->channels;
    record.sample.label_max = sample->label_max;
    memcpy(record.sample.seen, sample->seen, sizeof record.sample.seen);
    record.payload_check = checksum(checksum(0, sample->image, row->image_bytes), sample->label, row->label_bytes);
    record.check = record_check(&record);
    cover_status status = COVER_OK;
    pthread_mutex_lock(&spool->lock);
    uint64_t at = spool->end;
    const struct {
        const void *data;
        uint64_t bytes;
    } parts[] = {{&record, sizeof record}, {sample->image, row->image_bytes}, {sample->label, row->label_bytes}};
    for (int p = 0; p < 3 && status == COVER_OK; at += parts[p++].bytes)
        status = write_at(spool, parts[p].data, parts[p].bytes, at);
    if (status == COVER_OK) spool->offsets[item] = spool->end, spool->end = at;
    pthread_mutex_unlock(&spool->lock);
    return status;
}

cover_status pack_spool_sample(const struct pack_spool *spool, int64_t item, struct spool_sample *sample) {
    struct spool_record record;
    TRY(read_at(spool, spool->offsets[item], &record, sizeof record));
    if (record.mark != RECORD_MARK || record.item != item || record.check != record_check(&record))
        return fail(COVER_ERROR_IO, "%s: changed while it was in use; pack again", spool->path);
    *sample = record.sample;
    return COVER_OK;
}

cover_status pack_spool_stored(const struct pack_spool *spool, int64_t item, bool label, void *bytes) {
    struct spool_sample sample = {0};
    TRY(pack_spool_sample(spool, item, &sample));
    const uint64_t begin = spool->offsets[item] + sizeof(struct spool_record);
    if (label) return read_at(spool, begin + sample.row.image_bytes, bytes, sample.row.label_bytes);
    return read_at(spool, begin, bytes, sample.row.image_bytes);
}

void pack_spool_close(struct pack_spool *spool, bool keep) {
    if (spool->descriptor >= 0) {
        if (!keep) path_remove(spool->path);
        descriptor_close(spool->descriptor); /* gives the lock back */
    }
    pthread_mutex_destroy(&spool->lock);
    memory_free(spool->context, spool->offsets);
    memory_free(spool->context, spool->path);
    *spool = (struct pack_spool){.descriptor = -1};
}
