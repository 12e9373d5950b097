/* Inside of the dataset writer: what its two files share.  dataset_write.c stores images and labels, dataset_tables.c
 * what points to them. */
#ifndef COVER_DATASET_WRITER_H
#define COVER_DATASET_WRITER_H

#include "dataset_write.h"
#include "io/bytes/hdf5_sink.h"
#include "io/bytes/seal.h"

/* What decides to which array a sample belongs. */
struct dataset_key {
    uint8_t dtype;
    uint32_t size[3];
    int64_t index;
};

/* What the writer finds out about a sample. */
struct dataset_place {
    uint64_t image_row, label_row;
    struct dataset_extent image, label;
};

struct dataset_writer {
    cover_context *context;
    const char *path;
    const struct dataset_content *content;
    struct dataset_directory directory;
    struct hdf5_sink sink;
    hid_t file;
    struct dataset_key *keys, *label_keys; /* sorted: samples of one array side by side */
    int64_t labels;
    struct dataset_place *places;
    uint8_t *hashes; /* pages of rows, then of names */
    void *buffer;    /* the largest stored image or label, or one page */
    int64_t done;    /* images and labels written, for progress */
};

/* COVER_ERROR_IO with the reason of the first refused write. */
cover_status dataset_refused(const struct dataset_writer *writer);

/* ---- dataset_tables.c, called in this order with libhdf5's lock held */
cover_status dataset_write_rows(struct dataset_writer *writer);
cover_status dataset_write_names(struct dataset_writer *writer);
/* The directory is the last raw data of the file; its place, length and hash go into the seal. */
cover_status dataset_write_directory(struct dataset_writer *writer, struct seal *seal);

#endif
