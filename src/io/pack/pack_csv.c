/* CSV files about images: one line a file, columns by name, matched with the items of a plan (docs/dataset.md, "Splits"
 * and "Labels files").  Called by pack_split.c and pack_labels.c. */
#include "pack_csv.h"

#include "core/base/files.h"
#include "core/base/number.h"
#include "io/bytes/csv.h"

#include <stdlib.h>
#include <string.h>

/* Ours first, which messages use; the last are those of NIH ChestX-ray14. */
enum { COLUMN_NAMES = 3 };
static const char *const column_names[CSV_COLUMNS][COLUMN_NAMES] = {
    [CSV_FILE] = {"file", "image", "Image Index"},
    [CSV_PATIENT] = {"patient", "patient_id", "Patient ID"},
    [CSV_SPLIT] = {"split", "set", "split"},
    [CSV_LABEL] = {"label", "class", "Finding Labels"},
};

/* ---- the columns that we know, of a line of any length */

/* A value without the spaces around it, which a quoted one may still have. */
static const char *trimmed(const char *value, size_t *length) {
    value += strspn(value, " ");
    for (*length = strlen(value); *length > 0 && value[*length - 1] == ' ';) --*length;
    return value;
}

static bool is_named(const char *value, const char *name) {
    char word[32];
    size_t length;
    value = trimmed(value, &length);
    if (length >= sizeof word) return false;
    memcpy(word, value, length);
    word[length] = 0;
    return same_word(word, name);
}

static cover_status find_columns(struct pack_csv *csv, const struct csv *table) {
    for (int c = 0; c < CSV_COLUMNS; c++) {
        csv->column[c] = -1;
        for (int name = 0; name < COLUMN_NAMES && csv->column[c] < 0; name++)
            for (int64_t i = 0; i < table->columns; i++)
                if (is_named(csv_cell(table, 0, i), column_names[c][name])) csv->column[c] = i;
    }
    const bool of_patients = csv->plan->dicom && csv->column[CSV_PATIENT] >= 0; /* DICOM is found by them */
    if (csv->column[CSV_FILE] < 0 && !of_patients)
        return fail(COVER_ERROR_FORMAT, "%s: the first line names no column \"file\"; it should be like file,patient,%s", csv->path,
                    csv->wanted);
    return COVER_OK;
}

static cover_status read_row(struct csv_row *row, struct pack_csv *csv, const struct csv *table, int64_t index) {
    const int64_t count = csv_values(table, index), line = table->line[index];
    *row = (struct csv_row){.line = line};
    for (int c = 0; c < CSV_COLUMNS; c++) {
        const int64_t at = csv->column[c];
        if (at >= count)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld has %lld values, but \"%s\" is the %lld. column", csv->path,
                        (long long)line, (long long)count, column_names[c][0], (long long)at + 1);
        size_t length = 0;
        const char *value = at < 0 ? "" : trimmed(csv_cell(table, index, at), &length);
        row->value[c] = at < 0 ? "" : arena_text(&csv->plan->arena, value, length);
        if (!row->value[c]) return COVER_ERROR_MEMORY;
    }
    if (!*row->value[CSV_FILE] && csv->column[CSV_FILE] >= 0)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"file\" is empty", csv->path, (long long)line);
    if (strlen(row->value[CSV_PATIENT]) > DATASET_NAME_MAX)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"patient\" is longer than %d bytes", csv->path, (long long)line,
                    DATASET_NAME_MAX);
    return COVER_OK;
}

static cover_status read_rows(struct pack_csv *csv, const struct csv *table) {
    TRY(find_columns(csv, table));
    csv->rows = memory_alloc(csv->plan->context, (size_t)table->rows * sizeof *csv->rows);
    if (!csv->rows) return COVER_ERROR_MEMORY;
    for (int64_t i = 1; i < table->rows; i++) {
        TRY(read_row(&csv->rows[csv->count], csv, table, i));
        csv->count++;
    }
    return COVER_OK;
}

/* ---- order */

static int by_file(const void *a, const void *b) {
    const struct csv_row *x = a, *y = b;
    const int order = strcmp(x->value[CSV_FILE], y->value[CSV_FILE]);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

static int by_patient(const void *a, const void *b) {
    const struct csv_row *x = a, *y = b;
    const int order = strcmp(x->value[CSV_PATIENT], y->value[CSV_PATIENT]);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

void pack_csv_sort(struct pack_csv *csv, enum csv_column column) {
    if (csv->count > 0) qsort(csv->rows, (size_t)csv->count, sizeof *csv->rows, column == CSV_PATIENT ? by_patient : by_file);
}

static cover_status check_files(struct pack_csv *csv) {
    pack_csv_sort(csv, CSV_FILE);
    for (int64_t i = 1; i < csv->count; i++)
        if (csv->column[CSV_FILE] >= 0 && strcmp(csv->rows[i - 1].value[CSV_FILE], csv->rows[i].value[CSV_FILE]) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: lines %lld and %lld are both about %s", csv->path,
                        (long long)csv->rows[i - 1].line, (long long)csv->rows[i].line, csv->rows[i].value[CSV_FILE]);
    return COVER_OK;
}

cover_status pack_csv_read(struct pack_csv *csv, struct pack_plan *plan, const char *path, const char *wanted) {
    struct csv table;
    *csv = (struct pack_csv){.plan = plan, .path = path, .wanted = wanted};
    TRY(csv_read(&table, plan->context, path, false));
    cover_status status = read_rows(csv, &table);
    if (status == COVER_OK) status = check_files(csv);
    csv_free(&table);
    if (status != COVER_OK) pack_csv_free(csv);
    return status;
}

void pack_csv_free(struct pack_csv *csv) {
    memory_free(csv->plan->context, csv->rows);
    csv->rows = NULL;
}

/* ---- matching: a row speaks of the image with this name, this path, or (if only one has it) this file name */

static struct csv_row *find(const struct pack_csv *csv, const char *file) {
    int64_t low = 0, high = csv->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(file, csv->rows[middle].value[CSV_FILE]);
        if (order == 0) return &csv->rows[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* The first row of a patient, who is as the headers call him. */
static struct csv_row *find_patient(const struct pack_csv *csv, const struct pack_item *item) {
    const struct dicom_tree *tree = &item->volume->slices[0]->object->tree;
    char patient[257];
    dicom_text(tree, dicom_find(tree, NULL, TAG_PATIENT_ID), patient, sizeof patient);
    for (int64_t i = 0; i < csv->count && *patient; i++)
        if (strcmp(csv->rows[i].value[CSV_PATIENT], patient) == 0) return &csv->rows[i];
    return NULL;
}

cover_status pack_csv_match(struct pack_csv *csv, const struct pack_item *item, const struct csv_row **found) {
    struct csv_row *row = find(csv, item->name);
    if (!row) row = find(csv, item->path);
    if (!row) row = find(csv, path_name(item->path));
    if (!row) row = find(csv, path_name(item->name));
    if (!row && item->volume) {
        *found = row = find_patient(csv, item);
        if (row) row->used_by = item->path; /* of all his volumes */
        return COVER_OK;
    }
    *found = row;
    if (!row) return COVER_OK;
    if (row->used_by)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: '%s' may be %s or %s; write more of the path", csv->path,
                    (long long)row->line, row->value[CSV_FILE], row->used_by, item->path);
    row->used_by = item->path;
    return COVER_OK;
}

void pack_csv_log_unused(const struct pack_csv *csv) {
    int64_t unused = 0;
    for (int64_t i = 0; i < csv->count; i++) unused += csv->rows[i].used_by == NULL;
    if (unused > 0 && !csv->plan->quiet)
        log_line(csv->plan->context, COVER_LOG_WARNING, "%s: %lld of %lld lines speak of no image in the sources", csv->path,
                 (long long)unused, (long long)csv->count);
}
