/* CSV read into a table, see csv.h. */
#include "csv.h"

#include "core/base/files.h"

#include <string.h>

enum { LARGEST_CSV = 1 << 30, MOST_COLUMNS = 65536 };

struct reader {
    struct csv *csv;
    char *at;
    char separator;
    int64_t line, cells, cell_capacity, line_capacity, first_capacity;
};

static bool ends_line(char c) { return c == 0 || c == '\n' || c == '\r'; }

/* One value from reader->at, unquoted in place and NUL-terminated; *end is what stood behind it. */
static cover_status read_value(struct reader *reader, char **value, char *end) {
    char *from = reader->at, *to = from;
    const long long line = reader->line; /* where it begins: a quoted value may go on for more */
    *value = to;
    if (*from == '"') {
        for (from++; *from && !(*from == '"' && from[1] != '"'); from++) {
            if (*from == '"') from++; /* "" stands for one */
            reader->line += *from == '\n' || (*from == '\r' && from[1] != '\n');
            *to++ = *from;
        }
        if (!*from) return fail(COVER_ERROR_FORMAT, "%s: line %lld: a quote is not closed", reader->csv->path, line);
        from++;
        if (*from != reader->separator && !ends_line(*from))
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: text behind a closing quote", reader->csv->path, line);
    } else {
        while (*from == ' ') from++;
        *value = from;
        while (*from != reader->separator && !ends_line(*from)) from++;
        for (to = from; to > *value && to[-1] == ' ';) to--;
    }
    *end = *from;
    reader->at = *from ? from + 1 : from;
    if (*end == '\r' && *reader->at == '\n') reader->at++;
    *to = 0;
    if (**value == '\'' && csv_is_formula(*value)) ++*value; /* as csv_put() wrote it */
    return COVER_OK;
}

static cover_status read_row(struct reader *reader) {
    struct csv *csv = reader->csv;
    const int64_t line = reader->line, first = reader->cells;
    char end;
    if (!array_grow(csv->context, &csv->line, &reader->line_capacity, csv->rows + 1, sizeof *csv->line) ||
        !array_grow(csv->context, &csv->first, &reader->first_capacity, csv->rows + 2, sizeof *csv->first))
        return COVER_ERROR_MEMORY;
    do {
        if (!array_grow(csv->context, &csv->cell, &reader->cell_capacity, reader->cells + 1, sizeof *csv->cell))
            return COVER_ERROR_MEMORY;
        TRY(read_value(reader, &csv->cell[reader->cells], &end));
        if (++reader->cells - first > MOST_COLUMNS)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: more than %d values", csv->path, (long long)line, MOST_COLUMNS);
    } while (!ends_line(end));
    reader->line++;
    csv->line[csv->rows] = line, csv->first[csv->rows] = first;
    csv->first[++csv->rows] = reader->cells;
    if (csv->rows == 1) csv->columns = reader->cells;
    return COVER_OK;
}

static cover_status check_even(const struct csv *csv) {
    if (csv->rows < 2)
        return fail(COVER_ERROR_FORMAT, "%s: no rows; it should be a line of column names and a line a case", csv->path);
    for (int64_t row = 1; row < csv->rows; row++)
        if (csv_values(csv, row) != csv->columns)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld has %lld values, but the first line names %lld columns", csv->path,
                        (long long)csv->line[row], (long long)csv_values(csv, row), (long long)csv->columns);
    return COVER_OK;
}

cover_status csv_read(struct csv *csv, cover_context *context, const char *path, bool even) {
    size_t bytes;
    cover_status status;
    *csv = (struct csv){.context = context, .path = path};
    TRY(file_read(context, path, LARGEST_CSV, (uint8_t **)&csv->text, &bytes));
    struct reader reader = {.csv = csv, .at = csv->text, .separator = ',', .line = 1};
    if (strlen(csv->text) != bytes) GO(fail(COVER_ERROR_FORMAT, "%s: holds a NUL byte: not a CSV text", path));
    if (strncmp(csv->text, "\xef\xbb\xbf", 3) == 0) reader.at += 3; /* the mark that Excel writes */
    const size_t header = strcspn(reader.at, "\r\n");
    for (const char *other = ";\t"; *other; other++)
        if (!memchr(reader.at, ',', header) && memchr(reader.at, *other, header)) reader.separator = *other;
    while (*reader.at)
        if (*reader.at == '\n' || *reader.at == '\r') {
            reader.line += *reader.at != '\r' || reader.at[1] != '\n';
            reader.at++;
        } else GO(read_row(&reader));
    status = even ? check_even(csv) : COVER_OK;
done:
    if (status != COVER_OK) csv_free(csv);
    return status;
}

void csv_free(struct csv *csv) {
    if (!csv->context) return;
    memory_free(csv->context, csv->text);
    memory_free(csv->context, csv->cell);
    memory_free(csv->context, csv->first);
    memory_free(csv->context, csv->line);
    *csv = (struct csv){0};
}

static void put_text(void *to, const char *bytes, size_t count) { text_add_bytes(to, bytes, count); }
void csv_add(struct text *text, const char *value) { csv_put(value, put_text, text); }
