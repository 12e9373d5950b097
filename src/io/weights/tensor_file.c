/* Files of named tensors in one form: opening, finding, converting.  See tensor_file.h; the formats are one file each.
 */
#include "tensor_file.h"

#include "core/base/convert.h"

#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weight files are little-endian and so must be the machine"
#endif

const struct tensor_type_info tensor_types[TENSOR_TYPES] = {
    [TENSOR_BOOL] = {"BOOL", 1}, [TENSOR_U8] = {"U8", 1},   [TENSOR_I8] = {"I8", 1},     [TENSOR_U16] = {"U16", 2},
    [TENSOR_I16] = {"I16", 2},   [TENSOR_F16] = {"F16", 2}, [TENSOR_BF16] = {"BF16", 2}, [TENSOR_U32] = {"U32", 4},
    [TENSOR_I32] = {"I32", 4},   [TENSOR_F32] = {"F32", 4}, [TENSOR_U64] = {"U64", 8},   [TENSOR_I64] = {"I64", 8},
    [TENSOR_F64] = {"F64", 8},
};

extern const struct tensor_format checkpoint_format, safetensors_format, pth_format;
const struct tensor_format *const tensor_formats[] = {&checkpoint_format, &safetensors_format, &pth_format, NULL};

cover_status tensor_entry_measure(struct tensor_entry *entry, const char *file_name) {
    int64_t elements = 1, bytes;
    for (int axis = 0; axis < entry->rank; axis++)
        if (!multiply(elements, entry->shape[axis], &elements))
            return fail(COVER_ERROR_FORMAT, "%s: tensor %s: its shape holds more elements than a file can", file_name, entry->name);
    if (!multiply(elements, tensor_types[entry->type].bytes, &bytes))
        return fail(COVER_ERROR_FORMAT, "%s: tensor %s: its shape holds more bytes than a file can", file_name, entry->name);
    entry->elements = elements, entry->bytes = (uint64_t)bytes;
    return COVER_OK;
}

/* Names go into messages, JSON and other files: printable UTF-8 of sensible length only. */
static bool name_is_sound(const char *name) {
    const unsigned char *c = (const unsigned char *)name;
    size_t length = strlen(name);
    if (length == 0 || length > TENSOR_NAME_MAX || strcmp(name, "__metadata__") == 0) return false;
    for (size_t bytes; *c; c += bytes)
        if (*c < 0x20 || *c == 0x7F || (bytes = utf8_length(c)) == 0) return false;
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct tensor_entry *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* Names must be sound and differ; build the index that tensor_file_find() searches. */
static cover_status index_names(struct tensor_file *file) {
    file->sorted = arena_alloc(&file->arena, (size_t)file->count * sizeof *file->sorted);
    if (!file->sorted) return COVER_ERROR_MEMORY;
    for (int64_t i = 0; i < file->count; i++) {
        if (!name_is_sound(file->entries[i].name))
            return fail(COVER_ERROR_FORMAT,
                        "%s: the name of tensor %lld is empty, longer than %d bytes, or not printable "
                        "UTF-8",
                        file->source.name, (long long)i, TENSOR_NAME_MAX);
        file->sorted[i] = &file->entries[i];
    }
    qsort(file->sorted, (size_t)file->count, sizeof *file->sorted, by_name);
    for (int64_t i = 1; i < file->count; i++)
        if (strcmp(file->sorted[i - 1]->name, file->sorted[i]->name) == 0)
            return fail(COVER_ERROR_FORMAT, "%s: tensor %s is there twice", file->source.name, file->sorted[i]->name);
    return COVER_OK;
}

static bool lies_under(const char *name, const char *key) {
    const size_t length = strlen(key);
    return strncmp(name, key, length) == 0 && name[length] == '.' && name[length + 1];
}

/* First parts of names, each once, in order: what a caller could have asked for. */
static cover_status no_such_key(const struct tensor_file *file, const char *key) {
    enum { LISTED_MAX = 20 };
    struct text text = {.context = file->context};
    const char *last = NULL;
    int listed = 0;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->sorted[i]->name;
        const size_t length = strcspn(name, ".");
        if (!name[length] || (last && strncmp(last, name, length + 1) == 0)) continue;
        if (listed++ < LISTED_MAX) text_add(&text, "%s%.*s", listed > 1 ? ", " : "", (int)length, name);
        last = name;
    }
    if (listed > LISTED_MAX) text_add(&text, " and %d more", listed - LISTED_MAX);
    cover_status status = text.failed ? COVER_ERROR_MEMORY
                                      : fail(COVER_ERROR_MISMATCH, "%s: holds no tensors under '%.200s'; there are: %s",
                                             file->source.name, key, listed ? text.data : "no keys");
    text_free(&text);
    return status;
}

/* Keep what lies under file->key. */
static cover_status keep_key(struct tensor_file *file) {
    int64_t kept = 0;
    for (int64_t i = 0; i < file->count; i++) kept += lies_under(file->entries[i].name, file->key);
    if (kept == 0) return no_such_key(file, file->key);
    kept = 0;
    for (int64_t i = 0; i < file->count; i++) {
        if (!lies_under(file->entries[i].name, file->key)) continue;
        file->entries[kept] = file->entries[i];
        file->entries[kept++].name += strlen(file->key) + 1;
    }
    file->count = kept;
    return index_names(file);
}

static cover_status open_source(struct tensor_file **out, cover_context *context, const struct source *source, const char *key) {
    cover_status status = COVER_OK;
    uint8_t head[64];
    size_t head_bytes = source->bytes < sizeof head ? (size_t)source->bytes : sizeof head;
    struct tensor_file *file = memory_zero(context, sizeof *file);
    if (!file) {
        struct source unused = *source;
        source_close(&unused);
        return COVER_ERROR_MEMORY;
    }
    file->context = context;
    file->arena.context = context;
    file->source = *source;
    file->source.name = arena_text(&file->arena, source->name, strlen(source->name));
    if (key) file->key = arena_text(&file->arena, key, strlen(key));
    if (!file->source.name || (key && !file->key)) {
        status = COVER_ERROR_MEMORY;
        goto done;
    }
    GO(source_read(&file->source, 0, head, head_bytes));
    for (const struct tensor_format *const *row = tensor_formats; *row && !file->format; row++)
        if ((*row)->detect(head, head_bytes, source->name)) file->format = *row;
    if (!file->format) {
        status = fail(COVER_ERROR_FORMAT, "%s: neither safetensors nor a PyTorch file nor a checkpoint of libcover", source->name);
        goto done;
    }
    GO(file->format->open(file));
    GO(index_names(file));
    if (key) GO(keep_key(file));
    *out = file;
    file = NULL;
done:
    tensor_file_close(file);
    return status;
}

cover_status tensor_file_open_under(struct tensor_file **file, cover_context *context, const char *path, const char *key) {
    struct source source;
    TRY(source_open(&source, path));
    return open_source(file, context, &source, key);
}

cover_status tensor_file_open(struct tensor_file **file, cover_context *context, const char *path) {
    return tensor_file_open_under(file, context, path, NULL);
}

cover_status tensor_file_open_memory(struct tensor_file **file, cover_context *context, const char *name, const void *memory,
                                     uint64_t bytes) {
    struct source source = source_memory(name, memory, bytes);
    return open_source(file, context, &source, NULL);
}

void tensor_file_close(struct tensor_file *file) {
    if (!file) return;
    if (file->format && file->format->close) file->format->close(file);
    source_close(&file->source);
    arena_free(&file->arena);
    memory_free(file->context, file);
}

const struct tensor_entry *tensor_file_find(const struct tensor_file *file, const char *name) {
    int64_t low = 0, high = file->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int order = strcmp(name, file->sorted[middle]->name);
        if (order == 0) return file->sorted[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

const char *tensor_file_metadata(const struct tensor_file *file, const char *key) {
    for (int64_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
    return NULL;
}

cover_status tensor_read(struct tensor_file *file, const struct tensor_entry *entry, void *out) {
    cover_status status = file->format->read(file, entry, out);
    return status == COVER_OK ? status : fail_in(status, "tensor %s", entry->name);
}

#define CONVERT(type_name, c_type, expression)                                                                                     \
    case type_name:                                                                                                                \
        for (int64_t i = 0; i < count; i++) {                                                                                      \
            c_type x = ((const c_type *)from)[i];                                                                                  \
            to[i] = (float)(expression);                                                                                           \
        }                                                                                                                          \
        break

static void convert(float *to, const void *from, enum tensor_type type, int64_t count) {
    switch (type) {
        CONVERT(TENSOR_BOOL, uint8_t, x != 0);
        CONVERT(TENSOR_U8, uint8_t, x);
        CONVERT(TENSOR_I8, int8_t, x);
        CONVERT(TENSOR_U16, uint16_t, x);
        CONVERT(TENSOR_I16, int16_t, x);
        CONVERT(TENSOR_F16, uint16_t, half_to_float(x));
        CONVERT(TENSOR_BF16, uint16_t, bfloat_to_float(x));
        CONVERT(TENSOR_U32, uint32_t, x);
        CONVERT(TENSOR_I32, int32_t, x);
        CONVERT(TENSOR_F32, float, x);
        CONVERT(TENSOR_U64, uint64_t, x);
        CONVERT(TENSOR_I64, int64_t, x);
        CONVERT(TENSOR_F64, double, x);
    case TENSOR_TYPES:
        break;
    }
}

cover_status tensor_read_f32(struct tensor_file *file, const struct tensor_entry *entry, float *out) {
    if (entry->type == TENSOR_F32) return tensor_read(file, entry, out);
    void *stored = memory_alloc(file->context, entry->bytes);
    if (!stored) return fail_in(COVER_ERROR_MEMORY, "%s: tensor %s", file->source.name, entry->name);
    cover_status status = tensor_read(file, entry, stored);
    if (status == COVER_OK) convert(out, stored, entry->type, entry->elements);
    memory_free(file->context, stored);
    return status;
}

cover_status tensor_load_f32(struct tensor_file *file, const struct tensor_entry *entry, float **out) {
    float *values = memory_alloc(file->context, (size_t)entry->elements * sizeof *values);
    if (!values) return fail_in(COVER_ERROR_MEMORY, "%s: tensor %s", file->source.name, entry->name);
    cover_status status = tensor_read_f32(file, entry, values);
    if (status == COVER_OK) *out = values;
    else memory_free(file->context, values);
    return status;
}
