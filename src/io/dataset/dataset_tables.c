/* Tables of the dataset file: contiguous arrays, written page by page and hashed (docs/dataset.md, "Rows of /samples"
 * and "The directory").  Called by dataset_write.c. */
#include "dataset_writer.h"

#include <string.h>

/* The compound type of a row: what h5py shows as a structured array. */
static hid_t row_type(void) {
    static const struct {
        const char *name;
        size_t offset;
        int kind; /* 8 u64, 4 u32, -4 i32, 1 u8, 0 f64 */
        hsize_t count;
    } fields[] = {
        {"image_offset", offsetof(struct dataset_row, image_offset), 8, 1},
        {"image_bytes", offsetof(struct dataset_row, image_bytes), 8, 1},
        {"label_offset", offsetof(struct dataset_row, label_offset), 8, 1},
        {"label_bytes", offsetof(struct dataset_row, label_bytes), 8, 1},
        {"image_row", offsetof(struct dataset_row, image_row), 8, 1},
        {"label_row", offsetof(struct dataset_row, label_row), 8, 1},
        {"name_offset", offsetof(struct dataset_row, name_offset), 8, 1},
        {"name_bytes", offsetof(struct dataset_row, name_bytes), 4, 1},
        {"patient_bytes", offsetof(struct dataset_row, patient_bytes), 4, 1},
        {"size", offsetof(struct dataset_row, size), 4, 3},
        {"class_index", offsetof(struct dataset_row, class_index), -4, 1},
        {"spacing_mm", offsetof(struct dataset_row, spacing_mm), 0, 3},
        {"affine", offsetof(struct dataset_row, affine), 0, 12},
        {"dtype", offsetof(struct dataset_row, dtype), 1, 1},
        {"label_dtype", offsetof(struct dataset_row, label_dtype), 1, 1},
        {"split", offsetof(struct dataset_row, split), 1, 1},
        {"multilabel", offsetof(struct dataset_row, multilabel), 1, 1},
        {"class_set", offsetof(struct dataset_row, class_set), 8, 1},
        {"digest", offsetof(struct dataset_row, digest), 1, SHA256_BYTES},
    };
    hid_t type = H5Tcreate(H5T_COMPOUND, DATASET_ROW_BYTES);
    for (size_t i = 0; type >= 0 && i < sizeof fields / sizeof *fields; i++) {
        hid_t element = fields[i].kind == 8    ? H5T_STD_U64LE
                        : fields[i].kind == 4  ? H5T_STD_U32LE
                        : fields[i].kind == -4 ? H5T_STD_I32LE
                        : fields[i].kind == 1  ? H5T_STD_U8LE
                                               : H5T_IEEE_F64LE;
        hid_t array = fields[i].count > 1 ? H5Tarray_create2(element, 1, &fields[i].count) : element;
        if (H5Tinsert(type, fields[i].name, fields[i].offset, array) < 0) {
            H5Tclose(type);
            type = -1;
        }
        if (fields[i].count > 1) H5Tclose(array);
    }
    return type;
}

/* A one-dimensional contiguous array being written from front to back. */
struct table {
    hid_t array, type, space;
    uint64_t written, offset; /* elements so far; where element 0 lies in the file */
};

static cover_status table_begin(struct dataset_writer *writer, struct table *table, const char *name, hid_t type,
                                uint64_t elements) {
    hid_t creation = hdf5_plain_dataset_list();
    *table = (struct table){.type = type, .array = -1, .space = H5Screate_simple(1, (hsize_t[]){elements}, NULL)};
    if (creation >= 0 && table->space >= 0 && H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0)
        table->array = H5Dcreate2(writer->file, name, type, table->space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (creation >= 0) H5Pclose(creation);
    return table->array >= 0 ? COVER_OK : hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "a table cannot be created");
}

/* Append elements, and put the SHA-256 of these bytes into *hash unless it is NULL. */
static cover_status table_write(struct dataset_writer *writer, struct table *table, const void *data, uint64_t elements,
                                uint8_t *hash) {
    const uint64_t element = H5Tget_size(table->type);
    hid_t memory = H5Screate_simple(1, (hsize_t[]){elements}, NULL);
    herr_t result = -1;
    if (memory >= 0 &&
        H5Sselect_hyperslab(table->space, H5S_SELECT_SET, (hsize_t[]){table->written}, NULL, (hsize_t[]){elements}, NULL) >= 0)
        result = H5Dwrite(table->array, table->type, memory, table->space, H5P_DEFAULT, data);
    if (memory >= 0) H5Sclose(memory);
    if (writer->sink.error) return dataset_refused(writer);
    if (result < 0) return hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "a table cannot be written");
    if (table->written == 0) table->offset = writer->sink.raw_offset;
    if (writer->sink.raw_offset != table->offset + table->written * element || writer->sink.raw_bytes != elements * element)
        return fail(COVER_ERROR_INTERNAL, "%s: a table was not stored in one piece", writer->path);
    table->written += elements;
    if (hash) sha256(data, elements * element, hash);
    return COVER_OK;
}

static void table_end(struct table *table) {
    if (table->array >= 0) H5Dclose(table->array);
    if (table->space >= 0) H5Sclose(table->space);
}

cover_status dataset_write_rows(struct dataset_writer *writer) {
    const struct dataset_content *content = writer->content;
    cover_status status = COVER_OK;
    struct dataset_row *page = writer->buffer;
    struct table table = {.array = -1, .space = -1};
    uint64_t name_offset = 0;
    hid_t type = row_type();
    GO(type >= 0 ? COVER_OK : hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "the row type cannot be created"));
    GO(table_begin(writer, &table, "samples", type, (uint64_t)content->samples));
    for (int64_t first = 0; first < content->samples; first += DATASET_PAGE_ROWS) {
        int64_t rows = content->samples - first < DATASET_PAGE_ROWS ? content->samples - first : DATASET_PAGE_ROWS;
        for (int64_t i = 0; i < rows; i++) {
            const struct dataset_place *place = &writer->places[first + i];
            struct dataset_entry entry;
            GO(content->entry(content->user, first + i, &entry));
            struct dataset_row *row = &page[i];
            *row = entry.row;
            row->image_offset = place->image.offset, row->image_row = place->image_row;
            row->label_offset = place->label.offset, row->label_row = place->label_row;
            row->name_offset = name_offset;
            name_offset += (uint64_t)row->name_bytes + row->patient_bytes;
        }
        GO(table_write(writer, &table, page, (uint64_t)rows, writer->hashes + first / DATASET_PAGE_ROWS * SHA256_BYTES));
    }
    writer->directory.rows_offset = table.offset;
done:
    table_end(&table);
    if (type >= 0) H5Tclose(type);
    return status;
}

cover_status dataset_write_names(struct dataset_writer *writer) {
    const struct dataset_content *content = writer->content;
    cover_status status = COVER_OK;
    uint8_t *page = writer->buffer, *hash = writer->hashes + dataset_row_pages(&writer->directory) * SHA256_BYTES;
    size_t held = 0;
    struct table table = {.array = -1, .space = -1};
    GO(table_begin(writer, &table, "names", H5T_STD_U8LE, writer->directory.names_bytes));
    for (int64_t i = 0; i < content->samples; i++) {
        struct dataset_entry entry;
        GO(content->entry(content->user, i, &entry));
        const struct {
            const char *text;
            size_t bytes;
        } parts[] = {{entry.name, entry.row.name_bytes}, {entry.patient, entry.row.patient_bytes}};
        for (int p = 0; p < 2; p++)
            for (size_t at = 0; at < parts[p].bytes;) {
                const size_t left = parts[p].bytes - at, room = DATASET_PAGE_BYTES - held, now = left < room ? left : room;
                memcpy(page + held, parts[p].text + at, now);
                at += now, held += now;
                if (held < DATASET_PAGE_BYTES) continue;
                GO(table_write(writer, &table, page, held, hash));
                hash += SHA256_BYTES, held = 0;
            }
    }
    if (held > 0) GO(table_write(writer, &table, page, held, hash));
    writer->directory.names_offset = table.offset;
done:
    table_end(&table);
    return status;
}

cover_status dataset_write_directory(struct dataset_writer *writer, struct seal *seal) {
    const struct dataset_directory *directory = &writer->directory;
    const uint64_t pages = (uint64_t)(dataset_row_pages(directory) + dataset_name_pages(directory));
    const uint64_t bytes = DATASET_HEAD_BYTES + directory->about_bytes + pages * SHA256_BYTES;
    cover_status status = COVER_OK;
    struct table table = {.array = -1, .space = -1};
    uint8_t *data = memory_alloc(writer->context, bytes);
    if (!data) return COVER_ERROR_MEMORY;
    dataset_directory_encode(data, directory);
    memcpy(data + DATASET_HEAD_BYTES, writer->content->about, directory->about_bytes);
    memcpy(data + DATASET_HEAD_BYTES + directory->about_bytes, writer->hashes, pages * SHA256_BYTES);
    GO(table_begin(writer, &table, "directory", H5T_STD_U8LE, bytes));
    GO(table_write(writer, &table, data, bytes, seal->hash));
    seal->begin = table.offset, seal->bytes = bytes;
done:
    table_end(&table);
    memory_free(writer->context, data);
    return status;
}
