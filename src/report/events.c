/* TensorBoard event files, see events.h.  Formats: TFRecord (tensorflow/core/lib/io/record_writer.h), event.proto and
 * summary.proto of TensorFlow, Protocol Buffers encoding. */
#include "events.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"
#include "core/base/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct events {
    cover_context *context;
    struct journal records;
};

/* ---- protocol buffers: a field is a key (number << 3 | wire type) and a value */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION_LOG = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, SESSION_STATUS = 1, SESSION_START = 1 };

static void put_varint(struct text *out, uint64_t value) {
    uint8_t byte;
    for (; value >= 0x80; value >>= 7) {
        byte = (uint8_t)(value | 0x80);
        text_add_bytes(out, &byte, 1);
    }
    byte = (uint8_t)value;
    text_add_bytes(out, &byte, 1);
}

static void put_key(struct text *out, int field, int wire) { put_varint(out, (uint64_t)(field << 3 | wire)); }

static void put_little(struct text *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        text_add_bytes(out, &byte, 1);
    }
}

static void put_double(struct text *out, int field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(out, field, WIRE_64);
    put_little(out, bits, 8);
}

static void put_float(struct text *out, int field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(out, field, WIRE_32);
    put_little(out, bits, 4);
}

static void put_bytes(struct text *out, int field, const void *bytes, size_t count) {
    put_key(out, field, WIRE_BYTES);
    put_varint(out, count);
    text_add_bytes(out, bytes, count);
}

/* ---- TFRecord */

static uint32_t crc32c(const uint8_t *bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

/* Frame one message and write it; takes the message over. */
static cover_status write_record(struct events *events, struct text *message) {
    struct text record = {.context = events->context};
    put_little(&record, message->length, 8);
    if (!record.failed) put_little(&record, masked(crc32c((const uint8_t *)record.data, 8)), 4);
    if (!message->failed) {
        text_add_bytes(&record, message->data, message->length);
        put_little(&record, masked(crc32c((const uint8_t *)message->data, message->length)), 4);
    }
    cover_status status = COVER_ERROR_MEMORY; /* the refused allocation has set the text */
    if (!record.failed && !message->failed) status = journal_add(&events->records, record.data, record.length);
    text_free(&record);
    text_free(message);
    return status;
}

static struct text event_begin(struct events *events, int64_t step) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    struct text event = {.context = events->context};
    put_double(&event, EVENT_WALL_TIME, (double)time.tv_sec + 1e-9 * (double)time.tv_nsec);
    if (step) {
        put_key(&event, EVENT_STEP, WIRE_VARINT);
        put_varint(&event, (uint64_t)step);
    }
    return event;
}

/* ---- what the trainer calls */

/* events.out.tfevents.SECONDS.HOST.PROCESS.N: a name that no other writer takes */
static cover_status create_file(struct events *events, const char *folder) {
    char host[65] = "", name[160];
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *c)) *c = '-';
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(name, sizeof name, "events.out.tfevents.%010lld.%s.%ld.%d", (long long)time(NULL), *host ? host : "host",
                 (long)getpid(), attempt);
        char *path = path_join(events->context, folder, name);
        if (!path) return COVER_ERROR_MEMORY;
        if (journal_open(&events->records, events->context, path, O_WRONLY | O_CREAT | O_EXCL)) return COVER_OK;
        if (errno != EEXIST) break;
        journal_close(&events->records);
    }
    return fail_system(events->records.path ? events->records.path : folder, "cannot be written");
}

cover_status events_open(struct events **out, cover_context *context, const char *folder, int64_t first_step) {
    static const char version[] = "brain.Event:2";
    struct events *events = memory_zero(context, sizeof *events);
    if (!events) return COVER_ERROR_MEMORY;
    *events = (struct events){.context = context, .records.descriptor = -1};
    cover_status status;
    struct text event;
    GO(create_file(events, folder));
    event = event_begin(events, 0);
    put_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    GO(write_record(events, &event));
    if (first_step > 0) {
        static const uint8_t start[] = {SESSION_STATUS << 3 | WIRE_VARINT, SESSION_START};
        event = event_begin(events, first_step);
        put_bytes(&event, EVENT_SESSION_LOG, start, sizeof start);
        GO(write_record(events, &event));
    }
    *out = events;
    return COVER_OK;
done:
    events_close(events);
    return status;
}

cover_status events_append(struct events *events, int64_t step, const struct event_scalar *scalars, int count) {
    struct text event = event_begin(events, step), summary = {.context = events->context};
    for (int i = 0; i < count; i++) {
        struct text value = {.context = events->context};
        put_bytes(&value, VALUE_TAG, scalars[i].tag, strlen(scalars[i].tag));
        put_float(&value, VALUE_SIMPLE, (float)scalars[i].value);
        if (!value.failed) put_bytes(&summary, SUMMARY_VALUE, value.data, value.length);
        summary.failed |= value.failed;
        text_free(&value);
    }
    if (!summary.failed && summary.length) put_bytes(&event, EVENT_SUMMARY, summary.data, summary.length);
    event.failed |= summary.failed;
    text_free(&summary);
    return write_record(events, &event);
}

cover_status events_flush(struct events *events) { return events ? journal_flush(&events->records) : COVER_OK; }

void events_close(struct events *events) {
    if (!events) return;
    journal_close(&events->records);
    memory_free(events->context, events);
}
