/* Writing a dataset file (docs/dataset.md): one HDF5 array for each size and dtype, chunked by sample; then the tables,
 * the directory, and the seal last.  Called by pack. */
#include "dataset_writer.h"

#include "core/base/descriptor.h"
#include "core/base/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_keys(const void *a, const void *b) {
    const struct dataset_key *x = a, *y = b;
    if (x->dtype != y->dtype) return x->dtype < y->dtype ? -1 : 1;
    for (int i = 0; i < 3; i++)
        if (x->size[i] != y->size[i]) return x->size[i] < y->size[i] ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_array(const struct dataset_key *a, const struct dataset_key *b) {
    return a->dtype == b->dtype && memcmp(a->size, b->size, sizeof a->size) == 0;
}

/* First look at every sample: keys, sizes, length of the names, the largest stored piece. */
static cover_status survey(struct dataset_writer *writer) {
    const struct dataset_content *content = writer->content;
    struct dataset_directory *directory = &writer->directory;
    const size_t count = (size_t)content->samples;
    uint64_t largest = DATASET_PAGE_BYTES;
    struct sha256 hash;
    *directory = (struct dataset_directory){.samples = content->samples,
                                            .dims = content->dims,
                                            .channels = content->channels,
                                            .classes = content->classes,
                                            .multilabel = content->multilabel,
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
        struct dataset_key key = {.dtype = row->dtype, .size = {row->size[0], row->size[1], row->size[2]}, .index = i};
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

cover_status dataset_refused(const struct dataset_writer *writer) {
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
static hid_t create_array(const struct dataset_writer *writer, const char *group, const struct dataset_key *kind, int64_t count,
                          int channels) {
    const int dims = writer->content->dims;
    hsize_t sizes[COVER_MAX_RANK] = {(hsize_t)count}, chunk[COVER_MAX_RANK] = {1};
    const hid_t type = hdf5_type((cover_dtype)dataset_dtype(kind->dtype));
    int axes = 1;
    for (int a = 3 - dims; a < 3; a++) sizes[axes] = chunk[axes] = kind->size[a], axes++;
    if (channels > 1) sizes[axes] = chunk[axes] = (hsize_t)channels, axes++;
    char kind_name[DATASET_KIND_TEXT], name[sizeof kind_name + 16];
    dataset_kind(kind_name, kind->dtype, dims, kind->size);
    snprintf(name, sizeof name, "%s/%s", group, kind_name);
    hid_t creation = hdf5_plain_dataset_list(), space = H5Screate_simple(axes, sizes, NULL), array = -1;
    if (creation >= 0 && space >= 0 && H5Pset_chunk(creation, axes, chunk) >= 0 &&
        (H5Tget_size(type) == 1 || H5Pset_shuffle(creation) >= 0) && H5Pset_deflate(creation, DATASET_DEFLATE_LEVEL) >= 0)
        array = H5Dcreate2(writer->file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (space >= 0) H5Sclose(space);
    if (creation >= 0) H5Pclose(creation);
    return array;
}

/* Write samples keys[0..count) of one array as its rows first, first + 1, ...; libhdf5's lock is ours. */
static cover_status write_chunks(struct dataset_writer *writer, hid_t array, const struct dataset_key *keys, int64_t count,
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
        if (writer->sink.error) return dataset_refused(writer);
        if (writer->sink.raw_bytes != bytes)
            return fail(COVER_ERROR_INTERNAL, "%s: a sample was not stored in one piece", writer->path);
        struct dataset_place *place = &writer->places[index];
        *(label ? &place->label : &place->image) = (struct dataset_extent){writer->sink.raw_offset, bytes};
        *(label ? &place->label_row : &place->image_row) = (uint64_t)(first + i);
    }
    return COVER_OK;
}

/* One array; libhdf5's lock is given back now and then, and never held while the caller's progress runs. */
static cover_status write_array(struct dataset_writer *writer, const char *group, const struct dataset_key *keys, int64_t count,
                                int channels, bool label) {
    enum { BATCH = 256 };
    const struct dataset_content *content = writer->content;
    cover_status status = COVER_OK;
    struct hdf5_guard guard;
    hdf5_begin(&guard);
    hid_t array = create_array(writer, group, keys, count, channels);
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

static cover_status write_arrays(struct dataset_writer *writer, const char *group, const struct dataset_key *keys, int64_t count,
                                 int channels, bool label) {
    for (int64_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && same_array(&keys[first], &keys[next]);) next++;
        TRY(write_array(writer, group, keys + first, next - first, channels, label));
    }
    return COVER_OK;
}

/* After libhdf5 has closed the file: its own structures are in place now. */
static cover_status hash_rest(struct dataset_writer *writer, struct seal *seal) {
    const struct source source = {.name = writer->path, .descriptor = writer->sink.descriptor, .bytes = writer->sink.end};
    const int64_t samples = writer->content->samples;
    struct dataset_extent *extents = memory_alloc(writer->context, (size_t)(samples + writer->labels) * sizeof *extents);
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

static cover_status write_seal(const struct dataset_writer *writer, const struct seal *seal) {
    uint8_t block[SEAL_BYTES];
    seal_encode(block, seal);
    if (!descriptor_write_at(writer->sink.descriptor, block, sizeof block, 0))
        return fail_system(writer->path, "cannot be written");
    return COVER_OK;
}

cover_status dataset_write(cover_context *context, int descriptor, const char *path, const struct dataset_content *content,
                           struct dataset_directory *written) {
    cover_status status = COVER_OK, closed = COVER_OK;
    struct dataset_writer writer = {
        .context = context, .path = path, .content = content, .sink = {.descriptor = descriptor}, .file = -1};
    struct seal seal = {.format = DATASET_FORMAT, .major = DATASET_MAJOR, .minor = DATASET_MINOR};
    struct hdf5_guard guard;
    GO(survey(&writer));
    hdf5_begin(&guard);
    status = hdf5_sink_create(&writer.file, &writer.sink);
    const char *const groups[] = {"images", "labels"};
    for (int g = 0; status == COVER_OK && g < 2; g++) {
        hid_t group = create_group(writer.file, groups[g]);
        if (group < 0) status = hdf5_fail(COVER_ERROR_INTERNAL, path, "a group cannot be created");
        else H5Gclose(group);
    }
    hdf5_end(&guard);
    if (status != COVER_OK) goto done;
    GO(write_arrays(&writer, "images", writer.keys, content->samples, content->channels, false));
    GO(write_arrays(&writer, "labels", writer.label_keys, writer.labels, 1, true));
    hdf5_begin(&guard);
    status = dataset_write_rows(&writer);
    if (status == COVER_OK) status = dataset_write_names(&writer);
    if (status == COVER_OK) status = hdf5_write_text(writer.file, "about", content->about);
    if (status == COVER_OK) status = dataset_write_directory(&writer, &seal);
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
