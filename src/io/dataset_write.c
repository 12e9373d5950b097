/* Writing a dataset file (docs/dataset.md): one HDF5 array for each size and dtype, chunked by sample; then the tables,
 * the directory, and the seal last.  Called by pack. */
#include "dataset_write.h"

#include "hdf5_sink.h"
#include "seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What decides to which array a sample belongs. */
struct key {
    uint8_t dtype;
    uint32_t size[3];
    int64_t index;
};

/* What the writer finds out about a sample. */
struct place {
    uint64_t image_row, label_row;
    struct dataset_extent image, label;
};

struct writer {
    cover_context *context;
    const char *path;
    const struct dataset_content *content;
    struct dataset_directory directory;
    struct hdf5_sink sink;
    hid_t file;
    struct key *keys, *label_keys; /* sorted: samples of one array side by side */
    int64_t labels;
    struct place *places;
    uint8_t *hashes; /* pages of rows, then of names */
    void *buffer;    /* the largest stored image or label, or one page */
    int64_t done;    /* images and labels written, for progress */
};

static int compare_keys(const void *a, const void *b) {
    const struct key *x = a, *y = b;
    if (x->dtype != y->dtype) return x->dtype < y->dtype ? -1 : 1;
    for (int i = 0; i < 3; i++)
        if (x->size[i] != y->size[i]) return x->size[i] < y->size[i] ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_array(const struct key *a, const struct key *b) {
    return a->dtype == b->dtype && memcmp(a->size, b->size, sizeof a->size) == 0;
}

/* First look at every sample: keys, sizes, length of the names, the largest stored piece. */
static cover_status survey(struct writer *writer) {
    const struct dataset_content *content = writer->content;
    struct dataset_directory *directory = &writer->directory;
    const size_t count = (size_t)content->samples;
    uint64_t largest = DATASET_PAGE_BYTES;
    struct sha256 hash;
    *directory = (struct dataset_directory){.samples = content->samples,
                                            .dims = content->dims,
                                            .channels = content->channels,
                                            .classes = content->classes,
                                            .about_bytes = strlen(content->about)};
    writer->keys = memory_alloc(writer->context, count * sizeof *writer->keys);
    writer->label_keys = memory_alloc(writer->context, count * sizeof *writer->label_keys);
    writer->places = memory_zero(writer->context, count * sizeof *writer->places);
    if (!writer->keys || !writer->label_keys || !writer->places) return COVER_ERROR_MEMORY;
    dataset_hash_begin(&hash, content->dims, content->channels, content->samples);
    for (int64_t i = 0; i < content->samples; i++) {
        struct dataset_entry entry;
        TRY(content->entry(content->user, i, &entry));
        const struct dataset_row *row = &entry.row;
        struct key key = {.dtype = row->dtype, .size = {row->size[0], row->size[1], row->size[2]}, .index = i};
        writer->keys[i] = key;
        if (row->label_dtype != DATASET_NO_LABEL) {
            key.dtype = row->label_dtype;
            writer->label_keys[writer->labels++] = key;
        }
        for (int a = 0; a < 3; a++) {
            if (i == 0 || row->size[a] < directory->min_size[a]) directory->min_size[a] = row->size[a];
            if (i == 0 || row->size[a] > directory->max_size[a]) directory->max_size[a] = row->size[a];
        }
        if (row->image_bytes > largest) largest = row->image_bytes;
        if (row->label_bytes > largest) largest = row->label_bytes;
        directory->names_bytes += (uint64_t)row->name_bytes + row->patient_bytes;
        dataset_hash_add(&hash, row->digest);
    }
    sha256_end(&hash, directory->hash);
    directory->has_labels = writer->labels > 0;
    qsort(writer->keys, count, sizeof *writer->keys, compare_keys);
    qsort(writer->label_keys, (size_t)writer->labels, sizeof *writer->label_keys, compare_keys);
    writer->buffer = memory_alloc(writer->context, largest);
    const int64_t pages = dataset_row_pages(directory) + dataset_name_pages(directory);
    writer->hashes = memory_alloc(writer->context, (size_t)pages * SHA256_BYTES);
    return writer->buffer && writer->hashes ? COVER_OK : COVER_ERROR_MEMORY;
}

static cover_status refused(const struct writer *writer) {
    return fail(COVER_ERROR_IO, "%s: cannot be written: %s", writer->path, strerror(writer->sink.error));
}

/* A group without times; the caller closes it. */
static hid_t create_group(hid_t file, const char *name) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE), group = -1;
    if (creation >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        group = H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (creation >= 0) H5Pclose(creation);
    return group;
}

/* An array (count, [D,] H, W[, C]) below group, one chunk a sample. */
static hid_t create_array(const struct writer *writer, hid_t group, const struct key *kind, int64_t count,
                          int channels) {
    const int dims = writer->content->dims;
    hsize_t sizes[COVER_MAX_RANK] = {(hsize_t)count}, chunk[COVER_MAX_RANK] = {1};
    const hid_t type = hdf5_type((cover_dtype)dataset_dtype(kind->dtype));
    int axes = 1;
    for (int a = 3 - dims; a < 3; a++) sizes[axes] = chunk[axes] = kind->size[a], axes++;
    if (channels > 1) sizes[axes] = chunk[axes] = (hsize_t)channels, axes++;
    char name[DATASET_KIND_TEXT];
    dataset_kind(name, kind->dtype, dims, kind->size);
    hid_t creation = hdf5_plain_dataset_list(), space = H5Screate_simple(axes, sizes, NULL), array = -1;
    if (creation >= 0 && space >= 0 && H5Pset_chunk(creation, axes, chunk) >= 0 &&
        (H5Tget_size(type) == 1 || H5Pset_shuffle(creation) >= 0) &&
        H5Pset_deflate(creation, DATASET_DEFLATE_LEVEL) >= 0)
        array = H5Dcreate2(group, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (space >= 0) H5Sclose(space);
    if (creation >= 0) H5Pclose(creation);
    return array;
}

/* Write samples keys[0..count) of one array as its rows first, first + 1, ...; libhdf5's lock is ours. */
static cover_status write_chunks(struct writer *writer, hid_t array, const struct key *keys, int64_t count,
                                 int64_t first, bool label) {
    const struct dataset_content *content = writer->content;
    for (int64_t i = 0; i < count; i++) {
        const int64_t index = keys[i].index;
        struct dataset_entry entry;
        TRY(content->entry(content->user, index, &entry));
        const uint64_t bytes = label ? entry.row.label_bytes : entry.row.image_bytes;
        TRY(content->stored(content->user, index, label, writer->buffer));
        const hsize_t at[COVER_MAX_RANK] = {(hsize_t)(first + i)}; /* the other axes begin at 0 */
        if (H5Dwrite_chunk(array, H5P_DEFAULT, 0, at, bytes, writer->buffer) < 0)
            return hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "a sample cannot be stored");
        if (writer->sink.error) return refused(writer);
        if (writer->sink.raw_bytes != bytes)
            return fail(COVER_ERROR_INTERNAL, "%s: a sample was not stored in one piece", writer->path);
        struct place *place = &writer->places[index];
        *(label ? &place->label : &place->image) = (struct dataset_extent){writer->sink.raw_offset, bytes};
        *(label ? &place->label_row : &place->image_row) = (uint64_t)(first + i);
    }
    return COVER_OK;
}

/* One array; libhdf5's lock is given back now and then, and never held while the caller's progress runs. */
static cover_status write_array(struct writer *writer, const char *group_name, const struct key *keys, int64_t count,
                                int channels, bool label) {
    enum { BATCH = 256 };
    const struct dataset_content *content = writer->content;
    cover_status status = COVER_OK;
    struct hdf5_guard guard;
    hdf5_begin(&guard);
    hid_t group = H5Gopen2(writer->file, group_name, H5P_DEFAULT);
    hid_t array = group >= 0 ? create_array(writer, group, keys, count, channels) : -1;
    if (group >= 0) H5Gclose(group);
    if (array < 0) status = hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "an array cannot be created");
    for (int64_t first = 0; status == COVER_OK && first < count; first += BATCH) {
        const int64_t now = count - first < BATCH ? count - first : BATCH;
        status = write_chunks(writer, array, keys + first, now, first, label);
        hdf5_end(&guard);
        writer->done += now;
        if (status == COVER_OK)
            status = progress_call(writer->context, content->progress, content->progress_user, writer->done,
                                   content->samples + writer->labels, "writing");
        hdf5_begin(&guard);
    }
    if (array >= 0) H5Dclose(array);
    hdf5_end(&guard);
    return status;
}

static cover_status write_arrays(struct writer *writer, const char *group, const struct key *keys, int64_t count,
                                 int channels, bool label) {
    for (int64_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && same_array(&keys[first], &keys[next]);) next++;
        TRY(write_array(writer, group, keys + first, next - first, channels, label));
    }
    return COVER_OK;
}

/* ---- tables: contiguous arrays, written page by page and hashed */

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

static cover_status table_begin(struct writer *writer, struct table *table, const char *name, hid_t type,
                                uint64_t elements) {
    hid_t creation = hdf5_plain_dataset_list();
    *table = (struct table){.type = type, .array = -1, .space = H5Screate_simple(1, (hsize_t[]){elements}, NULL)};
    if (creation >= 0 && table->space >= 0 && H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY) >= 0)
        table->array = H5Dcreate2(writer->file, name, type, table->space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (creation >= 0) H5Pclose(creation);
    return table->array >= 0 ? COVER_OK : hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "a table cannot be created");
}

/* Append elements, and put the SHA-256 of these bytes into *hash unless it is NULL. */
static cover_status table_write(struct writer *writer, struct table *table, const void *data, uint64_t elements,
                                uint8_t *hash) {
    const uint64_t element = H5Tget_size(table->type);
    hid_t memory = H5Screate_simple(1, (hsize_t[]){elements}, NULL);
    herr_t result = -1;
    if (memory >= 0 && H5Sselect_hyperslab(table->space, H5S_SELECT_SET, (hsize_t[]){table->written}, NULL,
                                           (hsize_t[]){elements}, NULL) >= 0)
        result = H5Dwrite(table->array, table->type, memory, table->space, H5P_DEFAULT, data);
    if (memory >= 0) H5Sclose(memory);
    if (writer->sink.error) return refused(writer);
    if (result < 0) return hdf5_fail(COVER_ERROR_INTERNAL, writer->path, "a table cannot be written");
    if (table->written == 0) table->offset = writer->sink.raw_offset;
    if (writer->sink.raw_offset != table->offset + table->written * element ||
        writer->sink.raw_bytes != elements * element)
        return fail(COVER_ERROR_INTERNAL, "%s: a table was not stored in one piece", writer->path);
    table->written += elements;
    if (hash) sha256(data, elements * element, hash);
    return COVER_OK;
}

static void table_end(struct table *table) {
    if (table->array >= 0) H5Dclose(table->array);
    if (table->space >= 0) H5Sclose(table->space);
}

static cover_status write_rows(struct writer *writer) {
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
            const struct place *place = &writer->places[first + i];
            struct dataset_entry entry;
            GO(content->entry(content->user, first + i, &entry));
            struct dataset_row *row = &page[i];
            *row = entry.row;
            row->image_offset = place->image.offset, row->image_row = place->image_row;
            row->label_offset = place->label.offset, row->label_row = place->label_row;
            row->name_offset = name_offset;
            name_offset += (uint64_t)row->name_bytes + row->patient_bytes;
        }
        GO(table_write(writer, &table, page, (uint64_t)rows,
                       writer->hashes + first / DATASET_PAGE_ROWS * SHA256_BYTES));
    }
    writer->directory.rows_offset = table.offset;
done:
    table_end(&table);
    if (type >= 0) H5Tclose(type);
    return status;
}

static cover_status write_names(struct writer *writer) {
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
                const size_t left = parts[p].bytes - at, room = DATASET_PAGE_BYTES - held,
                             now = left < room ? left : room;
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

/* The directory is the last raw data of the file; what it takes into the seal is returned in *seal. */
static cover_status write_directory(struct writer *writer, struct seal *seal) {
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

/* After libhdf5 has closed the file: its own structures are in place now. */
static cover_status hash_rest(struct writer *writer, struct seal *seal) {
    const struct source source = {
        .name = writer->path, .descriptor = writer->sink.descriptor, .bytes = writer->sink.end};
    const int64_t samples = writer->content->samples;
    struct dataset_extent *extents =
        memory_alloc(writer->context, (size_t)(samples + writer->labels) * sizeof *extents);
    int64_t count = 0;
    if (!extents) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < samples; i++) {
        extents[count++] = writer->places[i].image;
        if (writer->places[i].label.bytes > 0) extents[count++] = writer->places[i].label;
    }
    cover_status status = dataset_rest_hash(seal->rest, writer->context, &source, extents, count);
    memory_free(writer->context, extents);
    return status;
}

static cover_status write_seal(const struct writer *writer, const struct seal *seal) {
    uint8_t block[SEAL_BYTES];
    seal_encode(block, seal);
    ssize_t written;
    do written = pwrite(writer->sink.descriptor, block, sizeof block, 0);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)sizeof block)
        return fail(COVER_ERROR_IO, "%s: cannot be written: %s", writer->path, strerror(written < 0 ? errno : ENOSPC));
    return COVER_OK;
}

cover_status dataset_write(cover_context *context, int descriptor, const char *path,
                           const struct dataset_content *content, struct dataset_directory *written) {
    cover_status status = COVER_OK, closed = COVER_OK;
    struct writer writer = {
        .context = context, .path = path, .content = content, .sink = {.descriptor = descriptor}, .file = -1};
    struct seal seal = {.format = DATASET_FORMAT, .major = DATASET_MAJOR, .minor = DATASET_MINOR};
    struct hdf5_guard guard;
    GO(survey(&writer));
    hdf5_begin(&guard);
    status = hdf5_sink_create(&writer.file, &writer.sink);
    const char *const groups[] = {"images", "labels"};
    for (int g = 0; status == COVER_OK && g < 2; g++) {
        hid_t group = create_group(writer.file, groups[g]);
        if (group < 0)
            status = hdf5_fail(COVER_ERROR_INTERNAL, path, "a group cannot be created");
        else
            H5Gclose(group);
    }
    hdf5_end(&guard);
    if (status != COVER_OK) goto done;
    GO(write_arrays(&writer, "images", writer.keys, content->samples, content->channels, false));
    GO(write_arrays(&writer, "labels", writer.label_keys, writer.labels, 1, true));
    hdf5_begin(&guard);
    status = write_rows(&writer);
    if (status == COVER_OK) status = write_names(&writer);
    if (status == COVER_OK) status = hdf5_write_text(writer.file, "about", content->about);
    if (status == COVER_OK) status = write_directory(&writer, &seal);
    hdf5_end(&guard);
done:
    if (writer.file >= 0) {
        hdf5_begin(&guard);
        closed = hdf5_sink_close(writer.file, &writer.sink, path);
        hdf5_end(&guard);
    }
    if (status == COVER_OK || writer.sink.error) status = closed;
    if (status == COVER_OK) {
        seal.file_bytes = writer.sink.end;
        status = hash_rest(&writer, &seal);
        if (status == COVER_OK) status = write_seal(&writer, &seal);
    }
    if (status == COVER_OK) *written = writer.directory;
    memory_free(context, writer.keys);
    memory_free(context, writer.label_keys);
    memory_free(context, writer.places);
    memory_free(context, writer.hashes);
    memory_free(context, writer.buffer);
    return status;
}
