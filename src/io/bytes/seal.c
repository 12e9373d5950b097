/* The seal in the user block of our HDF5 files (docs/dataset.md states its bytes).  Called by the dataset, checkpoints
 * and check, before libhdf5 or anything else reads the file. */
#include "seal.h"

#include <string.h>

/* Little-endian fields: magic at 0, format at 8, then numbers, the hash, and at the end the hash of the block itself.
 */
static const uint8_t magic[8] = {'C', 'O', 'V', 'E', 'R', '\r', '\n', 0x1a};
enum {
    AT_FORMAT = 8,
    AT_MAJOR = 24,
    AT_MINOR = 28,
    AT_FILE_BYTES = 32,
    AT_BEGIN = 40,
    AT_BYTES = 48,
    AT_HASH = 56,
    AT_REST = 88,
    AT_OWN_HASH = SEAL_BYTES - SHA256_BYTES
};

static void put(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void seal_encode(uint8_t block[SEAL_BYTES], const struct seal *seal) {
    memset(block, 0, SEAL_BYTES);
    memcpy(block, magic, sizeof magic);
    memcpy(block + AT_FORMAT, seal->format, strnlen(seal->format, SEAL_FORMAT_BYTES - 1));
    put(block + AT_MAJOR, seal->major, 4);
    put(block + AT_MINOR, seal->minor, 4);
    put(block + AT_FILE_BYTES, seal->file_bytes, 8);
    put(block + AT_BEGIN, seal->begin, 8);
    put(block + AT_BYTES, seal->bytes, 8);
    memcpy(block + AT_HASH, seal->hash, SHA256_BYTES);
    memcpy(block + AT_REST, seal->rest, SHA256_BYTES);
    sha256(block, AT_OWN_HASH, block + AT_OWN_HASH);
}

static cover_status seal_decode(struct seal *seal, const uint8_t block[SEAL_BYTES], const char *path, const char *format) {
    uint8_t own[SHA256_BYTES];
    if (memcmp(block, magic, sizeof magic) != 0)
        return fail(COVER_ERROR_FORMAT, "%s: not a %s file of COVER (its first bytes are not a COVER seal)", path, format);
    sha256(block, AT_OWN_HASH, own);
    if (memcmp(block + AT_OWN_HASH, own, sizeof own) != 0)
        return fail(COVER_ERROR_FORMAT, "%s: the seal in its first %d bytes is damaged", path, SEAL_BYTES);
    memset(seal, 0, sizeof *seal);
    memcpy(seal->format, block + AT_FORMAT, SEAL_FORMAT_BYTES - 1);
    seal->major = (unsigned)get(block + AT_MAJOR, 4);
    seal->minor = (unsigned)get(block + AT_MINOR, 4);
    seal->file_bytes = get(block + AT_FILE_BYTES, 8);
    seal->begin = get(block + AT_BEGIN, 8);
    seal->bytes = get(block + AT_BYTES, 8);
    memcpy(seal->hash, block + AT_HASH, SHA256_BYTES);
    memcpy(seal->rest, block + AT_REST, SHA256_BYTES);
    return COVER_OK;
}

cover_status seal_read(struct seal *seal, const struct source *source, const char *format, unsigned major) {
    const char *path = source->name;
    const uint64_t present = source->bytes;
    uint8_t block[SEAL_BYTES];
    if (present < SEAL_BYTES)
        return fail(COVER_ERROR_FORMAT, "%s: %s (%llu bytes), not a %s file of COVER", path, present == 0 ? "empty" : "too short",
                    (unsigned long long)present, format);
    TRY(source_read(source, 0, block, sizeof block));
    struct seal read;
    TRY(seal_decode(&read, block, path, format));
    if (strcmp(read.format, format) != 0) return fail(COVER_ERROR_FORMAT, "%s: a COVER %s, not a %s", path, read.format, format);
    if (read.major > major)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: %s format %u.%u, but libcover %s reads up to %u; use a newer libcover", path,
                    format, read.major, read.minor, cover_version(), major);
    if (read.file_bytes != present)
        return fail(COVER_ERROR_FORMAT, "%s: %llu bytes, but its seal says %llu: the file is %s", path, (unsigned long long)present,
                    (unsigned long long)read.file_bytes, present < read.file_bytes ? "truncated" : "longer than it was written");
    if (read.begin < SEAL_BYTES || read.begin > present || read.bytes > present - read.begin)
        return fail(COVER_ERROR_FORMAT, "%s: its seal names bytes outside the file", path);
    *seal = read;
    return COVER_OK;
}

cover_status seal_load(uint8_t **out, const struct seal *seal, cover_context *context, const struct source *source) {
    enum { PIECE = 1 << 20 };
    cover_status status = COVER_OK;
    struct sha256 hash;
    uint8_t digest[SHA256_BYTES];
    uint8_t *content = memory_alloc(context, seal->bytes);
    if (!content) return fail_in(COVER_ERROR_MEMORY, "%s", source->name);
    sha256_begin(&hash);
    for (uint64_t done = 0, now; done < seal->bytes; done += now) {
        now = seal->bytes - done < PIECE ? seal->bytes - done : PIECE;
        GO(source_read(source, seal->begin + done, content + done, now));
        sha256_add(&hash, content + done, now);
    }
    sha256_end(&hash, digest);
    if (memcmp(digest, seal->hash, sizeof digest) != 0)
        GO(fail(COVER_ERROR_FORMAT, "%s: damaged: its content does not have the hash that its seal says", source->name));
    *out = content;
    content = NULL;
done:
    memory_free(context, content);
    return status;
}

void seal_format(char format[SEAL_FORMAT_BYTES], const uint8_t *head, size_t bytes) {
    format[0] = 0;
    if (bytes < AT_FORMAT + SEAL_FORMAT_BYTES || memcmp(head, magic, sizeof magic) != 0) return;
    memcpy(format, head + AT_FORMAT, SEAL_FORMAT_BYTES - 1);
    format[SEAL_FORMAT_BYTES - 1] = 0;
}

void seal_peek(const char *path, char format[SEAL_FORMAT_BYTES]) {
    uint8_t head[AT_FORMAT + SEAL_FORMAT_BYTES];
    struct source source;
    format[0] = 0;
    if (source_open(&source, path) != COVER_OK) return;
    if (source_read(&source, 0, head, sizeof head) == COVER_OK) seal_format(format, head, sizeof head);
    source_close(&source);
}
