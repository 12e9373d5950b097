/* CSV files about images, one line a file: who the patient is, which split, which labels; columns are found by their names.  Called by pack_split.c, pack_labels.c. */
#ifndef COVER_PACK_CSV_H
#define COVER_PACK_CSV_H

#include "pack.h"

enum csv_column { CSV_FILE, CSV_PATIENT, CSV_SPLIT, CSV_LABEL, CSV_COLUMNS };

struct csv_row {
    const char *value[CSV_COLUMNS]; /* in the plan's arena; "" where the column is missing */
    int64_t line;
    const char *used_by; /* path of the image that this row speaks of */
    cover_split split;   /* for pack_split.c */
};

struct pack_csv {
    struct pack_plan *plan;
    const char *path, *wanted;
    int64_t column[CSV_COLUMNS]; /* its place in a line; -1 = not there */
    struct csv_row *rows;        /* sorted by file */
    int64_t count;
};

/* A file without a column "file", or with two lines about one file, is an error; `wanted` is the column that its error
 * text proposes. */
cover_status pack_csv_read(struct pack_csv *csv, struct pack_plan *plan, const char *path, const char *wanted);
void pack_csv_free(struct pack_csv *csv);
static inline bool pack_csv_has(const struct pack_csv *csv, enum csv_column column) { return csv->column[column] >= 0; }
/* Rows in the order of this column, CSV_FILE or CSV_PATIENT, then of their lines; matching wants CSV_FILE. */
void pack_csv_sort(struct pack_csv *csv, enum csv_column column);
/* The row about an item, NULL when there is none; a row that may speak of two items is an error. */
cover_status pack_csv_match(struct pack_csv *csv, const struct pack_item *item, const struct csv_row **row);
/* Say in the log how many rows no item was matched with. */
void pack_csv_log_unused(const struct pack_csv *csv);

#endif
