/* A CSV file as a table of texts (RFC 4180; commas, semicolons or tabs between the values), and a value written into
 * one. Called by evaluation for scores and labels of cases. */
#ifndef COVER_CSV_H
#define COVER_CSV_H

#include "core/base/base.h"

struct csv {
    cover_context *context;
    const char *path; /* for messages; the caller's */
    char *text;       /* what the cells point into */
    char **cell;      /* rows * columns, row 0 is the header */
    int64_t *line;    /* of each row */
    int64_t rows, columns;
};

/* Every row must have as many values as the header; empty lines are passed over.  Errors name the line. */
cover_status csv_read(struct csv *csv, cover_context *context, const char *path);
void csv_free(struct csv *csv);
static inline const char *csv_cell(const struct csv *csv, int64_t row, int64_t column) {
    return csv->cell[row * csv->columns + column];
}
/* Quoted where it must be. */
void csv_add(struct text *text, const char *value);

#endif
