/* Inside of the dataset: what the trainer's prefetch threads and check need beyond the public calls.  Everything here
 * may be called from several threads at once; nothing of it enters libhdf5 or waits for a lock. */
#ifndef COVER_DATASET_INTERNAL_H
#define COVER_DATASET_INTERNAL_H

#include "core/base/grid.h"
#include "dataset_format.h"

#include <jansson.h>
#include <libcover/dataset.h>

/* Names that cover_dataset_sample() has handed out: they are the dataset's, and live as long as it does. */
struct dataset_kept {
    pthread_mutex_t lock;
    char **names; /* one a sample, name and patient behind each other; NULL before the first is asked for */
};

struct cover_dataset {
    cover_context *context;
    char *path;
    struct source source;
    struct dataset_directory directory;
    uint8_t *directory_bytes; /* head, JSON text, page hashes */
    const uint8_t *row_hashes, *name_hashes;
    json_t *about;            /* parsed; NULL when it is not JSON */
    const char **class_names; /* classes of them, in `about`; NULL = not known */
    int ignore_label;         /* -1 = none */
    struct dataset_kept *kept;
    _Atomic uint8_t *row_verified, *name_verified; /* one a page: its hash was compared */
};

/* Pixels of one sample as dense channels-last float32 (grid x channels values), for training.
 *  pixels       from memory_alloc(dataset->context, ...): release with memory_free()
 *  integer_max  255 or 65535 for integers as packed, 0 for float32 */
cover_status dataset_read_f32(const cover_dataset *dataset, int64_t index, float **pixels, struct grid *grid, int *integer_max);

/* The row of a sample, checked: every size and place in it can be trusted afterwards. */
cover_status dataset_row(const cover_dataset *dataset, int64_t index, struct dataset_row *row);
/* Name and patient ("" = not known) of a row, of name_bytes and patient_bytes and a NUL, at most DATASET_NAME_MAX + 1 each. */
cover_status dataset_names(const cover_dataset *dataset, const struct dataset_row *row, char *name, char *patient);
/* Pixels or label as packed, into memory of dataset_image_bytes() or dataset_label_bytes(). */
cover_status dataset_pixels(const cover_dataset *dataset, int64_t index, const struct dataset_row *row, void *pixels);
cover_status dataset_label(const cover_dataset *dataset, int64_t index, const struct dataset_row *row, void *label);
/* How the file was packed: JSON, not NUL-terminated. */
const char *dataset_about(const cover_dataset *dataset, size_t *bytes);
/* The same parsed, the dataset's own; fails when it is not JSON. */
cover_status dataset_about_json(const cover_dataset *dataset, const json_t **about);

/* ---- dataset_classes.c */
/* What "about" says of classes, found when the dataset is opened. */
cover_status dataset_classes_open(cover_dataset *dataset);
void dataset_classes_close(cover_dataset *dataset);
/* The value that an entry of dataset.json's "labels" gives a name to: {"lung": 1}, {"lung": "1"}, or version 1's
 * {"1": "lung"}; *name is the name.  -1 for a region of several values and for what is no label. */
int dataset_label_value(const char *key, const json_t *value, const char **name);
/* The first class of dataset.json that is a region of several label values; NULL = there is none. */
const char *dataset_region(const cover_dataset *dataset);

#endif
