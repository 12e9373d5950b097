/* See recode.h. */
#include "recode.h"

#include "uid.h"

#include "io/bytes/inflate.h"

enum { PREAMBLE = 128 };

/* ---- bytes out */

static cover_status give(struct recode *recode, const void *bytes, size_t count) {
    sha256_add(&recode->hash, bytes, count);
    recode->bytes += count;
    return replacement_write(recode->file, bytes, count);
}

static cover_status deflate_some(struct recode *recode, const void *bytes, size_t count, int flush) {
    z_stream *deflater = &recode->deflater;
    uint8_t packed[1 << 13];
    int result;
    deflater->next_in = (Bytef *)bytes, deflater->avail_in = (uInt)count;
    do {
        deflater->next_out = packed, deflater->avail_out = sizeof packed;
        result = deflate(deflater, flush);
        TRY(give(recode, packed, sizeof packed - deflater->avail_out));
    } while (deflater->avail_out == 0 || (flush == Z_FINISH && result == Z_OK));
    return COVER_OK;
}

static cover_status flush(struct recode *recode) {
    const size_t count = recode->count;
    recode->count = 0;
    return recode->deflating ? deflate_some(recode, recode->waiting, count, Z_NO_FLUSH) : give(recode, recode->waiting, count);
}

cover_status recode_bytes(struct recode *recode, const void *bytes, size_t count) {
    for (const uint8_t *from = bytes; count > 0;) {
        const size_t room = sizeof recode->waiting - recode->count, now = count < room ? count : room;
        memcpy(recode->waiting + recode->count, from, now);
        recode->count += now, from += now, count -= now;
        if (recode->count == sizeof recode->waiting) TRY(flush(recode));
    }
    return COVER_OK;
}

/* ---- elements */

static size_t put16(const struct recode *recode, uint8_t *to, unsigned value) {
    to[recode->big_endian] = (uint8_t)value, to[!recode->big_endian] = (uint8_t)(value >> 8);
    return 2;
}
static size_t put32(const struct recode *recode, uint8_t *to, uint32_t value) {
    put16(recode, to + (recode->big_endian ? 2 : 0), value & 0xffff);
    put16(recode, to + (recode->big_endian ? 0 : 2), value >> 16);
    return 4;
}

cover_status recode_header(struct recode *recode, uint32_t tag, const char vr[2], uint32_t length) {
    uint8_t head[12] = {0};
    size_t at = put16(recode, head, tag >> 16);
    at += put16(recode, head + at, tag & 0xffff);
    if (recode->implicit || tag >> 16 == 0xfffe) {
        at += put32(recode, head + at, length);
    } else {
        const bool long_form = dicom_has_long_form(vr);
        char name[DICOM_TAG_TEXT];
        if (!long_form && length > UINT16_MAX)
            return fail(COVER_ERROR_UNSUPPORTED, "%s becomes longer than its form takes", dicom_tag_name(name, tag));
        memcpy(head + at, vr, 2);
        at += long_form ? 4 : 2;
        at += long_form ? put32(recode, head + at, length) : put16(recode, head + at, length);
    }
    return recode_bytes(recode, head, at);
}

cover_status recode_value(struct recode *recode, uint32_t tag, const char vr[2], const void *value, size_t bytes) {
    static const char texts[] = "AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT";
    uint8_t padding = 0;
    for (const char *known = texts; *known; known += known[2] ? 3 : 2)
        if (memcmp(known, vr, 2) == 0) padding = ' ';
    TRY(recode_header(recode, tag, vr, (uint32_t)(bytes + bytes % 2)));
    TRY(recode_bytes(recode, value, bytes));
    return recode_bytes(recode, &padding, bytes % 2);
}

/* ---- the file's head (PS3.10, 7.1) */

cover_status recode_begin(struct recode *recode, cover_context *context, struct replacement *file, const struct dicom_tree *tree,
                          const char *sop_class, const char *sop_instance) {
    static const uint8_t preamble[PREAMBLE], version[2] = {0, 1};
    const struct {
        uint32_t tag;
        const char *text;
    } texts[] = {{TAG_META_CLASS, sop_class},
                 {TAG_META_INSTANCE, sop_instance},
                 {TAG_TRANSFER_SYNTAX, tree->syntax},
                 {TAG_IMPLEMENTATION_UID, DICOM_IMPLEMENTATION_UID},
                 {TAG_IMPLEMENTATION_NAME, DICOM_IMPLEMENTATION_NAME}};
    uint32_t length = 12 + sizeof version;
    uint8_t counted[4];
    recode->context = context, recode->file = file, recode->count = 0, recode->bytes = 0;
    recode->implicit = recode->big_endian = recode->deflating = false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) length += 8 + (uint32_t)((strlen(texts[i].text) + 1) / 2 * 2);
    sha256_begin(&recode->hash);
    TRY(recode_bytes(recode, preamble, sizeof preamble));
    TRY(recode_bytes(recode, "DICM", 4));
    put32(recode, counted, length);
    TRY(recode_value(recode, TAG_META_LENGTH, "UL", counted, sizeof counted));
    TRY(recode_value(recode, TAG_META_VERSION, "OB", version, sizeof version));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        TRY(recode_text(recode, texts[i].tag, i < 4 ? "UI" : "SH", texts[i].text));
    TRY(flush(recode));
    recode->implicit = tree->implicit, recode->big_endian = tree->big_endian;
    if (!tree->deflated) return COVER_OK;
    recode->deflater = zlib_stream(context);
    if (deflateInit2(&recode->deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return fail(COVER_ERROR_MEMORY, "no memory to deflate a data set");
    recode->deflating = true;
    return COVER_OK;
}

cover_status recode_end(struct recode *recode, uint8_t digest[SHA256_BYTES]) {
    TRY(flush(recode));
    if (recode->deflating) TRY(deflate_some(recode, NULL, 0, Z_FINISH));
    if (recode->bytes % 2) TRY(give(recode, "", 1)); /* PS3.5, A.5 */
    sha256_end(&recode->hash, digest);
    return COVER_OK;
}

void recode_close(struct recode *recode) {
    if (recode->deflating) deflateEnd(&recode->deflater);
    recode->deflating = false;
}
