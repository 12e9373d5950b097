/* Writing a dataset file in one go from samples that are already compressed (docs/dataset.md, "How it is written").
 * Called by pack and the tests. */
#ifndef COVER_DATASET_WRITE_H
#define COVER_DATASET_WRITE_H

#include "dataset_format.h"

/* One sample for the writer: its row but for what the writer finds out (offsets, image_row, label_row, name_offset). */
struct dataset_entry {
    struct dataset_row row;
    const char *name, *patient; /* name_bytes and patient_bytes long; valid until the next call */
};

/* Where the samples come from.  Both calls may be made for any index in any order, several times. */
struct dataset_content {
    int64_t samples;
    int dims, channels, classes;
    bool multilabel;   /* in all rows, too */
    const char *about; /* JSON text: how the file was made */
    cover_status (*entry)(void *user, int64_t index, struct dataset_entry *entry);
    cover_status (*stored)(void *user, int64_t index, bool label, void *bytes); /* image_bytes or label_bytes of them */
    void *user;
    cover_progress_fn *progress; /* samples written, of how many; may be NULL */
    void *progress_user;
};

/* Write to an empty file open for reading and writing; `path` is for messages.  Equal content gives equal bytes.
 * @param[out] written  the directory: content hash, sizes */
cover_status dataset_write(cover_context *context, int descriptor, const char *path, const struct dataset_content *content,
                           struct dataset_directory *written);

#endif
