/* The CSV of patients and splits (docs/dataset.md, "Splits"): columns file, patient, split, label by name.  A patient
 * belongs to one split; without a split column patients are dealt out by their hash.  Called by pack_sources.c. */
#include "pack.h"

#include "../core/base/files.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LARGEST_CSV = 1 << 30 };
/* Shares of patients when the file has no split column, in percent; the rest is test. */
enum { TRAIN_PERCENT = 80, VAL_PERCENT = 10 };

enum column { FILE_COLUMN, PATIENT_COLUMN, SPLIT_COLUMN, LABEL_COLUMN, COLUMNS };
static const char *const column_names[COLUMNS][2] = {
    [FILE_COLUMN] = {"file", "image"},
    [PATIENT_COLUMN] = {"patient", "patient_id"},
    [SPLIT_COLUMN] = {"split", "set"},
    [LABEL_COLUMN] = {"label", "class"},
};

struct row {
    const char *value[COLUMNS]; /* "" where the column is missing */
    int64_t line;
    enum pack_split split;
    const char *used_by; /* path of the image that this row speaks of */
};

struct table {
    struct pack_plan *plan;
    const char *csv;
    char separator;
    int column[COLUMNS]; /* its place in a line; -1 = not there */
    struct row *rows;
    int64_t count, capacity;
};

/* ---- reading: RFC 4180, with , ; or tab between the values */

/* One value from *at, unquoted in place; *at moves to the separator or the end of the line behind it. */
static cover_status read_value(const struct table *table, char **at, int64_t line, const char **value) {
    char *from = *at, *to = from;
    if (*from != '"') {
        *value = from;
        while (*from && *from != table->separator && *from != '\n' && *from != '\r') from++;
        *at = from;
        return COVER_OK;
    }
    *value = to;
    for (from++; *from && !(*from == '"' && from[1] != '"'); from++) {
        if (*from == '"') from++; /* "" stands for one */
        *to++ = *from;
    }
    if (!*from) return fail(COVER_ERROR_FORMAT, "%s: line %lld: a quote is not closed", table->csv, (long long)line);
    from++;
    if (*from && *from != table->separator && *from != '\n' && *from != '\r')
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: text behind a closing quote", table->csv, (long long)line);
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
static cover_status read_line(const struct table *table, char **text, int64_t line, const char **values, int *count) {
    char *at = *text;
    *count = 0;
    for (;;) {
        const char *value;
        TRY(read_value(table, &at, line, &value));
        const char ended_by = *at;
        char *end = at;
        if (*count < MOST_VALUES) values[(*count)++] = trimmed(value, end);
        if (ended_by == table->separator) {
            at++;
            continue;
        }
        if (ended_by) at++;
        if (ended_by == '\r' && *at == '\n') at++;
        *text = at;
        return COVER_OK;
    }
}

static cover_status read_header(struct table *table, char **text) {
    const char *values[MOST_VALUES];
    int count;
    const size_t length = strcspn(*text, "\r\n");
    table->separator = ',';
    for (const char *c = ";\t"; *c; c++)
        if (!memchr(*text, ',', length) && memchr(*text, *c, length)) table->separator = *c;
    TRY(read_line(table, text, 1, values, &count));
    for (int c = 0; c < COLUMNS; c++) {
        table->column[c] = -1;
        for (int name = 0; name < 2 && table->column[c] < 0; name++)
            for (int i = 0; i < count; i++)
                if (strcasecmp(values[i], column_names[c][name]) == 0) table->column[c] = i;
    }
    if (table->column[FILE_COLUMN] < 0)
        return fail(COVER_ERROR_FORMAT,
                    "%s: the first line names no column \"file\"; it should be like file,patient,split", table->csv);
    if (table->column[PATIENT_COLUMN] < 0 && table->column[SPLIT_COLUMN] < 0)
        return fail(COVER_ERROR_FORMAT, "%s: the first line names neither a column \"patient\" nor \"split\"",
                    table->csv);
    return COVER_OK;
}

static cover_status add_row(struct table *table, const char **values, int count, int64_t line) {
    struct pack_plan *plan = table->plan;
    if (table->count == table->capacity) {
        const int64_t capacity = table->capacity ? 2 * table->capacity : 256;
        struct row *rows = memory_alloc(plan->context, (size_t)capacity * sizeof *rows);
        if (!rows) return COVER_ERROR_MEMORY;
        if (table->count > 0) memcpy(rows, table->rows, (size_t)table->count * sizeof *rows);
        memory_free(plan->context, table->rows);
        table->rows = rows, table->capacity = capacity;
    }
    struct row row = {.line = line};
    for (int c = 0; c < COLUMNS; c++) {
        const int at = table->column[c];
        if (at >= count)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld has %d values, but \"%s\" is the %d. column", table->csv,
                        (long long)line, count, column_names[c][0], at + 1);
        row.value[c] = at < 0 ? "" : arena_text(&plan->arena, values[at], strlen(values[at]));
        if (!row.value[c]) return COVER_ERROR_MEMORY;
    }
    if (!*row.value[FILE_COLUMN])
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"file\" is empty", table->csv, (long long)line);
    if (strlen(row.value[PATIENT_COLUMN]) > DATASET_NAME_MAX)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"patient\" is longer than %d bytes", table->csv,
                    (long long)line, DATASET_NAME_MAX);
    table->rows[table->count++] = row;
    return COVER_OK;
}

static cover_status read_rows(struct table *table, char *text) {
    const char *values[MOST_VALUES];
    int count;
    TRY(read_header(table, &text));
    for (int64_t line = 2; *text; line++) {
        if (*text == '\n' || *text == '\r') { /* an empty line */
            text += 1 + (text[0] == '\r' && text[1] == '\n');
            continue;
        }
        TRY(read_line(table, &text, line, values, &count));
        TRY(add_row(table, values, count, line));
    }
    return COVER_OK;
}

/* ---- splits: one a patient */

static cover_status split_of(const struct table *table, struct row *row) {
    static const struct {
        const char *word;
        enum pack_split split;
    } words[] = {{"", SPLIT_NONE},          {"none", SPLIT_NONE}, {"train", SPLIT_TRAIN},
                 {"training", SPLIT_TRAIN}, {"val", SPLIT_VAL},   {"valid", SPLIT_VAL},
                 {"validation", SPLIT_VAL}, {"test", SPLIT_TEST}, {"testing", SPLIT_TEST}};
    if (table->column[SPLIT_COLUMN] < 0) {
        const char *patient = row->value[PATIENT_COLUMN];
        uint8_t digest[SHA256_BYTES];
        if (!*patient)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"patient\" is empty, and there is no column \"split\"",
                        table->csv, (long long)row->line);
        sha256(patient, strlen(patient), digest);
        const unsigned percent = ((unsigned)digest[0] << 16 | (unsigned)digest[1] << 8 | digest[2]) * 100u >> 24;
        row->split = percent < TRAIN_PERCENT                 ? SPLIT_TRAIN
                     : percent < TRAIN_PERCENT + VAL_PERCENT ? SPLIT_VAL
                                                             : SPLIT_TEST;
        return COVER_OK;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(row->value[SPLIT_COLUMN], words[i].word) == 0) {
            row->split = words[i].split;
            return COVER_OK;
        }
    return fail(COVER_ERROR_FORMAT, "%s: line %lld: \"split\" is '%s'; use train, val or test", table->csv,
                (long long)row->line, row->value[SPLIT_COLUMN]);
}

static int by_patient(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    const int order = strcmp(x->value[PATIENT_COLUMN], y->value[PATIENT_COLUMN]);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

static int by_file(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    const int order = strcmp(x->value[FILE_COLUMN], y->value[FILE_COLUMN]);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

static cover_status check_patients(struct table *table) {
    for (int64_t i = 0; i < table->count; i++) TRY(split_of(table, &table->rows[i]));
    qsort(table->rows, (size_t)table->count, sizeof *table->rows, by_patient);
    for (int64_t i = 1; i < table->count; i++) {
        const struct row *a = &table->rows[i - 1], *b = &table->rows[i];
        if (*a->value[PATIENT_COLUMN] && strcmp(a->value[PATIENT_COLUMN], b->value[PATIENT_COLUMN]) == 0 &&
            a->split != b->split)
            return fail(
                COVER_ERROR_FORMAT,
                "%s: patient %s is in '%s' on line %lld (%s) and in '%s' on line %lld (%s); a patient belongs to "
                "one split",
                table->csv, a->value[PATIENT_COLUMN], a->value[SPLIT_COLUMN], (long long)a->line, a->value[FILE_COLUMN],
                b->value[SPLIT_COLUMN], (long long)b->line, b->value[FILE_COLUMN]);
    }
    qsort(table->rows, (size_t)table->count, sizeof *table->rows, by_file);
    for (int64_t i = 1; i < table->count; i++)
        if (strcmp(table->rows[i - 1].value[FILE_COLUMN], table->rows[i].value[FILE_COLUMN]) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: lines %lld and %lld are both about %s", table->csv,
                        (long long)table->rows[i - 1].line, (long long)table->rows[i].line,
                        table->rows[i].value[FILE_COLUMN]);
    return COVER_OK;
}

/* ---- matching: a row speaks of the image with this name, this path, or (if only one has it) this file name */

static struct row *find(const struct table *table, const char *file) {
    int64_t low = 0, high = table->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(file, table->rows[middle].value[FILE_COLUMN]);
        if (order == 0) return &table->rows[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static cover_status apply(struct table *table, struct pack_item *item) {
    struct row *row = find(table, item->name);
    if (!row) row = find(table, item->path);
    if (!row) row = find(table, path_name(item->path));
    if (!row) row = find(table, path_name(item->name));
    if (!row) {
        if (!item->unusable) item->unusable = "not listed in the split file";
        return COVER_OK;
    }
    if (row->used_by)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld: '%s' may be %s or %s; write more of the path", table->csv,
                    (long long)row->line, row->value[FILE_COLUMN], row->used_by, item->path);
    row->used_by = item->path;
    item->split = row->split;
    if (*row->value[PATIENT_COLUMN]) item->patient = row->value[PATIENT_COLUMN];
    if (*row->value[LABEL_COLUMN] && !item->class_name) item->class_name = row->value[LABEL_COLUMN];
    return COVER_OK;
}

cover_status pack_split_read(struct pack_plan *plan, const char *csv) {
    struct table table = {.plan = plan, .csv = csv};
    cover_status status;
    uint8_t *bytes = NULL;
    size_t count;
    TRY(file_read(plan->context, csv, LARGEST_CSV, &bytes, &count));
    char *text = (char *)bytes;
    if (strlen(text) != count) {
        status = fail(COVER_ERROR_FORMAT, "%s: holds a NUL byte: not a CSV text", csv);
        goto done;
    }
    if (count >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3; /* the mark that Excel writes */
    GO(read_rows(&table, text));
    GO(check_patients(&table));
    for (int64_t i = 0; i < plan->count; i++) GO(apply(&table, &plan->items[i]));
    int64_t unused = 0;
    for (int64_t i = 0; i < table.count; i++) unused += table.rows[i].used_by == NULL;
    if (unused > 0)
        log_line(plan->context, COVER_LOG_WARNING, "%s: %lld of %lld lines speak of no image in the sources", csv,
                 (long long)unused, (long long)table.count);
done:
    memory_free(plan->context, table.rows);
    memory_free(plan->context, bytes);
    return status;
}
