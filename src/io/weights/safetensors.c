/* safetensors files (huggingface.co/docs/safetensors, "Format"): u64 header length, JSON header padded with spaces,
 * then the tensors without gaps.  Nothing in the header is believed before it is checked against the file's size.
 * Called through tensor_file.h and by weights.c. */
#include "safetensors.h"

#include "core/base/files.h"
#include "core/base/json.h"
#include "tensor_hash.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_BYTES = 8, HEADER_ALIGNMENT = 8 };
static const uint64_t header_limit = 100000000; /* the reference implementation's */

static bool detect(const uint8_t *head, size_t bytes, const char *path) {
    return (bytes > PREFIX_BYTES && head[PREFIX_BYTES] == '{') || has_suffix(path, ".safetensors");
}

/* ---- reading */

static cover_status read_type(const struct tensor_file *file, struct tensor_entry *entry, const json_t *object) {
    const char *dtype = json_string_value(json_object_get(object, "dtype"));
    if (!dtype) return fail(COVER_ERROR_FORMAT, "%s: tensor %s: dtype is missing", file->source.name, entry->name);
    for (int type = 0; type < TENSOR_TYPES; type++) {
        if (strcmp(dtype, tensor_types[type].name) != 0) continue;
        entry->type = (enum tensor_type)type;
        return COVER_OK;
    }
    return fail(COVER_ERROR_UNSUPPORTED, "%s: tensor %s: dtype '%.32s' is not known here; convert it to F32", file->source.name,
                entry->name, dtype);
}

static cover_status read_shape(const struct tensor_file *file, struct tensor_entry *entry, const json_t *object) {
    const json_t *shape = json_object_get(object, "shape");
    if (!json_is_array(shape)) return fail(COVER_ERROR_FORMAT, "%s: tensor %s: shape is missing", file->source.name, entry->name);
    size_t rank = json_array_size(shape);
    if (rank > TENSOR_RANK_MAX)
        return fail(COVER_ERROR_UNSUPPORTED, "%s: tensor %s: %zu axes, but at most %d are taken", file->source.name, entry->name,
                    rank, TENSOR_RANK_MAX);
    entry->rank = (int)rank;
    for (size_t axis = 0; axis < rank; axis++) {
        const json_t *size = json_array_get(shape, axis);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return fail(COVER_ERROR_FORMAT, "%s: tensor %s: size of axis %zu is not a whole number >= 0", file->source.name,
                        entry->name, axis);
        entry->shape[axis] = json_integer_value(size);
    }
    return tensor_entry_measure(entry, file->source.name);
}

/* entry->place: offset behind the header, for now. */
static cover_status read_offsets(const struct tensor_file *file, struct tensor_entry *entry, const json_t *object,
                                 uint64_t data_bytes) {
    const json_t *offsets = json_object_get(object, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second))
        return fail(COVER_ERROR_FORMAT, "%s: tensor %s: data_offsets are not two whole numbers", file->source.name, entry->name);
    int64_t begin = json_integer_value(first), end = json_integer_value(second);
    if (begin < 0 || end < begin || (uint64_t)end > data_bytes)
        return fail(COVER_ERROR_FORMAT,
                    "%s: tensor %s: data_offsets [%lld, %lld] are not inside the %llu bytes of data; "
                    "the file is truncated or damaged",
                    file->source.name, entry->name, (long long)begin, (long long)end, (unsigned long long)data_bytes);
    if ((uint64_t)(end - begin) != entry->bytes)
        return fail(COVER_ERROR_FORMAT, "%s: tensor %s: dtype and shape need %llu bytes, but data_offsets hold %lld",
                    file->source.name, entry->name, (unsigned long long)entry->bytes, (long long)(end - begin));
    entry->place = (uint64_t)begin;
    return COVER_OK;
}

static cover_status read_metadata(struct tensor_file *file, json_t *object) {
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return fail(COVER_ERROR_FORMAT, "%s: __metadata__ is not an object of strings", file->source.name);
    file->metadata = arena_alloc(&file->arena, json_object_size(object) * sizeof *file->metadata);
    if (!file->metadata) return COVER_ERROR_MEMORY;
    json_object_foreach(object, key, value) {
        const char *text = json_string_value(value);
        if (!text) return fail(COVER_ERROR_FORMAT, "%s: __metadata__ '%.64s' is not a string", file->source.name, key);
        struct tensor_pair *pair = &file->metadata[file->metadata_count];
        pair->key = arena_text(&file->arena, key, strlen(key));
        pair->value = arena_text(&file->arena, text, strlen(text));
        if (!pair->key || !pair->value) return COVER_ERROR_MEMORY;
        file->metadata_count++;
    }
    return COVER_OK;
}

static int by_place(const void *a, const void *b) {
    const struct tensor_entry *left = a, *right = b;
    if (left->place != right->place) return left->place < right->place ? -1 : 1;
    return (left->bytes > right->bytes) - (left->bytes < right->bytes);
}

/* In the order of their places, tensors must follow each other without gap or overlap, up to the last byte. */
static cover_status check_places(struct tensor_file *file, uint64_t data_begin) {
    uint64_t position = 0, data_bytes = file->source.bytes - data_begin;
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, by_place);
    for (int64_t i = 0; i < file->count; i++) {
        struct tensor_entry *entry = &file->entries[i];
        if (entry->place != position)
            return fail(COVER_ERROR_FORMAT,
                        "%s: tensor %s: its data begin at %llu, but the data before end at %llu; tensors "
                        "may not overlap or leave gaps",
                        file->source.name, entry->name, (unsigned long long)entry->place, (unsigned long long)position);
        position += entry->bytes;
        entry->place += data_begin;
    }
    if (position != data_bytes)
        return fail(COVER_ERROR_FORMAT, "%s: the header describes %llu bytes of data, but the file has %llu", file->source.name,
                    (unsigned long long)position, (unsigned long long)data_bytes);
    return COVER_OK;
}

static cover_status read_header(struct tensor_file *file, json_t *header, uint64_t data_begin) {
    const char *key;
    json_t *value;
    file->entries = arena_alloc(&file->arena, json_object_size(header) * sizeof *file->entries);
    if (!file->entries) return COVER_ERROR_MEMORY;
    json_object_foreach(header, key, value) {
        if (strcmp(key, "__metadata__") == 0) {
            TRY(read_metadata(file, value));
            continue;
        }
        struct tensor_entry *entry = &file->entries[file->count];
        entry->name = arena_text(&file->arena, key, strlen(key));
        if (!entry->name) return COVER_ERROR_MEMORY;
        TRY(read_type(file, entry, value));
        TRY(read_shape(file, entry, value));
        TRY(read_offsets(file, entry, value, file->source.bytes - data_begin));
        file->count++;
    }
    return check_places(file, data_begin);
}

static cover_status open_file(struct tensor_file *file) {
    cover_status status = COVER_OK;
    json_t *header = NULL;
    uint64_t header_bytes;
    TRY(source_read(&file->source, 0, &header_bytes, PREFIX_BYTES));
    if (header_bytes > file->source.bytes - PREFIX_BYTES)
        return fail(COVER_ERROR_FORMAT,
                    "%s: its header should have %llu bytes, but only %llu follow; truncated, or not "
                    "safetensors",
                    file->source.name, (unsigned long long)header_bytes, (unsigned long long)(file->source.bytes - PREFIX_BYTES));
    if (header_bytes > header_limit)
        return fail(COVER_ERROR_FORMAT, "%s: a header of %llu bytes, but at most %llu are taken", file->source.name,
                    (unsigned long long)header_bytes, (unsigned long long)header_limit);
    char *text = memory_alloc(file->context, header_bytes);
    if (!text) return fail_in(COVER_ERROR_MEMORY, "%s", file->source.name);
    GO(source_read(&file->source, PREFIX_BYTES, text, header_bytes));
    status = json_read(&header, "its header", text, header_bytes);
    if (status != COVER_OK) GO(fail_in(status, "%s", file->source.name));
    if (!json_is_object(header)) GO(fail(COVER_ERROR_FORMAT, "%s: its header is not a JSON object", file->source.name));
    GO(read_header(file, header, PREFIX_BYTES + header_bytes));
done:
    json_decref(header);
    memory_free(file->context, text);
    return status;
}

static cover_status read_tensor(struct tensor_file *file, const struct tensor_entry *entry, void *out) {
    return source_read(&file->source, entry->place, out, entry->bytes);
}

const struct tensor_format safetensors_format = {"safetensors", detect, open_file, read_tensor, NULL};

/* ---- writing */

static uint64_t output_bytes(const struct tensor_output *tensor) {
    uint64_t bytes = (uint64_t)tensor_types[tensor->type].bytes;
    for (int axis = 0; axis < tensor->rank; axis++) bytes *= (uint64_t)tensor->shape[axis];
    return bytes;
}

/* The values of a tensor: its data, or a copy of the entry's in *read, which memory_free() takes. */
static cover_status values_of(const void **values, void **read, cover_context *context, const struct tensor_output *tensor) {
    *read = NULL, *values = tensor->data;
    if (tensor->data) return COVER_OK;
    *values = *read = memory_alloc(context, tensor->entry->bytes);
    if (!*read) return fail_in(COVER_ERROR_MEMORY, "tensor %s", tensor->name);
    const cover_status status = tensor_read(tensor->file, tensor->entry, *read);
    if (status != COVER_OK) memory_free(context, *read);
    return status;
}

/* The metadata given, and a hash of it and of the tensors instead of one that a file had before. */
static cover_status add_hash(struct arena *arena, const struct tensor_output *tensors, int64_t count,
                             const struct tensor_pair **metadata, int64_t *metadata_count) {
    struct hashed_tensor *hashed = arena_alloc(arena, (size_t)count * sizeof *hashed);
    struct tensor_pair *pairs = arena_alloc(arena, (size_t)(*metadata_count + TENSOR_HASH_PAIRS) * sizeof *pairs);
    int64_t used = 0;
    if (!hashed || !pairs) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        const void *values;
        void *read;
        TRY(values_of(&values, &read, arena->context, &tensors[i]));
        hashed[i] = (struct hashed_tensor){tensors[i].name, tensors[i].type, tensors[i].rank, tensors[i].shape, {0}};
        sha256(values, output_bytes(&tensors[i]), hashed[i].digest);
        memory_free(arena->context, read);
    }
    for (int64_t i = 0; i < *metadata_count; i++)
        if (!tensor_hash_owns((*metadata)[i].key)) pairs[used++] = (*metadata)[i];
    TRY(tensor_hash_pairs(pairs + used, arena, hashed, count, pairs, used));
    *metadata = pairs, *metadata_count = used + TENSOR_HASH_PAIRS;
    return COVER_OK;
}

static void write_header(struct text *text, const struct tensor_output *tensors, int64_t count, const struct tensor_pair *metadata,
                         int64_t metadata_count) {
    uint64_t position = 0;
    text_add(text, "{");
    text_add(text, "\"__metadata__\":{");
    for (int64_t i = 0; i < metadata_count; i++) {
        text_add(text, "%s", i ? "," : "");
        text_add_json(text, metadata[i].key);
        text_add(text, ":");
        text_add_json(text, metadata[i].value);
    }
    text_add(text, "}");
    for (int64_t i = 0; i < count; i++) {
        const struct tensor_output *tensor = &tensors[i];
        uint64_t bytes = output_bytes(tensor);
        text_add(text, ",");
        text_add_json(text, tensor->name);
        text_add(text, ":{\"dtype\":\"%s\",\"shape\":[", tensor_types[tensor->type].name);
        for (int axis = 0; axis < tensor->rank; axis++) text_add(text, "%s%lld", axis ? "," : "", (long long)tensor->shape[axis]);
        text_add(text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)position, (unsigned long long)(position + bytes));
        position += bytes;
    }
    text_add(text, "}");
    while (!text->failed && text->length % HEADER_ALIGNMENT != 0) text_add(text, " ");
}

static cover_status write_tensor(struct replacement *file, cover_context *context, const struct tensor_output *tensor) {
    const void *values;
    void *read;
    TRY(values_of(&values, &read, context, tensor));
    const cover_status status = replacement_write(file, values, output_bytes(tensor));
    memory_free(context, read);
    return status;
}

cover_status safetensors_write(cover_context *context, const char *path, const struct tensor_output *tensors, int64_t count,
                               const struct tensor_pair *metadata, int64_t metadata_count) {
    cover_status status = COVER_OK;
    struct replacement file = {.descriptor = -1};
    struct text text = {.context = context};
    struct arena arena = {.context = context};
    char *header = NULL;
    GO(add_hash(&arena, tensors, count, &metadata, &metadata_count));
    write_header(&text, tensors, count, metadata, metadata_count);
    uint64_t header_bytes = text.length;
    GO(text_take(&text, &header));
    GO(replacement_begin(&file, context, path));
    GO(replacement_write(&file, &header_bytes, PREFIX_BYTES));
    GO(replacement_write(&file, header, header_bytes));
    for (int64_t i = 0; i < count; i++) GO(write_tensor(&file, context, &tensors[i]));
    GO(replacement_commit(&file, context));
done:
    replacement_abandon(&file, context);
    memory_free(context, header);
    arena_free(&arena);
    return status;
}
