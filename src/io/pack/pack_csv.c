/* CSV files about images: one line a file, columns by name, matched with the items of a plan (docs/dataset.md, "Splits"
 * and "Labels files").  Called by pack_split.c and pack_labels.c. */
#include "pack_csv.h"

#include "core/base/files.h"
#include "core/base/number.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_CSV = 1 << 30 };

/* Ours first, which messages use; the last are those of NIH ChestX-ray14. */
enum { COLUMN_NAMES = 3 };
static const char *const column_names[CSV_COLUMNS][COLUMN_NAMES] = {
    [CSV_FILE] = {"file", "image", "Image Index"},
    [CSV_PATIENT] = {"patient", "patient_id", "Patient ID"},
    [CSV_SPLIT] = {"split", "set", "split"},
    [CSV_LABEL] = {"label", "class", "Finding Labels"},
};

/* ---- reading: RFC 4180, with , ; or tab between the values */

/* One value from *at, unquoted in place; *at moves to the separator or the end of the line behind it. */
static cover_status read_value(const struct pack_csv *csv, char **at, int64_t line, const char **value) {
    char *from = *at, *to = from;
    if (*from != '"') {
        *value = from;
        while (*from && *from != csv->separator && *from != '\n' && *from != '\r') from++;
        *at = from;
        return COVER_OK;
    }
    *value = to;
    for (from++; *from && !(*from == '"' && from[1] != '"'); from++) {
        if (*from == '"') from++; /* "" stands for one */
        *to++ = *from;
    }
    if (!*from) return fail(COVER_ERROR_FORMAT, "%s: line %lld: a quote is not closed", csv->path, (long long)line);
    from++;
    if (*from && *from != csv->separator && *from != '\n' && *from != '\r')
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: text behind a closing quote", csv->path, (long long)line);
    while (to < from) *to++ = 0; /* the closing quote at least: the value ends before *at */
    *at = from;
    return COVER_OK;
}

/* Spaces around a value do not count; ends it with NUL. */
static const char *trimmed(const char *value, char *end) {
    while (end > value && (end[-1] == ' ' || end[-1] == 0)) end--;
    *end = 0;
    return value + strspn(value, " ");
}

enum { MOST_VALUES = 256 };

/* The values of one line, of which at most MOST_VALUES are kept; *text moves behind it. */
static cover_status read_line(const struct pack_csv *csv, char **text, int64_t line, const char **values, int *count) {
    char *at = *text;
    *count = 0;
    for (;;) {
        const char *value;
        TRY(read_value(csv, &at, line, &value));
        const char ended_by = *at;
        char *end = at;
        if (*count < MOST_VALUES) values[(*count)++] = trimmed(value, end);
        if (ended_by == csv->separator) {
            at++;
            continue;
        }
        if (ended_by) at++;
        if (ended_by == '\r' && *at == '\n') at++;
        *text = at;
        return COVER_OK;
    }
}

static cover_status read_header(struct pack_csv *csv, char **text) {
    const char *values[MOST_VALUES];
    int count;
    const size_t length = strcspn(*text, "\r\n");
    csv->separator = ',';
    for (const char *c = ";\t"; *c; c++)
        if (!memchr(*text, ',', length) && memchr(*text, *c, length)) csv->separator = *c;
    TRY(read_line(csv, text, 1, values, &count));
    for (int c = 0; c < CSV_COLUMNS; c++) {
        csv->column[c] = -1;
        for (int name = 0; name < COLUMN_NAMES && csv->column[c] < 0; name++)
            for (int i = 0; i < count; i++)
                if (same_word(values[i], column_names[c][name])) csv->column[c] = i;
    }
    if (csv->column[CSV_FILE] < 0)
        return fail(COVER_ERROR_FORMAT, "%s: the first line names no column \"file\"; it should be like file,patient,%s", csv->path,
                    csv->wanted);
    return COVER_OK;
}

static cover_status add_row(struct pack_csv *csv, const char **values, int count, int64_t line) {
    struct pack_plan *plan = csv->plan;
    if (csv->count == csv->capacity) {
        const int64_t capacity = csv->capacity ? 2 * csv->capacity : 256;
        struct csv_row *rows = memory_alloc(plan->context, (size_t)capacity * sizeof *rows);
        if (!rows) return COVER_ERROR_MEMORY;
        if (csv->count > 0) memcpy(rows, csv->rows, (size_t)csv->count * sizeof *rows);
        memory_free(plan->context, csv->rows);
        csv->rows = rows, csv->capacity = capacity;
    }
    struct csv_row row = {.line = line};
    for (int c = 0; c < CSV_COLUMNS; c++) {
        const int at = csv->column[c];
        if (at >= count)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld has %d values, but \"%s\" is the %d. column", csv->path, (long long)line,
                        count, column_names[c][0], at + 1);
        row.value[c] = at < 0 ? "" : arena_text(&plan->arena, values[at], strlen(values[at]));
        if (!row.value[c]) return COVER_ERROR_MEMORY;
    }
    if (!*row.value[CSV_FILE]) return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"file\" is empty", csv->path, (long long)line);
    if (strlen(row.value[CSV_PATIENT]) > DATASET_NAME_MAX)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"patient\" is longer than %d bytes", csv->path, (long long)line,
                    DATASET_NAME_MAX);
    csv->rows[csv->count++] = row;
    return COVER_OK;
}

static cover_status read_rows(struct pack_csv *csv, char *text) {
    const char *values[MOST_VALUES];
    int count;
    TRY(read_header(csv, &text));
    for (int64_t line = 2; *text; line++) {
        if (*text == '\n' || *text == '\r') { /* an empty line */
            text += 1 + (text[0] == '\r' && text[1] == '\n');
            continue;
        }
        TRY(read_line(csv, &text, line, values, &count));
        TRY(add_row(csv, values, count, line));
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
        if (strcmp(csv->rows[i - 1].value[CSV_FILE], csv->rows[i].value[CSV_FILE]) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: lines %lld and %lld are both about %s", csv->path,
                        (long long)csv->rows[i - 1].line, (long long)csv->rows[i].line, csv->rows[i].value[CSV_FILE]);
    return COVER_OK;
}

cover_status pack_csv_read(struct pack_csv *csv, struct pack_plan *plan, const char *path, const char *wanted) {
    cover_status status = COVER_OK;
    uint8_t *bytes = NULL;
    size_t count;
    *csv = (struct pack_csv){.plan = plan, .path = path, .wanted = wanted};
    TRY(file_read(plan->context, path, LARGEST_CSV, &bytes, &count));
    char *text = (char *)bytes;
    if (strlen(text) != count) {
        status = fail(COVER_ERROR_FORMAT, "%s: holds a NUL byte: not a CSV text", path);
        goto done;
    }
    if (count >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3; /* the mark that Excel writes */
    GO(read_rows(csv, text));
    GO(check_files(csv));
done:
    memory_free(plan->context, bytes);
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

cover_status pack_csv_match(struct pack_csv *csv, const struct pack_item *item, const struct csv_row **found) {
    struct csv_row *row = find(csv, item->name);
    if (!row) row = find(csv, item->path);
    if (!row) row = find(csv, path_name(item->path));
    if (!row) row = find(csv, path_name(item->name));
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
