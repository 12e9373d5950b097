/* A parser of TensorBoard's event files for tests: frames, checksums, protocol-buffer messages.  Included by test_events.c and by
 * tests/api/run/test_run_log.c. */
#ifndef COVER_EVENTS_READER_H
#define COVER_EVENTS_READER_H

#include "../check_main.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* CRC-32C by the polynomial division itself, most significant bit first, on reflected bytes. */
static inline uint32_t reflect(uint32_t value, int bits) {
    uint32_t result = 0;
    for (int i = 0; i < bits; i++)
        if (value >> i & 1) result |= 1u << (bits - 1 - i);
    return result;
}
static inline uint32_t checksum(const uint8_t *bytes, size_t count) {
    uint32_t rest = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        rest ^= reflect(bytes[i], 8) << 24;
        for (int bit = 0; bit < 8; bit++) rest = rest & 0x80000000u ? rest << 1 ^ 0x1edc6f41u : rest << 1;
    }
    uint32_t crc = reflect(~rest, 32);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

static inline uint64_t little(const uint8_t *bytes, int count) {
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

struct message {
    const uint8_t *at, *end;
};
struct part { /* one field of a message */
    int field, wire;
    uint64_t value; /* varint, 32 and 64 bits */
    struct message bytes;
};

static inline uint64_t varint(struct message *m) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        ck_assert(m->at < m->end && shift < 64);
        uint8_t byte = *m->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
}

static inline bool next(struct message *m, struct part *part) {
    if (m->at == m->end) return false;
    uint64_t key = varint(m);
    *part = (struct part){.field = (int)(key >> 3), .wire = (int)(key & 7)};
    size_t fixed = part->wire == 1 ? 8 : part->wire == 5 ? 4 : 0;
    if (part->wire == 0) part->value = varint(m);
    else if (part->wire == 2) {
        uint64_t length = varint(m);
        ck_assert(length <= (uint64_t)(m->end - m->at));
        part->bytes = (struct message){m->at, m->at + length};
        m->at += length;
    } else {
        ck_assert(fixed && fixed <= (size_t)(m->end - m->at));
        part->value = little(m->at, (int)fixed);
        m->at += fixed;
    }
    return true;
}

static uint8_t content[1 << 16];
static struct message records[64];
static int record_count;

static inline void read_records(const char *file) {
    FILE *stream = fopen(file, "rb");
    size_t bytes = fread(content, 1, sizeof content, stream), at = 0;
    fclose(stream);
    for (record_count = 0; at < bytes; record_count++) {
        ck_assert(bytes - at >= 16);
        uint64_t length = little(content + at, 8);
        ck_assert_uint_eq(little(content + at + 8, 4), checksum(content + at, 8));
        ck_assert(length <= bytes - at - 16);
        ck_assert_uint_eq(little(content + at + 12 + length, 4), checksum(content + at + 12, length));
        records[record_count] = (struct message){content + at + 12, content + at + 12 + length};
        at += length + 16;
    }
}

static inline struct part find(struct message m, int field) {
    struct part part;
    while (next(&m, &part))
        if (part.field == field) return part;
    ck_abort_msg("no field %d", field);
    return part;
}

#endif
