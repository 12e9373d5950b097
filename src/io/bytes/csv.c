/* CSV read into a table, see csv.h. */
#include "csv.h"

#include "core/base/files.h"

#include <string.h>

enum { LARGEST_CSV = 1 << 30, MOST_COLUMNS = 65536 };

struct reader {
    struct csv *csv;
    char *at;
    char separator;
    int64_t line, cells, cell_capacity, row_capacity;
};

static bool ends_line(char c) { return c == 0 || c == '\n' || c == '\r'; }

/* One value from reader->at, unquoted in place and NUL-terminated; *end is what stood behind it. */
static cover_status read_value(struct reader *reader, char **value, char *end) {
    char *from = reader->at, *to = from;
    *value = to;
    if (*from == '"') {
        for (from++; *from && !(*from == '"' && from[1] != '"'); from++) {
            if (*from == '"') from++; /* "" stands for one */
            if (*from == '\n') reader->line++;
            *to++ = *from;
        }
        if (!*from)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: a quote is not closed", reader->csv->path, (long long)reader->line);
        from++;
        if (*from != reader->separator && !ends_line(*from))
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: text behind a closing quote", reader->csv->path,
                        (long long)reader->line);
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
    return COVER_OK;
}

/* Room for one more of `bytes` each. */
static cover_status grow(cover_context *context, void **list, int64_t count, int64_t *capacity, size_t bytes) {
    if (count < *capacity) return COVER_OK;
    const int64_t more = *capacity ? 2 * *capacity : 256;
    void *larger = memory_alloc(context, (size_t)more * bytes);
    if (!larger) return COVER_ERROR_MEMORY;
    if (count) memcpy(larger, *list, (size_t)count * bytes);
    memory_free(context, *list);
    *list = larger, *capacity = more;
    return COVER_OK;
}

static cover_status read_row(struct reader *reader) {
    struct csv *csv = reader->csv;
    const int64_t line = reader->line;
    int64_t values = 0;
    char end;
    do {
        TRY(grow(csv->context, (void **)&csv->cell, reader->cells, &reader->cell_capacity, sizeof *csv->cell));
        TRY(read_value(reader, &csv->cell[reader->cells], &end));
        reader->cells++, values++;
        if (values > MOST_COLUMNS)
            return fail(COVER_ERROR_FORMAT, "%s: line %lld: more than %d values", csv->path, (long long)line, MOST_COLUMNS);
    } while (!ends_line(end));
    reader->line++;
    if (csv->rows == 0) csv->columns = values;
    if (values != csv->columns)
        return fail(COVER_ERROR_FORMAT, "%s: line %lld has %lld values, but the first line names %lld columns", csv->path,
                    (long long)line, (long long)values, (long long)csv->columns);
    TRY(grow(csv->context, (void **)&csv->line, csv->rows, &reader->row_capacity, sizeof *csv->line));
    csv->line[csv->rows++] = line;
    return COVER_OK;
}

cover_status csv_read(struct csv *csv, cover_context *context, const char *path) {
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
    if (csv->rows < 2) GO(fail(COVER_ERROR_FORMAT, "%s: no rows; it should be a line of column names and a line a case", path));
    status = COVER_OK;
done:
    if (status != COVER_OK) csv_free(csv);
    return status;
}

void csv_free(struct csv *csv) {
    if (!csv->context) return;
    memory_free(csv->context, csv->text);
    memory_free(csv->context, csv->cell);
    memory_free(csv->context, csv->line);
    *csv = (struct csv){0};
}

void csv_add(struct text *text, const char *value) {
    if (!value[strcspn(value, "\",;\t\r\n")]) {
        text_add_bytes(text, value, strlen(value));
        return;
    }
    text_add(text, "\"");
    for (; *value; value++) {
        if (*value == '"') text_add(text, "\"");
        text_add(text, "%c", *value);
    }
    text_add(text, "\"");
}
