/* Synthetic samples for the tests of the dataset file: sample i is a function of i alone. */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include "../check_main.h"

#include "io/dataset/dataset.h"
#include "io/dataset/dataset_write.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct synthetic {
    cover_context *context;
    int64_t samples;
    int dims, channels;
    int sizes;   /* how many different sizes */
    bool labels; /* every other sample has one */
    bool mixed;  /* u8, u16 and f32 in turn; else u8 */
    char name[64], patient[64];
};

static inline void synthetic_row(const struct synthetic *s, int64_t i, struct dataset_row *row) {
    memset(row, 0, sizeof *row);
    row->dtype = s->mixed ? (uint8_t)(i % 3) : 0;
    row->label_dtype = s->labels && i % 2 ? (uint8_t)(i % 4 == 3) : DATASET_NO_LABEL;
    row->size[0] = s->dims == 2 ? 1 : 3 + (uint32_t)(i / 2 % s->sizes);
    row->size[1] = 5 + (uint32_t)(i % s->sizes), row->size[2] = 7;
    row->class_index = (int)(i % 5) - 1, row->split = (uint8_t)(i % 4);
    for (int a = 0; a < 3; a++) row->spacing_mm[a] = i % 7 ? 0.5 + a + (double)i : 0;
    for (int a = 0; a < 12; a++) row->affine[a] = i % 7 ? (double)(a * i) - 3.25 : 0;
}

/* Pixels or label of sample i in memory of the caller. */
static inline void synthetic_values(const struct synthetic *s, const struct dataset_row *row, int64_t i, bool label, void *out) {
    int64_t count = (int64_t)row->size[0] * row->size[1] * row->size[2] * (label ? 1 : s->channels);
    const int code = label ? row->label_dtype : row->dtype;
    for (int64_t k = 0; k < count; k++) {
        const int64_t value = label ? (k + i) % 3 * (code ? 300 : 1) : k * (i % 11 + 1) + i;
        if (code == 0) ((uint8_t *)out)[k] = (uint8_t)value;
        else if (code == 1) ((uint16_t *)out)[k] = (uint16_t)(value * 97);
        else ((float *)out)[k] = (float)value * 0.37f - 5;
    }
}

static inline cover_status synthetic_store(const struct synthetic *s, const struct dataset_row *row, int64_t i, bool label,
                                           void **stored, uint64_t *bytes) {
    static _Thread_local uint8_t values[1 << 16];
    uint64_t raw;
    ck_assert(label ? dataset_label_bytes(row, &raw) : dataset_image_bytes(row, s->channels, &raw));
    ck_assert_uint_le(raw, sizeof values);
    synthetic_values(s, row, i, label, values);
    const int dtype = dataset_dtype(label ? row->label_dtype : row->dtype);
    return dataset_compress(s->context, values, raw, cover_dtype_bytes((cover_dtype)dtype), stored, bytes);
}

static inline cover_status synthetic_entry(void *user, int64_t i, struct dataset_entry *entry) {
    struct synthetic *s = user;
    struct dataset_row *row = &entry->row;
    uint8_t pixels[1 << 14], label[1 << 14];
    uint64_t pixel_bytes, label_bytes = 0;
    void *stored;
    synthetic_row(s, i, row);
    dataset_image_bytes(row, s->channels, &pixel_bytes);
    synthetic_values(s, row, i, false, pixels);
    TRY(synthetic_store(s, row, i, false, &stored, &row->image_bytes));
    memory_free(s->context, stored);
    if (row->label_dtype != DATASET_NO_LABEL) {
        dataset_label_bytes(row, &label_bytes);
        synthetic_values(s, row, i, true, label);
        TRY(synthetic_store(s, row, i, true, &stored, &row->label_bytes));
        memory_free(s->context, stored);
    }
    dataset_digest(row->digest, row, s->dims, s->channels, pixels, pixel_bytes, label, label_bytes);
    row->name_bytes = (uint32_t)snprintf(s->name, sizeof s->name, "case_%lld", (long long)i);
    row->patient_bytes = i % 3 ? (uint32_t)snprintf(s->patient, sizeof s->patient, "p%lld", (long long)i / 2) : 0;
    entry->name = s->name, entry->patient = s->patient;
    return COVER_OK;
}

static inline cover_status synthetic_stored(void *user, int64_t i, bool label, void *out) {
    const struct synthetic *s = user;
    struct dataset_row row;
    void *stored;
    uint64_t bytes;
    synthetic_row(s, i, &row);
    TRY(synthetic_store(s, &row, i, label, &stored, &bytes));
    memcpy(out, stored, bytes);
    memory_free(s->context, stored);
    return COVER_OK;
}

static inline cover_status synthetic_write(struct synthetic *s, const char *path) {
    struct dataset_content content = {.samples = s->samples,
                                      .dims = s->dims,
                                      .channels = s->channels,
                                      .classes = 4,
                                      .about = "{\"made\": \"by a test\"}",
                                      .entry = synthetic_entry,
                                      .stored = synthetic_stored,
                                      .user = s};
    struct dataset_directory written;
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    ck_assert_int_ge(descriptor, 0);
    cover_status status = dataset_write(s->context, descriptor, path, &content, &written);
    close(descriptor);
    return status;
}

#endif
