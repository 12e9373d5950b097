/* A CSV file as a table of texts (RFC 4180; commas, semicolons or tabs between the values), and a value written into
 * one.  Called by packing for splits and labels of images, by evaluation for scores and labels of cases, by all that write a CSV file. */
#ifndef COVER_CSV_H
#define COVER_CSV_H

#include "core/base/base.h"
#include "csv_put.h"

struct csv {
    cover_context *context;
    const char *path;      /* for messages; the caller's */
    char *text;            /* what the cells point into */
    char **cell;           /* all values, row by row */
    int64_t *first;        /* rows + 1: where a row's values begin */
    int64_t *line;         /* of each row */
    int64_t rows, columns; /* row 0 is the header, and columns its values */
};

/* Empty lines are passed over; errors name the line.  `even`: there must be rows, each with as many values as the header has. */
cover_status csv_read(struct csv *csv, cover_context *context, const char *path, bool even);
void csv_free(struct csv *csv);
static inline int64_t csv_values(const struct csv *csv, int64_t row) { return csv->first[row + 1] - csv->first[row]; }
static inline const char *csv_cell(const struct csv *csv, int64_t row, int64_t column) {
    return csv->cell[csv->first[row] + column];
}
/* A value as csv_put() has it. */
void csv_add(struct text *text, const char *value);

#endif
