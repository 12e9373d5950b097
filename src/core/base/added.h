/* Rows that a program adds to the library's tables for the contexts it makes: a CHOICE setting takes their names, and who looks the
 * setting's value up gets the row.  Nothing global, nothing public: tests prove the tables with it.  Called by settings and by the
 * finders of tables (nn/backbone.h). */
#ifndef COVER_ADDED_H
#define COVER_ADDED_H

#include "base.h"

#include <string.h>

struct added_row {
    const char
        *setting; /* that chooses among the table's rows, "task"; NULL ends the list.  Where a choice has rows in several tables
                          * the others' say which, in the same order: "task.judge" */
    const char *name;
    const void *row;
};

/* The n-th added row of a setting; NULL past the end. */
static inline const struct added_row *added_row(const cover_context *context, const char *setting, int n) {
    for (const struct added_row *row = context->added; row && row->setting; row++)
        if (strcmp(row->setting, setting) == 0 && n-- == 0) return row;
    return NULL;
}

#endif
