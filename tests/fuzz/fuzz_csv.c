/* CSV files: whatever the bytes, a table whose cells can all be read and written again, or an error that names the file. */
#include "fuzz.h"

#include "io/bytes/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cover_context *context = fuzz_context();
    struct text again = {.context = context};
    struct csv csv;
    const char *path = fuzz_put("a.csv", data, size);
    if (csv_read(&csv, context, path, false) != COVER_OK)
        return require(strncmp(cover_error_text(), path, strlen(path)) == 0, "text"), 0;
    for (int64_t row = 0; row < csv.rows; row++)
        for (int64_t column = 0; column < csv_values(&csv, row); column++) {
            if (column) text_add(&again, ",");
            csv_add(&again, csv_cell(&csv, row, column));
            if (column + 1 == csv_values(&csv, row)) text_add(&again, "\n");
        }
    require(!again.failed, "memory");
    text_free(&again);
    csv_free(&csv);
    return 0;
}
